"""`logs`: the output of the units, merged by time."""

from __future__ import annotations

import heapq
import json
import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, NoReturn

import typer
from msgspec import Struct

from dynkv.children.json_lines import in_text
from dynkv.children.lines import Level, Line, LineReader, read_lines, tells
from dynkv.cli.completion import log_names
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.ink import Ink
from dynkv.cli.log_files import Follower, blocks_backward
from dynkv.cli.options import NameOfOption, SinceOption
from dynkv.cli.report import note
from dynkv.cli.since import moment
from dynkv.errors import DynkvError, UsageError
from dynkv.owned import open_own

_POLL_S = 0.2
_LINES = 100
_LONGEST_PART = 10_000
"""Most lines of a block to hold back while looking for the line that they belong to."""
_COLOURS = ("cyan", "green", "yellow", "bold cyan", "bold green", "bold yellow")
LEVEL_STYLE = {Level.WARNING: "yellow", Level.ERROR: "red", Level.CRITICAL: "bold red"}
_EARLIEST = datetime.min.replace(tzinfo=UTC)


class LevelName(StrEnum):
    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Wanted(Struct, frozen=True):
    """Which lines to show."""

    since: datetime | None = None
    pattern: re.Pattern[str] | None = None
    level: Level | None = None

    def includes(self, line: Line) -> bool:
        """Whether to show the line; a line without a time is never too old."""
        if self.since is not None and line.at is not None and line.at < self.since:
            return False
        if self.level is not None and (line.level is None or line.level < self.level):
            return False
        return self.pattern is None or self.pattern.search(line.text) is not None


def logs(
    units: Annotated[
        list[str] | None,
        typer.Argument(metavar="UNIT", help="Units to show; all if omitted.", autocompletion=log_names),
    ] = None,
    name: NameOfOption = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Follow new lines.")] = False,
    lines: Annotated[
        int | None,
        typer.Option("-n", "--lines", min=0, help=f"Number of last lines of each unit; {_LINES} without --since."),
    ] = None,
    since: SinceOption = None,
    grep: Annotated[
        str | None, typer.Option("--grep", metavar="PATTERN", help="Only lines that match this regular expression.")
    ] = None,
    level: Annotated[
        LevelName | None,
        typer.Option("--level", metavar="LEVEL", help=f"Lines of this level and above: {', '.join(LevelName)}."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object a line.")] = False,
) -> None:
    """Print the units' logs, including those of earlier incarnations; also after `down`.

    Lines are merged by time, without colours and other control sequences. In a terminal it also says where the files
    are.
    """
    now = datetime.now().astimezone()
    wanted = Wanted(
        None if since is None else moment(since, now), _pattern(grep), None if level is None else Level[level.upper()]
    )
    files = _log_files(find(name, past=True), units or [])
    show = _Printer(list(files), Ink(sys.stdout), as_json=as_json)
    if show.is_for_a_person:
        _say_where(files)
    followers = {unit: (Follower(path), LineReader(now)) for unit, path in files.items()}
    count = lines if lines is not None or since is not None else _LINES
    found = [_of_unit(unit, last_lines(path, wanted, count, now)) for unit, path in files.items()]
    for unit, line in heapq.merge(*found, key=_when):
        show(unit, line)
    if follow:
        _follow(followers, wanted, show)


def last_lines(path: Path, wanted: Wanted, count: int | None, now: datetime) -> list[Line]:
    """The last `count` wanted lines, or all, in order; reads no more than needed."""
    if count == 0:
        return []
    found: list[Line] = []
    for block in _self_contained(blocks_backward(path), now):
        lines = read_lines(block, now)
        found = [line for line in lines if wanted.includes(line)] + found
        first = next((line.at for line in lines if line.at is not None), None)
        if wanted.since is not None and first is not None and first < wanted.since:
            break
        if count is not None and len(found) >= count:
            break
    return found if count is None else found[-count:]


def _self_contained(blocks: Iterable[list[str]], now: datetime) -> Iterator[list[str]]:
    """Blocks, the last first, each beginning with a line that names its level: lines after it may belong to it."""
    rest: list[str] = []
    for block in blocks:
        lines = block + rest
        start = next((number for number, line in enumerate(lines) if tells(line, now)), len(lines))
        if start > _LONGEST_PART:  # from a program that never names a level
            start = 0
        rest = lines[:start]
        yield lines[start:]
    yield rest


def _follow(followers: Mapping[str, tuple[Follower, LineReader]], wanted: Wanted, show: _Printer) -> NoReturn:
    while True:
        for unit, (follower, read) in followers.items():
            for line in map(read, follower.new_lines()):
                if wanted.includes(line):
                    show(unit, line)
        time.sleep(_POLL_S)


def _of_unit(unit: str, lines: Iterable[Line]) -> list[tuple[str, Line]]:
    return [(unit, line) for line in lines]


def _when(pair: tuple[str, Line]) -> datetime:
    return pair[1].at or _EARLIEST


class _Printer:
    """Prints lines, with the unit's name if there are several units."""

    def __init__(self, units: list[str], ink: Ink, *, as_json: bool) -> None:
        self._ink = ink
        self._as_json = as_json
        self._width = max(map(len, units)) if len(units) > 1 else 0
        self._colours = {unit: _COLOURS[number % len(_COLOURS)] for number, unit in enumerate(units)}
        self.is_for_a_person = ink.is_terminal and not as_json

    def __call__(self, unit: str, line: Line) -> None:
        print(self._json(unit, line) if self._as_json else self._text(unit, line), flush=True)  # noqa: T201

    def _text(self, unit: str, line: Line) -> str:
        text = self._ink.paint(in_text(line.text), LEVEL_STYLE.get(line.level, "") if line.level is not None else "")
        return self._ink.paint(f"{unit:<{self._width}} |", self._colours[unit]) + f" {text}" if self._width else text

    def _json(self, unit: str, line: Line) -> str:
        level = None if line.level is None else line.level.name.lower()
        at = None if line.at is None else line.at.astimezone(UTC).isoformat(timespec="milliseconds")
        return json.dumps({"unit": unit, "at": at, "level": level, "line": line.text})


def _say_where(files: dict[str, Path]) -> None:
    first = next(iter(files.values()))
    note(str(first) if len(files) == 1 else f"{first.parent}/")


def _pattern(text: str | None) -> re.Pattern[str] | None:
    try:
        return None if text is None else re.compile(text, re.IGNORECASE)
    except re.error as error:
        raise UsageError(
            f"--grep {text!r} is not a regular expression: {error}", hint="a literal ( or [ is written \\( or \\["
        ) from None


def _log_files(deployment: Deployment, units: list[str]) -> dict[str, Path]:
    files = {path.stem: path for path in sorted(deployment.place.logs.glob("*.log"))}
    for unit in units:
        if unit not in files:
            raise UsageError(f"there is no log of a unit {unit!r}", hint=f"available: {', '.join(files) or 'none yet'}")
    if not files:
        raise UsageError("there are no logs yet", hint="`dynkv status` shows what is running")
    problems = {unit: problem for unit in units or files if (problem := _problem(files[unit]))}
    if units or len(problems) == len(files):
        for unit, problem in problems.items():
            raise DynkvError(f"the log of {unit} cannot be read: {problem}", where=str(files[unit]))
    for unit, problem in problems.items():
        note(f"skipping the log of {unit}: {problem}")
    return {unit: files[unit] for unit in units or files if unit not in problems}


def _problem(path: Path) -> str:
    """Why a log cannot be read; empty if it can."""
    try:
        os.close(open_own(path, os.O_RDONLY))
    except OSError as error:
        return error.strerror or str(error)
    return ""
