"""Ctrl-C while a command is still importing, or while an extension module works, ends it like any other."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynkv.interrupts import held_back

PROFILE = "topology: none\nunits: [{name: a, argv: [sleep, '1000']}]\n"

WHILE_IMPORTING = """
import os, signal, sys

class Presses:
    def __init__(self, module):
        self.module = module

    def find_spec(self, name, path=None, target=None):
        if name == self.module:
            self.module = None
            os.kill(os.getpid(), signal.SIGINT)

sys.meta_path.insert(0, Presses(sys.argv.pop(1)))
from dynkv.cli.app import main
sys.exit(main())
"""


@pytest.fixture
def interruptible() -> Iterator[None]:
    """Whatever the tests before, or the shell that started them, have made of this signal."""
    handler = signal.signal(signal.SIGINT, signal.default_int_handler)
    mask = signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        signal.signal(signal.SIGINT, handler)


@pytest.mark.usefixtures("interruptible")
def test_what_arrives_meanwhile_takes_effect_at_the_end() -> None:
    done = []
    with pytest.raises(KeyboardInterrupt), held_back():
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)  # tests before may have left threads that take it
        done.append("work")
    assert done == ["work"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ())


@pytest.mark.parametrize(
    ("verb", "module"),
    [
        ("up", "datetime"),
        ("up", "_decimal"),
        ("up", "pydantic_core.core_schema"),
        ("down", "datetime"),
        ("plan", "typer"),
        ("plan", "datetime"),
    ],
)
def test_an_import_is_not_broken_off(verb: str, module: str, tmp_path: Path) -> None:
    """msgspec ignores that its import of datetime has failed, and crashes later."""
    profile, home = tmp_path / "mine.yaml", tmp_path / "home"
    profile.write_text(PROFILE)
    words = [verb, *([str(profile)] if verb in ("up", "plan") else [])]
    env = {**os.environ, "DYNKV_HOME": str(home), "PYTHONPATH": ":".join(filter(None, sys.path))}
    command = [sys.executable, "-P", "-c", WHILE_IMPORTING, module, *words]
    run = subprocess.run(command, env=env, capture_output=True, text=True)
    assert (run.returncode, run.stdout, run.stderr) == (130, "", "")
    assert not (home / "mine" / "journal.json").exists()


UNHELD = """
import os, signal, sys

class Looks:
    def find_spec(self, name, path=None, target=None):
        is_fragile = name.partition(".")[0] == "msgspec" or name == "dynkv.profile.model"
        if is_fragile and signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, ()):
            print("unheld:", name)

sys.meta_path.insert(0, Looks())
from dynkv.cli.app import main
sys.exit(main())
"""


@pytest.mark.parametrize("verb", ["up", "plan", "doctor", "status", "down", "logs", "events", "wait", "init", "park"])
def test_fragile_modules_are_imported_while_signals_are_held_back(verb: str, tmp_path: Path) -> None:
    """msgspec crashes later otherwise, and pydantic makes an error of its own while the models are made."""
    stopped = tmp_path / "home" / "mine"
    (stopped / "logs").mkdir(parents=True)
    (stopped / "journal.json").write_text('{"stopped": true, "children": {}}')
    env = {**os.environ, "DYNKV_HOME": str(tmp_path / "home"), "PYTHONPATH": ":".join(filter(None, sys.path))}
    words = [verb, *([str(tmp_path / "none.yaml")] if verb in ("up", "plan", "doctor", "park") else [])]
    command = [sys.executable, "-P", "-c", UNHELD, *words]
    run = subprocess.run(command, env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert "unheld" not in run.stdout
