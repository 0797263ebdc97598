"""What a later supervisor, or `dynkv down` without one, has to know: written whole, never half."""

from __future__ import annotations

import os
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

import msgspec

from dynkv.plan.model import Plan

VERSION = 1


@dataclass(frozen=True, slots=True)
class ChildRecord:
    pid: int
    start_ticks: int
    incarnation: str
    digest: str
    ports: dict[str, int]
    started_at: str
    log_start_byte: int = 0


@dataclass(frozen=True, slots=True)
class JournalFile:
    """The content of journal.json."""

    version: int
    boot_id: str
    supervisor_pid: int
    supervisor_start_ticks: int
    started_at: str
    socket: str
    plan: Plan
    children: dict[str, ChildRecord] = field(default_factory=dict)
    stopped: bool = False
    """The deployment was taken down in order; nothing of it is left."""


class Journal:
    """The supervisor's side: every change is on disk before it returns, or `write_error` says why it is not."""

    def __init__(self, path: Path, content: JournalFile) -> None:
        self._path = path
        self._draft = path.with_suffix(".tmp")
        self.write_error: str | None = None
        self.content = content
        self._plan = msgspec.Raw(msgspec.json.encode(content.plan))  # by far the longest part, and it never changes
        self._write()

    def remember(self, unit: str, child: ChildRecord) -> None:
        self._change(children={**self.content.children, unit: child})

    def forget(self, unit: str) -> None:
        rest = {name: child for name, child in self.content.children.items() if name != unit}
        if rest != self.content.children:
            self._change(children=rest)

    def close(self) -> None:
        """The deployment is down."""
        self._change(children={}, stopped=True)

    def _change(self, *, children: dict[str, ChildRecord], stopped: bool = False) -> None:
        self.content = replace(self.content, children=children, stopped=stopped)
        self._write()

    def _write(self) -> None:
        encoded = {field.name: getattr(self.content, field.name) for field in fields(self.content)}
        try:
            self._draft.write_bytes(msgspec.json.encode({**encoded, "plan": self._plan}))
            os.replace(self._draft, self._path)  # noqa: PTH105 (says what it does)
            self.write_error = None
        except OSError as error:
            self.write_error = str(error)


def read_journal(path: Path) -> JournalFile | None:
    """None if there is none, or it is damaged or of another version."""
    try:
        journal = msgspec.json.decode(path.read_bytes(), type=JournalFile)
    except (OSError, ValueError, RecursionError, msgspec.MsgspecError):
        return None
    return journal if journal.version == VERSION else None


def set_aside(path: Path) -> Path | None:
    """Move a journal that cannot be read out of the way; where to, or None if there was none."""
    if not path.exists() or read_journal(path) is not None:
        return None
    kept = path.with_suffix(".json.damaged")
    os.replace(path, kept)  # noqa: PTH105
    return kept


def boot_id() -> str:
    """Changes with every boot: pids and start times from before it mean nothing. Source: random(4)."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
