"""The kernel's sock_diag lists the same listening sockets as /proc/net, and where it may not be asked these do."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from dynkv.host import sock_diag, sockets
from dynkv.host.processes import open_files

MANY = 700
"""More than one message of the kernel holds."""


@pytest.fixture
def servers() -> Iterator[list[socket.socket]]:
    with ExitStack() as held:
        opened = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(MANY)]
        opened.append(held.enter_context(socket.create_server(("::1", 0), family=socket.AF_INET6)))
        opened.append(held.enter_context(socket.create_server(("", 0), family=socket.AF_INET6, dualstack_ipv6=True)))
        client = held.enter_context(socket.create_connection(opened[0].getsockname()))  # is no listener
        held.enter_context(opened[0].accept()[0])
        assert client.getsockname()[1] not in {server.getsockname()[1] for server in opened}
        yield opened


def own(found: list[sock_diag.Listener]) -> list[sock_diag.Listener]:
    links = set(open_files(os.getpid()))
    return sorted(it for it in found if it.link in links)


def test_it_lists_what_the_tables_list(servers: list[socket.socket]) -> None:
    listed = own(sock_diag.listeners())
    assert listed == own(sockets._in_tables())
    assert [it.port for it in listed] == sorted(server.getsockname()[1] for server in servers)
    assert {it.uid for it in listed} == {os.getuid()}


@pytest.mark.parametrize("refusal", [PermissionError(1, "not permitted"), OSError(93, "no such protocol")])
def test_a_host_that_does_not_let_us_ask_has_the_tables(
    monkeypatch: pytest.MonkeyPatch, servers: list[socket.socket], refusal: OSError
) -> None:
    def refuse(*_: object) -> list[sock_diag.Listener]:
        raise refusal

    monkeypatch.setattr(sock_diag, "listeners", refuse)
    assert {server.getsockname()[1] for server in servers} <= sockets.listening_ports()


def test_a_request_that_the_kernel_refuses_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sock_diag, "_BY_FAMILY", 99)
    with pytest.raises(OSError, match="Invalid argument"):
        sock_diag.listeners()


def test_a_list_that_the_kernel_cannot_make_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where tcp_diag is missing: it says so where a list ends."""
    monkeypatch.setattr(socket, "IPPROTO_TCP", 99)
    with pytest.raises(OSError, match="No such file or directory"):
        sock_diag.listeners()
