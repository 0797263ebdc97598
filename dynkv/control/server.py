"""The control API: HTTP over a Unix socket that only its owner can open."""

from __future__ import annotations

import os
import socket
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import anyio
import msgspec
import uvicorn

from dynkv.metrics.exposition import CONTENT_TYPE, exposition
from dynkv.supervisor.events import Event, EventLog
from dynkv.supervisor.runner import Ask
from dynkv.supervisor.stack import Stack

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]


class ControlApi:
    """An ASGI application. Source of the interface: ASGI 3.0, HTTP."""

    def __init__(self, stack: Stack, events: EventLog) -> None:
        self._stack = stack
        self._events = events

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        method, parts = scope["method"], tuple(scope["path"].strip("/").split("/"))
        match method, parts:
            case "GET", ("healthz",):
                await _reply(send, 200, b"ok\n", "text/plain")
            case "GET", ("metrics",):
                await _reply(send, 200, exposition(self._stack.status()).encode(), CONTENT_TYPE)
            case "GET", ("v1", "status"):
                await _reply_json(send, 200, self._stack.status())
            case "GET", ("v1", "events"):
                await self._stream_events(scope, receive, send)
            case "POST", ("v1", "down"):
                self._stack.take_down("asked for through the control API")
                await _reply_json(send, 202, {"name": self._stack.plan.name, "asked": "down"})
            case "POST", ("v1", "units", unit, ("restart" | "start" | "stop") as verb):
                await self._ask_unit(send, unit, Ask(verb))
            case _:
                await _reply_json(send, 404, {"error": f"there is no {method} {scope['path']}"})

    async def _ask_unit(self, send: Send, unit: str, ask: Ask) -> None:
        known = [u.name for u in self._stack.plan.units]
        if unit not in known:
            await _reply_json(send, 404, {"error": f"no unit named {unit!r}; there is {', '.join(known)}"})
        elif not self._stack.ask(unit, ask, f"{ask} asked for through the control API"):
            await _reply_json(send, 409, {"error": "the deployment is being taken down"})
        else:
            await _reply_json(send, 202, {"unit": unit, "asked": ask})

    async def _stream_events(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Server-sent events; a client that comes back names the last one it saw. Source: WHATWG HTML, 9.2."""
        headers = dict(scope["headers"])
        after = headers.get(b"last-event-id", b"0") or b"0"
        if not after.isdigit():
            await _reply_json(send, 400, {"error": "Last-Event-ID is the number of an event"})
            return
        await send(_head(200, "text/event-stream"))
        async with anyio.create_task_group() as tasks:

            async def watch_client() -> None:
                while (await receive())["type"] != "http.disconnect":
                    pass
                tasks.cancel_scope.cancel()

            tasks.start_soon(watch_client)
            async for event in self._events.follow(int(after)):
                await send({"type": "http.response.body", "body": _as_sse(event), "more_body": True})
            tasks.cancel_scope.cancel()
        await send({"type": "http.response.body", "body": b""})


class _Server(uvicorn.Server):
    def capture_signals(self) -> Any:
        return nullcontext()  # signals belong to the supervisor


async def serve(app: ControlApi, listener: socket.socket) -> None:
    """Until cancelled."""
    config = uvicorn.Config(
        app, http="h11", ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=1
    )
    await _Server(config).serve(sockets=[listener])


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


def _head(status: int, content_type: str) -> dict[str, Any]:
    headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")]
    return {"type": "http.response.start", "status": status, "headers": headers}


async def _reply(send: Send, status: int, body: bytes, content_type: str) -> None:
    await send(_head(status, content_type))
    await send({"type": "http.response.body", "body": body})


async def _reply_json(send: Send, status: int, content: object) -> None:
    await _reply(send, status, msgspec.json.encode(content), "application/json")


def _as_sse(event: Event) -> bytes:
    return b"id: %d\ndata: %s\n\n" % (event.seq, msgspec.json.encode(event))
