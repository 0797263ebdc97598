"""Unexpected things in the place of dynkv's own files."""

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
    """The file of a socket on which nobody listens any more."""
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(os.path.relpath(path))  # the path may be too long for a socket


def link(path: Path) -> None:
    """A link to a file of this user."""
    target = path.parent.parent / f"{path.name}-elsewhere"
    target.write_bytes(b"{}\n")
    path.symlink_to(target)


def link_to_nothing(path: Path) -> None:
    path.symlink_to(path.parent.parent / f"{path.name}-nowhere")


def huge(path: Path) -> None:
    path.touch()
    os.truncate(path, HUGE_BYTES)


def device(path: Path) -> None:
    """A device without an end, like /dev/zero."""
    os.mknod(path, 0o666 | 0o020000, os.makedev(1, 5))


def foreign(path: Path) -> None:
    """A file of another user that everybody may read and write."""
    path.write_bytes(b"{}\n")
    path.chmod(0o666)
    os.chown(path, NOBODY, NOBODY)


Odd = Callable[[Path], None]
FOR_ANYBODY: tuple[Odd, ...] = (fifo, directory, listening, link, link_to_nothing)
FOR_ROOT: tuple[Odd, ...] = (device, foreign)
ODD: tuple[Odd, ...] = (*FOR_ANYBODY, *(FOR_ROOT if os.geteuid() == 0 else ()))
"""None of them is a regular file of this user."""


def put(odd: Odd, path: Path) -> None:
    """Put it in the place of whatever is there."""
    path.unlink(missing_ok=True)
    odd(path)
