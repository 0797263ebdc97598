"""A process that may not be signalled, cannot be opened or was reaped by others affects only itself."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest
from apart import BECOME_NOBODY, as_root, told, with_hidden_processes

from dynkv.children.child import Child, Exit
from dynkv.children.held import hold
from dynkv.children.signals import open_process
from dynkv.children.stop import kill_tree
from dynkv.host.processes import Process, read_process


def test_the_first_process_is_never_held() -> None:
    """The test only opens it: whoever signalled it would end everything."""
    first = read_process(1)
    assert first is not None
    assert hold(first.identity) is None
    assert hold((0, 0)) is None


IMPORTS = f"""
import errno, json, os, resource, signal, sys, time
from pathlib import Path
import anyio
from dynkv.children.child import Child
from dynkv.children.marks import MARK_INCARNATION
from dynkv.children.reaper import become_subreaper, sweep
from dynkv.children.scheduling import Schedule, bring_back
from dynkv.children.stop import kill_tree, stop
from dynkv.host.processes import own_children, read_process
{BECOME_NOBODY}
NULL = Path("/dev/null")
async def stopped(child, deadline_s):
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(child.watch)
        found = await stop(child, deadline_s)
        tasks.cancel_scope.cancel()
    child.reap()
    return found
"""
OF_ROOT = f"""{IMPORTS}
def spawned(setsid):
    quiet = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in range(3)]
    env = {{MARK_INCARNATION: "mine"}}
    return os.posix_spawn("/bin/sleep", ["sleep", "60"], env, setsid=setsid, file_actions=quiet)
async def main():
    become_subreaper()
    theirs = spawned(True)
    become_nobody()
    child = Child.born(theirs, "mine", 0)
    ours = [spawned(False), spawned(True)]
    tree = child.tree()
    found = {{
        "theirs": theirs,
        "tree": {{it.pid for it in tree}} == {{theirs, *ours}},
        "signal": child.signal(signal.SIGTERM),
        "moved": bring_back(tree, [max(os.sched_getaffinity(0)) + 1]),
        "applied": Schedule(5, (0,)).apply(theirs),
    }}
    result = await stopped(child, 60)
    found |= {{"stopped": [result.in_time, result.killed, list(result.left)]}}
    found |= {{"again": await kill_tree(child.tree), "running": child.is_running, "swept": sweep()}}
    print(json.dumps(found))
anyio.run(main)
"""


@as_root
def test_a_process_of_another_user_is_left_and_the_rest_of_its_tree_is_not() -> None:
    found = told(OF_ROOT)
    theirs = found.pop("theirs")
    process = read_process(theirs)
    assert process is not None
    os.kill(theirs, signal.SIGKILL)
    assert found == {
        "tree": True,
        "signal": False,
        "moved": 0,
        "applied": None,
        "stopped": [False, 2, [theirs]],
        "again": [0, [theirs]],
        "running": True,
        "swept": [f"pid {theirs} (sleep 60, root), still there"],
    }


SETUID = f"""{IMPORTS}
async def main():
    become_subreaper()
    become_nobody()
    child = Child.spawn([sys.argv[1], "60"], {{}}, NULL)
    found = {{"hidden": read_process(child.pid) is None, "own": own_children() == [child.pid]}}
    if sys.argv[2] == "stopped":
        child.signal(signal.SIGSTOP)
        os.waitid(os.P_PID, child.pid, os.WSTOPPED | os.WNOWAIT)
    result = await stopped(child, 0.2 if sys.argv[2] == "stopped" else 60)
    print(json.dumps(found | {{"in time": result.in_time, "left": result.left, "children": own_children()}}))
anyio.run(main)
"""


@pytest.fixture
def setuid_sleep() -> Iterator[str]:
    with tempfile.TemporaryDirectory(dir="/tmp") as directory:
        if os.statvfs(directory).f_flag & os.ST_NOSUID:
            pytest.skip("this host's /tmp takes no setuid programs")
        Path(directory).chmod(0o755)
        program = Path(shutil.copy("/bin/sleep", directory))
        program.chmod(0o4755)
        yield str(program)


@as_root
@pytest.mark.parametrize("state", ["running", "stopped"])
def test_a_setuid_child_that_proc_hides_is_known_and_ended_all_the_same(setuid_sleep: str, state: str) -> None:
    found = told(SETUID, setuid_sleep, state, under=with_hidden_processes(2))
    assert found == {"hidden": True, "own": True, "in time": state == "running", "left": [], "children": []}


WITHOUT_DESCRIPTORS = f"""{IMPORTS}
FORKS = "import os, signal\\nfor _ in range(79):\\n    if os.fork() == 0: break\\nsignal.alarm(100)\\nsignal.pause()"
def fill(left):
    taken = []
    try:
        while True:
            taken.append(os.open("/dev/null", os.O_RDONLY))
    except OSError as error:
        assert error.errno == errno.EMFILE
    for fd in taken[:left]:
        os.close(fd)
async def main():
    become_subreaper()
    child, other = (Child.spawn([sys.executable, "-S", "-c", FORKS], {{}}, NULL) for _ in range(2))
    while len(child.tree()) + len(other.tree()) < 160:
        await anyio.sleep(0.01)
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    fill(int(sys.argv[1]))
    killed, left = await kill_tree(child.tree)
    adopted = Child.adopt(other.root)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(adopted.watch)
        killed_other, left_other = await kill_tree(adopted.tree)
        await adopted.exited.wait()
    adopted.reap()
    for it in (child, other):
        it.reap()
    print(json.dumps([killed, left, killed_other, left_other, sweep(), own_children()]))
anyio.run(main)
"""


@pytest.mark.parametrize("left", [0, 1, 5])
def test_with_few_descriptors_or_none_a_whole_tree_ends(left: int) -> None:
    assert told(WITHOUT_DESCRIPTORS, str(left)) == [80, [], 80, [], [], []]


@pytest.mark.anyio
async def test_one_that_somebody_else_has_reaped_is_dead_of_nobody_knows_what(tmp_path: Path) -> None:
    child = Child.spawn(["sleep", "60"], {"PATH": os.environ["PATH"]}, tmp_path / "log")
    os.kill(child.pid, signal.SIGKILL)
    os.waitid(os.P_PID, child.pid, os.WEXITED)  # noqa: ASYNC222 (it has exited)
    with anyio.fail_after(10):
        await child.watch()
    assert (child.exit, child.is_running) == (Exit(), False)
    assert not child.signal(signal.SIGTERM)
    assert await kill_tree(child.tree) == (0, ())
    child.reap()


@pytest.mark.anyio
async def test_one_that_is_gone_before_it_can_be_opened_is_not_waited_for() -> None:
    gone = Process(2**22 + 3, 1, 1, 1, 5, "S")
    with anyio.fail_after(10):
        assert await kill_tree(lambda: [gone]) == (0, (gone.pid,))


@pytest.mark.parametrize("pid", [0, -1, 2**22 + 3, 2**40])
def test_what_is_no_pid_is_nobody(pid: int) -> None:
    assert open_process((pid, 1)) is None
    assert hold((pid, 1)) is None


def test_what_is_held_is_nobody_else() -> None:
    child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
    process = read_process(child)
    assert process is not None
    held = hold(process.identity)
    assert held is not None
    assert held.is_running
    assert held.send(signal.SIGKILL)
    os.waitpid(child, 0)
    assert not held.is_running
    assert not held.send(signal.SIGKILL)
    held.close()
    held.close()
    assert not held.is_running
