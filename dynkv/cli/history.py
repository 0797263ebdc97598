"""`logs` and `events`: what happened."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from dynkv.children.output import tail
from dynkv.cli import view
from dynkv.cli.deployments import Deployment, find
from dynkv.cli.options import JsonOption, NameArgument
from dynkv.errors import DynkvError, UsageError
from dynkv.supervisor.events import Event

_POLL_S = 0.2
_ALL = 1_000_000


def logs(
    units: Annotated[list[str] | None, typer.Argument(metavar="[UNIT…]", help="All units when none is named.")] = None,
    name: Annotated[str | None, typer.Option("--name", help="The deployment; not needed with only one.")] = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as lines come.")] = False,
    lines: Annotated[int, typer.Option("-n", "--lines", min=0, help="How many lines of each unit.")] = 100,
) -> None:
    """Print the units' logs; also after `down`. Example: dynkv logs worker-0 -f"""
    deployment = find(name, past=True)
    files = _log_files(deployment, units or [])
    width = max(len(unit) for unit in files)
    sizes = {unit: _size(path) for unit, path in files.items()}
    for unit, path in files.items():
        for line in tail(path, lines) if lines else []:
            _print_line(unit, line, width, len(files))
    while follow:
        for unit, line in _new_lines(files, sizes):
            _print_line(unit, line, width, len(files))
        time.sleep(_POLL_S)


def events(
    name: NameArgument = None,
    follow: Annotated[bool, typer.Option("-f", "--follow", help="Go on as events come.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print a deployment's history: what happened, why, and how long it took. Example: dynkv events -f"""
    deployment = find(name, past=True)
    for event in _events(deployment, follow):
        if as_json:
            print(msgspec.json.encode(event).decode(), flush=True)  # noqa: T201 (one object a line)
        else:
            view.show_event(event)


def _events(deployment: Deployment, follow: bool) -> Iterator[Event]:
    if follow and deployment.is_supervised:
        yield from deployment.client().events()
        return
    try:
        raw = deployment.place.events.read_bytes().splitlines()
    except OSError as error:
        raise DynkvError(f"cannot read {deployment.place.events}: {error.strerror}") from None
    for line in raw:
        with suppress(msgspec.MsgspecError):  # a full disk leaves half a line
            yield msgspec.json.decode(line, type=Event)


def _log_files(deployment: Deployment, units: list[str]) -> dict[str, Path]:
    files = {path.stem: path for path in sorted(deployment.place.logs.glob("*.log"))}
    for unit in units:
        if unit not in files:
            raise UsageError(f"no log of a unit named {unit!r}", hint=f"there is {', '.join(files) or 'none yet'}")
    chosen = {unit: files[unit] for unit in units} or files
    if not chosen:
        raise UsageError("there are no logs yet", hint="`dynkv status` shows what runs")
    return chosen


def _new_lines(files: dict[str, Path], sizes: dict[str, int]) -> Iterator[tuple[str, str]]:
    for unit, path in files.items():
        size = _size(path)
        if size < sizes[unit]:  # it was truncated
            sizes[unit] = 0
        if size > sizes[unit]:
            for line in tail(path, _ALL, sizes[unit]):
                yield unit, line
            sizes[unit] = size


def _print_line(unit: str, line: str, width: int, count: int) -> None:
    print(f"{unit:<{width}} | {line}" if count > 1 else line, flush=True)  # noqa: T201 (as it was written)


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
