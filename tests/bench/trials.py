"""The experiments with supervisors. Each begins with a fresh one and leaves nothing running."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from uuid import uuid4

from .figures import Samples
from .install import Peers
from .jobs import Announcement, Announcements, make_jobs
from .processes import alive, cpu_s, pss_bytes, supervisor_processes, sweep, wait_until_gone
from .subjects import Subject, SubjectError

MB = 1e6
_CHILDREN_TIMEOUT_S = 120.0
_RESTART_TIMEOUT_S = 20.0
_GONE_TIMEOUT_S = 180.0
"""supervisord stops one program after the other, and sometimes waits a second for each."""


@dataclass(frozen=True, slots=True)
class Effort:
    """How much is measured."""

    rounds: int = 5
    sizes: tuple[int, ...] = (10, 100, 500)
    """Numbers of children; the first is used for idling, restarts and status."""
    long_rounds: int = 3
    """Number of rounds above 100 children, and for idling."""
    settle_s: float = 2.0
    idle_s: float = 32.0
    """pm2 checks its children every 30 s."""
    restarts: int = 5
    """Restarts in each round."""
    statuses: int = 5
    flood_bytes: int = 500_000_000
    at_once: bool = False
    """Whether all supervisors run at the same time: for a run whose figures nobody reads."""


QUICK = Effort(
    rounds=1, sizes=(3,), settle_s=0.5, idle_s=1.0, restarts=1, statuses=1, flood_bytes=10_000_000, at_once=True
)


@dataclass
class Trial:
    """A supervisor with jobs of one kind, and its children's reports."""

    subject: Subject
    names: set[str]
    children: Announcements
    directory: Path

    def start(self) -> float:
        """Seconds until the command has returned and all children have reported."""
        began, heard = time.monotonic(), len(self.children.heard)
        self.subject.start()
        returned = time.monotonic()
        newest = self.children.wait_for_names(self.names, heard, _CHILDREN_TIMEOUT_S)
        return max(returned, *(child.at for child in newest)) - began

    def stop(self) -> float:
        """Seconds until the command has returned and the newest children and the supervisor are gone.

        Raises TimeoutError, which names those that remain.
        """
        pids = [*self.child_pids(), self.subject.pid()]
        began = time.monotonic()
        self.subject.stop()
        if left := wait_until_gone(pids, _GONE_TIMEOUT_S):
            raise TimeoutError(f"{len(left)} processes are still there {_GONE_TIMEOUT_S:g} s after the stop command")
        return time.monotonic() - began

    def child_pids(self) -> list[int]:
        return [child.pid for child in self.children.latest().values()]

    def supervisor_pids(self) -> list[int]:
        return supervisor_processes(self.subject.pid(), self.child_pids())


@contextmanager
def trial(subject: type[Subject], peers: Peers, kind: str, count: int, *more: str) -> Iterator[Trial]:
    """A trial that has not started yet. Everything that it starts is killed at the end."""
    directory = Path(tempfile.mkdtemp(prefix="dynkv-bench-", dir="/tmp"))
    token = uuid4().hex
    try:
        with Announcements.listening(directory) as children:
            jobs = make_jobs(kind, count, directory, *more)
            one = subject(directory, token, peers)
            one.write(jobs)
            yield Trial(one, {job.name for job in jobs}, children, directory)
            sweep(token)
    finally:
        sweep(token)
        shutil.rmtree(directory, ignore_errors=True)


def measure_all(
    subjects: list[type[Subject]], peers: Peers, effort: Effort, samples: Samples, say: Callable[[str], None]
) -> None:
    """Measure round by round, and in each round one supervisor after the other, so that a slow minute affects all of
    them."""
    for number in range(effort.rounds):
        measures = [Measure(subject, peers, effort, number, samples, say).all for subject in subjects]
        with ThreadPoolExecutor(len(measures) if effort.at_once else 1) as pool:
            for done in [pool.submit(measure) for measure in measures]:
                done.result()


