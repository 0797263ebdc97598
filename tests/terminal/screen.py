"""A pseudo-terminal of a given size, the program in it, and its screen."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import pexpect
import pyte
from pyte.screens import Char

_READ_S = 0.05


class Terminal:
    """A context manager: the program is ended with it."""

    def __init__(self, *words: str, env: Mapping[str, str], cwd: Path, columns: int = 80, rows: int = 24) -> None:
        self._screen = pyte.HistoryScreen(columns, rows, history=1000, ratio=1)
        self._stream = pyte.ByteStream(self._screen)
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        self.child: Any = pexpect.spawn(
            sys.executable,
            ["-m", "dynkv", *words],
            env={**kept, "TERM": "xterm-256color", **env},
            cwd=str(cwd),
            dimensions=(rows, columns),
            timeout=60,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.child.close(force=True)

    def resize(self, columns: int, rows: int) -> None:
        self.child.setwinsize(rows, columns)
        self._screen.resize(rows, columns)

    def read(self) -> bool:
        """Read what has been written so far; False when the program has ended and everything was read."""
        try:
            self._stream.feed(self.child.read_nonblocking(65536, timeout=_READ_S))
        except pexpect.TIMEOUT:
            pass
        except pexpect.EOF:
            return False
        return True

    def until(self, condition: Callable[[str], bool], limit_s: float = 30.0) -> str:
        """The screen, as soon as the condition holds for it."""
        deadline = time.monotonic() + limit_s
        while not condition(self.text):
            assert self.read() or condition(self.text), f"it ended:\n{self.text}"
            assert time.monotonic() < deadline, self.text
        return self.text

    def settle(self, seconds: float) -> None:
        """Continue reading for this long."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            assert self.read(), f"it ended:\n{self.text}"

    def finish(self) -> tuple[int, str]:
        """Its exit code and its last screen."""
        while self.read():
            pass
        self.child.close()
        assert self.child.exitstatus is not None, self.child.signalstatus
        return self.child.exitstatus, self.text

    @property
    def text(self) -> str:
        """The text on the screen, without trailing spaces and empty lines at the end."""
        return "\n".join(line.rstrip() for line in self._screen.display).rstrip()

    @property
    def cells(self) -> list[list[Char]]:
        """The screen's rows, down to the last one that is not empty."""
        rows = [[self._screen.buffer[y][x] for x in range(self._screen.columns)] for y in range(self._screen.lines)]
        return rows[: len(self.text.splitlines())]

    @property
    def has_scrolled(self) -> bool:
        """Whether more was written than fits on the screen."""
        return bool(self._screen.history.top)

    @property
    def has_colour(self) -> bool:
        return any(cell.fg != "default" or cell.bold for row in self._screen.buffer.values() for cell in row.values())
