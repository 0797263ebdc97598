"""Each shipped profile, started by the script of `plan --shell` in an interactive shell and ended by Ctrl-C."""

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
"""Stopping the sidecar takes 3 s; a busy machine gets more."""


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
        """Return when the script says that all are ready; its processes are remembered for the end."""
        # into a file: programs block if nobody reads from their terminal
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
        """All processes of the script, except itself and the helpers that it asks and waits with."""
        (script,) = psutil.Process(self.bash.pid).children()
        passing = {"", "sleep", "curl", "grep"}
        return [process for process in script.children(recursive=True) if name_of(process) not in passing]

    def end(self) -> int:
        """Press Ctrl-C; the exit code."""
        self.bash.sendintr()
        self.bash.expect_exact(PROMPT, timeout=END_S)
        self.bash.sendline("echo code=$?.")
        self.bash.expect(r"code=(\d+)\.", timeout=30)
        assert isinstance(self.bash.match, re.Match)
        return int(self.bash.match[1])

    def close(self) -> None:
        self.bash.close(force=True)

    def left_behind(self) -> list[str]:
        """What is left: as after `down`, and by the arguments that each of the stack's processes gets."""
        told = [pid for pid in psutil.pids() if environment(pid).get("DYN_FILE_KV") == self._discovery]
        return [*self.dynkv.left_behind(), *(f"process {pid}" for pid in told)]


def name_of(process: psutil.Process) -> str:
    """Its name; empty if it is gone."""
    try:
        return process.name()
    except psutil.NoSuchProcess:
        return ""


@contextmanager
def shell(dynkv: Dynkv, profile: str, *options: str) -> Iterator[Shell]:
    # ports that no deployment has by default: others may start during the sidecar's imports
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
    """Its engine is a grandchild, which survives a plain kill of the worker."""
    settings = ("--device", "cpu", "--model", str(random_model), "--set", f"model.args={ARGS}")
    with shell(dynkv, "agg", *settings) as it:
        it.start(240)
        assert [process for process in it.processes() if "EngineCore" in name_of(process)]
        assert complete(dynkv.endpoint, "random", prompt(300, seed=2)).text
        assert it.end() == 130
        assert it.left_behind() == []
