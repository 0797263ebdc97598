"""Connections without a request, without an end, or of another user do not affect others."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import anyio
import pytest
from anyio import to_thread
from apart import BECOME_NOBODY, as_root, told
from daemons import daemon, pids, status_once
from lab import Lab
from processes import until

from dynkv.children.stop import kill_tree
from dynkv.control import guests, http
from dynkv.control.client import Client, SupervisorGone
from dynkv.control.http import Reply, Request, serve
from dynkv.control.listening import control_socket
from dynkv.plan.model import Plan, Role
from dynkv.supervisor.survivors import survivors

IDLE = b""
HALF = b"POST /v1/down HTTP/1.1\r\nHost: dynkv\r\nContent-Length: 10\r\n\r\n"
STREAM = b"GET /v1/events HTTP/1.1\r\nHost: dynkv\r\n\r\n"


@contextmanager
def connected(path: Path, number: int, says: bytes) -> Iterator[list[socket.socket]]:
    with ExitStack() as opened:
        made = []
        for _ in range(number):
            connection = opened.enter_context(socket.socket(socket.AF_UNIX))
            connection.settimeout(20)
            connection.connect(str(path))
            connection.sendall(says)
            made.append(connection)
        yield made


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture(autouse=True)
def clean_up(lab: Lab) -> Iterator[None]:
    yield
    anyio.run(kill_tree, lambda: survivors(None, lab.place))


@pytest.fixture
def plan(lab: Lab) -> Plan:
    return lab.plan(lab.unit("frontend", role=Role.FRONTEND), lab.unit())


@pytest.mark.parametrize("says", [IDLE, HALF, STREAM], ids=["idle", "half", "stream"])
def test_many_who_stay_starve_nobody(lab: Lab, plan: Plan, says: bytes) -> None:
    """With at most 64 open files: other clients are answered, and a unit that dies is restarted."""
    with daemon(lab, plan, open_files=(64, 64)) as (process, _):
        status_once(lab)
        with connected(lab.place.socket, 100, says):
            before = pids(status_once(lab))
            os.kill(before["worker-0"] or 0, 9)
            until(lambda: pids(status_once(lab))["worker-0"] not in (None, before["worker-0"]), 30)
        assert process.poll() is None


@pytest.mark.anyio
async def test_who_has_asked_for_nothing_leaves_first_the_longest_there_before_others(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guests, "_MOST", 3)
    forever = anyio.Event()

    async def answer(request: Request) -> Reply:
        await forever.wait()
        raise AssertionError("nobody sets it")

    def is_closed(connection: socket.socket) -> bool:
        connection.settimeout(0.05)
        try:
            return connection.recv(1) == b""
        except TimeoutError:
            return False

    def left() -> list[bool]:
        with (
            connected(lab.place.socket, 1, STREAM) as first,
            connected(lab.place.socket, 2, IDLE) as idle,
        ):
            time.sleep(0.2)
            with connected(lab.place.socket, 1, STREAM) as last:
                until(lambda: is_closed(idle[0]))
                return [is_closed(it) for it in (*first, *idle, *last)]

    with control_socket(lab.place.socket) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, answer, made.listener)
            assert await to_thread.run_sync(left) == [False, True, False, False]
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_body_without_end_and_a_reply_that_nobody_reads(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "_READ_DEADLINE_S", 0.2)
    answered = []

    async def answer(request: Request) -> Reply:
        answered.append(request.path)
        return Reply(200, b"x" * 10_000_000, "text/plain")

    def ask() -> tuple[bytes, int]:
        head = b"POST /a HTTP/1.1\r\nHost: dynkv\r\nContent-Length: 10000000\r\n\r\n"
        with connected(lab.place.socket, 1, head + b"x" * 100_000) as [body]:
            first = body.recv(1000)
        with connected(lab.place.socket, 1, b"GET /b HTTP/1.1\r\nHost: dynkv\r\n\r\n") as [slow]:
            time.sleep(1)
            size = 0
            while piece := slow.recv(1 << 20):
                size += len(piece)
        return first, size

    with control_socket(lab.place.socket) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, answer, made.listener)
            first, size = await to_thread.run_sync(ask)
            tasks.cancel_scope.cancel()
    assert first.startswith(b"HTTP/1.1 413 ")
    assert json.loads(first.partition(b"\r\n\r\n")[2])["error"]
    assert answered == ["/b"]
    assert 0 < size < 10_000_000


ASK = f"""
import json, socket, sys
from dynkv.control.client import Client, DynkvError
{BECOME_NOBODY}
become_nobody()
connection = socket.socket(socket.AF_UNIX)
connection.connect(sys.argv[1])
connection.sendall(b"GET /v1/status HTTP/1.1\\r\\nHost: dynkv\\r\\n\\r\\n")
reply = connection.makefile("rb").read().decode()
try:
    Client(sys.argv[2]).status()
except DynkvError as error:
    print(json.dumps([reply.split()[1], str(error)]))
"""


@as_root
@pytest.mark.anyio
async def test_neither_does_another_user_ask_nor_answer(lab: Lab) -> None:
    """Whatever the mode of the socket; and a foreign socket in its place is not trusted."""
    lab.directory.chmod(0o755)
    for path in (lab.place.directory, *lab.directory.parents):
        path.chmod(path.stat().st_mode | 0o055)

    async def answer(request: Request) -> Reply:
        return Reply(200, b"{}", "application/json")

    with control_socket(lab.place.socket) as made:
        lab.place.socket.chmod(0o666)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, answer, made.listener)
            status, _ = await to_thread.run_sync(told, ASK, str(lab.place.socket), str(lab.place.socket))
            tasks.cancel_scope.cancel()
    assert status == "403"


LISTEN = f"""
import socket, sys
{BECOME_NOBODY}
listener = socket.socket(socket.AF_UNIX)
become_nobody()
listener.bind(sys.argv[1])
listener.listen()
print(flush=True)
listener.accept()[0].recv(1000)
"""


@as_root
def test_another_users_socket_is_not_asked(tmp_path: Path) -> None:
    directory = Path("/tmp") / f"dynkv-test-{os.getpid()}"
    directory.mkdir()
    directory.chmod(0o777)
    path = directory / "control.sock"
    listening = subprocess.Popen([sys.executable, "-c", LISTEN, str(path)], stdout=subprocess.PIPE)
    try:
        assert listening.stdout is not None
        listening.stdout.readline()
        with pytest.raises(SupervisorGone, match="another user listens there"):
            Client(path).status()
    finally:
        listening.kill()
        listening.communicate()
        shutil.rmtree(directory)
