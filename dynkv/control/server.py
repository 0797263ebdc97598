"""The control API: HTTP over a Unix socket that only its owner can open."""

from __future__ import annotations

import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from dynkv.control.http import Reply, Request
from dynkv.metrics.exposition import CONTENT_TYPE, exposition
from dynkv.metrics.gpus import GpuFigures
from dynkv.metrics.traffic import traffic
from dynkv.supervisor.events import Event, EventLog
from dynkv.supervisor.inbox import Ask
from dynkv.supervisor.stack import Stack
from dynkv.supervisor.wire import encoded

JSON = "application/json"
_SEQ_DIGITS = 18


class ControlApi:
    """What each request means to the supervisor."""

    def __init__(self, stack: Stack, events: EventLog) -> None:
        self._stack = stack
        self._events = events
        self._gpus = GpuFigures()

    async def answer(self, request: Request) -> Reply:
        match request.method, tuple(request.path.strip("/").split("/")):
            case "GET", ("healthz",):
                return Reply(200, b"ok\n", "text/plain")
            case "GET", ("metrics",):
                passed_on = await traffic(self._stack.plan)
                return Reply(200, (exposition(self._stack.status()) + passed_on).encode(), CONTENT_TYPE)
            case "GET", ("v1", "status"):
                status = self._stack.status()
                return _json(200, replace(status, gpus=await self._gpus.of(status.units)))
            case "GET", ("v1", "events"):
                return self._stream_events(request)
            case "POST", ("v1", "down"):
                self._stack.take_down("asked for through the control API")
                return _json(202, {"name": self._stack.plan.name, "asked": "down"})
            case "POST", ("v1", "units", unit, ("restart" | "start" | "stop") as verb):
                return self._ask_unit(unit, Ask(verb))
            case "POST", ("v1", "roles", role, "scale", replicas) if replicas.isdecimal():
                return self._scale(role, int(replicas[:_SEQ_DIGITS]))
            case _:
                return _json(404, {"error": f"there is no {request.method} {request.path}"})

    def _ask_unit(self, unit: str, ask: Ask) -> Reply:
        known = [u.name for u in self._stack.plan.units]
        if unit not in known:
            return _json(404, {"error": f"no unit named {unit!r}; there is {', '.join(known)}"})
        if not self._stack.ask(unit, ask, f"{ask} asked for through the control API"):
            return _json(409, {"error": "the deployment is being taken down"})
        return _json(202, {"unit": unit, "asked": ask})

    def _scale(self, role: str, replicas: int) -> Reply:
        try:
            self._stack.scale(role, replicas)
        except ValueError as error:
            return _json(400, {"error": str(error)})
        return _json(202, {"role": role, "asked": replicas})

    def _stream_events(self, request: Request) -> Reply:
        """Server-sent events; a client that comes back names the last one it saw. Source: WHATWG HTML, 9.2."""
        after = request.headers.get(b"last-event-id", b"0") or b"0"
        if not after.isdigit() or len(after) > _SEQ_DIGITS:
            return _json(400, {"error": "Last-Event-ID is the number of an event"})
        return Reply(200, self._pieces(int(after)), "text/event-stream")

    async def _pieces(self, after: int) -> AsyncIterator[bytes]:
        async for event in self._events.follow(after):
            yield _as_sse(event)


@contextmanager
def control_socket(path: Path) -> Iterator[socket.socket]:
    """A listening socket with mode 0600; whatever lay at `path` before is replaced, and at the end it is removed.

    The caller holds the deployment's lock, so what lies there belongs to nobody any more.
    """
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(old_mask)
    listener.listen(128)
    try:
        yield listener
    finally:
        listener.close()
        path.unlink(missing_ok=True)


def _json(status: int, content: object) -> Reply:
    return Reply(status, encoded(content), JSON)


def _as_sse(event: Event) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (event.seq, encoded(event))
