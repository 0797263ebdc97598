"""Closing connections to a machine that vanished without closing them: it lost power, or the network drops its packets.

A program that waits for an answer on such a connection would wait forever, since TCP without keepalive does not notice.
Source: inet_diag.h and sock_diag.h of Linux; sock_diag(7). Needs CAP_NET_ADMIN, and a kernel with
CONFIG_INET_DIAG_DESTROY.
"""

from __future__ import annotations

import errno
import os
import re
import socket
import struct
from collections.abc import Collection, Iterator
from ipaddress import ip_address
from typing import NamedTuple

from dynkv.host import sock_diag
from dynkv.host.sockets import read_table

_TABLES = {socket.AF_INET: "/proc/net/tcp", socket.AF_INET6: "/proc/net/tcp6"}
_ROW = re.compile(rb"\d+: ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]+):([0-9A-F]{4}) ([0-9A-F]{2}) ")
_OVER = {b"06", b"07", b"0A"}
"""TIME_WAIT, CLOSE and LISTEN. Source: include/net/tcp_states.h."""
_SOCK_DESTROY, _ACK = 21, 0x4
_ANY_STATE, _ANY_INTERFACE, _ANY_COOKIE = 0xFFFFFFFF, 0, 0xFFFFFFFF


class _Connection(NamedTuple):
    family: socket.AddressFamily
    local: bytes
    """Addresses in network byte order."""
    local_port: int
    remote: bytes
    remote_port: int


class Closed(NamedTuple):
    """How many connections were closed, how many were not, and why not."""

    closed: int
    left: int
    problem: str


def close_connections(host: str, *, to: Collection[int], at: Collection[int]) -> Closed:
    """Close this network namespace's connections to the ports `to` of `host`, and from there to our own ports `at`.

    `host` must be an address; for a name nothing is closed. A program that uses a closed connection gets ECONNABORTED
    immediately.
    """
    wanted = [it for it in _with(host) if it.remote_port in to or it.local_port in at]
    problems = [problem for it in wanted if (problem := _close(it))]
    return Closed(len(wanted) - len(problems), len(problems), problems[0] if problems else "")


def _with(host: str) -> Iterator[_Connection]:
    try:
        address = ip_address(host).packed
    except ValueError:
        return
    addresses = {address, b"\0" * 10 + b"\xff\xff" + address}
    for family, table in _TABLES.items():
        for local, local_port, remote, remote_port, state in _ROW.findall(read_table(table)):
            if state not in _OVER and _packed(remote) in addresses:
                yield _Connection(family, _packed(local), int(local_port, 16), _packed(remote), int(remote_port, 16))


def _packed(written: bytes) -> bytes:
    """An address from the tables, which have words of 32 bits in this machine's byte order."""
    words = [int(written[start : start + 8], 16) for start in range(0, len(written), 8)]
    return struct.pack(f"={len(words)}I", *words)


def _close(it: _Connection) -> str:
    """Close a connection. Returns why that failed; empty if it is closed, or was already."""
    ports = struct.pack("!HH", it.local_port, it.remote_port)
    end = struct.pack("=III", _ANY_INTERFACE, _ANY_COOKIE, _ANY_COOKIE)
    which = ports + it.local.ljust(16, b"\0") + it.remote.ljust(16, b"\0") + end
    try:
        with sock_diag.opened() as kernel:
            kernel.send(sock_diag.request(_SOCK_DESTROY, _ACK, it.family, _ANY_STATE, which))
            (error,) = struct.unpack_from("=i", kernel.recv(4096), sock_diag.HEADER.size)
    except OSError as problem:
        return problem.strerror or str(problem)
    return "" if -error in (0, errno.ENOENT) else os.strerror(-error)
