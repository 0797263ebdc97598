"""HTTP/1.1 for the control socket, with h11: one request per connection. Small, as it lives in the supervisor."""

from __future__ import annotations

import errno
import socket
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import closing, suppress

import anyio
import h11
from msgspec import Struct
from msgspec.structs import replace

from dynkv.control.guests import Guest, Guests
from dynkv.documents import encoded
from dynkv.owned import is_own_peer
from dynkv.probes.http import send
from dynkv.probes.words import in_words

_READ_BYTES = 16 * 1024
_REQUEST_DEADLINE_S = 30.0
_BODY_MAX_BYTES = 64 * 1024
_READ_DEADLINE_S = 30.0
"""Seconds for a client to read its answer."""
_OUT_OF_DESCRIPTORS = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_PAUSE_S = 0.1
_LINGER_S = 1.0


class Request(Struct, frozen=True):
    method: str
    path: str
    headers: dict[bytes, bytes]
    """Headers by name in lower case."""


class Reply(Struct, frozen=True):
    """A reply. `body` is either complete, or comes piece by piece until the client leaves."""

    status: int
    body: bytes | AsyncIterator[bytes]
    content_type: str
    allow: tuple[str, ...] = ()
    """Methods for the header of that name."""


Answer = Callable[[Request], Awaitable[Reply]]


def json_reply(status: int, content: object) -> Reply:
    return Reply(status, encoded(content), "application/json")


def error_reply(status: int, why: str, *, allow: tuple[str, ...] = ()) -> Reply:
    """The reply `{"error": why}` to a request that cannot be fulfilled."""
    return replace(json_reply(status, {"error": why}), allow=allow)


async def serve(
    answer: Answer, listener: socket.socket, *, is_welcome: Callable[[socket.socket], bool] = is_own_peer
) -> None:
    """Serve until cancelled. A client's mistakes or slow reading affect nobody else."""
    listener.setblocking(False)
    guests = Guests()
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
            connections.start_soon(_attend, answer, client, guests, is_welcome)


async def _attend(
    answer: Answer, client: socket.socket, guests: Guests, is_welcome: Callable[[socket.socket], bool]
) -> None:
    connection, guest = h11.Connection(our_role=h11.SERVER), Guest()
    with closing(client), guests.attending(guest):
        try:
            if not is_welcome(client):
                await _refuse(connection, client, 403, "processes of other users are not served here")
                return
            request = await _request(connection, client)
            if request is not None:
                guest.has_asked = True
                reply = await _answered(answer, request)
                await _reply(connection, client, reply, with_body=request.method != "HEAD")
        except h11.RemoteProtocolError as fault:
            await _refuse(
                connection, client, fault.error_status_hint, f"the request is not HTTP: {in_words(str(fault))}"
            )
        except (h11.ProtocolError, OSError):
            pass  # the client has left
        except Exception:  # noqa: BLE001 (a fault in a stream that has begun is no other client's)
            traceback.print_exc()  # into the supervisor's log


async def _answered(answer: Answer, request: Request) -> Reply:
    try:
        return await answer(request)
    except Exception as fault:  # noqa: BLE001 (a fault in one answer must not end the supervisor)
        return error_reply(500, f"a fault in dynkv: {type(fault).__name__}: {in_words(str(fault))}")


async def _refuse(connection: h11.Connection, client: socket.socket, status: int, why: str) -> None:
    """Send the refusal, and let the client finish its request: while it writes it would not read the answer."""
    with suppress(h11.ProtocolError, OSError), anyio.move_on_after(_LINGER_S):
        await _reply(connection, client, error_reply(status, why))
        client.shutdown(socket.SHUT_WR)
        await _until_gone(client, lambda: None)


async def _request(connection: h11.Connection, client: socket.socket) -> Request | None:
    """The request; None if there is none, or not in time. A body is ignored: it is read if short."""
    found, left = None, _BODY_MAX_BYTES
    with anyio.move_on_after(_REQUEST_DEADLINE_S):
        while True:
            event = connection.next_event()
            if event is h11.NEED_DATA:
                await anyio.wait_readable(client)
                connection.receive_data(client.recv(_READ_BYTES))
            elif isinstance(event, h11.Request):
                path = event.target.decode("ascii").partition("?")[0]
                found = Request(event.method.decode("ascii"), path, dict(event.headers))
            elif isinstance(event, h11.Data):
                left -= len(event.data)
                if left < 0:
                    raise h11.RemoteProtocolError("its body is too long", error_status_hint=413)
            elif isinstance(event, h11.EndOfMessage):
                return found
            elif isinstance(event, h11.ConnectionClosed):
                return None
    return None


async def _reply(connection: h11.Connection, client: socket.socket, reply: Reply, *, with_body: bool = True) -> None:
    headers = [("content-type", reply.content_type), ("cache-control", "no-store"), ("connection", "close")]
    if reply.allow:
        headers.append(("allow", ", ".join(reply.allow)))
    if isinstance(reply.body, bytes):
        headers.append(("content-length", str(len(reply.body))))
    head = connection.send(h11.Response(status_code=reply.status, headers=headers)) or b""
    if isinstance(reply.body, bytes):
        body = (connection.send(h11.Data(data=reply.body)) or b"") if with_body else b""
        with anyio.move_on_after(_READ_DEADLINE_S):
            await send(client, head + body + (connection.send(h11.EndOfMessage()) or b""))
        return
    await send(client, head)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(_until_gone, client, tasks.cancel_scope.cancel)
        with suppress(
            OSError, h11.ProtocolError
        ):  # the client has left; if raised in here, it would come out as a group
            async for piece in reply.body:
                with anyio.fail_after(_READ_DEADLINE_S):  # a TimeoutError is an OSError
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
