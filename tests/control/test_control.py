"""The control API on a real socket, asked by the client."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import stat
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import anyio
import pytest
from anyio import to_thread
from lab import Lab
from prometheus_client.parser import text_string_to_metric_families

from dynkv.control import listening
from dynkv.control.client import Client, SupervisorGone
from dynkv.control.http import Reply, Request, serve
from dynkv.control.listening import control_socket, keep_serving
from dynkv.control.routes import ROUTES
from dynkv.control.server import ControlApi
from dynkv.errors import DynkvError
from dynkv.plan.model import Role
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.stack import Stack

T = TypeVar("T")


@dataclass
class Served:
    """A deployment of one frontend, with its API."""

    client: Client
    stack: Stack
    events: EventLog
    path: Path

    async def ask(self, call: Callable[..., T], *args: object) -> T:
        """Run the blocking client in a thread while the server runs in this loop."""
        with anyio.fail_after(20):
            return await to_thread.run_sync(lambda: call(*args))

    async def until(self, state: str) -> None:
        with anyio.fail_after(20):
            while self.stack.state != state:  # noqa: ASYNC110 (no event announces it)
                await anyio.sleep(0.01)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@asynccontextmanager
async def served(lab: Lab) -> AsyncIterator[Served]:
    plan = lab.plan(lab.unit("frontend", role=Role.FRONTEND))
    shared = lab.shared(plan)
    stack, over = Stack(plan, shared, os.getpid()), anyio.Event()

    async def run() -> None:
        await stack.run()
        over.set()

    with control_socket(lab.place.socket) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(run)
            tasks.start_soon(serve, ControlApi(stack, shared.events).answer, made.listener)
            it = Served(Client(lab.place.socket, 20), stack, shared.events, lab.place.socket)
            try:
                await it.until("ready")
                yield it
            finally:
                stack.take_down("the test is over")
                with anyio.fail_after(20, shield=True):
                    await over.wait()
                tasks.cancel_scope.cancel()


def get(path: Path, target: str, method: str = "GET", headers: str = "") -> tuple[int, str]:
    """Status and body of a request without the client."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        head = f"{method} {target} HTTP/1.1\r\nHost: dynkv\r\nContent-Length: 0\r\nConnection: close\r\n{headers}\r\n"
        connection.sendall(head.encode())
        response = http.client.HTTPResponse(connection)
        response.begin()
        return response.status, response.read().decode()


@pytest.mark.anyio
async def test_status_comes_over_the_wire_as_it_is(lab: Lab) -> None:
    async with served(lab) as it:
        status = await it.ask(it.client.status)
        assert (status.name, status.state, status.model) == ("lab", "ready", "org/tiny")
        assert [(unit.name, unit.state, unit.pid) for unit in status.units] == [
            (unit.name, unit.state, unit.pid) for unit in it.stack.status().units
        ]


@pytest.mark.anyio
async def test_a_unit_is_asked_by_name(lab: Lab) -> None:
    async with served(lab) as it:
        await it.ask(it.client.ask_unit, "frontend", "stop")
        await it.until("degraded")
        with anyio.fail_after(20):
            await it.stack._shared.board.until(lambda: it.stack._shared.board["frontend"].state == "stopped")
        await it.ask(it.client.ask_unit, "frontend", "start")
        await it.until("ready")


@pytest.mark.anyio
async def test_what_does_not_exist(lab: Lab) -> None:
    async with served(lab) as it:
        with pytest.raises(DynkvError, match="no unit named 'worker-9'; available: frontend"):
            await it.ask(it.client.ask_unit, "worker-9", "restart")
        assert (await it.ask(get, it.path, "/v1/units/worker-9/restart", "POST"))[0] == 404
        for method, target in [("GET", "/"), ("GET", "/v1//status"), ("POST", "/v1/units/frontend/explode")]:
            code, body = await it.ask(get, it.path, target, method)
            assert code == 404
            assert "there is no" in body
        assert it.stack.state == "ready"


@pytest.mark.anyio
async def test_every_route_of_the_reference_answers_as_it_says(lab: Lab) -> None:
    async with served(lab) as it:
        for route in (route for route in ROUTES if route.path != "/v1/events"):
            target = route.path.format(name="frontend", role="worker", n=1)
            code, body = await it.ask(get, it.path, target, route.method)
            statuses = {route.status, *(status for status, _ in route.errors)}
            assert code in statuses, (route.path, body)
            assert code == route.status or '"error"' in body


