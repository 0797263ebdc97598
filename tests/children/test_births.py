"""A start that fails after the fork leaves no process, not even a grandchild."""

from __future__ import annotations

import errno
import os
import socket
from pathlib import Path

import pytest
from apart import FORBID, PIDFD_OPEN, told, without

from dynkv.children.child import Child, unreaped
from dynkv.children.scheduling import Schedule
from dynkv.children.standby import StandbyFailed, StandbyProcess
from dynkv.children.stop import kill_tree
from dynkv.host.files import names_in
from dynkv.host.processes import own_children

BIRTHS = """
import json, os, sys
from pathlib import Path
from dynkv.children.child import Child, unreaped
from dynkv.children.reaper import become_subreaper, reap_orphans
from dynkv.host.processes import own_children
become_subreaper()
script = "sleep 100 & setsid sleep 100 & exec sleep 100"
failures = []
for _ in range(3):
    try:
        Child.spawn(["sh", "-c", script], {"PATH": os.environ["PATH"]}, Path(sys.argv[1]))
    except OSError as error:
        failures.append(error.errno)
reap_orphans()
print(json.dumps({"failures": failures, "children": own_children(), "unreaped": len(unreaped())}))
"""
LAUNCHES = f"""
import json, os, sys
from pathlib import Path
import anyio
from dynkv.children.standby import StandbyProcess, StandbyFailed
from dynkv.children.reaper import become_subreaper, reap_orphans
from dynkv.children.stop import kill_tree
from dynkv.host.processes import own_children
from dynkv.plan.model import Standby
{FORBID}
async def main():
    become_subreaper()
    here, env = Path(sys.argv[1]), {{"PATH": os.environ["PATH"]}}
    (here / "program.py").write_text("import time; time.sleep(100)")
    planned = Standby("standby", ("json",), {{}}, (), True, 1)
    standby = StandbyProcess.spawn(sys.executable, planned, env, here / "log")
    await standby.parked()
    forbid({PIDFD_OPEN}, {errno.ENOSYS})
    found = {{}}
    try:
        await standby.launch([sys.executable, str(here / "program.py")], env, here / "log")
    except StandbyFailed as error:
        found["said"] = str(error)
    reap_orphans()
    found["children"] = own_children() == [standby.child.pid]
    found["remains"] = [process.pid for process in standby.remains()] == [standby.child.pid]
    print(json.dumps(found))
    await kill_tree(standby.remains)
anyio.run(main)
"""


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EPERM])
def test_where_no_pidfd_can_be_had_nothing_is_left_of_a_start(tmp_path: Path, number: int) -> None:
    found = told(BIRTHS, str(tmp_path / "log"), under=without(PIDFD_OPEN, number))
    assert found == {"failures": [number] * 3, "children": [], "unreaped": 0}


def test_nor_of_what_a_launcher_forked(tmp_path: Path) -> None:
    found = told(LAUNCHES, str(tmp_path))
    assert found == {"said": "[Errno 38] Function not implemented", "children": True, "remains": True}


def test_nor_of_one_whose_schedule_makes_no_sense(tmp_path: Path) -> None:
    before = own_children(), unreaped(), names_in("/proc/self/fd")
    with pytest.raises(OverflowError):
        Child.spawn(["sleep", "60"], {"PATH": os.environ["PATH"]}, tmp_path / "log", schedule=Schedule(nice=2**40))
    assert (own_children(), unreaped(), names_in("/proc/self/fd")) == before


@pytest.mark.anyio
@pytest.mark.parametrize("answer", [b"x", b"[]", b"{}", b'{"pid": "7"}', b'{"pid": 0}', b"[" * 5000, b"\xff"])
async def test_a_launcher_that_answers_with_nonsense_has_failed(tmp_path: Path, answer: bytes) -> None:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.setblocking(False)
    child = Child.spawn(["sleep", "100"], {"PATH": os.environ["PATH"]}, tmp_path / "log")
    standby = StandbyProcess(child, ours)
    with theirs:
        theirs.send(answer)
        with pytest.raises(StandbyFailed):
            await standby.launch(["python", "x.py"], {}, tmp_path / "log")
        with pytest.raises(StandbyFailed, match="it has failed before"):
            await standby.launch(["python", "x.py"], {}, tmp_path / "log")
    await standby.close()
    assert await kill_tree(standby.remains) == (1, ())
    child.reap()
