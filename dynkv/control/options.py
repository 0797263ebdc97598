"""The command line of a supervisor's process, which only dynkv itself writes."""

from __future__ import annotations

from dataclasses import dataclass
from getopt import getopt
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Options:
    home: Path
    ahead_fd: int | None
    """Where the command line comes from, but for the home, when there is a plan."""
    plan_fd: int
    notify_fd: int
    keep_fds: tuple[int, ...]
    """What else of all that is open stays so."""
    parked_fd: int | None
    """What the parker that it was had parked."""
    plainly: str
    """Why it has nothing of what is parked."""
    foreground: bool
    replace: bool
    """It ends processes that the journal does not explain."""

    def descriptors(self) -> set[int]:
        parked = () if self.parked_fd is None else (self.parked_fd,)
        return {self.plan_fd, self.notify_fd, *parked, *self.keep_fds}


def read_options(words: list[str]) -> Options:
    """Raises getopt.GetoptError for what dynkv would not write."""
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