@pytest.mark.anyio
async def test_a_known_path_says_which_methods_it_takes(lab: Lab) -> None:
    async with served(lab) as it:
        for method, target, allow in [("POST", "/v1/status", "GET"), ("GET", "/v1/down", "POST")]:
            head, _, body = (await it.ask(exchanged, it.path, asking(target, method))).partition("\r\n\r\n")
            assert head.startswith("HTTP/1.1 405 ")
            assert f"allow: {allow}" in head.splitlines()
            assert f"it supports {allow}" in body
        head, _, body = (await it.ask(exchanged, it.path, asking("/healthz", "HEAD"))).partition("\r\n\r\n")
        assert (head.split()[1], body) == ("405", ""), "a reply to HEAD has no body"
        assert it.stack.state == "ready"


def asking(target: str, method: str = "GET") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: dynkv\r\nContent-Length: 0\r\n\r\n".encode()


def exchanged(path: Path, request: bytes) -> str:
    """The whole response, read only when everything has been sent."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(20)
        connection.connect(str(path))
        connection.sendall(request)
        with connection.makefile("rb") as stream:
            return stream.read().decode()


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("request_", "statuses"),
    [
        (asking("//"), {404}),
        (asking("/v1%2Fstatus"), {404}),
        (asking("/v1/units/a%2Fb/restart", "POST"), {404}),
        (asking("/v1/units/%00/restart", "POST"), {404}),
        (asking("/v1/units/%e2%80%ae/restart", "POST"), {404}),
        (asking("/" + "a" * 10_000), {404}),
        (asking("/v1/roles/worker/scale/%D9%A1", "POST"), {400}),
        (asking(f"/v1/roles/worker/scale/{'9' * 5000}", "POST"), {400}),
        (asking("/v1/roles/worker/scale/-1", "POST"), {400}),
        (asking("/%zz"), {400}),
        (asking("/%"), {400}),
        (asking("/%ff"), {400}),
        (asking("*", "OPTIONS"), {400}),
        (asking("x:80", "CONNECT"), {400}),
        (asking("/\N{SNOWMAN}"), {400}),
        (asking("/\t"), {400}),
        (asking("/ HTTP/1.1 GET"), {400}),
        (asking("/" + "a" * 1_000_000), {431}),
        (b"\x16\x03\x01\x02\x00" + b"x" * 1_000_000 + b"\r\n\r\n", {400, 431}),
        (b"\r\n\r\n\r\n", {400}),
    ],
    ids=lambda it: it[:40].decode("latin-1") if isinstance(it, bytes) else "",
)
async def test_an_odd_request_is_the_askers_mistake(lab: Lab, request_: bytes, statuses: set[int]) -> None:
    async with served(lab) as it:
        reply = await it.ask(exchanged, it.path, request_)
        assert int(reply.split()[1]) in statuses
        assert json.loads(reply.partition("\r\n\r\n")[2])["error"]
        assert it.stack.state == "ready"


@pytest.mark.anyio
@pytest.mark.parametrize("unit", ["a/b", "a?b", "a b", "../status", "%66rontend", "\N{SNOWMAN}", "\ud800", "x" * 5000])
async def test_a_name_that_no_unit_has_arrives_as_it_is(lab: Lab, unit: str) -> None:
    async with served(lab) as it:
        with pytest.raises(DynkvError, match="no unit named"):
            await it.ask(it.client.ask_unit, unit, "restart")
        with pytest.raises(DynkvError, match="no workers of role"):
            await it.ask(it.client.scale, unit, 1)


@pytest.mark.anyio
async def test_a_fault_in_one_answer_is_told_and_ends_nothing(lab: Lab) -> None:
    async def fail(request: Request) -> Reply:
        raise RuntimeError("broken\x1b")

    with control_socket(lab.place.socket) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, fail, made.listener)
            for _ in range(2):
                with pytest.raises(DynkvError, match="a fault in dynkv: RuntimeError: broken"):
                    await to_thread.run_sync(Client(lab.place.socket, 20).status)
            tasks.cancel_scope.cancel()


@pytest.mark.anyio
async def test_a_fault_in_a_stream_that_has_begun_is_no_other_clients(
    lab: Lab, capsys: pytest.CaptureFixture[str]
) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"data: 1\n\n"
        raise RuntimeError("broken")

    async def stream(request: Request) -> Reply:
        return Reply(200, pieces(), "text/event-stream")

    with control_socket(lab.place.socket) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, stream, made.listener)
            for _ in range(2):
                with pytest.raises(http.client.IncompleteRead):
                    await to_thread.run_sync(get, lab.place.socket, "/v1/events")
            tasks.cancel_scope.cancel()
    assert "RuntimeError: broken" in capsys.readouterr().err


@pytest.mark.anyio
async def test_on_the_way_down_units_take_no_requests(lab: Lab) -> None:
    async with served(lab) as it:
        await it.ask(it.client.down)
        assert it.stack.state in ("stopping", "stopped")
        assert (await it.ask(get, it.path, "/v1/units/frontend/restart", "POST"))[0] == 409
        with pytest.raises(DynkvError, match="being taken down"):
            await it.ask(it.client.ask_unit, "frontend", "restart")
        await it.ask(it.client.down)


@pytest.mark.anyio
async def test_health_and_metrics(lab: Lab) -> None:
    async with served(lab) as it:
        assert await it.ask(get, it.path, "/healthz") == (200, "ok\n")
        code, text = await it.ask(get, it.path, "/metrics")
        assert code == 200
        families = {family.name: family for family in text_string_to_metric_families(text)}
        ready = [sample for sample in families["dynkv_unit_state"].samples if sample.labels["state"] == "ready"]
        assert [(sample.labels["unit"], sample.value) for sample in ready] == [("frontend", 1.0)]
        assert families["dynkv_unit_resident_memory_bytes"].samples[0].value > 1 << 20


@pytest.mark.anyio
async def test_a_last_event_that_is_no_number_is_refused(lab: Lab) -> None:
    async with served(lab) as it:
        code, _ = await it.ask(get, it.path, "/v1/events", "GET", "Last-Event-ID: abc\r\n")
        assert code == 400
        assert it.stack.state == "ready"


@pytest.mark.anyio
async def test_events_come_as_they_happen_and_from_where_one_left_off(lab: Lab) -> None:
    async with served(lab) as it:
        events = it.client.events()
        first = [await it.ask(next, events) for _ in range(3)]
        assert [event.seq for event in first] == [1, 2, 3]
        assert first[0].message == "starting lab"
        again = it.client.events(after_seq=2)
        assert await it.ask(next, again) == first[2]
        it.events.record(EventKind.LOG, "news", unit="frontend", cause="why", number=3)
        while (event := await it.ask(next, again)).message != "news":
            pass
        assert (event.message, event.unit, event.cause, event.data) == ("news", "frontend", "why", {"number": 3})
        for stream in (events, again):
            stream.close()  # type: ignore[attr-defined]


@pytest.mark.anyio
async def test_a_socket_whose_directory_was_removed_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As happens to the directory of short paths at the end of a login."""
    monkeypatch.setattr(listening, "_PERIOD_S", 0.01)
    path = tmp_path / "run" / "control.sock"
    path.parent.mkdir(mode=0o700)

    async def answer(request: Request) -> Reply:
        return Reply(200, b"here\n", "text/plain")

    with control_socket(path) as made:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(keep_serving, answer, made)
            shutil.rmtree(path.parent)
            with anyio.fail_after(20):
                while not path.is_socket():  # noqa: ASYNC110 (no event announces it)
                    await anyio.sleep(0.01)
            assert await to_thread.run_sync(get, path, "/healthz") == (200, "here\n")
            assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
            tasks.cancel_scope.cancel()


