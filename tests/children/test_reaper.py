"""The supervisor as a subreaper, in a separate process because that cannot be undone."""

from __future__ import annotations

import json
import subprocess
import sys

from apart import told

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


SWEEP = r"""
import json, os, signal, time
from pathlib import Path
from dynkv.children.child import Child
from dynkv.children.reaper import become_subreaper, sweep
from dynkv.host.processes import command_line, own_children, processes

inherited = os.posix_spawn("/bin/sh", ["sh", "-c", "sleep 100 & echo; wait"], {"PATH": os.environ["PATH"]})
become_subreaper()
script = "sleep 101 & setsid sh -c 'sleep 102 & exit' & sleep 103 & exec sleep 104"
ours = Child.spawn(["sh", "-c", script], {"PATH": os.environ["PATH"]}, Path("/dev/null"))
dead = os.posix_spawn("/bin/true", ["true"], {})
os.waitid(os.P_PID, dead, os.WEXITED | os.WNOWAIT)
sleeps = {f"sleep\0{number}\0".encode() for number in (101, 102, 103, 104)}
while len(own_children()) < 4 or not sleeps <= {command_line(it.pid) for it in processes()}:
    time.sleep(0.005)  # until the parent of one has ended, and the shells have become what they are to be
words = sorted(it.split("(")[1].split(",")[0] for it in sweep())
print(json.dumps([words, own_children() == [inherited], sweep()]))
for pid in [*map(int, Path(f"/proc/{inherited}/task/{inherited}/children").read_text().split()), inherited]:
    os.kill(pid, signal.SIGKILL)
"""


def test_at_its_end_nothing_that_it_has_started_is_left() -> None:
    """Children from before it became a supervisor keep running, with their own children."""
    sleeps = [f"sleep {number}" for number in (101, 102, 103, 104)]
    assert told(SWEEP) == [sleeps, True, []]
