"""The jobs to supervise: small shell scripts that report to the benchmark, over a FIFO, that they run.

A FIFO costs every supervisor the same and needs no polling: the benchmark's `read` returns when a child runs its first
line.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

STOP_TIMEOUT_S = 5
"""How long after SIGTERM every supervisor may kill."""

_SLEEP = 'echo "$2 $$" >"$1"; exec sleep 86400'
_SAME_GROUP = 'sleep 86400 & echo "$2 $$ $!" >"$1"; exec sleep 86400'
_OWN_SESSION = 'setsid sleep 86400 & echo "$2 $$ $!" >"$1"; exec sleep 86400'
_FLOOD = """
line=$(printf '%099d' 0); block=$line; i=0
while [ $i -lt 9 ]; do block="$block
$block"; i=$((i + 1)); done
echo "$2 $$" >"$1"; read -r _ <"$1.go"; began=$(date +%s%N)
yes "$block" | head -c "$3"
echo "$2-ends $$ $(($(date +%s%N) - began))" >"$1"; exec sleep 86400
"""
SCRIPTS = {"sleep": _SLEEP, "same_group": _SAME_GROUP, "own_session": _OWN_SESSION, "flood": _FLOOD}


@dataclass(frozen=True, slots=True)
class Job:
    """One child that a supervisor should keep running."""

    name: str
    argv: tuple[str, ...]


def make_jobs(kind: str, count: int, directory: Path, *more: str) -> list[Job]:
    """`count` jobs of one kind of SCRIPTS, which report to the FIFO in `directory`."""
    script = directory / f"{kind}.sh"
    script.write_text(SCRIPTS[kind])
    names = [f"{kind.replace('_', '-')}-{number}" for number in range(count)]
    return [Job(name, ("/bin/sh", str(script), str(directory / "fifo"), name, *more)) for name in names]


@dataclass(frozen=True, slots=True)
class Announcement:
    """A child that has started. `at` is monotonic, in seconds."""

    name: str
    pid: int
    told: int | None
    """The pid of a grandchild; for a flood, its duration in nanoseconds by the child's own clock."""
    at: float


@dataclass
class Announcements:
    """The reports of all children since the FIFO was opened, in order."""

    heard: list[Announcement] = field(default_factory=list)
    _news: threading.Condition = field(default_factory=threading.Condition)

    @classmethod
    @contextmanager
    def listening(cls, directory: Path) -> Iterator[Self]:
        """Create the FIFO and listen until the block ends."""
        os.mkfifo(directory / "fifo")
        os.mkfifo(directory / "fifo.go")
        # also opened for writing, so that it does not end between two children
        descriptor = os.open(directory / "fifo", os.O_RDWR | os.O_NONBLOCK)
        over = threading.Event()
        self = cls()
        thread = threading.Thread(target=self._listen, args=(descriptor, over), daemon=True)
        thread.start()
        try:
            yield self
        finally:
            over.set()
            thread.join()
            os.close(descriptor)

    def wait_for(self, what: Callable[[list[Announcement]], bool], timeout_s: float) -> None:
        """Return when `what` holds for the reports. Raises TimeoutError."""
        with self._news:
            if not self._news.wait_for(lambda: what(self.heard), timeout_s):
                raise TimeoutError(f"children are missing after {timeout_s:g} s: {len(self.heard)} were heard")

    def wait_for_names(self, names: set[str], since: int, timeout_s: float) -> list[Announcement]:
        """The newest report of each name after the first `since` reports, once all names have reported."""
        self.wait_for(lambda heard: names <= {one.name for one in heard[since:]}, timeout_s)
        return [one for one in self.latest(since).values() if one.name in names]

    def latest(self, since: int = 0) -> dict[str, Announcement]:
        with self._news:
            return {one.name: one for one in self.heard[since:]}

    def _listen(self, descriptor: int, over: threading.Event) -> None:
        poll, rest = select.poll(), b""
        poll.register(descriptor, select.POLLIN)
        while not over.is_set():
            if not poll.poll(100):
                continue
            *lines, rest = (rest + os.read(descriptor, 65536)).split(b"\n")
            at = time.monotonic()
            with self._news:
                self.heard += [_parsed(line, at) for line in lines]
                self._news.notify_all()


def _parsed(line: bytes, at: float) -> Announcement:
    name, pid, *more = line.decode().split()
    return Announcement(name, int(pid), int(more[0]) if more else None, at)
