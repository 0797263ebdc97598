"""Units whose processes are tiny HTTP servers, and everything that their runner needs."""

from __future__ import annotations

import socket
import sys
import uuid
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import anyio

from dynkv.children.stop import kill_tree
from dynkv.home import Place
from dynkv.plan.model import Dependency, HttpGet, Plan, Probe, Probes, RestartPolicy, Role, Unit
from dynkv.plan.serving import Frontend
from dynkv.supervisor.board import Board
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import Event, EventLog
from dynkv.supervisor.inbox import Request
from dynkv.supervisor.journal import VERSION, ChildRecord, Journal, JournalFile, boot_id
from dynkv.supervisor.life import Life as UnitLife
from dynkv.supervisor.life import Shared
from dynkv.supervisor.runner import Runner
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus
from dynkv.supervisor.turns import Turns

SERVER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
port, sick = int(sys.argv[1]), sys.argv[2]
class Handler(BaseHTTPRequestHandler):
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        ill = os.path.exists(sick)
        self.answer(503 if ill else 200, b'{"reason": "it is sick"}' if ill else b"{}")
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.answer(200, json.dumps({"choices": [{"text": "a"}]}).encode())
    def log_message(self, *args): pass
class Server(HTTPServer):
    def server_bind(self):
        __import__("socketserver").TCPServer.server_bind(self)
        self.server_name, self.server_port = "here", port
server = Server(("127.0.0.1", port), Handler)
print("serving", flush=True)
server.serve_forever()
"""
"""A server that answers 200, or 503 while the file named by its second argument exists."""

FAST = RestartPolicy(max_restarts=2, window_s=600, backoff_initial_s=0.02, backoff_max_s=0.05)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def probes(port: int, *, startup_failures: int = 1000) -> Probes:
    checks = (HttpGet(port, "/health"),)
    startup = Probe(checks, period_seconds=0.02, failure_threshold=startup_failures, timeout_seconds=2)
    return Probes(startup, Probe(checks, period_seconds=0.02, failure_threshold=2, timeout_seconds=2))


@dataclass
class Lab:
    """A deployment's directory, and units to run in it."""

    directory: Path
    name: str = "lab"

    def __post_init__(self) -> None:
        self.place = Place(self.directory, self.name)
        self.place.create()

    def unit(
        self,
        name: str = "worker-0",
        argv: tuple[str, ...] | None = None,
        *,
        role: Role = Role.WORKER,
        restart: RestartPolicy = FAST,
        depends_on: tuple[Dependency, ...] = (),
        startup_failures: int = 1000,
        stop_timeout_s: float = 5.0,
        secret_env: tuple[str, ...] = (),
        gpus: tuple[str, ...] = (),
    ) -> Unit:
        """A unit that runs a server, unless `argv` says otherwise."""
        port = free_port()
        return Unit(
            name=name,
            role=role,
            argv=argv or (sys.executable, "-S", "-c", SERVER, str(port), str(self.sick_file(name))),
            env={"GIVEN": "by the plan"},
            ports={"system": port},
            probes=probes(port, startup_failures=startup_failures),
            restart=restart,
            depends_on=depends_on,
            stop_timeout_s=stop_timeout_s,
            secret_env=secret_env,
            gpus=gpus,
        )

    def sick_file(self, name: str) -> Path:
        return self.directory / f"{name}.sick"

    def set_sick(self, name: str, sick: bool) -> None:
        if sick:
            self.sick_file(name).touch()
        else:
            self.sick_file(name).unlink(missing_ok=True)

    def plan(self, *units: Unit, name: str | None = None) -> Plan:
        front = next((unit for unit in units if unit.role is Role.FRONTEND), units[0])
        frontend = Frontend("127.0.0.1", front.ports["system"], "org/tiny")
        return Plan(name or self.name, "agg", "agg", "vllm", "cpu", frontend, units, sys.executable, None)

    def journal_file(self, plan: Plan, children: dict[str, ChildRecord] | None = None) -> JournalFile:
        return JournalFile(VERSION, boot_id(), 1, 1, "2026-01-01T00:00:00+00:00", "/s", plan, children or {})

    def shared(self, plan: Plan) -> Shared:
        journal = Journal(self.place.journal, self.journal_file(plan))
        return Shared(self.place, Board(), EventLog(self.place.events), journal, Turns())


@dataclass
class Life:
    """A running runner, and its visible results."""

    runner: Runner
    shared: Shared

    @property
    def now(self) -> UnitStatus:
        return self.shared.board[self.runner.unit.name]

    async def until(self, condition: Callable[[UnitStatus], bool], deadline_s: float = 20.0) -> UnitStatus:
        """The first snapshot, from now on, for which the condition holds."""
        with anyio.fail_after(deadline_s):
            await self.shared.board.until(lambda: condition(self.now))
        return self.now

    async def reaches(self, state: State) -> UnitStatus:
        return await self.until(lambda status: status.state is state)

    async def events(self) -> list[Event]:
        return await events_of(self.shared.events)

    async def states(self) -> list[str]:
        """All states so far."""
        mine = [event for event in await self.events() if event.unit == self.runner.unit.name]
        return ["pending", *(event.data["new"] for event in mine if event.kind == "state")]


_MARKS: set[str] = set()


async def events_of(log: EventLog) -> list[Event]:
    """All events so far."""
    found: list[Event] = []
    mark = uuid.uuid4().hex
    _MARKS.add(mark)
    log.record(EventKind.LOG, mark)
    async with aclosing(cast("AsyncGenerator[Event, None]", log.follow())) as events:
        async for event in events:
            if event.message == mark:
                return [event for event in found if event.message not in _MARKS]
            found.append(event)
    raise AssertionError("the mark was recorded")


@asynccontextmanager
async def alive(lab: Lab, unit: Unit, *others: Unit, adopted: ChildRecord | None = None) -> AsyncIterator[Life]:
    """A running runner of `unit`; its child's whole tree is killed at the end."""
    shared = lab.shared(lab.plan(unit, *others))
    async with living(shared, unit, adopted) as life:
        yield life


@asynccontextmanager
async def living(
    shared: Shared, unit: Unit, adopted: ChildRecord | None = None, asked: Request | None = None
) -> AsyncIterator[Life]:
    """A runner; `asked` are requests made before it begins."""
    life = Life(Runner(UnitLife(unit, shared), adopted), shared)
    if asked is not None:
        life.runner.ask(asked)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(life.runner.run)
        try:
            yield life
        finally:
            tasks.cancel_scope.cancel()
            with anyio.CancelScope(shield=True):
                if (child := life.runner.child) is not None:
                    await kill_tree(child.tree)
                    child.reap()
