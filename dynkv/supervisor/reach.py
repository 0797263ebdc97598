"""The paths by which a running deployment is reached, and its units reach their temporary files: maintained while it
lives."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import anyio

from dynkv.home import Place
from dynkv.short_paths import holder_of, is_whole, note, refresh, shortcut
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import EventLog
from dynkv.supervisor.journal import Journal

_PERIOD_S = 2.0


def plain_socket(place: Place) -> Path:
    """A path of the control socket that any client on this host can connect to; called by the supervisor itself.

    If the host has no place for a shortcut, the path leads through the working directory of this process.
    """
    if not place.needs_short_socket:
        return place.socket
    short = shortcut(place.directory) or Path("/proc", str(os.getpid()), "cwd")
    return short / place.socket.name


async def keep_reachable(place: Place, journal: Journal, events: EventLog) -> None:
    """Maintain the paths until cancelled: cleaners of temporary directories remove old files, even those in use."""
    holder: Path | None = None
    while True:
        holder = _mended(place, holder, events)
        journal.note_socket(str(plain_socket(place)))
        _keep_tmpdirs(place, journal.content.children)
        await anyio.sleep(_PERIOD_S)  # a directory notifies nobody


def _keep_tmpdirs(place: Place, units: Iterable[str]) -> None:
    for unit in units:
        if not os.path.isdir(place.scratch(unit)):
            place.own_tmpdir(unit)


def _mended(place: Place, before: Path | None, events: EventLog) -> Path | None:
    """The current holder of the shortcut, if one was ever made; `before` is the holder at the last look."""
    if before is not None and holder_of(place.directory) is None:
        note(before, place.directory)  # it was removed with the directory
    noted = holder_of(place.directory)
    if noted is None or is_whole(place.directory):
        refresh(place.directory)
        return noted
    shortcut(place.directory)
    now = holder_of(place.directory)
    if now == noted:
        events.record(EventKind.JOURNAL, f"the short path {noted} was removed, and is made again")
    elif now is not None:
        cause = "what runs has the old one as TMPDIR: a restart of the units gives them the new one"
        events.record(EventKind.JOURNAL, f"the short path {noted} is another's now: {now} is made instead", cause=cause)
    return now
