"""The command line with its own DYNKV_HOME and profiles; its deployments are tiny programs that end with it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
import pytest

from dynkv.home import Place, deployments
from dynkv.host.processes import read_process
from dynkv.supervisor.journal import read_journal

T = TypeVar("T")

NEVER_READY = """\
topology: none
units:
  - {{name: first, argv: [sleep, "1000"]}}
  - name: never
    argv: [sleep, "1000"]
    ports: {{http: {port}}}
    probes: {{http_get: {{port: http, path: /health}}}}
"""
"""One unit that is ready at once, and one that never is."""
SERVER = """\
import os, sys, time
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
    def log_message(self, *args): pass
while not os.path.exists(sys.argv[2]): time.sleep(0.01)
HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
"""
"""A server that serves once the file named by its second argument exists."""
UNITS = "topology: none\nunits:\n"
QUICK = UNITS + "  - {name: first, argv: [sleep, '1000']}\n  - {name: second, argv: [sleep, '1000']}\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def until(ask: Callable[[], T], limit_s: float = 30.0) -> T:
    """The first truthy result of `ask`."""
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if answer := ask():
            return answer
        time.sleep(0.01)
    pytest.fail("it did not come in time")


def is_alive(pid: int) -> bool:
    process = read_process(pid)
    return process is not None and process.is_alive


@dataclass
class Command:
    directory: Path
    home: Path = Path()
    """`state` in the directory by default."""

    def __post_init__(self) -> None:
        if self.home == Path():
            self.home = self.directory / "state"

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "FORCE_COLOR")}
        return {**kept, "DYNKV_HOME": str(self.home), "PYTHONPATH": str(Path(__file__).parents[2])}

    def __call__(self, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
        with self.begun(*words, **environ) as process:
            out, err = process.communicate(timeout=90)
        return subprocess.CompletedProcess(words, process.returncode, out, err)

    @contextmanager
    def begun(self, *words: str, **environ: str) -> Iterator[subprocess.Popen[str]]:
        """Yields the running command; it is killed at the end if it still runs."""
        argv = [sys.executable, "-m", "dynkv", *words]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "errors": "backslashreplace"}
        with self.popen(argv, environ, **pipes) as process:
            try:
                yield process
            finally:
                process.kill()

    def popen(self, argv: list[str], environ: Mapping[str, str] | None = None, **more: Any) -> subprocess.Popen[Any]:
        return subprocess.Popen(argv, cwd=self.directory, env={**self.env, **(environ or {})}, **more)

    def profile(self, text: str, name: str = "mine") -> str:
        (self.directory / f"{name}.yaml").write_text(text, encoding="utf-8")
        return f"{name}.yaml"

    def server(self, name: str, *, go: bool = True) -> str:
        """The YAML of a unit that is ready at once, or when `let_go` is called with its name."""
        program = self.directory / "server.py"
        program.write_text(SERVER)
        if go:
            self.let_go(name)
        argv = f"[python3, {program}, '{(port := free_port())}', {self.directory / name}.go]"
        probes = "{http_get: {port: http, path: /health}, period_seconds: 0.1}"
        return f"  - {{name: {name}, argv: {argv}, ports: {{http: {port}}}, probes: {probes}}}\n"

    def let_go(self, name: str) -> None:
        (self.directory / f"{name}.go").touch()

    def place(self, name: str = "mine") -> Place:
        return Place(self.home, name)

    def pids(self, name: str = "mine") -> dict[str, int]:
        """The pids of running units, from the journal."""
        journal = read_journal(self.place(name).journal)
        return {} if journal is None else {unit: child.pid for unit, child in journal.children.items()}

    def supervisor(self, name: str = "mine") -> int:
        """The supervisor's pid, once there is one."""
        place = self.place(name)
        journal = until(lambda: place.has_supervisor() and read_journal(place.journal))
        assert journal
        return journal.supervisor_pid

    def kill_supervisor(self, name: str = "mine") -> None:
        os.kill(self.supervisor(name), signal.SIGKILL)
        until(lambda: not self.place(name).has_supervisor())

    def status(self, name: str = "mine") -> Any:
        return msgspec.json.decode(self("status", name, "--json").stdout)

    def left_running(self) -> list[str]:
        """Processes that still have this DYNKV_HOME."""
        mark, found = f"DYNKV_HOME={self.home}".encode(), []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and mark in (entry / "environ").read_bytes().split(b"\0"):
                    found.append((entry / "cmdline").read_bytes().replace(b"\0", b" ").decode())
            except OSError:  # it has exited, or is another user's
                continue
        return found

    def end_all(self) -> None:
        for name in deployments(self.home):
            assert self("down", name).returncode == 0


@contextmanager
def command_in(directory: Path) -> Iterator[Command]:
    """Yields the command; takes down whatever still runs at the end, after a failure too."""
    command = Command(directory)
    try:
        yield command
    finally:
        command.end_all()
