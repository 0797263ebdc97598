"""The control socket, which exists as long as the supervisor lives: if somebody removes it, it is made again."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import anyio

from dynkv.control.http import Answer, serve
from dynkv.owned import put_aside
from dynkv.short_paths import address

_PERIOD_S = 2.0
Inode = tuple[int, int]


class ControlSocket:
    """A listening socket with mode 0600. Whatever was at `path` is replaced, a directory moved aside.

    The caller holds the deployment's lock, so nothing uses what is there any more.
    """

    def __init__(self, path: Path) -> None:
        """Listen. Raises OSError."""
        self.path = path
        self.listener = _bound(path)
        self._inode = _inode(path)

    @property
    def is_there(self) -> bool:
        """Whether a client finds it at `path`."""
        return self._inode is not None and _inode(self.path) == self._inode

    def renew(self) -> socket.socket:
        """Listen again; returns the previous listener, for a task that waits until it is closed. Raises OSError."""
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        old, self.listener = self.listener, _bound(self.path)
        self._inode = _inode(self.path)
        return old

    def close(self) -> None:
        self.listener.close()
        if self.is_there:
            self.path.unlink()


@contextmanager
def control_socket(path: Path) -> Iterator[ControlSocket]:
    """A control socket, removed at the end of the block."""
    made = ControlSocket(path)
    try:
        yield made
    finally:
        made.close()


async def keep_serving(answer: Answer, made: ControlSocket) -> None:
    """Serve until cancelled. Cleaners of temporary directories, and the end of a login, remove sockets."""
    while True:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(serve, answer, made.listener)
            old = await _renewed(made)
            tasks.cancel_scope.cancel()
        old.close()


async def _renewed(made: ControlSocket) -> socket.socket:
    """Wait until the socket must be made again, make it, and return the previous listener."""
    while True:
        await anyio.sleep(_PERIOD_S)  # a directory notifies nobody
        if not made.is_there:
            with suppress(OSError):  # its directory is gone too: try again later
                return made.renew()


def _bound(path: Path) -> socket.socket:
    if path.is_dir() and not path.is_symlink():
        put_aside(path)
    path.unlink(missing_ok=True)
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    old_mask = os.umask(0o177)
    try:
        with address(path) as short:
            listener.bind(short)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    finally:
        os.umask(old_mask)
    return listener


def _inode(path: Path) -> Inode | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino
