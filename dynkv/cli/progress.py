"""What `up` and `down` show while they wait: a live view in a terminal, a line per change elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dynkv.cli.ink import Ink
from dynkv.cli.report import say

if TYPE_CHECKING:
    from dynkv.supervisor.status import DeploymentStatus

    Show = Callable[[DeploymentStatus], None]


class LineProgress:
    """A line for each change, with no line repeated."""

    def __init__(self) -> None:
        self._said: dict[str, str] = {}

    def update(self, status: DeploymentStatus) -> None:
        for unit in status.units:
            line = f"{unit.name}: {unit.state}" + (f", waiting for {unit.waiting_for}" if unit.waiting_for else "")
            self._say_once(unit.name, line)
        for standby in status.standbys:
            self._say_once(
                standby.name, f"{standby.name}: {standby.state}" + (f", {standby.detail}" if standby.detail else "")
            )
        self._say_once("", status.detail)

    def _say_once(self, key: str, line: str) -> None:
        if line and self._said.get(key) != line:
            self._said[key] = line
            say(line)


@contextmanager
def progress() -> Iterator[Show]:
    """A function to call with each new status."""
    if not Ink(sys.stdout).is_terminal:
        yield LineProgress().update
        return
    from dynkv.cli.view import live_progress

    with live_progress() as show:
        yield show
