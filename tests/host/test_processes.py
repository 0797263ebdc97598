"""What /proc says of processes, including those that it hides."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from apart import BECOME_NOBODY, as_root, told, with_hidden_processes

from dynkv.children.marks import MARK_INCARNATION
from dynkv.children.tree import Host
from dynkv.host.processes import (
    bytes_read,
    command_line,
    effective_user,
    environment_of,
    mapped_files,
    open_files,
    own_children,
    pids,
    processes,
    read_process,
    resident_bytes,
    threads_of,
)

MANY = 1500
NO_SUCH_PID = 2**22 + 7
SPAWN_MANY = """
import json, os, signal, sys
from dynkv.host.processes import own_children
number = int(sys.argv[1])
spawned = [os.posix_spawn("/bin/sleep", ["sleep", "300"], {}) for _ in range(number)]
found = own_children()
for pid in spawned:
    os.kill(pid, signal.SIGKILL)
for pid in spawned:
    os.waitpid(pid, 0)
print(json.dumps([len(found), sorted(found) == sorted(spawned), own_children()]))
"""


@contextmanager
def sleeper(env: dict[str, str] | None = None, *words: str) -> Iterator[int]:
    """A running program: while the kernel is still starting it, /proc shows nothing of its command line."""
    script = "import sys; print(flush=True); sys.stdin.read()"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-S", "-c", script, *words], env=env or {}, stdin=pipe, stdout=pipe) as it:
        assert it.stdout is not None
        assert it.stdout.readline() == b"\n"
        yield it.pid
        it.communicate()


def test_all_of_many_children_are_known() -> None:
    assert told(SPAWN_MANY, str(MANY)) == [MANY, True, []]


def test_children_of_other_threads_are_known_too() -> None:
    assert os.getpid() in threads_of(os.getpid())
    with sleeper() as pid:
        assert pid in own_children()


def test_a_large_environment_is_read_to_its_end() -> None:
    env = {f"V{number}": "x" * 100_000 for number in range(10)} | {MARK_INCARNATION: "mine"}
    with sleeper(env) as pid:
        read = environment_of(pid)
        assert read is not None
        assert read.items() >= env.items()
        found = Host.now().marked.get("mine", [])
        assert [process.pid for process in found] == [pid]


def test_a_long_command_line_is_read_to_its_end() -> None:
    words = ["w" * 100_000] * 9 + ["--home", "/last"]
    with sleeper({}, *words) as pid:
        assert command_line(pid).split(b"\0")[-3:] == [b"--home", b"/last", b""]
        assert len(command_line(pid)) > 900_000
        assert len(command_line(pid, 4096)) == 4096


def test_a_process_that_is_there() -> None:
    own = os.getpid()
    process = read_process(own)
    assert process is not None
    assert (process.ppid, process.pgid, process.sid) == (os.getppid(), os.getpgrp(), os.getsid(0))
    assert own in pids()
    assert process.identity in {it.identity for it in processes()}
    assert effective_user(own) == os.geteuid()
    assert resident_bytes([process]) > 0
    assert bytes_read([process]) > 0
    assert any(path.endswith(".so") for path in mapped_files(own))
    with Path(os.devnull).open():
        assert os.devnull in list(open_files(own))


@pytest.mark.parametrize("pid", [NO_SUCH_PID, 0, -1])
def test_one_that_is_not(pid: int) -> None:
    assert nothing_of(pid) == [None, None, None, b"", [], [], []]


def test_one_that_has_ended_and_is_not_reaped() -> None:
    child = os.posix_spawn("/bin/true", ["true"], {"A": "1"})
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    process = read_process(child)
    assert process is not None
    assert not process.is_alive
    assert nothing_of(child)[1:] == [None, os.geteuid(), b"", [], [], [child]]
    assert resident_bytes([process]) == 0
    os.waitpid(child, 0)
    assert bytes_read([process]) == resident_bytes([process]) == 0


def nothing_of(pid: int) -> list[object]:
    return [
        read_process(pid),
        environment_of(pid),
        effective_user(pid),
        command_line(pid),
        list(open_files(pid)),
        list(mapped_files(pid)),
        threads_of(pid),
    ]


HIDDEN = f"""
import json, os, sys
from pathlib import Path
import anyio
from dynkv.children.tree import Host, marked
from dynkv.host.described import described
from dynkv.host.processes import (
    bytes_read, command_line, environment_of, mapped_files, open_files, own_children, pids, processes, read_process,
    resident_bytes, threads_of, Process)
from dynkv.host.sockets import holders, listening_ports, ports_of
from dynkv.reclaim.shared_memory import remove_of
from dynkv.supervisor.neighbours import homes, is_supervisor
{BECOME_NOBODY}
other = int(sys.argv[1])
become_nobody()
child = os.posix_spawn("/bin/sleep", ["sleep", "60"], {{"DYNKV_INCARNATION": "mine"}})
gone = Process(other, 1, other, other, 1, "S")
host = Host.now()
print(json.dumps({{
    "seen": [child in pids(), child in {{it.pid for it in processes()}}, own_children() == [child]],
    "own": [it.pid for it in host.marked["mine"]] == [child],
    "hidden": [read_process(other), environment_of(other), command_line(other).decode(), list(open_files(other)),
        list(mapped_files(other)), threads_of(other), resident_bytes([gone]), bytes_read([gone])],
    "listings": [other in host.processes, "theirs" in host.marked, marked(host, "/h", "d"), len(homes()),
        is_supervisor(other), sorted(ports_of([other]))],
    "held": holders()[int(sys.argv[2])],
    "described": described(other),
    "removed": remove_of({{other}}, 0, Path("/nowhere")),
}}))
os.kill(child, 9)
"""


@as_root
@pytest.mark.parametrize("level", [1, 2])
def test_where_processes_of_others_are_hidden_there_are_none(level: int) -> None:
    under = with_hidden_processes(level)
    with socket.create_server(("127.0.0.1", 0)) as server, sleeper({MARK_INCARNATION: "theirs"}) as pid:
        port = server.getsockname()[1]
        found: dict[str, Any] = told(HIDDEN, str(pid), str(port), under=under)
    assert found == {
        "seen": [True, True, True],
        "own": True,
        "hidden": [None, None, "", [], [], [], 0, 0],
        "listings": [False, False, [], 0, False, []],
        "held": "a process of root",
        "described": f"pid {pid} (hidden, root)" if level == 1 else f"pid {pid} (hidden)",
        "removed": [],
    }


def test_the_kernels_own_threads_are_none_of_all() -> None:
    everybody = [process for pid in pids() if (process := read_process(pid)) is not None]
    assert os.getpid() in {process.pid for process in processes()}
    assert not [process for process in processes() if process.is_kernels]
    for process in everybody:
        assert not process.is_kernels or command_line(process.pid) == b"", process
