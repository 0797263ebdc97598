"""A child's tree is found by its mark, whatever its processes do; processes of others are not in it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from processes import family, is_alive, until

from dynkv.children.marks import MARK_DEPLOYMENT, MARK_HOME, MARK_INCARNATION
from dynkv.children.tree import Host, Root, marked, tree_of
from dynkv.host.processes import Identity, Process, environment_of, read_process, resident_bytes

IN_GROUP = "if os.fork() == 0: say('grandchild'); wait()\nwait()"
SETSID = """
if os.fork() == 0:
    os.setsid(); say('grandchild'); wait()
wait()
"""
ORPHAN = """
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        while os.getppid() == parent: time.sleep(0.001)
        say('grandchild'); wait()
    os._exit(0)
os.wait()
wait()
""".replace("os.setsid()", "os.setsid(); parent = os.getpid()", 1)
WIPED = """
code = "import os, sys, time; open(sys.argv[1], 'a').write(f'grandchild {os.getpid()}\\\\n'); time.sleep(60)"
if os.fork() == 0:
    os.execve(sys.executable, [sys.executable, '-c', code, sys.argv[1]], {})
wait()
"""
HIDES_WHEN_TOLD = """
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
code = "import os, sys, time; open(sys.argv[1], 'a').write(f'hidden {os.getpid()}\\\\n'); time.sleep(60)"
if os.fork() == 0:
    if os.fork() == 0:
        say('grandchild')
        signal.sigwait([signal.SIGUSR1])
        os.setsid()
        os.execve(sys.executable, [sys.executable, '-c', code, sys.argv[1]], {})
    say('between')
