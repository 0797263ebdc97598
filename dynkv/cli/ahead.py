"""A supervisor's process, begun before there is a plan: its imports take as long as all that `up` does until then.

What it is to do comes over a socket; it ends when that closes without. Nobody relies on it: what it cannot be, or is
too late to be, a process that is begun with the plan can.
"""

from __future__ import annotations

import os
import sys

from dynkv.cli.inherited import finding_dynkv
from dynkv.surroundings import of_supervisor

TYPE_CHECKING = False  # mypy takes it as true; importing it takes longer than all that is here
if TYPE_CHECKING:
    import socket
    import subprocess
    from pathlib import Path

    from dynkv.park.handover import Becoming, Descriptors

_WITHOUT = {"--help", "-h", "--foreground"}
"""With one of them `up` leaves no supervisor behind."""


def program(home: Path) -> list[str]:
    # -P: nothing is imported from where the person happens to be
    return [sys.executable, "-P", "-m", "dynkv.daemon", "--home", str(home)]


class Ahead:
    """For one command, which may begin one process."""

    def __init__(self) -> None:
        self.environ: dict[str, str] = {}
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def begin(self, words: list[str]) -> None:
        """If the command line is one that leaves a supervisor. What is wrong with it, or the host, its verb tells."""
        if words[:1] != ["up"] or _WITHOUT & {*words}:
            return
        import socket
        import subprocess

        from dynkv.errors import DynkvError
        from dynkv.home import home

        self.environ = finding_dynkv(of_supervisor(os.environ))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            self._process = subprocess.Popen(
                [*program(home()), "--ahead-fd", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=self.environ,
                cwd="/",
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
            )
            self._channel = ours
        except (OSError, DynkvError):
            ours.close()
        finally:
            theirs.close()

    def become(
        self, becoming: Becoming, descriptors: Descriptors, timeout_s: float | None
    ) -> subprocess.Popen[bytes] | None:
        """The process, when it is about to become this supervisor; None if none is, or not within `timeout_s`."""
        if self._process is None or self._channel is None or becoming.env != self.environ:
            return None
        from dynkv.park.handover import give

        try:
            why_not = give(self._channel, becoming, descriptors, timeout_s)
        except KeyboardInterrupt:
            self.end()  # it may have begun to become the supervisor, of whom nobody would hear
            raise
        if why_not:
            self.end()
            return None
        process, self._process = self._process, None
        return process

    def end(self) -> None:
        """What has not become a supervisor."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._channel = None


ahead = Ahead()
