"""Entries of the dead in Dynamo's file discovery, which the frontend would route to for another ten seconds."""

from __future__ import annotations

import re
from pathlib import Path

from dynkv.doctor.sockets import listening_ports, refuses

_ADDRESS = re.compile(rb'"(?:tcp|endpoint|address)"\s*:\s*"(?:tcp://)?[^":/]+:(\d+)')
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


def _ports(path: Path) -> set[int]:
    if path.parent.name == "mdc":
        return set()  # a card's addresses are not where the worker serves
    try:
        return {int(port) for port in _ADDRESS.findall(path.read_bytes())}
    except FileNotFoundError:
        return set()


def _worker(path: Path) -> str | None:
    match = _ID.search(path.name)
    return match.group(1) if match else None
