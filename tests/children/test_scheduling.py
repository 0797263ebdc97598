"""The scheduling priority and the CPUs of children."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from processes import family

from dynkv.children.child import Child
from dynkv.children.scheduling import Schedule, bring_back

AUTOGROUPS = Path("/proc/sys/kernel/sched_autogroup_enabled")
BOUND_ELSEWHERE = """
import threading
def bound():
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    say("bound")
    wait()
threading.Thread(target=bound).start()
wait()
"""


def spawned(tmp_path: Path, nice: int, *cpus: int) -> Child:
    words, env = ["sleep", "60"], {"PATH": os.environ["PATH"]}
    return Child.spawn(words, env, tmp_path / "log", schedule=Schedule(nice, cpus))


def end(child: Child) -> None:
    os.kill(child.pid, 9)
    child.reap()


def test_a_child_that_may_wait_says_so_to_the_kernel(tmp_path: Path) -> None:
    child = spawned(tmp_path, 7)
    try:
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == 7
        if AUTOGROUPS.exists():
            assert Path(f"/proc/{child.pid}/autogroup").read_text().split()[-1] == "7"
    finally:
        end(child)


def test_other_children_are_left_as_they_are(tmp_path: Path) -> None:
    child = spawned(tmp_path, 0)
    try:
        assert os.getpriority(os.PRIO_PROCESS, child.pid) == os.getpriority(os.PRIO_PROCESS, 0)
        assert os.sched_getaffinity(child.pid) == os.sched_getaffinity(0)
    finally:
        end(child)


def test_a_child_keeps_to_its_own_cpus(tmp_path: Path) -> None:
    own = max(os.sched_getaffinity(0))
    child = spawned(tmp_path, 0, own)
    try:
        assert os.sched_getaffinity(child.pid) == {own}
    finally:
        end(child)


def test_cpus_that_are_gone_cost_no_start(tmp_path: Path) -> None:
    child = spawned(tmp_path, 0, 10**4)
    try:
        assert os.sched_getaffinity(child.pid) == os.sched_getaffinity(0)
    finally:
        end(child)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="with one CPU nothing can be bound elsewhere")
def test_threads_that_bound_themselves_elsewhere_come_back(tmp_path: Path) -> None:
    every = os.sched_getaffinity(0)
    own = {max(every)}
    with family(tmp_path, BOUND_ELSEWHERE) as made:
        made.pid("bound")
        threads = [int(entry.name) for entry in Path(f"/proc/{made.child.pid}/task").iterdir()]
        assert bring_back(made.child.tree(), own) == 1
        assert sorted(os.sched_getaffinity(thread) == own for thread in threads) == [False, True]
        assert bring_back(made.child.tree(), own) == 0
        assert os.sched_getaffinity(made.child.pid) == every, "what is bound to nothing is left alone"
