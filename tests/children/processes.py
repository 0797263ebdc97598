"""Tiny real processes, and waiting for what they do."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from dynkv.children.child import Child
from dynkv.children.signals import open_process, send
from dynkv.host.processes import read_process

T = TypeVar("T")

HEAD = """
import os, signal, sys, time
def say(word):
    with open(sys.argv[1], "a") as file: file.write(f"{word} {os.getpid()}\\n")
def wait():
    while True: time.sleep(60)
"""


def until(ask: Callable[[], T], deadline_s: float = 15.0) -> T:
    """The first truthy result of `ask`."""
    end = time.monotonic() + deadline_s
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.005)
    pytest.fail("it did not come in time")


def is_alive(pid: int) -> bool:
    process = read_process(pid)
    return process is not None and process.is_alive


@dataclass
class Family:
    """A child that runs a script, and the file in which its processes list themselves."""

    child: Child
    said: Path

    def pid(self, word: str = "grandchild") -> int:
        def ask() -> int | None:
            lines = self.said.read_text().splitlines(keepends=True) if self.said.exists() else []
            return next((int(x.split()[1]) for x in lines if x.startswith(f"{word} ") and x.endswith("\n")), None)

        found = until(ask)
        assert found is not None
        return found

    @property
    def found(self) -> set[int]:
        return {process.pid for process in self.child.tree()}

    def has_said(self) -> list[int]:
        lines = self.said.read_text().splitlines() if self.said.exists() else []
        return [int(line.split()[1]) for line in lines if len(line.split()) == 2]


@contextmanager
def family(directory: Path, script: str, env: dict[str, str] | None = None) -> Iterator[Family]:
    """A running child; at the end every process that it has listed is killed."""
    said = directory / "said"
    argv = [sys.executable, "-c", HEAD + script, str(said)]
    child = Child.spawn(argv, env or {}, directory / "log")
    made = Family(child, said)
    try:
        yield made
    finally:
        for pid in [process.pid for process in child.tree()] + made.has_said():
            _kill(pid)
        _kill(child.pid)
        until(lambda: not is_alive(child.pid))
        child.reap()


def _kill(pid: int) -> None:
    process = read_process(pid)
    if process is None or pid == os.getpid():
        return
    fd = open_process(process.identity)
    if fd is not None:
        send(fd, signal.SIGKILL)
        os.close(fd)
