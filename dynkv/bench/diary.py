"""The rounds of a benchmark in a file: one line each, written when it is measured, so that a run can be continued."""

from __future__ import annotations

import os
from pathlib import Path

import msgspec

from dynkv.documents import decoded, encoded
from dynkv.errors import UsageError


class Head(msgspec.Struct, frozen=True):
    """What rounds must have in common to be compared."""

    variants: tuple[str, ...]
    points: tuple[str, ...]
    """What is varied within a round, for example the pressure on the KV cache."""
    workload: str
    """The workload in words, with everything that determines the requests."""
    tool: str
    limits: str = ""


class Round(msgspec.Struct, frozen=True):
    """One variant at one point, measured once."""

    round: int
    variant: str
    point: str
    figures: dict[str, float]
    first_token_s: dict[str, float] = {}
    """The median by a request's label, for example its turn."""


class Failure(msgspec.Struct, frozen=True):
    """A variant that did not come up, or was not measured."""

    variant: str
    reason: str


class Notes(msgspec.Struct, frozen=True):
    """Everything that was found so far."""

    head: Head
    rounds: tuple[Round, ...] = ()
    failures: tuple[Failure, ...] = ()
    cache_tokens: int | None = None
    """How many tokens the GPU's KV cache of the first variant holds, the unit of pressure."""


class _Line(msgspec.Struct, frozen=True, omit_defaults=True):
    head: Head | None = None
    round: Round | None = None
    failure: Failure | None = None
    cache_tokens: int | None = None


class Diary:
    """The diary of one run. Raises UsageError if its file belongs to another run, or cannot be read or written."""

    def __init__(self, file: Path, head: Head) -> None:
        self._file = file
        self.notes = Notes(head)
        try:
            if file.exists():
                self._read(head)
            else:
                file.parent.mkdir(parents=True, exist_ok=True)
                self._write(_Line(head=head))
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise UsageError(f"{file} cannot be used: {error}") from None

    def has(self, round: int, variant: str, point: str) -> bool:
        return any((it.round, it.variant, it.point) == (round, variant, point) for it in self.notes.rounds)

    def has_failed(self, variant: str) -> bool:
        return any(it.variant == variant for it in self.notes.failures)

    def note_round(self, round: Round) -> None:
        self._note(_Line(round=round))

    def note_failure(self, failure: Failure) -> None:
        self._note(_Line(failure=failure))

    def note_cache(self, tokens: int) -> None:
        self._note(_Line(cache_tokens=tokens))

    def _note(self, line: _Line) -> None:
        self._write(line)
        self.notes = _with(self.notes, line)

    def _write(self, line: _Line) -> None:
        with self._file.open("ab") as file:
            file.write(encoded(line) + b"\n")
            file.flush()
            os.fsync(file.fileno())

    def _read(self, head: Head) -> None:
        whole = self._file.read_bytes()
        for line in whole[: whole.rfind(b"\n") + 1].splitlines():  # a truncated line is measured again
            read = decoded(line, _Line)
            if read.head is not None and read.head != head:
                raise UsageError(
                    f"{self._file} has a run with other settings", hint="give another directory with --out"
                )
            self.notes = _with(self.notes, msgspec.structs.replace(read, failure=None))  # it is tried again
        if not whole.endswith(b"\n"):
            os.truncate(self._file, whole.rfind(b"\n") + 1)


def _with(notes: Notes, line: _Line) -> Notes:
    return msgspec.structs.replace(
        notes,
        rounds=(*notes.rounds, *([line.round] if line.round else [])),
        failures=(*notes.failures, *([line.failure] if line.failure else [])),
        cache_tokens=line.cache_tokens or notes.cache_tokens,
    )
