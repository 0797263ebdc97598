"""One HTTP exchange, cheap enough for hundreds of probes a second; h11 parses what needs parsing."""

from __future__ import annotations

import os
import re
import socket
from contextlib import closing

import anyio
import h11
from msgspec import Struct

_READ_BYTES = 64 * 1024
BODY_LIMIT_BYTES = 4 * 1024**2
"""Approximately the most bytes of a body to read."""
_STEPS_MAX = 4_000
"""Most pieces of an answer, before its head and after: each costs about 20 µs, and a piece may be a single byte."""
_WELL = re.compile(rb"HTTP/1\.[01] ([23]\d\d) ")


class Response(Struct, frozen=True):
    status: int
    body: bytes
    is_whole: bool = True
    """False if the body is longer than what was read, or broke off."""


async def request(
    host: str, port: int, path: str, *, method: str = "GET", body: bytes = b"", read_body: bool = True
) -> Response:
    """Send a request. Raises OSError, whatever went wrong at the other end; the caller sets the deadline.

    Without `read_body` the body of a reply with 200 to 399 is not read. Whatever the answer, it takes a bounded amount
    of work.
    """
    with closing(await _connected(host, port)) as stream:
        await send(stream, _head(host, port, path, method, body) + body)
        first = await _receive(stream)
        if not read_body and b"\r\n\r\n" in first and (well := _WELL.match(first)):
            return Response(int(well.group(1)), b"")
        return await _response(stream, first, method)


def _head(host: str, port: int, path: str, method: str, body: bytes) -> bytes:
    name = f"[{host}]" if ":" in host else host
    lines = [f"{method} {path} HTTP/1.1", f"Host: {name}:{port}", "Connection: close", f"Content-Length: {len(body)}"]
    lines += ["Content-Type: application/json"] if body else []
    return "\r\n".join([*lines, "", ""]).encode("ascii")


async def _connected(host: str, port: int) -> socket.socket:
    """A connection to the first address that accepts it; to the last address it may still be in progress, which
    `send` awaits."""
    failure: OSError = OSError(f"{host} has no address")
    addresses = await _addresses(host, port)
    for number, (family, address) in enumerate(addresses, start=1):
        stream = socket.socket(family, socket.SOCK_STREAM)
        try:
            stream.setblocking(False)
            await _connect(stream, address, wait=number < len(addresses))
            return stream
        except OSError as error:
            stream.close()
            failure = error
        except BaseException:
            stream.close()
            raise
    raise failure


async def _addresses(host: str, port: int) -> list[tuple[int, tuple[str, int]]]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        socket.inet_pton(family, host)
    except OSError:
        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError as error:
            raise OSError(f"{host} is not a host name") from error
        return [(kind, (str(address[0]), port)) for kind, _, _, _, address in found]
    return [(family, (host, port))]


async def _connect(stream: socket.socket, address: tuple[str, int], *, wait: bool) -> None:
    try:
        stream.connect(address)
    except BlockingIOError:
        if not wait:
            return
        await anyio.wait_writable(stream)
        if number := stream.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            raise OSError(number, os.strerror(number)) from None


async def send(stream: socket.socket, data: bytes) -> None:
    """Send all of it over a non-blocking socket."""
    view = memoryview(data)
    while view:
        try:
            view = view[stream.send(view) :]
        except BlockingIOError:
            await anyio.wait_writable(stream)


async def _receive(stream: socket.socket) -> bytes:
    """Receive; empty at the end."""
    await anyio.wait_readable(stream)
    return stream.recv(_READ_BYTES)


async def _response(stream: socket.socket, first: bytes, method: str) -> Response:
    connection = h11.Connection(our_role=h11.CLIENT)
    connection.send(h11.Request(method=method, target="/", headers=[("Host", "it"), ("Connection", "close")]))
    connection.send(h11.EndOfMessage())
    connection.receive_data(first)
    status, size = 0, 0
    chunks: list[bytes] = []
    for _ in range(_STEPS_MAX):
        try:
            event = connection.next_event()
        except h11.RemoteProtocolError as error:
            if status:
                return Response(status, b"".join(chunks), is_whole=False)
            raise OSError(f"it does not speak HTTP: {error}") from error
        if event is h11.NEED_DATA:
            connection.receive_data(await _receive(stream))
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            chunks.append(bytes(event.data))
            size += len(event.data)
        if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or size > BODY_LIMIT_BYTES:
            return Response(status, b"".join(chunks), is_whole=size <= BODY_LIMIT_BYTES)
    if not status:
        raise OSError(f"its answer was not complete after {_STEPS_MAX} pieces")
    return Response(status, b"".join(chunks), is_whole=False)
