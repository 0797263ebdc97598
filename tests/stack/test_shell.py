"""Each shipped profile from the script that `plan --shell` prints, in an interactive shell, ended by Ctrl-C."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import psutil
import pytest

from dynkv.profile.load import shipped

from .asking import complete, prompt
from .census import environment
from .harness import MOCKER, Dynkv, free_port, wait_for
from .random_model import ARGS

pytestmark = pytest.mark.stack

PROMPT = "dynkv-prompt> "
END_S = 60.0
"""A stop of the sidecar takes 3 s; more than that is given to a busy machine."""


class Shell:
    """An interactive bash in which a script runs."""

    def __init__(self, dynkv: Dynkv, words: list[str]) -> None:
        self.dynkv = dynkv
        self.plan: dict[str, Any] = json.loads(dynkv.do("plan", *words, "--json").stdout)
        self._discovery = str(self.plan["discovery_dir"])
        self.script = dynkv.home / "script.sh"
        self.script.write_text(dynkv.do("plan", *words, "--shell").stdout)
        environ = {**os.environ, "PS1": PROMPT, "TERM": "dumb", "http_proxy": "http://127.0.0.1:9"}
        self.log = dynkv.home / "script.log"
        self.bash = pexpect.spawn("bash", ["--norc", "--noprofile", "-i"], env=environ, encoding="utf-8", echo=False)
        self.bash.expect_exact(PROMPT, timeout=30)

    def start(self, within_s: float) -> None:
        """Return when it says that all are ready; what it has started is looked for in the end."""
        # into a file: programs whose terminal nobody reads from come to a stand
        self.bash.sendline(f"bash {self.script} >{self.log} 2>&1")
        ready = f"\nready: {self.dynkv.endpoint}\n"
        wait_for(lambda: ready in self.said() or self.has_ended(), "ready", within_s)
        assert ready in self.said(), self.said()[-3000:]
        ports = [port for unit in self.plan["units"] for port in unit["ports"].values()]
        self.dynkv.note([process.pid for process in self.processes()], ports)

    def said(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def has_ended(self) -> bool:
        return self.log.exists() and not psutil.Process(self.bash.pid).children()

    def processes(self) -> list[psutil.Process]:
        """All that the script has started, but for itself and what it asks and waits with."""
        (script,) = psutil.Process(self.bash.pid).children()
        passing = {"", "sleep", "curl", "grep"}
        return [process for process in script.children(recursive=True) if name_of(process) not in passing]

    def end(self) -> int:
        """Ctrl-C; the exit code."""
        self.bash.sendintr()
        self.bash.expect_exact(PROMPT, timeout=END_S)
        self.bash.sendline("echo code=$?.")
        self.bash.expect(r"code=(\d+)\.", timeout=30)
        assert isinstance(self.bash.match, re.Match)
        return int(self.bash.match[1])

    def close(self) -> None:
        self.bash.close(force=True)

    def left_behind(self) -> list[str]:
        """As after `down`, and by what each of the stack's processes is told at its start."""
        told = [pid for pid in psutil.pids() if environment(pid).get("DYN_FILE_KV") == self._discovery]
        return [*self.dynkv.left_behind(), *(f"process {pid}" for pid in told)]


def name_of(process: psutil.Process) -> str:
    """Empty when it has gone."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


@contextmanager
def shell(dynkv: Dynkv, profile: str, *options: str) -> Iterator[Shell]:
    # ports that no deployment has by default: others may start while the sidecar does its imports
    ports = {"frontend.port": dynkv.port, "lmcache.port": free_port(), "lmcache.http_port": free_port()}
    settings = [word for key, port in ports.items() for word in ("--set", f"{key}={port}")]
    made = Shell(dynkv, [profile, *settings, *options])
    try:
        yield made
    finally:
        made.close()


@pytest.mark.parametrize("profile", [name for name in shipped() if name != "infra"])  # it has no stack
def test_with_the_mocker(dynkv: Dynkv, profile: str) -> None:
    with shell(dynkv, profile, *MOCKER) as it:
        it.start(120)
        assert len(it.processes()) >= len(it.plan["units"])
        assert complete(dynkv.endpoint, "tiny", prompt(40, seed=1), max_tokens=4).text
        assert it.end() == 130
        assert it.left_behind() == []


def test_with_real_vllm(dynkv: Dynkv, random_model: Path) -> None:
    """Its engine is a grandchild, which outlives a plain kill of the worker."""
    settings = ("--device", "cpu", "--model", str(random_model), "--set", f"model.args={ARGS}")
    with shell(dynkv, "agg", *settings) as it:
        it.start(240)
        assert [process for process in it.processes() if "EngineCore" in name_of(process)]
        assert complete(dynkv.endpoint, "random", prompt(300, seed=2)).text
        assert it.end() == 130
        assert it.left_behind() == []
