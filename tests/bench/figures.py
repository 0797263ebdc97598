"""The figures that are measured, and the samples of one run."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the table. Less is better, unless it says otherwise."""

    key: str
    title: str
    digits: int = 2
    note: str = ""
    """How it was measured, for the notes below the table."""


@dataclass
class Samples:
    """Samples by figure and subject, and what could not be measured."""

    values: dict[tuple[str, str], list[float]] = field(default_factory=lambda: defaultdict(list))
    failures: list[str] = field(default_factory=list)
    """What could not be measured, in words, each with its subject."""

    def add(self, key: str, subject: str, value: float) -> None:
        self.values[key, subject].append(value)


def _sized(key: str, title: str, sizes: tuple[int, ...], digits: int, note: str = "") -> list[Figure]:
    return [Figure(f"{key}_{size}", title.format(size), digits, note if size == sizes[0] else "") for size in sizes]


def supervisor_figures(sizes: tuple[int, ...]) -> list[Figure]:
    """The rows of the supervisors' table for these numbers of children."""
    return [
        *_sized("pss", "memory with {} children, MB", sizes, 1, MEMORY),
        Figure("idle_cpu", f"idle CPU with {sizes[0]} children, ms in a second", 2, IDLE),
        *_sized("start", "start of {} children, s", sizes, 2, START),
        *_sized("stop", "stop of {} children, s", sizes, 2, STOP),
        Figure("restart", "restart after `kill -9` of a child, ms", 1, RESTART),
        Figure("status", "status command, ms", 0, STATUS),
        Figure("flood_rate", "log flood, MB/s (more is better)", 0, FLOOD),
        Figure("flood_pss", "memory in the flood, highest, MB", 1),
        Figure("flood_cpu", "CPU of the supervisor per GB of log, s", 2),
        Figure(
            "orphans_same_group", "grandchildren left of 3 after `kill -9` of their parents: same group", 0, ORPHANS
        ),
        Figure("orphans_own_session", "… own session", 0),
        Figure("left_same_group", "grandchildren left of 3 after the stop command: same group", 0),
        Figure("left_own_session", "… own session", 0),
        Figure("survivors", "children of 10 alive after `kill -9` of the supervisor (more is better)", 0, DUPLICATES),
        Figure("duplicates", "children twice, of 10, after it was started again", 0),
        Figure("left_duplicates", "children left after the stop command that followed", 0),
    ]


MEMORY = (
    "Memory is the PSS (`smaps_rollup`) of the supervisor and of all its processes but the children, a moment after "
    "the start."
)
IDLE = (
    "Idle CPU is the time on a CPU of the same processes (`schedstat`) in an interval in which nothing happens, "
    "divided by its length."
)
START = (
    "A start lasts from the command until it has returned and every child has run its first line: children write their "
    "pid into a FIFO, so that finding out costs every supervisor the same, and no polling."
)
STOP = "A stop lasts from the command until it has returned and the children and the supervisor are gone (pidfd)."
RESTART = (
    "A restart lasts from `kill -9` of a child until its successor has run its first line; the kills come at random "
    "moments, so that a supervisor that polls is met anywhere between two looks."
)
STATUS = "The status command is the one that a person types, from the start of the program to its end."
FLOOD = (
    "The flood is one child that writes lines of 100 bytes to its stdout as fast as it can; the rate is what the child "
    "got rid of. dynkv's children write to their log files themselves, the others' into a pipe of the supervisor."
)
ORPHANS = (
    "Grandchildren are counted when the successors of all three children run, and a second later; after the stop "
    "command only those of the successors are counted."
)
DUPLICATES = (
    "After `kill -9` of the supervisor the same start command is given again, and three seconds later all living "
    "children are counted."
)
