"""The client, against Debian's etcd."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from answering import http
from certificates import certificate
from etcd_server import etcd, etcd_in, free_port

from dynkv.cluster.etcd import Access, Etcd, EtcdError

pytestmark = pytest.mark.anyio
__all__ = ["etcd"]


async def test_what_is_put_is_found_by_its_beginning(etcd: str) -> None:
    client = Etcd([etcd])
    for key in ("found/b", "found/a", "foundation", "other"):
        await client.put(key, key.encode())
    assert [(it.key, it.value, it.lease) for it in await client.entries("found/")] == [
        ("found/a", b"found/a", 0),
        ("found/b", b"found/b", 0),
    ]
    first, second = await client.entries("found/")
    assert second.created < first.created
    await client.delete("found/a")
    assert [it.key for it in await client.entries("found/")] == ["found/b"]


async def test_bytes_that_are_no_text_come_back(etcd: str) -> None:
    client, value = Etcd([etcd]), bytes(range(256))
    await client.put("bytes/all", value)
    assert [it.value for it in await client.entries("bytes/")] == [value]


async def test_a_key_goes_with_its_lease(etcd: str) -> None:
    client = Etcd([etcd])
    lease = await client.grant(60)
    await client.put("leased/a", b"1", lease)
    assert [it.lease for it in await client.entries("leased/")] == [lease]
    assert await client.renew(lease)
    await client.revoke(lease)
    assert await client.entries("leased/") == []
    assert not await client.renew(lease)
    await client.revoke(lease)  # it is gone already, as intended


async def test_what_it_refuses_is_told(etcd: str) -> None:
    with pytest.raises(EtcdError, match="lease not found"):
        await Etcd([etcd]).put("a", b"", lease=1234)


async def test_the_first_endpoint_that_answers_is_asked_first_from_then_on(etcd: str) -> None:
    client = Etcd([f"http://127.0.0.1:{free_port()}", etcd])
    await client.put("two/a", b"")
    assert client._endpoints[0] == etcd


async def test_nobody_there() -> None:
    with pytest.raises(EtcdError, match=r"etcd does not answer: http://127\.0\.0\.1:"):
        await Etcd([f"http://127.0.0.1:{free_port()}"]).entries("a")


@pytest.mark.parametrize("answer", [http(200, b"[]"), http(200, b"{"), b"SSH-2.0\r\n\r\n", b"", http(200, b"null")])
async def test_whatever_answers_is_an_etcd_error(answer: bytes) -> None:
    async def say(stream: anyio.abc.SocketStream) -> None:
        async with stream:
            await stream.receive()
            await stream.send(answer)

    async with await anyio.create_tcp_listener(local_host="127.0.0.1") as listener:
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, say)
            with pytest.raises(EtcdError):
                await Etcd([f"http://127.0.0.1:{port}"]).grant(10)
            tasks.cancel_scope.cancel()


async def test_a_user_is_let_in_with_a_password_alone(etcd: str) -> None:
    client = Etcd([etcd])
    for what, body in {
        "auth/user/add": {"name": "root", "password": "of-a-test"},
        "auth/role/add": {"name": "root"},
        "auth/user/grant": {"user": "root", "role": "root"},
        "auth/enable": {},
    }.items():
        await client._ask(what, body)
    known = Etcd(
        [etcd], Access.of((None, None, None), {"ETCD_AUTH_USERNAME": "root", "ETCD_AUTH_PASSWORD": "of-a-test"})
    )
    try:
        with pytest.raises(EtcdError, match="user name is empty"):
            await client.entries("a")
        await known.put("guarded", b"1")
        assert [it.key for it in await known.entries("guarded")] == ["guarded"]
        with pytest.raises(EtcdError, match="ETCD_AUTH_USERNAME"):
            await Etcd([etcd], Access(user="root", password="another")).entries("a")
    finally:
        await known._ask("auth/disable", {})


async def test_over_tls_both_sides_show_a_certificate(tmp_path: Path) -> None:
    ca, _ = certificate(tmp_path, "authority")
    cert, key = certificate(tmp_path, "server", by="authority")
    mine, my_key = certificate(tmp_path, "client", by="authority")
    shown = [f"--cert-file={cert}", f"--key-file={key}", f"--trusted-ca-file={ca}", "--client-cert-auth"]
    with etcd_in(tmp_path, f"https://127.0.0.1:{free_port()}", *shown) as at:
        client = Etcd([at], Access(ca, mine, my_key))
        await client.put("a", b"1")
        assert [it.value for it in await client.entries("a")] == [b"1"]
        with pytest.raises(EtcdError):
            await Etcd([at], Access(ca)).entries("a")
        with pytest.raises(EtcdError, match="verify failed"):
            await Etcd([at]).entries("a")
