"""The ways to run the real programs: under dynkv, and by a launch script."""

from __future__ import annotations

import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from dynkv.children.tree import Host
from dynkv.host.processes import command_line

from .install import ROOT
from .launch_script import launch_script
from .processes import alive, wait_until_gone

UP_LIMIT_S = 300.0
_DOWN_LIMIT_S = 60.0


class Launcher(ABC):
    """One way to run a profile with options. `home` is its DYNKV_HOME, or the equivalent."""

    def __init__(self, home: Path, words: Sequence[str]) -> None:
        self.home = home
        self.port = _free_port()
        self.words = [*words, "--set", f"frontend.port={self.port}"]

    @abstractmethod
    def start(self) -> None:
        """Start it, and return at once."""

    @abstractmethod
    def calm_down(self) -> None:
        """Wait until it has done everything that it does ahead of a crash."""

    @abstractmethod
    def pid_of(self, unit: str) -> int: ...

    def story(self) -> str:
        """The output of an unsuccessful start or recovery, for a note."""
        return ""

    @abstractmethod
    def down(self) -> None:
        """End it as a person does, and return when nothing of it is left. Raises RuntimeError if something is."""

    @abstractmethod
    def park(self) -> None:
        """Do ahead of the next start what can be done while nothing runs."""

    @abstractmethod
    def stop(self) -> None:
        """End all of it, by any means."""

    def dynkv(self, *words: str) -> str:
        """The output of a command. Raises RuntimeError if it fails."""
        done = subprocess.run(
            [sys.executable, "-m", "dynkv", *words],
            env=_environment(self.home),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=UP_LIMIT_S,
        )
        if done.returncode != 0:
            said = " ".join(done.stderr.replace(str(self.home), "…").split())[-300:]
            raise RuntimeError(f"dynkv {words[0]} ended with {done.returncode}: {said}")
        return done.stdout

    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.dynkv("plan", *self.words, "--json"))
        return found


class UnderDynkv(Launcher):
    def __init__(self, home: Path, words: Sequence[str], standby: str) -> None:
        super().__init__(home, [*words, "--set", f"standby={standby}"])
        self.standby = standby

    def start(self) -> None:
        with (self.home / "up.out").open("wb") as out:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "dynkv", "up", *self.words],
                env=_environment(self.home),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def calm_down(self) -> None:
        """Return when `up` has returned and the standby, if there is to be one, is parked."""
        self._up.wait(UP_LIMIT_S)
        deadline = time.monotonic() + UP_LIMIT_S
        while self.standby == "always" and "parked" not in {one["state"] for one in self._status()["standbys"]}:
            if time.monotonic() > deadline:
                raise TimeoutError("no one is parked")
            time.sleep(0.5)

    def pid_of(self, unit: str) -> int:
        return next(int(one["pid"]) for one in self._status()["units"] if one["name"] == unit)

    def down(self) -> None:
        self.dynkv("down")

    def park(self) -> None:
        """Park the imports if there is to be a standby; `park` returns when they are parked."""
        if self.standby == "always":
            self.dynkv("park", *self.words)

    def stop(self) -> None:
        for words in (["down"], ["park", "--stop"]):
            with suppress(RuntimeError, subprocess.SubprocessError):
                self.dynkv(*words)
        self._up.wait(60)

    def _status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.dynkv("status", "--json"))
        return found


class UnderScript(Launcher):
    def start(self) -> None:
        plan = self.plan()
        script = self.home / "launch.sh"
        script.write_text(launch_script(plan))
        Path(plan["discovery_dir"]).mkdir(parents=True, exist_ok=True)
        self._commands = {unit["name"]: "\0".join([*unit["argv"], ""]).encode() for unit in plan["units"]}
        with (self.home / "launch.out").open("wb") as out:
            self._script = subprocess.Popen(
                ["bash", str(script)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def calm_down(self) -> None:
        """Return at once: a script does nothing ahead of a crash."""

    def pid_of(self, unit: str) -> int:
        return next(pid for pid in self._session() if command_line(pid) == self._commands[unit])

    def story(self) -> str:
        again = (self.home / "launch.out").read_text(errors="replace").count("starting it again")
        return f"; by then its loops had started something again {again} times"

    def park(self) -> None:
        """Return at once: a script does nothing ahead of a start either."""

    def down(self) -> None:
        """Press Ctrl-C: the terminal sends the signal to the whole group."""
        os.killpg(self._script.pid, signal.SIGINT)
        deadline = time.monotonic() + _DOWN_LIMIT_S
        while left := self._session():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{len(left)} processes are left {_DOWN_LIMIT_S:g} s after Ctrl-C")
            self._script.poll()
            time.sleep(0.05)

    def stop(self) -> None:
        """End it by session: `kill 0` does not reach an orphan with its own group."""
        while pids := self._session():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._script.wait()
            wait_until_gone(pids, 10.0)

    def _session(self) -> list[int]:
        every = Host.now().processes.values()
        return alive(process.pid for process in every if process.sid == self._script.pid)


def _free_port() -> int:
    """A free port below those that the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(18000, 32000)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "DYNKV_HOME": str(home), "PYTHONPATH": str(ROOT)}
