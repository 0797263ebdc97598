"""A supervisor's process, started before there is a plan: its imports take as long as everything `up` does until then.

It receives its order over a socket, and exits if that closes without one. Nothing relies on it: if it cannot become the
supervisor, or not in time, a process that is started with the plan does.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from dynkv.cli.inherited import finding_dynkv
from dynkv.surroundings import of_supervisor

TYPE_CHECKING = False  # mypy takes it as true; importing typing takes longer than everything here
if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from dynkv.park.handover import Becoming, Descriptors

_WITHOUT = {"--help", "-h", "--foreground"}
"""Options with which `up` leaves no supervisor behind."""


def program(home: Path) -> list[str]:
    # -P: import nothing from the current directory
    return [sys.executable, "-P", "-m", "dynkv.daemon", "--home", str(home)]


class _Child:
    """A child process of this one, to be killed and waited for."""

    def __init__(self, pid: int) -> None:
        self._pid = pid

    def kill(self) -> None:
        os.kill(self._pid, 9)  # the pid is its own until it is waited for

    def wait(self) -> None:
        with suppress(ChildProcessError):  # whoever started this command has it ignore the ends of children
            os.waitpid(self._pid, 0)


class Ahead:
    """The process that a command has started ahead, if any."""

    def __init__(self) -> None:
        self.environ: dict[str, str] = {}
        self._process: _Child | None = None
        self._channel: socket.socket | None = None

    def begin(self, words: list[str]) -> None:
        """Start the process if the command line is one that leaves a supervisor. Its verb reports all errors."""
        if words[:1] != ["up"] or _WITHOUT & {*words}:
            return
        import socket

        from dynkv.errors import DynkvError
        from dynkv.home import home

        self.environ = finding_dynkv(of_supervisor(os.environ))
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        try:
            theirs.set_inheritable(True)
            argv = [*program(home()), "--ahead-fd", str(theirs.fileno())]
            nowhere = [(os.POSIX_SPAWN_OPEN, fd, os.devnull, os.O_RDWR, 0) for fd in (0, 1, 2)]
            # it parts with other descriptors itself; importing subprocess would take 3 ms
            self._process = _Child(os.posix_spawn(argv[0], argv, self.environ, file_actions=nowhere, setsid=True))
            self._channel = ours
        except (OSError, DynkvError):
            ours.close()
        finally:
            theirs.close()

    def become(
        self, becoming: Becoming, descriptors: Descriptors, timeout_s: float | None
    ) -> tuple[_Child | None, str]:
        """The process, if it is about to become this supervisor; None and the reason if not, or not within `timeout_s`
        seconds. The reason is empty if there is none, or its environment is not the supervisor's."""
        if self._process is None or self._channel is None or becoming.env != self.environ:
            return None, ""
        from dynkv.park.handover import give

        try:
            why_not = give(self._channel, becoming, descriptors, timeout_s, "the process that was begun ahead")
        except KeyboardInterrupt:
            self.end()  # otherwise it might become a supervisor that nobody knows of
            raise
        if why_not:
            self.end()
            return None, why_not
        process, self._process = self._process, None
        return process, ""

    def end(self) -> None:
        """End the process, unless it has become a supervisor."""
        if self._channel is not None:
            self._channel.close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        self._process = self._channel = None


ahead = Ahead()
