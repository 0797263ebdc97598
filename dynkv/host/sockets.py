"""Which process listens on which port of this host."""

from __future__ import annotations

import errno
import re
import socket
import time
from collections.abc import Container, Iterable
from contextlib import suppress

from dynkv.host import sock_diag
from dynkv.host.described import described, user_name
from dynkv.host.files import read_file, with_descriptor
from dynkv.host.processes import open_files, pids
from dynkv.host.sock_diag import Listener

_TABLES = ("/proc/net/tcp", "/proc/net/tcp6")
_CONNECT_TIMEOUT_S = 0.2
_LOOPBACK_S = 5.0
"""Timeout of a connection to a port that is listened on: longer than a host is ever busy."""
_LISTENING = re.compile(rb":([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A (?:\S+ +){3}(\d{1,20}) +\d+ +(\d{1,20}) ")
"""Port, user and inode of a socket in the state 0A, which is TCP_LISTEN. Source: proc_net(5),
include/net/tcp_states.h."""


def listen_problem(address: str) -> str:
    """Why it is impossible to listen on this IPv4 or IPv6 address; empty if it is possible."""
    try:
        with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as server:
            server.bind((address, 0))
    except OSError as error:
        return error.strerror or str(error)
    return ""


def loopback_problem() -> str:
    """Why nothing on 127.0.0.1 can be reached; empty if it can, as on a host whose `lo` is up."""
    try:
        with socket.create_server(("127.0.0.1", 0)) as server:
            socket.create_connection(server.getsockname(), timeout=_LOOPBACK_S).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def is_free(port: int) -> bool:
    """Whether a server could bind this TCP port on all addresses."""
    return _can_bind(socket.AF_INET, "0.0.0.0", port) and _can_bind(socket.AF_INET6, "::", port)


def listening_ports() -> frozenset[int]:
    """Every TCP port that something on this host listens on. Source: proc_net(5)."""
    return frozenset(listener.port for listener in _listeners())


def ports_of(pids: Iterable[int], max_age_s: float = 0.0) -> frozenset[int]:
    """The TCP ports that these processes listen on. Source: proc_pid_fd(5).

    With `max_age_s`, ports opened that recently may be missing: the table of a busy host is long, and many may ask at
    once.
    """
    own = {link for pid in pids for link in open_files(pid)}
    return frozenset(listener.port for listener in _listeners(max_age_s) if listener.link in own)


_lately: tuple[float, list[Listener]] | None = None


def _listeners(max_age_s: float = 0.0) -> list[Listener]:
    """Every listening socket."""
    global _lately
    if _lately is None or time.monotonic() >= _lately[0] + max_age_s:
        try:
            found = with_descriptor(sock_diag.listeners)
        except OSError:  # a kernel without it, or one that may not be asked
            found = _in_tables()
        _lately = (time.monotonic(), found)
    return _lately[1]


def _in_tables() -> list[Listener]:
    rows = (row for table in _TABLES for row in _LISTENING.findall(read_table(table)))
    return [Listener(int(port, 16), int(uid), int(inode)) for port, uid, inode in rows]


def read_table(table: str) -> bytes:
    """One of `/proc/net`'s tables; empty on a host without IPv6."""
    try:
        return read_file(table)
    except OSError:
        return b""


def refuses(port: int) -> bool:
    """Whether a connection to this port of loopback is refused, as when nothing listens there."""
    with suppress(OSError):
        return with_descriptor(lambda: _connect(port)) == errno.ECONNREFUSED
    return False


def _connect(port: int) -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_TIMEOUT_S)
        return probe.connect_ex(("127.0.0.1", port))


def holders(ignore_pids: Container[int] = ()) -> dict[int, str]:
    """Every TCP port that is listened on, with the process that does, in words.

    A socket shared by several processes is attributed to the first that is not in `ignore_pids`.
    """
    listeners = _listeners()
    wanted = {listener.link for listener in listeners}
    others: dict[str, int] = {}
    ignored: set[str] = set()
    for pid in sorted(pids()):
        if not wanted:
            break
        links = wanted.intersection(open_files(pid))
        if pid in ignore_pids:
            ignored |= links
        else:
            others |= dict.fromkeys(links, pid)
            wanted -= links
    found: dict[int, str] = {}
    for listener in listeners:
        if listener.link in others:
            found[listener.port] = described(others[listener.link])
        elif listener.link not in ignored:
            found[listener.port] = f"a process of {user_name(listener.uid)}"
    return found


def _can_bind(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with_descriptor(lambda: _bind(family, address, port))
    except OSError as error:
        return error.errno != errno.EADDRINUSE  # a host without IPv6 has nothing there
    return True


def _bind(family: socket.AddressFamily, address: str, port: int) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is not in use
        if family is socket.AF_INET6:
            probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        probe.bind((address, port))