wait()
"""


@contextmanager
def bystander(env: dict[str, str], *, session: bool = True) -> Iterator[subprocess.Popen[bytes]]:
    """A process outside of every tree; it has reported that it runs, so its environment can be read."""
    argv = [sys.executable, "-S", "-c", "import time; print('up', flush=True); time.sleep(60)"]
    with subprocess.Popen(argv, env=env, start_new_session=session, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"up\n"
        yield process
        process.kill()


@pytest.mark.parametrize("script", [IN_GROUP, SETSID, ORPHAN, WIPED], ids=["group", "setsid", "orphan", "wiped"])
def test_a_grandchild_is_found(tmp_path: Path, script: str) -> None:
    with family(tmp_path, script) as it:
        grandchild = it.pid()
        assert it.found == {it.child.pid, grandchild}


@pytest.mark.parametrize("script", [IN_GROUP, SETSID, ORPHAN, WIPED], ids=["group", "setsid", "orphan", "wiped"])
@pytest.mark.parametrize("reaped", [False, True])
def test_a_grandchild_is_found_when_its_leader_is_dead(tmp_path: Path, script: str, reaped: bool) -> None:
    with family(tmp_path, script) as it:
        grandchild = it.pid()
        it.child.signal(signal.SIGKILL)
        until(lambda: not is_alive(it.child.pid))
        if reaped:
            it.child.reap()
        assert it.found == {grandchild}


def test_one_that_hides_after_it_was_seen_is_still_known(tmp_path: Path) -> None:
    with family(tmp_path, HIDES_WHEN_TOLD) as it:
        hidden, between = it.pid(), it.pid("between")
        assert it.found == {it.child.pid, between, hidden}
        os.kill(hidden, signal.SIGUSR1)
        assert it.pid("hidden") == hidden
        for pid in (between, it.child.pid):
            os.kill(pid, signal.SIGKILL)
        until(lambda: (process := read_process(hidden)) is not None and process.ppid not in (between, it.child.pid))
        until(lambda: not is_alive(it.child.pid))
        # no group, session, descent or marker: the supervisor only remembers it
        assert environment_of(hidden) is None or MARK_INCARNATION not in (environment_of(hidden) or {})
        assert it.found == {hidden}
        assert tree_of(it.child.root, Host.now()) == []


def test_a_bystander_of_the_same_deployment_is_not_found(tmp_path: Path) -> None:
    with family(tmp_path, "say('here'); wait()", {MARK_DEPLOYMENT: "agg", MARK_HOME: "/h"}) as it:
        it.pid("here")
        other = {MARK_DEPLOYMENT: "agg", MARK_HOME: "/h", MARK_INCARNATION: "0" * 32}
        with bystander(other) as stranger:
            assert it.found == {it.child.pid}
            found = {process.pid for process in marked(Host.now(), "/h", "agg")}
            assert found == {it.child.pid, stranger.pid}
            assert {process.pid for process in marked(Host.now(), "/elsewhere", "agg")} == set()


def test_a_bystander_in_the_supervisors_own_group_is_not_found(tmp_path: Path) -> None:
    with family(tmp_path, "say('here'); wait()") as it, bystander({}, session=False):
        it.pid("here")
        assert it.found == {it.child.pid}


def test_a_root_with_another_start_time_owns_nobody(tmp_path: Path) -> None:
    """Another process now has its pid, with a group and children of its own."""
    with family(tmp_path, IN_GROUP) as it:
        it.pid()
        root = it.child.root
        for ticks in (root.start_ticks - 1000, root.start_ticks + 1):
            assert tree_of(Root(root.pid, ticks, "f" * 32), Host.now()) == []


def test_resident_memory_is_that_of_all_of_the_tree(tmp_path: Path) -> None:
    with family(
        tmp_path, "if os.fork() == 0:\n    block = bytearray(64 << 20); say('grandchild'); wait()\nwait()"
    ) as it:
        it.pid()
        members = it.child.tree()
        alone = resident_bytes(process for process in members if process.pid == it.child.pid)
        assert 0 < alone < resident_bytes(members) - (64 << 20)
        for process in members:
            os.kill(process.pid, signal.SIGKILL)
        until(lambda: resident_bytes(members) == 0)


# --- histories: Host takes any processes, so the rules can be tried without running anything ---

ROOT = Root(100, 50, "mine")


def at(pid: int, ppid: int = 1, pgid: int | None = None, ticks: int = 60, state: str = "S") -> Process:
    group = pid if pgid is None else pgid
    return Process(pid, ppid, group, group, ticks, state)


def found_in(
    *processes: Process, known: frozenset[Identity] = frozenset(), marks: Mapping[int, str] | None = None
) -> list[int]:
    """`marks` has incarnations by pid; no other environment can be read."""
    env = {pid: {MARK_INCARNATION: mark} for pid, mark in (marks or {}).items()}
    return [process.pid for process in tree_of(ROOT, Host(processes, env.get), known)]


LEADER = at(100, pgid=100, ticks=50)


def test_group_descent_and_marker_each_suffice() -> None:
    assert found_in(LEADER, at(101, pgid=100), at(102, ppid=100), at(103), at(104), marks={103: "mine"}) == [
        100,
        101,
        102,
        103,
    ]


def test_descendants_of_the_marked_are_found_however_deep() -> None:
    assert found_in(at(103), at(104, ppid=103), at(105, ppid=104), marks={103: "mine"}) == [103, 104, 105]


@pytest.mark.parametrize("pid", [0, -1, 1])
def test_what_is_nobodys_child_has_no_tree(pid: int) -> None:
    """The group and session of the kernel and of the first process are 0, and every process descends from the first."""
    kernels = [at(2, pgid=0, ticks=0), at(3, ppid=2, pgid=0)]
    host = Host([at(1, pgid=0, ticks=0), *kernels, at(500, ppid=1), LEADER], lambda pid: None)
    assert tree_of(Root(pid, 0, "mine"), host) == []


def test_zombies_are_not_alive() -> None:
    assert found_in(at(100, pgid=100, ticks=50, state="Z"), at(101, pgid=100)) == [101]


def test_a_group_whose_number_went_to_another_leader_is_not_ours() -> None:
    assert found_in(at(100, pgid=100, ticks=90), at(101, pgid=100, ticks=91)) == []


def test_a_group_without_its_leader_is_ours_also_with_wiped_environments() -> None:
    assert found_in(at(101, pgid=100)) == [101]


def test_a_group_without_its_leader_older_than_the_child_is_not_ours() -> None:
    assert found_in(at(101, pgid=100, ticks=49)) == []


def test_a_marker_older_than_the_child_is_a_forgery() -> None:
    assert found_in(at(103, ticks=49), marks={103: "mine"}) == []


def test_a_known_pid_with_another_start_time_is_someone_else() -> None:
    assert found_in(at(103, ticks=70), at(104, ticks=71), known=frozenset({(103, 69), (104, 71)})) == [104]


def test_the_supervisor_itself_is_never_found() -> None:
    """It would be found by descent if a child's process were its parent, and by its marker inside another
    deployment."""
    own = os.getpid()
    assert found_in(LEADER, at(own, ppid=100), marks={own: "mine"}) == [100]


PIDS = st.integers(96, 108)
PROCESSES = st.dictionaries(
    PIDS,
    st.tuples(PIDS, PIDS, PIDS, st.integers(48, 54), st.sampled_from("SRDTZX")),
    max_size=12,
).map(lambda given: [Process(pid, pp, pg, sid, ticks, state) for pid, (pp, pg, sid, ticks, state) in given.items()])
MARKS = st.dictionaries(PIDS, st.sampled_from(["mine", "other"]))
KNOWN = st.frozensets(st.tuples(PIDS, st.integers(48, 54)), max_size=3)


@given(PROCESSES, MARKS, KNOWN)
def test_nobody_is_found_without_a_reason(
    processes: list[Process], marks: dict[int, str], known: frozenset[Identity]
) -> None:
    environments = {pid: {MARK_INCARNATION: mark} for pid, mark in marks.items()}
    by_pid = {process.pid: process for process in processes}

    def has_reason(process: Process) -> bool:
        leader = by_pid.get(ROOT.pid)
        group_is_ours = leader is None or leader.start_ticks == ROOT.start_ticks
        return (
            process.identity == (ROOT.pid, ROOT.start_ticks)
            or process.identity in known
            or marks.get(process.pid) == ROOT.incarnation
            or (group_is_ours and ROOT.pid in (process.pgid, process.sid))
        )

    def descends(process: Process, seen: frozenset[int] = frozenset()) -> bool:
        parent = by_pid.get(process.ppid)
        if has_reason(process):
            return True
        return parent is not None and parent.pid not in seen and descends(parent, seen | {parent.pid})

    found = tree_of(ROOT, Host(processes, environments.get), known)
    for process in found:
        assert process.is_alive
        assert descends(process)
    root = by_pid.get(ROOT.pid)
    if root and root.is_alive and root.start_ticks == ROOT.start_ticks and root.pgid == ROOT.pid:
        assert root in found
