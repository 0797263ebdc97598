"""An HTTP server in the test's own event loop, for code that queries units."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import anyio
from anyio.abc import SocketAttribute, SocketStream

from dynkv.plan.model import HttpGet, Probe

Answering = Callable[[str], bytes | Awaitable[bytes]]
"""The response to a path; no bytes mean no response."""


def http(status: int, body: object = None) -> bytes:
    """A response with `body` as JSON, unless it is bytes already."""
    content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return b"HTTP/1.1 %d X\r\nContent-Length: %d\r\n\r\n%s" % (status, len(content), content)


@dataclass
class Server:
    """Answers each request with the bytes that `answer` returns for its path; remembers the requests."""

    port: int
    answer: Answering
    asked: list[tuple[str, dict[str, object]]] = field(default_factory=list)

    def probe(self, path: str = "/health", timeout_s: float = 5, **settings: Any) -> Probe:
        return Probe((HttpGet(self.port, path),), timeout_seconds=timeout_s, **settings)

    async def handle(self, stream: SocketStream) -> None:
        async with stream:
            head, _, body = (await stream.receive()).partition(b"\r\n\r\n")
            length = next((int(x[15:]) for x in head.lower().split(b"\r\n") if x.startswith(b"content-length:")), 0)
            while len(body) < length:
                body += await stream.receive()
            path = head.split(b" ")[1].decode()
            self.asked.append((path, json.loads(body) if body else {}))
            given = self.answer(path)
            answer = given if isinstance(given, bytes) else await given
            if not answer:
                await anyio.sleep_forever()
            with suppress(anyio.BrokenResourceError):  # the client has gone
                await stream.send(answer)


@asynccontextmanager
async def serving(answer: Answering) -> AsyncIterator[Server]:
    listener = await anyio.create_tcp_listener(local_host="127.0.0.1")
    async with listener, anyio.create_task_group() as tasks:
        server = Server(listener.extra(SocketAttribute.local_port), answer)
        tasks.start_soon(listener.serve, server.handle)
        yield server
        tasks.cancel_scope.cancel()