@dataclass(frozen=True, slots=True)
class Measure:
    """Run all experiments with one supervisor for one round. If one fails, that is noted, and the next one runs."""

    subject: type[Subject]
    peers: Peers
    effort: Effort
    round: int
    samples: Samples
    say: Callable[[str], None]

    def all(self) -> None:
        for size in self.effort.sizes:
            if size <= 100 or self.round < self.effort.long_rounds:
                self._try(f"{size} children", partial(self._life, size))
        self._try("log flood", self._flood)
        self._try("orphans, same group", partial(self._orphans, "same_group"))
        self._try("orphans, own session", partial(self._orphans, "own_session"))
        self._try("death of the supervisor", self._supervisor_death)

    def _try(self, title: str, experiment: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            experiment()
            outcome = f"{time.monotonic() - began:.1f} s"
        except (SubjectError, TimeoutError, OSError) as error:
            outcome = f"failed, {error}"
            self.samples.failures.append(f"{self.subject.name}, {title}, round {self.round + 1}: {error}")
        self.say(f"round {self.round + 1}, {self.subject.name}, {title}: {outcome}")

    def _add(self, key: str, value: float) -> None:
        self.samples.add(key, self.subject.name, value)

    def _trial(self, kind: str, count: int, *more: str) -> AbstractContextManager[Trial]:
        return trial(self.subject, self.peers, kind, count, *more)

    def _life(self, size: int) -> None:
        with self._trial("sleep", size) as run:
            self._add(f"start_{size}", run.start())
            time.sleep(self.effort.settle_s)
            self._add(f"pss_{size}", pss_bytes(run.supervisor_pids()) / MB)
            if size == self.effort.sizes[0]:
                self._in_detail(run)
            self._add(f"stop_{size}", run.stop())

    def _in_detail(self, run: Trial) -> None:
        if self.round < self.effort.long_rounds:
            self._add("idle_cpu", 1000 * _idle_cpu(run.supervisor_pids(), self.effort.idle_s))
        for _ in range(self.effort.statuses):
            began = time.monotonic()
            run.subject.status()
            self._add("status", 1000 * (time.monotonic() - began))
        for number in range(self.effort.restarts):
            self._add("restart", 1000 * _restart(run, f"sleep-{number % len(run.names)}"))

    def _flood(self) -> None:
        size = self.effort.flood_bytes
        with self._trial("flood", 1, str(size)) as run:
            run.start()
            pids = run.supervisor_pids()
            before = cpu_s(pids)
            with _highest_pss(pids) as highest:
                (run.directory / "fifo.go").write_text("go\n")
                (end,) = run.children.wait_for_names({"flood-0-ends"}, 0, _CHILDREN_TIMEOUT_S)
                time.sleep(self.effort.settle_s)  # what is still buffered costs memory and CPU, too
            assert end.told is not None
            self._add("flood_rate", size / MB / (end.told / 1e9))
            self._add("flood_pss", highest[0] / MB)
            self._add("flood_cpu", (cpu_s(pids) - before) / (size / 1e9))
            with suppress(TimeoutError):
                run.stop()

    def _orphans(self, kind: str) -> None:
        with self._trial(kind, 3) as run:
            run.start()
            time.sleep(1.0)
            victims, heard = list(run.children.latest().values()), len(run.children.heard)
            for victim in victims:
                os.kill(victim.pid, signal.SIGKILL)
            successors = run.children.wait_for_names(run.names, heard, _RESTART_TIMEOUT_S)
            time.sleep(1.0)
            self._add(f"orphans_{kind}", len(alive(grandchildren(victims))))
            run.stop()
            self._add(f"left_{kind}", len(wait_until_gone(grandchildren(successors), 1.0)))

    def _supervisor_death(self) -> None:
        count = 10
        with self._trial("sleep", count) as run:
            run.start()
            time.sleep(1.0)
            pid = run.subject.pid()
            os.kill(pid, signal.SIGKILL)
            wait_until_gone([pid], _GONE_TIMEOUT_S)
            time.sleep(1.0)
            self._add("survivors", len(alive(run.child_pids())))
            run.subject.start()
            time.sleep(3.0)
            every = {child.pid for child in run.children.heard}
            self._add("duplicates", max(0, len(alive(every)) - count))
            with suppress(TimeoutError):
                run.stop()
            self._add("left_duplicates", len(wait_until_gone(alive(every), 1.0)))


def grandchildren(children: Iterable[Announcement]) -> list[int]:
    return [child.told for child in children if child.told is not None]


def _idle_cpu(pids: Sequence[int], interval_s: float) -> float:
    """CPU time as a share of one CPU."""
    began, before = time.monotonic(), cpu_s(pids)
    time.sleep(interval_s)
    return (cpu_s(pids) - before) / (time.monotonic() - began)


def _restart(run: Trial, name: str) -> float:
    """Seconds from the kill to the first line of the successor."""
    time.sleep(random.uniform(0.5, 1.5))
    victim, heard = run.children.latest()[name], len(run.children.heard)
    began = time.monotonic()
    os.kill(victim.pid, signal.SIGKILL)
    (successor,) = run.children.wait_for_names({name}, heard, _RESTART_TIMEOUT_S)
    return successor.at - began


@contextmanager
def _highest_pss(pids: Sequence[int]) -> Iterator[list[int]]:
    """Sample twenty times a second; the list contains the highest value."""
    highest, over = [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.05):
            highest[0] = max(highest[0], pss_bytes(pids))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield highest
    finally:
        over.set()
        watcher.join()
