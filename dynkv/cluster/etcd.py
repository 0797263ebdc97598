"""A client for etcd's JSON gateway over HTTP, with the few requests that a node of a cluster needs.

Source: etcd 3.4, "API v3: gRPC gateway"; tried with 3.4.23.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import anyio
import h11
from anyio.abc import ByteStream
from msgspec import Struct

from dynkv.cluster.entry import Entry

DEADLINE_S = 3.0
"""Timeout in seconds of one request at one endpoint."""
_READ_BYTES = 64 * 1024
_ANSWER_MAX_BYTES = 64 * 1024**2
_PORTS = {"http": 80, "https": 443}


class EtcdError(OSError):
    """No endpoint has answered, or etcd has refused; the text says which."""


class Access(Struct, frozen=True):
    """Access to etcd: files for TLS, and a user with a password if required."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    user: str = ""
    password: str = ""

    @classmethod
    def of(cls, tls: tuple[str | None, str | None, str | None], environ: Mapping[str, str]) -> Access:
        """`tls`: the files of authority, certificate and key. The user comes from Dynamo's own variables."""
        ca, cert, key = tls
        return cls(ca, cert, key, environ.get("ETCD_AUTH_USERNAME", ""), environ.get("ETCD_AUTH_PASSWORD", ""))


class Etcd:
    """Tries the endpoints in turn, beginning with the one that answered last. All methods raise EtcdError."""

    def __init__(self, endpoints: Sequence[str], access: Access | None = None) -> None:
        self._endpoints = list(endpoints)
        self._access = access or Access()
        self._token = ""

    async def entries(self, prefix: str) -> list[Entry]:
        """All entries with this prefix, in order."""
        first = prefix.encode()
        answer = await self._ask("kv/range", {"key": _text(first), "range_end": _text(_after(first))})
        return [_entry(it) for it in answer.get("kvs", ())]

    async def put(self, key: str, value: bytes, lease: int = 0) -> None:
        await self._ask("kv/put", {"key": _text(key.encode()), "value": _text(value), "lease": str(lease)})

    async def delete(self, key: str) -> None:
        await self._ask("kv/deleterange", {"key": _text(key.encode())})

    async def grant(self, ttl_s: int) -> int:
        """The id of a new lease."""
        return int((await self._ask("lease/grant", {"TTL": str(ttl_s)}))["ID"])

    async def renew(self, lease: int) -> bool:
        """Renew a lease; whether it still existed."""
        answer = await self._ask("lease/keepalive", {"ID": str(lease)})
        return int(answer.get("result", {}).get("TTL", 0)) > 0

    async def revoke(self, lease: int) -> None:
        """End a lease with everything under it; does nothing if it has already ended."""
        await self._ask("lease/revoke", {"ID": str(lease)}, may_be_gone=True)

    async def _ask(self, what: str, body: dict[str, Any], *, may_be_gone: bool = False) -> dict[str, Any]:
        problems: list[str] = []
        for endpoint in tuple(self._endpoints):
            try:
                with anyio.fail_after(DEADLINE_S):
                    status, answer = await self._exchange(endpoint, what, body)
            except (OSError, ValueError, TimeoutError, h11.ProtocolError, anyio.EndOfStream) as error:
                problems.append(f"{endpoint}: {error or 'no answer in time'}")
                continue
            self._endpoints.remove(endpoint)
            self._endpoints.insert(0, endpoint)
            if status == 200 or (may_be_gone and status == 404):
                return answer
            raise EtcdError(
                f"etcd at {endpoint} refuses {what}: {answer.get('message') or answer.get('error') or status}"
            )
        raise EtcdError(f"etcd does not answer: {'; '.join(problems)}")

    async def _exchange(self, endpoint: str, what: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        if self._access.user and not self._token:
            self._token = await self._logged_in(endpoint)
        status, answer = await self._post(endpoint, what, body)
        if status == 401 and self._token:  # it has expired
            self._token = await self._logged_in(endpoint)
            status, answer = await self._post(endpoint, what, body)
        return status, answer

    async def _logged_in(self, endpoint: str) -> str:
        given = {"name": self._access.user, "password": self._access.password}
        status, answer = await self._post(endpoint, "auth/authenticate", given)
        if status != 200:
            raise EtcdError(f"it refuses the user in ETCD_AUTH_USERNAME: {answer.get('message') or status}")
        return str(answer["token"])

    async def _post(self, endpoint: str, what: str, body: dict[str, Any]) -> tuple[int, dict[str, Any]]:
        url = urlsplit(endpoint)
        host, port = url.hostname or "", url.port or _PORTS[url.scheme]
        data = json.dumps(body).encode()
        headers = [("Host", url.netloc), ("Connection", "close"), ("Content-Length", str(len(data)))]
        headers += [("Authorization", self._token)] if self._token else []
        connection = h11.Connection(our_role=h11.CLIENT)
        head = connection.send(h11.Request(method="POST", target=f"/v3/{what}", headers=headers)) or b""
        async with await self._connected(url.scheme, host, port) as stream:
            await stream.send(head + data)
            connection.send(h11.Data(data=data))
            connection.send(h11.EndOfMessage())
            return await _answer(connection, stream)

    async def _connected(self, scheme: str, host: str, port: int) -> ByteStream:
        if scheme != "https":
            return await anyio.connect_tcp(host, port)
        import ssl  # with OpenSSL

        context = ssl.create_default_context(cafile=self._access.ca)
        if self._access.cert:
            context.load_cert_chain(self._access.cert, self._access.key)
        # etcd closes a connection without TLS' own goodbye
        return await anyio.connect_tcp(
            host, port, ssl_context=context, tls_hostname=host, tls_standard_compatible=False
        )


async def _answer(connection: h11.Connection, stream: ByteStream) -> tuple[int, dict[str, Any]]:
    status, body = 0, bytearray()
    while True:
        event = connection.next_event()
        if event is h11.NEED_DATA:
            try:
                connection.receive_data(await stream.receive(_READ_BYTES))
            except anyio.EndOfStream:
                connection.receive_data(b"")
        elif isinstance(event, h11.Response):
            status = event.status_code
        elif isinstance(event, h11.Data):
            body += event.data
            if len(body) > _ANSWER_MAX_BYTES:
                raise EtcdError("its answer does not end")
            if status == 200 and body.endswith(b"\n") and b'"result"' in body[:10]:
                break  # a stream of answers, of which the first is enough
        elif isinstance(event, h11.EndOfMessage | h11.ConnectionClosed):
            break
    answer = json.loads(body.splitlines()[0] if body.strip() else b"{}")
    if not isinstance(answer, dict):
        raise EtcdError("its answer is not etcd's")
    return status, answer


def _entry(given: dict[str, Any]) -> Entry:
    key, value = (base64.b64decode(given.get(name, "")) for name in ("key", "value"))
    return Entry(key.decode(errors="replace"), value, int(given.get("lease", 0)), int(given.get("create_revision", 0)))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _after(prefix: bytes) -> bytes:
    """The first key after all those with the prefix; etcd takes a single zero byte for the end of everything."""
    kept = prefix.rstrip(b"\xff")
    return kept[:-1] + bytes([kept[-1] + 1]) if kept else b"\0"
