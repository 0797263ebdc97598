"""The real programs on the CPU, under dynkv and under a launch script, until the first request is answered."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynkv.children.tree import Host
from dynkv.host.processes import command_line

from .figures import Figure, Samples
from .install import ROOT
from .launch_script import launch_script
from .processes import alive, wait_until_gone

PROFILES = {"agg": "worker-0", "disagg": "decode-0"}
"""The profiles, and the worker that is killed in each."""
SUBJECTS = ("dynkv, standby always", "dynkv, standby off", "launch script")
FIGURES = [
    Figure(f"{what}_{profile}", title.format(profile), 1, note)
    for profile in PROFILES
    for what, title, note in (
        (
            "up",
            "{}: from the command to the first answer, s",
            "Asked is `POST /v1/completions` for one token, each 0.1 s, from the command until it is answered with 200."
            if profile == "agg"
            else "",
        ),
        (
            "kill",
            "{}: from `kill -9` of a worker's main process to the next answer, s",
            "Killed is the worker of agg and the decode worker of disagg; the next answer is the first one after "
            "a request has failed."
            if profile == "agg"
            else "",
        ),
    )
]
_UP_LIMIT_S = 300.0
_KILL_LIMIT_S = 240.0
_ASK_EACH_S = 0.1
_ASK_TIMEOUT_S = 10.0
_CALM_S = 5.0


class Launcher(ABC):
    """One way to run a profile. `home` is its DYNKV_HOME, or the equivalent."""

    def __init__(self, home: Path, profile: str) -> None:
        self.home = home
        self.profile = profile
        self.port = _free_port()

    def words(self) -> list[str]:
        return [self.profile, "--device", "cpu", "--model", "tiny", "--set", f"frontend.port={self.port}"]

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
            timeout=_UP_LIMIT_S,
        )
        if done.returncode != 0:
            said = " ".join(done.stderr.replace(str(self.home), "…").split())[-300:]
            raise RuntimeError(f"dynkv {words[0]} ended with {done.returncode}: {said}")
        return done.stdout

    def plan(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.dynkv("plan", *self.words(), "--json"))
        return found


class UnderDynkv(Launcher):
    def __init__(self, home: Path, profile: str, standby: str) -> None:
        super().__init__(home, profile)
        self.standby = standby

    def start(self) -> None:
        with (self.home / "up.out").open("wb") as out:
            self._up = subprocess.Popen(
                [sys.executable, "-m", "dynkv", "up", *self.words(), "--set", f"standby={self.standby}"],
                env=_environment(self.home),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
            )

    def calm_down(self) -> None:
        """Return when `up` has returned and the standby, if there is to be one, is parked."""
        self._up.wait(_UP_LIMIT_S)
        deadline = time.monotonic() + _UP_LIMIT_S
        while self.standby == "always" and "parked" not in {one["state"] for one in self._status()["standbys"]}:
            if time.monotonic() > deadline:
                raise TimeoutError("no one is parked")
            time.sleep(0.5)

    def pid_of(self, unit: str) -> int:
        return next(int(one["pid"]) for one in self._status()["units"] if one["name"] == unit)

    def stop(self) -> None:
        with suppress(RuntimeError, subprocess.SubprocessError):
            self.dynkv("down")
        self._up.wait(60)

    def _status(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.dynkv("status", "--json"))
        return found


class UnderScript(Launcher):
    def start(self) -> None:
        plan = self.plan()
        script = self.home / "launch.sh"
        script.write_text(launch_script(plan))
        Path(plan["discovery_dir"]).mkdir(parents=True)
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


def measure_stack(rounds: int, samples: Samples, say: Callable[[str], None]) -> None:
    """Measure round by round, one launcher after the other."""
    for number in range(rounds):
        for profile in PROFILES:
            for subject in SUBJECTS:
                try:
                    for key, value in _one(subject, profile):
                        samples.add(f"{key}_{profile}", subject, value)
                        say(f"round {number + 1}, {profile}, {subject}, {key}: {value:.1f} s")
                except (RuntimeError, OSError, StopIteration, subprocess.SubprocessError) as error:
                    samples.failures.append(f"{subject}, {profile}, round {number + 1}: {error}")
                    say(f"failed: {samples.failures[-1]}")


def _one(subject: str, profile: str) -> Iterator[tuple[str, float]]:
    with _started(subject, profile) as (launcher, began, client), _told(launcher):
        client.wait_for_answer(began, _UP_LIMIT_S, "of the start")
        yield "up", time.monotonic() - began
        launcher.calm_down()
        time.sleep(_CALM_S)
        pid = launcher.pid_of(PROFILES[profile])
        began = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        client.wait_for_failure(began, 30.0)
        client.wait_for_answer(began, _KILL_LIMIT_S, f"after kill -9 of {PROFILES[profile]}")
        yield "kill", time.monotonic() - began


@contextmanager
def _told(launcher: Launcher) -> Iterator[None]:
    """Add the launcher's output to a TimeoutError."""
    try:
        yield
    except TimeoutError as error:
        raise TimeoutError(f"{error}{launcher.story()}") from error


@dataclass(frozen=True, slots=True)
class Client:
    port: int

    def wait_for_answer(self, began: float, limit_s: float, when: str) -> None:
        """Return at the first answer. Raises TimeoutError if there was none within `limit_s` of `began`."""
        while not self.is_answered():
            if time.monotonic() - began > limit_s:
                raise TimeoutError(f"no request was answered within {limit_s:g} s {when}")
            time.sleep(_ASK_EACH_S)

    def wait_for_failure(self, began: float, limit_s: float) -> None:
        while self.is_answered():
            if time.monotonic() - began > limit_s:
                raise TimeoutError(f"no request failed within {limit_s:g} s")

    def is_answered(self) -> bool:
        """Whether one request for one token is answered."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=_ASK_TIMEOUT_S)
        body = json.dumps({"model": "tiny", "prompt": "Hello there", "max_tokens": 1})
        try:
            connection.request("POST", "/v1/completions", body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            return response.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


@contextmanager
def _started(subject: str, profile: str) -> Iterator[tuple[Launcher, float, Client]]:
    """Start a launcher; yields it, the time of the command, and a client. The model is made before, the same for
    all."""
    home = Path(tempfile.mkdtemp(prefix="dynkv-bench-", dir="/tmp"))
    launcher: Launcher
    if subject == "launch script":
        launcher = UnderScript(home, profile)
    else:
        launcher = UnderDynkv(home, profile, subject.rpartition(" ")[2])
    try:
        plan = launcher.plan()
        tiny_model = next(step for step in plan["prepare"] if step["step"] == "run")
        subprocess.run(tiny_model["argv"], check=True, capture_output=True)
        began = time.monotonic()
        launcher.start()
        try:
            yield launcher, began, Client(launcher.port)
        finally:
            launcher.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)


def _free_port() -> int:
    """A free port below those that the kernel gives to outgoing connections."""
    while True:
        port = random.randrange(18000, 32000)
        with socket.socket() as one, suppress(OSError):
            one.bind(("127.0.0.1", port))
            return port


def _environment(home: Path) -> dict[str, str]:
    return {**os.environ, "DYNKV_HOME": str(home), "PYTHONPATH": str(ROOT)}
