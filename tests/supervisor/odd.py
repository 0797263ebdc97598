"""What somebody may have put where dynkv expects a file of its own."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

NOBODY = 65534
HUGE_BYTES = 10 << 30


def fifo(path: Path) -> None:
    os.mkfifo(path)


def directory(path: Path) -> None:
    (path / "full").mkdir(parents=True)


def listening(path: Path) -> None:
    """A socket's file, at which nobody listens any more."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # it may be longer than a socket's path may be


def link(path: Path) -> None:
    """To a file of this user's."""
    target = path.parent.parent / f"{path.name}-elsewhere"
    target.write_bytes(b"{}\n")
    path.symlink_to(target)


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent.parent / f"{path.name}-nowhere")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, HUGE_BYTES)


def device(path: Path) -> None:
    """As /dev/zero, which has no end."""
    os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))


def foreign(path: Path) -> None:
    """Another user's, which everybody may read and write."""
    path.write_bytes(b"{}\n")
    path.chmod(0o666)
    os.chown(path, NOBODY, NOBODY)


Odd = Callable[[Path], None]
FOR_ANYBODY: tuple[Odd, ...] = (fifo, directory, listening, link, link_to_nothing)
FOR_ROOT: tuple[Odd, ...] = (device, foreign)
ODD: tuple[Odd, ...] = (*FOR_ANYBODY, *(FOR_ROOT if os.geteuid() == 0 else ()))
"""None of them is a regular file of this user's."""


def put(odd: Odd, path: Path) -> None:
    """In the place of whatever lies there."""
    path.unlink(missing_ok=True)
    odd(path)
