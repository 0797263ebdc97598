"""Scripts of plans with custom units, run as a person would run them, and what they leave behind."""

from __future__ import annotations

import atexit
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import psutil

from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import Plan
from dynkv.profile.load import Override, load
from dynkv.render.shell import shell_script

PYTHON = sys.executable
WAIT = [PYTHON, "-c", "import time; time.sleep(1000)"]
MARK = "MARK_OF_A_TEST"
PATIENCE_S = 30.0
_PROMPT = "dynkv-prompt> "
_SHORT = tempfile.mkdtemp(prefix="dynkv-", dir="/tmp")
"""A directory for TMPDIR: if its path were too long for the units' sockets, /tmp would be used instead."""
atexit.register(shutil.rmtree, _SHORT, ignore_errors=True)


class Stage:
    """One profile; all processes that its script starts carry a mark."""

    def __init__(self, folder: Path, *units: Mapping[str, Any], **settings: Any) -> None:
        self.folder = folder
        self.mark = uuid.uuid4().hex
        self.temporary = Path(tempfile.mkdtemp(dir=_SHORT))
        marked = [{"argv": WAIT, **unit, "env": {MARK: self.mark, **unit.get("env", {})}} for unit in units]
        given = {"topology": "none", "units": marked, **settings}
        loaded = load("agg", [Override((key,), value, "--set") for key, value in given.items()])
        facts = HostFacts(environ={"PATH": os.environ["PATH"]}, python=PYTHON)
        self.plan: Plan = build(loaded.profile, facts, name="own", profile_name="own", home=str(folder / "home"))
        self.path = folder / "own.sh"
        self.path.write_text(shell_script(self.plan), encoding="ascii")
        self.path.chmod(0o755)

    @contextmanager
    def running(self, *command: str, **more: Any) -> Iterator[subprocess.Popen[str]]:
        """The script, in its own session; killed at the end, with all processes that it has started."""
        words = command or (str(self.path),)
        given: dict[str, Any] = {"stdin": subprocess.DEVNULL, "env": self.environ(), "start_new_session": True, **more}
        pipes: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "errors": "surrogateescape"}
        with subprocess.Popen(words, encoding="utf-8", **pipes, **given) as process:
            try:
                yield process
            finally:
                process.kill()
                for left in self.left():
                    left.kill()

    def run(self, *command: str, **more: Any) -> tuple[int, str]:
        """Run it to its end: exit code and output. Nothing may be left running."""
        with self.running(*command, **more) as script:
            out, _ = script.communicate(timeout=PATIENCE_S)
            assert self.left() == []
        return script.returncode, out

    def environ(self, **more: str) -> dict[str, str]:
        return {"PATH": os.environ["PATH"], "HOME": str(self.folder), "TMPDIR": str(self.temporary), **more}

    def left(self) -> list[psutil.Process]:
        """Living processes that the script has started, even if they have left their parents."""
        return [process for process in psutil.process_iter() if _mark_of(process.pid) == self.mark]

    def litter(self) -> list[Path]:
        """What is left of its temporary directories."""
        return list(self.temporary.iterdir())


def _mark_of(pid: int) -> str | None:
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return None
    return next((entry.partition(b"=")[2].decode() for entry in entries if entry.startswith(f"{MARK}=".encode())), None)


class Terminal:
    """An interactive bash, as in a terminal window."""

    def __init__(self, stage: Stage, **more: str) -> None:
        environ = stage.environ(PS1=_PROMPT, TERM="dumb", **more)
        self._bash = pexpect.spawn(
            "bash", ["--norc", "--noprofile", "-i"], env=environ, encoding="utf-8", timeout=PATIENCE_S, echo=False
        )
        self._bash.expect_exact(_PROMPT)

    def type(self, line: str) -> None:
        self._bash.sendline(line)

    def sees(self, text: str) -> str:
        """The output up to this text."""
        self._bash.expect_exact(text)
        return str(self._bash.before)

    def ctrl_c(self) -> None:
        self._bash.sendintr()

    def code(self) -> int:
        """The exit code of the last command, once the prompt is back."""
        self.sees(_PROMPT)
        self.type("echo code=$?.")
        self.sees("code=")
        return int(self.sees("."))

    def close(self) -> None:
        """Close the window."""
        self._bash.close(force=False)

    def end(self) -> None:
        self._bash.close(force=True)


@contextmanager
def terminal(stage: Stage, **more: str) -> Iterator[Terminal]:
    window = Terminal(stage, **more)
    try:
        yield window
    finally:
        window.end()
        for process in stage.left():
            process.kill()


def python(code: str, *words: str) -> list[str]:
    return [PYTHON, "-c", code, *words]


def http(port: int, code: int = 200, host: str = "127.0.0.1", *, body: str = "", ready_when: str = "") -> list[str]:
    """A server that answers every GET like this; 503 until the file `ready_when` exists."""
    program = (
        "import http.server as h, os, socket, sys\n"
        "host, port, code, body, gate = sys.argv[1:]\n"
        "class A(h.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(int(code) if not gate or os.path.exists(gate) else 503)\n"
        "        self.end_headers()\n"
        "        self.wfile.write(f'{self.path} {body}'.encode())\n"
        "    def log_message(self, *_): print('asked for', self.path, flush=True)\n"
        "class S(h.ThreadingHTTPServer):\n"
        "    address_family = socket.AF_INET6 if ':' in host else socket.AF_INET\n"
        "S((host, int(port)), A).serve_forever()\n"
    )
    return python(program, host, str(port), str(code), body, ready_when)


_DUMP = """
import json, os, sys, time
with open(sys.argv[1] + ".part", "w") as file:
    json.dump([dict(os.environ), sys.argv[2:], os.getcwd()], file)
os.rename(sys.argv[1] + ".part", sys.argv[1])
time.sleep(1000)
"""


def dump(path: Path, *words: str) -> list[str]:
    """The command of a unit that records how it was started."""
    return python(_DUMP, str(path), *words)


def dumped(path: Path) -> tuple[dict[str, str], list[str], str]:
    eventually(path.exists, "the unit has written down how it was started")
    environ, words, directory = json.loads(path.read_text())
    return environ, words, directory


def free_port(host: str = "127.0.0.1") -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def eventually(what: Callable[[], bool], words: str) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not what():
        assert time.monotonic() < deadline, f"never: {words}"
        time.sleep(0.02)


def until(script: subprocess.Popen[str], text: str) -> str:
    """The output up to a line that begins like this."""
    assert script.stdout is not None
    seen: list[str] = []
    for line in script.stdout:
        seen.append(line)
        if line.startswith(text):
            return "".join(seen)
    raise AssertionError(f"it has never said {text!r}: {seen}")


def words_of(processes: Sequence[psutil.Process]) -> list[str]:
    return [" ".join(process.cmdline()) for process in processes]
