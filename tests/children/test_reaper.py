"""The supervisor as a subreaper. In a process of its own: it is for life."""

from __future__ import annotations

import json
import subprocess
import sys

SCRIPT = """
import json, os, signal, time
from pathlib import Path
from dynkv.children.child import Child, unreaped
from dynkv.children.reaper import become_subreaper, reap_orphans
from dynkv.host.processes import read_process

def until_zombie(pid):
    end = time.monotonic() + 10
    while (process := read_process(pid)) is None or process.state != "Z" or process.ppid != os.getpid():
        assert time.monotonic() < end, process
        time.sleep(0.005)

become_subreaper()
child = Child.spawn(["/bin/true"], {}, Path("/dev/null"))
own = child.pid
read, write = os.pipe()
parent = os.fork()
if parent == 0:
    orphan = os.fork()
    if orphan == 0:
        time.sleep(0.2)
        os._exit(0)
    os.write(write, str(orphan).encode())
    os._exit(0)
living = os.posix_spawn("/bin/sleep", ["sleep", "60"], {})
orphan = int(os.read(read, 20))
os.waitpid(parent, 0)
until_zombie(own)
until_zombie(orphan)
first, second = reap_orphans(), reap_orphans()
found = {
    "reaped": [first, second], "orphan": read_process(orphan) is not None,
    "own": read_process(own).state, "living": read_process(living).state, "mine": unreaped() == {own},
}
child.reap()
print(json.dumps({**found, "own after": read_process(own) is not None, "mine after": len(unreaped())}))
os.kill(living, signal.SIGKILL)
"""


def test_orphans_are_reaped_and_own_children_are_not() -> None:
    done = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {
        "reaped": [1, 0],
        "orphan": False,
        "own": "Z",
        "living": "S",
        "mine": True,
        "own after": False,
        "mine after": 0,
    }
