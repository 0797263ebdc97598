"""HTTP/1.1 for the control socket, over h11: one request for each connection. Small: it lives in the supervisor."""

from __future__ import annotations

import errno
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress
from dataclasses import dataclass

import anyio
import h11

from dynkv.probes.http import send

_READ_BYTES = 16 * 1024
_REQUEST_DEADLINE_S = 30.0
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S = 0.1


@dataclass(frozen=True, slots=True)
class Request:
    method: str
    path: str
    headers: dict[bytes, bytes]
    """By name in lower case."""


@dataclass(frozen=True, slots=True)
class Reply:
    """`body` is either whole, or comes piece by piece until the client leaves."""

    status: int
    body: bytes | AsyncIterator[bytes]
    content_type: str


Answer = Callable[[Request], Awaitable[Reply]]


async def serve(answer: Answer, listener: socket.socket) -> None:
    """Until cancelled. What a client does wrong, or how slowly it reads, concerns nobody else."""
    listener.setblocking(False)
    async with anyio.create_task_group() as connections:
        while True:
            await anyio.wait_readable(listener)
            try:
                client, _ = listener.accept()
            except BlockingIOError:
                continue
            except OSError as error:
                if error.errno not in _OUT_OF_DESCRIPTORS:
                    continue  # the client has left already
                await anyio.sleep(_PAUSE_S)
                continue
            client.setblocking(False)
            connections.start_soon(_attend, answer, client)


async def _attend(answer: Answer, client: socket.socket) -> None:
    connection = h11.Connection(our_role=h11.SERVER)
    with closing(client):
        try:
            request = await _request(connection, client)
            if request is not None:
                await _reply(connection, client, await _answered(answer, request))
        except (h11.ProtocolError, OSError):
            pass  # it speaks something else, or has left


async def _answered(answer: Answer, request: Request) -> Reply:
    try:
        return await answer(request)
    except Exception as error:  # noqa: BLE001 (a fault in one answer must not end the supervisor)
        return Reply(500, f"a fault in dynkv: {type(error).__name__}: {error}\n".encode(), "text/plain")


async def _request(connection: h11.Connection, client: socket.socket) -> Request | None:
    """None if there is none, or not in time. A body has no meaning here and is read over."""
    found: Request | None = None
    with anyio.move_on_after(_REQUEST_DEADLINE_S):
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                await anyio.wait_readable(client)
                connection.receive_data(client.recv(_READ_BYTES))
            elif isinstance(event, h11.Request):
                path = event.target.decode("ascii").partition("?")[0]
                found = Request(event.method.decode("ascii"), path, dict(event.headers))
            elif isinstance(event, h11.EndOfMessage):
                return found
            elif isinstance(event, h11.ConnectionClosed):
                return None
    return None


async def _reply(connection: h11.Connection, client: socket.socket, reply: Reply) -> None:
    headers = [("content-type", reply.content_type), ("cache-control", "no-store"), ("connection", "close")]
    if isinstance(reply.body, bytes):
        headers.append(("content-length", str(len(reply.body))))
    head = connection.send(h11.Response(status_code=reply.status, headers=headers)) or b""
    if isinstance(reply.body, bytes):
        body = connection.send(h11.Data(data=reply.body)) or b""
        await send(client, head + body + (connection.send(h11.EndOfMessage()) or b""))
        return
    await send(client, head)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_until_gone, client, tasks.cancel_scope.cancel)
        with suppress(OSError, h11.ProtocolError):  # it has left; raised in here, it would come out as a group
            async for piece in reply.body:
                await send(client, connection.send(h11.Data(data=piece)) or b"")
        tasks.cancel_scope.cancel()


async def _until_gone(client: socket.socket, leave: Callable[[], None]) -> None:
    gone = False
    while not gone:
        await anyio.wait_readable(client)
        try:
            gone = not client.recv(_READ_BYTES)
        except OSError:
            gone = True
    leave()
