"""Entries in Dynamo's file discovery: those of the dead, which the frontend would route to for another ten seconds,
and those of the living that were lost."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dynkv.host.files import names_in, read_regular_file
from dynkv.host.sockets import listening_ports, ports_of, refuses
from dynkv.owned import write_whole

_ADDRESS = re.compile(rb'"(?:tcp|endpoint|address)"\s*:\s*"(?:tcp://)?[^":/]+:(\d{1,5})\b')
_PORTS = 65536
_ENTRY_MAX_BYTES = 16 * 1024**2
"""A model's card with all of its files' checksums has some kilobytes."""
_EXPIRES_S = 9.0
"""An entry's writer touches it every 3 s; after 10 s without that it is removed (ai-dynamo 1.6.1)."""
_VERSION = "v1"
_SEPARATOR, _ID_PLACE = "%2F", 3
"""An entry is called after namespace, component, endpoint and the worker's id; the card of a LoRA adapter has its name
after that."""
_ID = re.compile(r"[0-9a-f]+")


def purge(directory: Path, complain: Callable[[str], None] = lambda what: None) -> list[str]:
    """Remove every entry at whose address nothing listens, and the model cards of the same workers.

    Whose entry is whose is not written in it, but a dead process listens nowhere (ai-dynamo 1.3.1, 1.6.1:
    `v1/instances`, `v1/event_channels` and `v1/mdc`, named by the worker's id). Returns the names of what is removed;
    `complain` is told, in words, of each that cannot be, which ends nothing.
    """
    if not (entries := _entries(directory)):
        return []
    listening = listening_ports()
    # the kernel gives its table of sockets in pieces, between which it can change, and one can be missed: so a port
    # counts as dead when it refuses, too
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
    """What one living worker has in the directory, to put it back when it is lost.

    A worker touches its entries every few seconds, and whoever reads the directory removes those that were not touched
    for ten. So a host that was busy, or asleep, loses entries of the living; their writer goes on touching them, which
    fails for as long as they are not there, and never writes them again (ai-dynamo 1.6.1).
    """

    def __init__(self, directory: Path, pids: Callable[[], Iterable[int]]) -> None:
        """`pids` are the worker's processes, which serve already."""
        self._directory = directory
        self._pids = pids
        self._ports: frozenset[int] = frozenset()
        self._known: dict[Path, _Entry] = {}
        self._held: int | None = None
        """The directory of them all, which shows whether that is still the same one."""
        self.withdrew = False
        """It took back entries itself, which it does on its way out."""

    def close(self) -> None:
        if self._held is not None:
            os.close(self._held)
        self._held = None

    @property
    def is_unknown(self) -> bool:
        """Nothing is routed to it, and nothing is known that could be put back."""
        return not self._known and not self.withdrew

    def keep(self) -> list[str]:
        """Learn of new entries, and write those again that expired, or whose directory was removed with all that was in
        it; their names.

        Where one cannot be written, raises OSError when it has done the rest.
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
        """Whether nobody has removed it, and made it anew: its number may be the same then."""
        if self._held is None:
            return True
        try:
            held, found = os.fstat(self._held), os.stat(self._directory / _VERSION)  # noqa: PTH116 (as fstat)
        except OSError:
            return False
        return held.st_nlink > 0 and os.path.samestat(held, found)

    def _hold(self) -> None:
        """Nothing, where it is held, is not there, or there is no descriptor left."""
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


@dataclass(frozen=True, slots=True)
class _Entry:
    content: bytes
    touched: float
    """In seconds since the epoch."""


def _ports(path: Path) -> set[int]:
    if path.parent.name == "mdc":
        return set()  # a card's addresses are not where the worker serves
    return {port for digits in _ADDRESS.findall(_content(path)) if 0 < (port := int(digits)) < _PORTS}


def _entries(directory: Path) -> list[Path]:
    """What can be read as one; others may have left anything there, and take away what they will.

    A link leads to a directory that is not the deployment's: nothing of it is looked at, nor removed.
    """
    root = directory / _VERSION
    if directory.is_symlink() or root.is_symlink():
        return []
    kinds = [root / kind for kind in names_in(str(root))]
    return [kind / name for kind in kinds if not kind.is_symlink() for name in names_in(str(kind))]


def _is_gone(path: Path) -> bool:
    """Not where it cannot be seen whether it is there."""
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def _write_whole(path: Path, content: bytes, draft: Path) -> None:
    """No reader sees a part of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, content, draft)


def _touched(path: Path) -> float:
    """In seconds since the epoch; 0 if it has just gone, or cannot be seen."""
    try:
        return path.stat().st_mtime
    except OSError:
        return 0.0


def _content(path: Path) -> bytes:
    """Empty if it has just gone, cannot be read, or is no file."""
    try:
        return read_regular_file(str(path), _ENTRY_MAX_BYTES)
    except OSError:
        return b""


def _worker(path: Path) -> str | None:
    found = path.name.split(_SEPARATOR)[_ID_PLACE:][:1]
    return found[0] if found and _ID.fullmatch(found[0]) else None
