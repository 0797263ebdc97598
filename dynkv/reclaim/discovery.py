"""Entries in Dynamo's file discovery: removing those of the dead, to which the frontend would route for another ten
seconds, and restoring lost ones of the living."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from dynkv.host.files import names_in, read_regular_file
from dynkv.host.sockets import listening_ports, ports_of, refuses
from dynkv.owned import write_whole

_ADDRESS = re.compile(rb'"(?:tcp|endpoint|address)"\s*:\s*"(?:tcp://)?[^":/]+:(\d{1,5})\b')
_PORTS = 65536
_ENTRY_MAX_BYTES = 16 * 1024**2
"""Largest entry: a model's card with the checksums of all its files takes some kilobytes."""
_EXPIRES_S = 9.0
"""An entry's writer touches it every 3 s; after 10 s without that it is removed (ai-dynamo 1.6.1)."""
_VERSION = "v1"
_SEPARATOR, _ID_PLACE = "%2F", 3
"""An entry's name consists of namespace, component, endpoint and the worker's id; for the card of a LoRA adapter,
its name follows."""
_ID = re.compile(r"[0-9a-f]+")


def purge(directory: Path, complain: Callable[[str], None] = lambda what: None) -> list[str]:
    """Remove every entry at whose address nothing listens, and the model cards of the same workers.

    An entry does not say whose it is, but a dead process listens nowhere (ai-dynamo 1.3.1, 1.6.1: `v1/instances`,
    `v1/event_channels` and `v1/mdc`, named by the worker's id). Returns the names of removed entries; `complain` is
    called with a message for each that cannot be removed, and nothing is raised.
    """
    if not (entries := _entries(directory)):
        return []
    listening = listening_ports()
    # the kernel delivers its table of sockets in pieces, may change it meanwhile, and one can be missed: so a port
    # counts as dead only if it also refuses connections
    dead = [p for p in entries if (ports := _ports(p)) and not ports & listening and all(map(refuses, ports))]
    gone = {_worker(path) for path in dead if path.parent.name == "instances"} - {None}
    alive = {_worker(path) for path in entries if path.parent.name == "instances" and path not in dead}
    cards = [path for path in entries if path.parent.name == "mdc" and _worker(path) in gone - alive]
    return sorted(path.name for path in {*dead, *cards} if _is_removed(path, complain))


def _is_removed(path: Path, complain: Callable[[str], None]) -> bool:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        complain(f"{path.name} cannot be removed: {error}")
        return False
    return True


class Entries:
    """The entries of one living worker, to restore them if they are lost.

    A worker touches its entries every few seconds, and every reader of the directory removes those untouched for ten.
    So a busy or suspended host loses entries of the living; their writer keeps touching them, which fails while they
    are gone, and never writes them again (ai-dynamo 1.6.1).
    """

    def __init__(self, directory: Path, pids: Callable[[], Iterable[int]]) -> None:
        """`pids` are the worker's processes, which already serve."""
        self._directory = directory
        self._pids = pids
        self._ports: frozenset[int] = frozenset()
        self._known: dict[Path, _Entry] = {}
        self._held: int | None = None
        """A descriptor of the directory of all entries, to see whether it is still the same."""
        self.withdrew = False
        """Whether the worker removed its own entries, as it does when it ends."""

    def close(self) -> None:
        if self._held is not None:
            os.close(self._held)
        self._held = None

    @property
    def is_unknown(self) -> bool:
        """Whether nothing is routed to it, and nothing is known that could be restored."""
        return not self._known and not self.withdrew

    def keep(self) -> list[str]:
        """Learn new entries, and write those again that expired, or whose directory was removed with everything in it;
        returns their names.

        If one cannot be written, raises OSError after doing the rest.
        """
        if not self._known:
            self._ports = ports_of(self._pids())  # the kernel's table of sockets can miss one
        for path in [path for path in self._known if _is_gone(path)]:
            is_there = self._is_as_held and os.path.isdir(path.parent)
            if is_there and time.time() - self._known[path].touched < _EXPIRES_S:
                del self._known[path]
                self.withdrew = True
        again, failures = list[str](), list[OSError]()
        for path, entry in [(path, entry) for path, entry in self._known.items() if _is_gone(path)]:
            try:
                _write_whole(path, entry.content, self._directory / ".again")
                again.append(path.name)
            except OSError as error:
                failures.append(error)
        self._learn()
        self._hold()
        if failures:
            raise failures[0]
        return sorted(again)

    @property
    def _is_as_held(self) -> bool:
        """Whether the directory has not been removed and made again: its inode number may be the same then."""
        if self._held is None:
            return True
        try:
            held, found = os.fstat(self._held), os.stat(self._directory / _VERSION)  # noqa: PTH116 (as fstat)
        except OSError:
            return False
        return held.st_nlink > 0 and os.path.samestat(held, found)

    def _hold(self) -> None:
        """Open the directory, unless it is open, does not exist, or there is no descriptor left."""
        if self._known and (self._held is None or not self._is_as_held):
            self.close()
            with suppress(OSError):
                self._held = os.open(self._directory / _VERSION, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def _learn(self) -> None:
        entries = _entries(self._directory)
        own = [path for path in entries if self._ports & _ports(path)]
        workers = {_worker(path) for path in own if path.parent.name == "instances"}
        cards = [path for path in entries if path.parent.name == "mdc" and _worker(path) in workers]
        for path in (*own, *cards) if workers else ():
            if (content := _content(path)) and (touched := _touched(path)):
                self._known[path] = _Entry(content, touched)


class _Entry(Struct, frozen=True):
    content: bytes
    touched: float
    """Seconds since the epoch."""


def _ports(path: Path) -> set[int]:
    if path.parent.name == "mdc":
        return set()  # a card's addresses are not where the worker serves
    return {port for digits in _ADDRESS.findall(_content(path)) if 0 < (port := int(digits)) < _PORTS}


def _entries(directory: Path) -> list[Path]:
    """Files that can be entries; others may have left anything there, and may remove anything.

    A link leads to a directory outside of the deployment, which is neither read nor changed.
    """
    root = directory / _VERSION
    if directory.is_symlink() or root.is_symlink():
        return []
    kinds = [root / kind for kind in names_in(str(root))]
    return [kind / name for kind in kinds if not kind.is_symlink() for name in names_in(str(kind))]


def _is_gone(path: Path) -> bool:
    """Whether it is gone; False if that cannot be seen."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _write_whole(path: Path, content: bytes, draft: Path) -> None:
    """Write a file so that no reader sees part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content, draft)


def _touched(path: Path) -> float:
    """Time of the last touch in seconds since the epoch; 0 if it is gone, or cannot be seen."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _content(path: Path) -> bytes:
    """The content; empty if it is gone, unreadable or not a file."""
    try:
        return read_regular_file(str(path), _ENTRY_MAX_BYTES)
    except OSError:
        return b""


def _worker(path: Path) -> str | None:
    found = path.name.split(_SEPARATOR)[_ID_PLACE:][:1]
    return found[0] if found and _ID.fullmatch(found[0]) else None
