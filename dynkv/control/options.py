"""The command line of a supervisor's process, which only dynkv itself writes."""

from __future__ import annotations

from getopt import getopt
from pathlib import Path

from msgspec import Struct


class Options(Struct, frozen=True):
    home: Path
    ahead_fd: int | None
    """The socket over which all options but the home come, once there is a plan."""
    plan_fd: int
    notify_fd: int
    keep_fds: tuple[int, ...]
    """Other descriptors to keep open."""
    parked_fd: int | None
    """Where to read what this process parked when it was the parker."""
    plainly: str
    """Why no parked process is used."""
    foreground: bool
    replace: bool
    """Whether to end processes that the journal does not mention."""

    def descriptors(self) -> set[int]:
        parked = () if self.parked_fd is None else (self.parked_fd,)
        return {self.plan_fd, self.notify_fd, *parked, *self.keep_fds}


def read_options(words: list[str]) -> Options:
    """Parse the words. Raises getopt.GetoptError for what dynkv would not write."""
    valued = "home= ahead-fd= plan-fd= notify-fd= keep-fds= parked-fd= plainly=".split()
    given = dict(getopt(words, "", [*valued, "foreground", "replace"])[0])
    number = {name: int(value) for name, value in given.items() if name.endswith("-fd")}
    return Options(
        home=Path(given["--home"]),
        ahead_fd=number.get("--ahead-fd"),
        plan_fd=number.get("--plan-fd", -1),
        notify_fd=number.get("--notify-fd", -1),
        keep_fds=tuple(int(fd) for fd in given.get("--keep-fds", "").split(",") if fd),
        parked_fd=number.get("--parked-fd"),
        plainly=given.get("--plainly", ""),
        foreground="--foreground" in given,
        replace="--replace" in given,
    )
