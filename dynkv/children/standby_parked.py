"""A standby's message that it has parked: it says where the modules come from."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

MESSAGE_MAX_BYTES = 64 * 1024
_LIST_MAX_BYTES = 16 * 1024 * 1024


class Origin(Struct, frozen=True):
    """Where a standby's modules come from."""

    paths: tuple[str, ...] = ()
    """Directories in which modules are looked for."""
    files: tuple[str, ...] = ()
    """Files that modules were loaded from."""


def receive(connection: socket.socket) -> tuple[bytes, tuple[str, ...]]:
    """A message, empty at the end, and the files that are listed in the one that came with it. Raises OSError."""
    message, fds, _, _ = socket.recv_fds(connection, MESSAGE_MAX_BYTES, 1)
    listed = b""
    for fd in fds:
        with os.fdopen(fd, "rb") as file:
            file.seek(0)
            listed += file.read(_LIST_MAX_BYTES)
    return message, tuple(os.fsdecode(path) for path in listed.split(b"\0") if path)


def origin_in(content: Mapping[str, Any], files: tuple[str, ...]) -> Origin:
    """Raises TypeError if it is meaningless."""
    return Origin(tuple(map(str, content.get("paths", ()))), files)
