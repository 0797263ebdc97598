"""What a later supervisor, or `dynkv down` without one, needs to know: written completely or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from graphlib import CycleError
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from dynkv.documents import decoded, encoded
from dynkv.home import is_name
from dynkv.host.files import read_file
from dynkv.host.processes import Identity
from dynkv.host.whole_proc import BOOT_ID
from dynkv.owned import put_aside, read_own, write_whole
from dynkv.plan.model import Plan, Unit
from dynkv.plan.order import start_stages
from dynkv.supervisor.occasions import NOTHING, Told

VERSION = 1
_PORTS, _PID_MAX = 65536, 4 * 1024**2
_MAX_BYTES = 64 * 1024**2
"""Largest journal in bytes; a thousand units take some 3 MB."""
T = TypeVar("T")
D = TypeVar("D")


class ChildRecord(Struct, frozen=True):
    pid: int
    start_ticks: int
    incarnation: str
    digest: str
    ports: dict[str, int]
    started_at: str
    log_start_byte: int = 0
    registrations: tuple[str, ...] = ()
    """The ids under which it has registered itself at the sidecar, as far as they are known."""

    @property
    def is_possible(self) -> bool:
        """Whether a process can have this identity: neither pid 1 nor an invalid pid is anybody's child. Source:
        proc_sys_kernel(5)."""
        is_process = 1 < self.pid <= _PID_MAX and self.start_ticks >= 0 and bool(self.incarnation)
        is_told = self.log_start_byte >= 0 and all(id.isascii() and id.isdigit() for id in self.registrations)
        return is_process and is_told and all(map(_is_port, self.ports.values()))


class JournalFile(Struct, frozen=True):
    """The content of journal.json."""

    version: int
    boot_id: str
    supervisor_pid: int
    supervisor_start_ticks: int
    started_at: str
    socket: str
    plan: Plan | None
    """None if the plan is of another version and cannot be read."""
    children: dict[str, ChildRecord] = field(default_factory=dict)
    stopped: bool = False
    """Whether the deployment was taken down in order; nothing of it is left."""
    resting: dict[str, bool] = field(default_factory=dict)
    """Units that were stopped on request, and whether because fewer of their role are wanted."""
    completed: dict[str, str] = field(default_factory=dict)
    """Jobs that have exited with 0, by their digest."""
    strays: tuple[Identity, ...] = ()
    """Processes that left their unit's tree, so that only their supervisor knew they belong to the deployment."""
    directory: str = ""
    """The deployment's directory when this was written; empty if written by an earlier version."""
    released: bool = False
    """Whether its supervisor released it on purpose, for another one."""
    told: Told = NOTHING
    """What the hooks have been told."""
    unread: tuple[str, ...] = ()
    """Parts that exist but could not be read; never written."""

    @property
    def units(self) -> tuple[Unit, ...]:
        """The planned units, as far as they can be read."""
        return self.plan.units if self.plan else ()

    @property
    def is_understood(self) -> bool:
        """Whether everything in it means what it would if this dynkv had written it since the host was started."""
        return self.version == VERSION and not self.unread and self.is_of_this_boot

    @property
    def is_of_this_boot(self) -> bool:
        """Whether it was written since the host was started; otherwise its pids and start times mean nothing."""
        return self.boot_id == boot_id()

    @property
    def written_for(self) -> Path | None:
        """The deployment's directory at that time, which may have been copied or moved since; None if unknown."""
        usual = Path(self.socket)
        if self.directory or usual.name != "control.sock":
            return Path(self.directory) if self.directory else None
        return usual.parent


class Journal:
    """The supervisor's journal: every change is on disk before a method returns, or `write_error` says why not."""

    def __init__(self, path: Path, content: JournalFile) -> None:
        self._path = path
        self._draft = path.with_suffix(".tmp")
        self._written: _State | None = None
        self.write_error: str | None = None
        self.content = content
        self._plan = msgspec.Raw(encoded(content.plan))  # by far the longest part, and it never changes
        self._write()

    def remember(self, unit: str, child: ChildRecord) -> None:
        self._change(children={**self.content.children, unit: child})

    def forget(self, unit: str) -> None:
        rest = {name: child for name, child in self.content.children.items() if name != unit}
        if rest != self.content.children:
            self._change(children=rest)

    def note_wish(self, unit: str, *, stops: bool, is_scaling: bool = False) -> None:
        """Note the last wish for a unit, which a later supervisor continues with."""
        rest = {name: scaling for name, scaling in self.content.resting.items() if name != unit}
        resting = {**rest, unit: is_scaling} if stops else rest
        if resting != self.content.resting:
            self._change(resting=resting)

    def note_completed(self, unit: Unit, *, is_so: bool) -> None:
        """Note a completed job, which a later supervisor does not run again unless it has changed."""
        rest = {name: digest for name, digest in self.content.completed.items() if name != unit.name}
        self._change(completed={**rest, unit.name: unit.digest()} if is_so else rest)

    def note_told(self, told: Told) -> None:
        if told != self.content.told:
            self._change(told=told)

    def note_release(self) -> None:
        self._change(released=True)

    def note_strays(self, strays: Iterable[Identity]) -> None:
        if (now := tuple(sorted(strays))) != self.content.strays:
            self._change(strays=now)

    def note_socket(self, path: str) -> None:
        """Note the path by which a plain client connects."""
        if path != self.content.socket:
            self._change(socket=path)

    def renew(self) -> None:
        """Write the journal again if it is not as it was last written."""
        if self.write_error or not self._is_as_written:
            self._write()

    @property
    def _is_as_written(self) -> bool:
        try:
            return _state(self._path.lstat()) == self._written
        except OSError:
            return False

    def close(self) -> None:
        """Note that the deployment is down."""
        self._change(children={}, resting={}, completed={}, strays=(), stopped=True)

    def _change(self, **changes: Any) -> None:
        self.content = replace(self.content, **changes)
        self._write()

    def _write(self) -> None:
        parts = {name: getattr(self.content, name) for name in _WRITTEN}
        try:
            put_aside(self._path)
            found = write_whole(self._path, encoded({**parts, "plan": self._plan}), self._draft)
            self._written, self.write_error = _state(found), None
        except OSError as error:
            self.write_error = str(error)


