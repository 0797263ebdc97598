"""Entries in Dynamo's file discovery: those of the dead, which the frontend would route to for another ten seconds,
and those of the living that were lost."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from dynkv.host.sockets import listening_ports, ports_of, refuses

_ADDRESS = re.compile(rb'"(?:tcp|endpoint|address)"\s*:\s*"(?:tcp://)?[^":/]+:(\d+)')
_EXPIRES_S = 9.0
"""An entry's writer touches it every 3 s; after 10 s without that it is removed (ai-dynamo 1.6.1)."""
_ID = re.compile(r"%2F([0-9a-f]+)$")


def purge(directory: Path) -> list[str]:
    """Remove every entry at whose address nothing listens, and the model cards of the same workers.

    Whose entry is whose is not written in it, but a dead process listens nowhere (ai-dynamo 1.3.1, 1.6.1:
    `v1/instances`, `v1/event_channels` and `v1/mdc`, named by the worker's id). Returns the names.
    """
    entries = [path for path in directory.glob("v1/*/*") if path.is_file()]
    listening = listening_ports()
    # /proc's table of sockets is read in pieces and can miss one, so a port counts as dead when it refuses, too
    dead = [p for p in entries if (ports := _ports(p)) and not ports & listening and all(map(refuses, ports))]
    gone = {_worker(path) for path in dead if path.parent.name == "instances"} - {None}
    alive = {_worker(path) for path in entries if path.parent.name == "instances" and path not in dead}
    cards = [path for path in entries if path.parent.name == "mdc" and _worker(path) in gone - alive]
    stale = {*dead, *cards}
    for path in stale:
        path.unlink(missing_ok=True)
    return sorted(path.name for path in stale)


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
        self.withdrew = False
        """It took back entries itself, which it does on its way out."""

    @property
    def is_unknown(self) -> bool:
        """Nothing is routed to it, and nothing is known that could be put back."""
        return not self._known and not self.withdrew

    def keep(self) -> list[str]:
        """Learn of new entries, and write those that expired again; their names. Raises OSError if it cannot."""
        if not self._known:
            self._ports = ports_of(self._pids())  # /proc's table of sockets can miss one
        for path in [path for path in self._known if not path.exists()]:
            if time.time() - self._known[path].touched < _EXPIRES_S:
                del self._known[path]
                self.withdrew = True
        expired = {path: entry for path, entry in self._known.items() if not path.exists()}
        for path, entry in expired.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(path, entry.content, self._directory / ".again")
        self._learn()
        return sorted(path.name for path in expired)

    def _learn(self) -> None:
        entries = [path for path in self._directory.glob("v1/*/*") if path.is_file()]
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
    return {int(port) for port in _ADDRESS.findall(_content(path))}


def _write_whole(path: Path, content: bytes, draft: Path) -> None:
    """No reader sees a part of it."""
    draft.write_bytes(content)
    draft.replace(path)


def _touched(path: Path) -> float:
    """In seconds since the epoch; 0 if it has just gone."""
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _content(path: Path) -> bytes:
    """Empty if it has just gone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        return b""


def _worker(path: Path) -> str | None:
    match = _ID.search(path.name)
    return match.group(1) if match else None
