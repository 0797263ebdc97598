"""How long a person waits for the answer to a command, measured one after the other, round by round."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from .figures import Figure, Samples
from .install import FROM_PYPI, Peers
from .subjects.base import Subject, SubjectError
from .subjects.dynkv import Dynkv
from .subjects.supervisord import Supervisord
from .trials import trial

BASE = "python -c pass"
DOWN = "dynkv down, first output"
SUBJECTS = (
    BASE,
    "dynkv --version",
    "dynkv --help",
    "dynkv status",
    DOWN,
    "supervisorctl status",
    "docker --version",
)
FIGURES = (
    Figure("time", "ms", 0, "The time is from the start of the program to its end, of `down` to its first output."),
    Figure("ratio", f"times `{BASE}`", 2, f"The ratio is to `{BASE}` (the same interpreter) just before it."),
)
CHILDREN = 10


def measure_answers(rounds: int, samples: Samples, peers: Peers, say: Callable[[str], None]) -> None:
    """Measure the commands. Both supervisors have the same children; programs that are not installed are left out, and
    named."""
    for number in range(rounds):
        with ExitStack() as stack:
            dynkv = stack.enter_context(trial(Dynkv, peers, "sleep", CHILDREN))
            dynkv.start()
            other = None
            if "supervisord" not in peers.missing:
                other = stack.enter_context(trial(Supervisord, peers, "sleep", CHILDREN))
                other.start()
            for _ in range(rounds):
                _once(dynkv.subject, None if other is None else other.subject, samples)
            _first_output_of_down(dynkv.subject, samples)
            if other is not None:
                other.stop()
        say(f"round {number + 1}, answers")
    if shutil.which("docker") is None:
        samples.failures.append("docker is not on this machine")


def programs(peers: Peers) -> dict[str, str]:
    """The versions of the other programs that are installed."""
    found = {} if "supervisord" in peers.missing else {"supervisord": FROM_PYPI["supervisord"].partition("==")[2]}
    if (docker := shutil.which("docker")) is not None:
        said = subprocess.run([docker, "--version"], capture_output=True, text=True, check=True).stdout
        found["docker"] = said.split()[2].rstrip(",")
    return found


def _once(dynkv: Subject, supervisord: Subject | None, samples: Samples) -> None:
    for name, command in _commands(dynkv, supervisord):
        base_s = _seconds(lambda: dynkv.run(sys.executable, "-c", "pass"))
        _add(samples, name, _seconds(command), base_s)
        _add(samples, BASE, base_s, base_s)


def _commands(dynkv: Subject, supervisord: Subject | None) -> Iterator[tuple[str, Callable[[], object]]]:
    yield "dynkv --version", lambda: dynkv.run(sys.executable, "-m", "dynkv", "--version")
    yield "dynkv --help", lambda: dynkv.run(sys.executable, "-m", "dynkv", "--help")
    yield "dynkv status", dynkv.status
    if supervisord is not None:
        yield "supervisorctl status", supervisord.status
    if (docker := shutil.which("docker")) is not None:
        yield "docker --version", lambda: dynkv.run(docker, "--version")


def _first_output_of_down(dynkv: Subject, samples: Samples) -> None:
    """Time `down` to its first output in a terminal, as a person sees it."""
    base_s = _seconds(lambda: dynkv.run(sys.executable, "-c", "pass"))
    ours, its = pty.openpty()
    began = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "-m", "dynkv", "down"],
        env=dynkv.environment(),
        cwd=dynkv.directory,
        stdin=subprocess.DEVNULL,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    os.read(ours, 1)
    _add(samples, DOWN, time.monotonic() - began, base_s)
    while _read(ours):
        pass
    os.close(ours)
    if code := process.wait():
        raise SubjectError("dynkv", ["down"], f"ended with {code}", "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # the program has closed the other end
        return b""


def _add(samples: Samples, name: str, took_s: float, base_s: float) -> None:
    samples.add("time", name, 1000 * took_s)
    samples.add("ratio", name, took_s / base_s)


def _seconds(command: Callable[[], object]) -> float:
    began = time.monotonic()
    command()
    return time.monotonic() - began
