"""Who listens on which port of this host."""

from __future__ import annotations

import errno
import re
import socket
import time
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from pathlib import Path

_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_CONNECT_TIMEOUT_S = 0.2
_LISTENING = re.compile(r":([0-9A-F]{4}) [0-9A-F]+:[0-9A-F]{4} 0A (?:\S+ +){5}(\d+) ")
"""Port and inode of a socket in the state 0A, which is TCP_LISTEN. Source: proc_net(5), include/net/tcp_states.h."""


def is_free(port: int) -> bool:
    """Whether a server could bind this TCP port on all addresses."""
    return _can_bind(socket.AF_INET, "0.0.0.0", port) and _can_bind(socket.AF_INET6, "::", port)


def listening_ports() -> frozenset[int]:
    """Every TCP port that something on this host listens on. Source: proc_net(5)."""
    return frozenset(port for port, _ in _listeners())


def ports_of(pids: Iterable[int], max_age_s: float = 0.0) -> frozenset[int]:
    """The TCP ports that these processes listen on. Source: proc_pid_fd(5).

    With `max_age_s`, those that they began to listen on that lately may be missing: the table of a busy host is long,
    and many may ask at once.
    """
    own = {link for pid in pids for link in _open_files(pid)}
    return frozenset(port for port, inode in _listeners(max_age_s) if f"socket:[{inode}]" in own)


_lately: tuple[float, list[tuple[int, str]]] | None = None


def _listeners(max_age_s: float = 0.0) -> list[tuple[int, str]]:
    """Port and inode of every listening socket."""
    global _lately
    if _lately is None or time.monotonic() >= _lately[0] + max_age_s:
        rows = (row for table in _TABLES if table.exists() for row in _LISTENING.findall(table.read_text()))
        _lately = (time.monotonic(), [(int(port, 16), inode) for port, inode in rows])
    return _lately[1]


def _open_files(pid: int) -> Iterator[str]:
    with suppress(OSError):  # it has ended, or belongs to another user
        for fd in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(OSError):  # closed meanwhile
                yield str(fd.readlink())


def refuses(port: int) -> bool:
    """Whether a connection to this port of loopback is refused, as it is when nothing listens there."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.settimeout(_CONNECT_TIMEOUT_S)
        return probe.connect_ex(("127.0.0.1", port)) == errno.ECONNREFUSED


def holders(ignore_pids: Container[int] = ()) -> dict[int, str]:
    """Every TCP port that something listens on, with the process that does, in words."""
    import psutil  # only when someone asks: it costs the supervisor 7 MB

    found: dict[int, str] = {}
    for connection in psutil.net_connections("tcp"):
        if connection.status == psutil.CONN_LISTEN and connection.laddr and connection.pid not in ignore_pids:
            found[connection.laddr.port] = _in_words(connection.pid)
    return found


def _in_words(pid: int | None) -> str:
    import psutil

    if pid is None:
        return "a process of another user"
    try:
        return f"pid {pid} ({' '.join(psutil.Process(pid).cmdline())[:80]})"
    except psutil.Error:
        return f"pid {pid}"


def _can_bind(family: socket.AddressFamily, address: str, port: int) -> bool:
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # TIME_WAIT is no holder
            if family is socket.AF_INET6:
                probe.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            probe.bind((address, port))
    except OSError as error:
        return error.errno != errno.EADDRINUSE  # a host without IPv6 holds nothing there
    return True