def test_the_socket_is_for_its_owner_alone_and_gone_afterwards(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with control_socket(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.is_socket()
    assert not path.exists()


def test_a_socket_that_a_dead_supervisor_left_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    before = os.umask(0o022)
    try:
        with control_socket(path), socket.socket(socket.AF_UNIX) as client:
            client.connect(str(path))
            assert os.umask(0o022) == 0o022, "the umask is as it was"
    finally:
        os.umask(before)


@pytest.mark.parametrize("call", ["status", "down", "events", "ask"])
def test_without_a_supervisor_every_call_says_so(tmp_path: Path, call: str) -> None:
    stale = tmp_path / "stale.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(stale))
    for path in (stale, tmp_path / "none.sock"):
        client = Client(path)
        calls: dict[str, Callable[[], object]] = {
            "status": client.status,
            "down": client.down,
            "events": lambda client=client: list(client.events()),  # type: ignore[misc]
            "ask": lambda client=client: client.ask_unit("a", "stop"),  # type: ignore[misc]
        }
        with pytest.raises(SupervisorGone) as caught:
            calls[call]()
        assert (caught.value.exit_code, caught.value.where) == (3, str(path))


def test_one_that_takes_the_connection_and_says_nothing_is_gone_as_well(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with control_socket(path), pytest.raises(SupervisorGone):
        Client(path, timeout_s=0.1).status()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (b"", "without an answer"),
        (b"SSH-2.0-x\r\n", "not HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Type: x\r\n", "cut short"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}", "cut short"),
    ],
)
def test_an_answer_that_is_not_whole_counts_as_none(tmp_path: Path, answer: bytes, why: str) -> None:
    with control_socket(tmp_path / "x") as made, ThreadPoolExecutor(1) as pool:
        asked = pool.submit(Client(tmp_path / "x").status)
        connection, _ = made.listener.accept()
        with connection:
            connection.recv(1000)
            connection.sendall(answer)
        with pytest.raises(SupervisorGone, match=why):
            asked.result(20)
