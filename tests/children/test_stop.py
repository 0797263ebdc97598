"""Ending a child with everything that belongs to it, and nothing else."""

from __future__ import annotations

import signal
from pathlib import Path

import anyio
import pytest
from processes import Family, family, is_alive

from dynkv.children.stop import Stopped, kill_tree, stop
from dynkv.children.tree import Host, tree_of
from dynkv.host.processes import read_process

pytestmark = pytest.mark.anyio

IGNORES = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid(); say('grandchild'); wait()
say('child'); wait()
"""
OBEYS = """
def end(*_): say('asked'); sys.exit(3)
signal.signal(signal.SIGTERM, end)
say('child'); wait()
"""
LEAVES_ONE = """
if os.fork() == 0:
    os.setsid(); say('grandchild'); wait()
say('child'); wait()
"""
SHARES_MEMORY = """
from multiprocessing import shared_memory
block = shared_memory.SharedMemory(create=True, size=1 << 20)
with open(sys.argv[1] + ".name", "w") as file: file.write(block.name)
say('child'); wait()
"""


async def ended(it: Family, deadline_s: float) -> Stopped:
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(it.child.watch)
        stopped = await stop(it.child, deadline_s)
        tasks.cancel_scope.cancel()
    return stopped


async def test_sigterm_is_obeyed(tmp_path: Path) -> None:
    with family(tmp_path, OBEYS) as it:
        it.pid("child")
        assert await ended(it, 10) == Stopped(in_time=True, killed=0, left=())
        assert it.pid("asked") == it.child.pid
        assert it.child.exit is not None
        assert it.child.exit.code == 3


async def test_sigterm_goes_to_the_first_process_and_what_it_leaves_is_killed(tmp_path: Path) -> None:
    with family(tmp_path, LEAVES_ONE) as it:
        grandchild = it.pid()
        it.pid("child")
        assert await ended(it, 10) == Stopped(in_time=True, killed=1, left=())
        assert not is_alive(grandchild)


async def test_one_that_ignores_it_is_killed_at_the_deadline_with_its_whole_tree(tmp_path: Path) -> None:
    with family(tmp_path, IGNORES) as it:
        pids = (it.pid("child"), it.pid())
        began = anyio.current_time()
        assert await ended(it, 0.3) == Stopped(in_time=False, killed=2, left=())
        assert 0.3 <= anyio.current_time() - began < 5
        assert not any(map(is_alive, pids))


async def test_one_stopped_by_sigstop_is_killed_as_well(tmp_path: Path) -> None:
    with family(tmp_path, OBEYS) as it:
        it.pid("child")
        it.child.signal(signal.SIGSTOP)
        assert await ended(it, 0.2) == Stopped(in_time=False, killed=1, left=())


async def test_one_that_is_dead_already_costs_no_deadline(tmp_path: Path) -> None:
    with family(tmp_path, LEAVES_ONE) as it:
        grandchild = it.pid()
        it.child.signal(signal.SIGKILL)
        await it.child.watch()
        began = anyio.current_time()
        assert await stop(it.child, 60) == Stopped(in_time=True, killed=1, left=())
        assert anyio.current_time() - began < 5
        assert not is_alive(grandchild)


async def test_shared_memory_of_the_killed_is_removed(tmp_path: Path) -> None:
    with family(tmp_path, SHARES_MEMORY) as it:
        it.pid("child")
        block = Path("/dev/shm") / (tmp_path / "said.name").read_text()
        assert block.exists()
        assert len(it.child.tree()) == 2, "its resource tracker belongs to it"
        it.child.signal(signal.SIGKILL)
        await it.child.watch()
        await kill_tree(it.child.tree)
        assert it.child.tree() == []
        assert not block.exists()


async def test_killing_a_tree_twice_is_killing_it_once(tmp_path: Path) -> None:
    with family(tmp_path, IGNORES) as it:
        it.pid()
        it.pid("child")
        assert await kill_tree(it.child.tree) == (2, ())
        assert await kill_tree(it.child.tree) == (0, ())


async def test_a_bystander_survives(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    with family(tmp_path, IGNORES) as it, family(tmp_path / "other", IGNORES) as other:
        pids = {other.pid("child"), other.pid()}
        it.pid()
        await kill_tree(lambda: tree_of(it.child.root, Host.now()))
        assert other.found == pids
        assert all((process := read_process(pid)) and process.is_alive for pid in pids)
