"""A dead unit's ports, with real listeners."""

from __future__ import annotations

import os
import socket

import anyio
import pytest
from lab import free_port

from dynkv.reclaim.ports import held_by_others, wait_for_ports

pytestmark = pytest.mark.anyio


def listener(address: str = "127.0.0.1", family: socket.AddressFamily = socket.AF_INET) -> socket.socket:
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as servers do
    made.bind((address, 0))
    made.listen()
    return made


async def test_free_ports_cost_nothing() -> None:
    with anyio.fail_after(5):
        assert await wait_for_ports({"system": free_port(), "nixl": free_port()}, deadline_s=60) == {}
        assert await wait_for_ports({}, deadline_s=60) == {}


async def test_a_port_that_stays_held_is_named_with_its_holder() -> None:
    with listener() as held:
        port = held.getsockname()[1]
        found = await wait_for_ports({"system": port, "nixl": free_port()}, deadline_s=0.1)
    assert list(found) == [port]
    assert found[port].startswith(f"pid {os.getpid()} (")


async def test_a_port_held_on_one_address_only_is_held() -> None:
    with listener("127.0.0.2") as held:
        assert await wait_for_ports({"system": held.getsockname()[1]}, deadline_s=0.1) != {}


async def test_it_waits_until_a_port_is_given_back() -> None:
    held = listener()
    port = held.getsockname()[1]
    done = anyio.Event()

    async def wait() -> None:
        assert await wait_for_ports({"system": port}, deadline_s=60) == {}
        done.set()

    with held:
        with anyio.fail_after(10):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(wait)
                await anyio.lowlevel.checkpoint()
                assert not done.is_set()
                held.close()
    assert done.is_set()


async def test_connections_that_linger_hold_no_port() -> None:
    """TIME_WAIT: the server closed first."""
    with listener() as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port)) as client:
            accepted, _ = server.accept()
            accepted.close()
            assert client.recv(1) == b""
    assert await wait_for_ports({"system": port}, deadline_s=0.1) == {}


async def test_whose_ports_they_are() -> None:
    with listener() as held:
        port = held.getsockname()[1]
        assert await held_by_others({port}, lambda: [os.getpid()]) is None
        assert (await held_by_others({port}, lambda: [1]) or "").startswith(
            f"port {port} is held by pid {os.getpid()} ("
        )


async def test_a_port_without_any_listener_is_held_by_nobody_else() -> None:
    assert await held_by_others({free_port()}, lambda: [1]) is None
