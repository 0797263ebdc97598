"""Connections with one host are closed, and no others."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dynkv.reclaim.connections import Closed, close_connections

HOSTS = {"127.0.0.1": socket.AF_INET, "::1": socket.AF_INET6}


class Pair:
    """A server on `host` and a client, before either has sent anything."""

    def __init__(self, host: str, stack: ExitStack, connect_to: str | None = None) -> None:
        listener = stack.enter_context(socket.create_server((host, 0), family=HOSTS[host], dualstack_ipv6=False))
        self.port: int = listener.getsockname()[1]
        self.client = stack.enter_context(socket.create_connection((connect_to or host, self.port)))
        self.server = stack.enter_context(listener.accept()[0])
        self.client.setblocking(False)
        self.server.setblocking(False)

    @property
    def is_open(self) -> bool:
        try:
            return self.client.recv(1) != b""
        except BlockingIOError:
            return True
        except ConnectionError:
            return False


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as found:
        yield found


def needs_privilege(done: Closed) -> None:
    if done.problem == "Operation not permitted":
        pytest.skip("closing somebody's connections takes CAP_NET_ADMIN")


@pytest.mark.parametrize("host", HOSTS)
def test_by_the_port_of_the_other_end(host: str, stack: ExitStack) -> None:
    one, other = Pair(host, stack), Pair(host, stack)
    done = close_connections(host, to=[one.port], at=[])
    needs_privilege(done)
    assert done == Closed(1, 0, "")
    assert not one.is_open
    assert other.is_open
    assert close_connections(host, to=[one.port], at=[]).left == 0


@pytest.mark.parametrize("host", HOSTS)
def test_by_the_port_of_this_end(host: str, stack: ExitStack) -> None:
    one, other = Pair(host, stack), Pair(host, stack)
    done = close_connections(host, to=[], at=[one.port])
    needs_privilege(done)
    assert done == Closed(1, 0, "")
    with pytest.raises(ConnectionAbortedError):
        one.server.recv(1)
    assert other.is_open


def test_an_address_of_ipv4_on_a_socket_of_ipv6(stack: ExitStack) -> None:
    listener = stack.enter_context(socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True))
    port = listener.getsockname()[1]
    client = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
    server = stack.enter_context(listener.accept()[0])
    done = close_connections("127.0.0.1", to=[], at=[port])
    needs_privilege(done)
    assert done == Closed(1, 0, "")
    server.settimeout(5)
    with pytest.raises(ConnectionError):
        server.recv(1)
    client.close()


def test_not_with_another_host(stack: ExitStack) -> None:
    one = Pair("127.0.0.1", stack)
    for host in ("127.0.0.2", "localhost", "::2", ""):
        assert close_connections(host, to=[one.port], at=[one.port]) == Closed(0, 0, "")
    assert one.is_open