_State = tuple[int, int, int, int]


def _state(found: os.stat_result) -> _State:
    """A value that changes when the file is replaced or its content changes."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


_WRITTEN = tuple(name for name in JournalFile.__struct_fields__ if name != "unread")
_NOT_JSON = (ValueError, RecursionError, msgspec.MsgspecError)


def read_journal(path: Path) -> JournalFile | None:
    """What can be read of the journal, whoever wrote it; None if there is none, or it is not a journal at all.

    Each part is read separately, so that a plan of another version does not hide the processes.
    """
    try:
        parts = msgspec.json.decode(read_own(path, _MAX_BYTES), type=dict[str, msgspec.Raw])
    except (OSError, *_NOT_JSON):
        return None
    if "children" not in parts:
        return None
    reader = _Reader(parts)
    children = {name: reader.child(name, raw) for name, raw in reader.mapping("children")}
    return JournalFile(
        version=reader.of("version", int, 0),
        boot_id=reader.of("boot_id", str, ""),
        supervisor_pid=reader.of("supervisor_pid", int, 0),
        supervisor_start_ticks=reader.of("supervisor_start_ticks", int, 0),
        started_at=reader.of("started_at", str, ""),
        socket=reader.of("socket", str, ""),
        plan=reader.plan(),
        children={name: child for name, child in children.items() if child is not None},
        stopped=reader.of("stopped", bool, False),
        resting=reader.of("resting", dict[str, bool], {}, is_new=True),
        completed=reader.of("completed", dict[str, str], {}, is_new=True),
        strays=reader.of("strays", tuple[Identity, ...], (), is_new=True),
        directory=reader.of("directory", str, "", is_new=True),
        released=reader.of("released", bool, False, is_new=True),
        told=reader.of("told", Told, NOTHING, is_new=True),
        unread=tuple(reader.unread),
    )


class _Reader:
    def __init__(self, parts: Mapping[str, msgspec.Raw]) -> None:
        self.unread: list[str] = []
        self._parts = parts

    def of(self, name: str, kind: type[T], default: D, *, is_new: bool = False) -> T | D:
        """The member if it can be read, else the default. `is_new`: earlier versions did not write it."""
        if name not in self._parts:
            self.unread += [] if is_new else [name]
            return default
        found = self.part(name, kind, self._parts[name])
        return default if found is None else found

    def part(self, name: str, kind: type[T], raw: msgspec.Raw) -> T | None:
        try:
            return decoded(raw, kind)
        except _NOT_JSON:
            self.unread.append(name)
            return None

    def child(self, name: str, raw: msgspec.Raw) -> ChildRecord | None:
        found = self.part(f"children.{name}", ChildRecord, raw)
        if found is None or (is_name(name) and found.is_possible):
            return found
        self.unread.append(f"children.{name}")
        return None

    def plan(self) -> Plan | None:
        found = self.of("plan", Plan, None)
        if found is None or _is_possible(found):
            return found
        self.unread.append("plan")
        return None

    def mapping(self, name: str) -> Iterable[tuple[str, msgspec.Raw]]:
        return self.of(name, dict[str, msgspec.Raw], {}).items()


def _is_possible(plan: Plan) -> bool:
    """Whether a planner could have made the plan: its names become file names, and its order is followed."""
    names = [unit.name for unit in plan.units]
    ports = [port for unit in plan.units for port in unit.ports.values()]
    try:
        start_stages(plan.units)
    except CycleError:
        return False
    return all(map(is_name, names)) and len({*names}) == len(names) and all(map(_is_port, ports))


def _is_port(number: int) -> bool:
    return 0 < number < _PORTS


def set_aside(path: Path) -> Path | None:
    """Move anything but a journal out of its place; returns where to, or None if there was no need."""
    if (aside := put_aside(path)) is not None:
        return aside
    if not path.exists() or read_journal(path) is not None:
        return None
    kept = path.with_suffix(".json.damaged")
    put_aside(kept)
    return path.replace(kept)


def boot_id() -> str:
    """The host's boot id: pids and start times from another boot mean nothing. Source: random(4)."""
    return read_file(BOOT_ID).decode().strip()
