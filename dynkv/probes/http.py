"""One HTTP exchange over h11, small enough to live in the supervisor."""

from __future__ import annotations

from dataclasses import dataclass

import anyio
import h11

_READ_BYTES = 64 * 1024
_BODY_LIMIT_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Response:
    status: int
    body: bytes


async def request(
    host: str, port: int, path: str, *, method: str = "GET", body: bytes = b"", read_body: bool = True
) -> Response:
    """Raises OSError, whatever went wrong at the other end; the caller sets the deadline."""
    try:
        return await _exchange(host, port, path, method, body, read_body)
    except (anyio.BrokenResourceError, anyio.ClosedResourceError, anyio.EndOfStream) as error:
        raise ConnectionResetError("it broke off the connection") from error
    except h11.RemoteProtocolError as error:
        raise OSError(f"it does not speak HTTP: {error}") from error


async def _exchange(host: str, port: int, path: str, method: str, body: bytes, read_body: bool) -> Response:
    connection = h11.Connection(our_role=h11.CLIENT)
    headers = [("Host", f"{host}:{port}"), ("Connection", "close"), ("Content-Length", str(len(body)))]
    if body:
        headers.append(("Content-Type", "application/json"))
    async with await anyio.connect_tcp(host, port) as stream:
        head = connection.send(h11.Request(method=method, target=path, headers=headers)) or b""
        data = (connection.send(h11.Data(data=body)) or b"") if body else b""
        await stream.send(head + data + (connection.send(h11.EndOfMessage()) or b""))
        return await _response(stream, connection, read_body)


async def _response(stream: anyio.abc.ByteStream, connection: h11.Connection, read_body: bool) -> Response:
    status, chunks, size = 0, [], 0
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            connection.receive_data(await _receive(stream))
        elif isinstance(event, h11.Response):
            status = event.status_code
            if not read_body and status < 400:
                return Response(status, b"")
        elif isinstance(event, h11.Data):
            chunks.append(bytes(event.data))
            size += len(event.data)
        if isinstance(event, h11.EndOfMessage | h11.ConnectionClosed) or size > _BODY_LIMIT_BYTES:
            return Response(status, b"".join(chunks))


async def _receive(stream: anyio.abc.ByteStream) -> bytes:
    try:
        return await stream.receive(_READ_BYTES)
    except anyio.EndOfStream:
        return b""  # h11 tells a closed connection from one that broke off
