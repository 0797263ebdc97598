"""The real programs on the CPU, under dynkv and under a launch script: starts, crashes and ends."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stack.streams import stream

from .figures import Figure, Samples
from .launchers import UP_LIMIT_S, Launcher, UnderDynkv, UnderScript

SUBJECTS = ("dynkv, standby always", "dynkv, standby off", "launch script")
REFERENCE = "launch script"
_STREAMS = 24
_STREAMED_S = 0.4
"""When to kill: streams take a second or more."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What is run, which units are killed at once, by figure, and whether it is started again after its end."""

    name: str
    words: tuple[str, ...]
    killed: tuple[tuple[str, tuple[str, ...]], ...] = ()
    streams_through: str = ""
    """The unit that is killed while streams run, if any."""
    again: bool = False


SCENARIOS = (
    Scenario(
        "agg",
        ("agg", "--device", "cpu", "--model", "tiny"),
        (("kill", ("worker-0",)), ("both", ("worker-0", "lmcache"))),
        again=True,
    ),
    Scenario("disagg", ("disagg", "--device", "cpu", "--model", "tiny"), (("kill", ("decode-0",)),)),
    Scenario(
        "agg-router",
        ("agg-router", "--engine", "mocker", "--model", "tiny", "--no-lmcache"),
        streams_through="worker-0",
    ),
)
FIGURES = [
    Figure(
        "up_agg",
        "agg: from the command to the first answer, s",
        1,
        "Asked is `POST /v1/completions` for one token, each 0.1 s, from the command until it is answered with 200.",
    ),
    Figure(
        "kill_agg",
        "agg: from `kill -9` of a worker's main process to the next answer, s",
        1,
        "Killed is the worker of agg and the decode worker of disagg; the next answer is the first one after a request "
        "has failed.",
    ),
    Figure("both_agg", "agg: from `kill -9` of the worker and the sidecar to the next answer, s", 1),
    Figure(
        "down_agg",
        "agg: from the command that ends it until nothing is left, s",
        1,
        "The script is ended by Ctrl-C.",
    ),
    Figure(
        "again_agg",
        "agg: from the command to the first answer after an earlier end, s",
        1,
        "With a standby, `dynkv park` has kept the imports.",
    ),
    Figure("up_disagg", "disagg: from the command to the first answer, s", 1),
    Figure("kill_disagg", "disagg: from `kill -9` of a worker's main process to the next answer, s", 1),
    Figure("down_disagg", "disagg: from the command that ends it until nothing is left, s", 1),
    Figure(
        "cut_agg-router",
        f"agg-router with mockers: of {_STREAMS} streams, cut by `kill -9` of one of two workers",
        0,
        "Dynamo's scripts leave its request migration off, so the script does too.",
    ),
]
_FAILURES = (RuntimeError, OSError, StopIteration, subprocess.SubprocessError)
_KILL_LIMIT_S = 150.0
_ASK_EACH_S = 0.1
_ASK_TIMEOUT_S = 10.0
_CALM_S = 5.0


def measure_stack(rounds: int, samples: Samples, say: Callable[[str], None]) -> None:
    """Measure round by round, one launcher after the other."""
    for number in range(rounds):
        for scenario in SCENARIOS:
            for subject in SUBJECTS:
                _Trial(subject, scenario, f"round {number + 1}", samples, say).run()


class _Trial:
    """One scenario under one launcher. What fails is recorded; what can still be measured afterwards is."""

    def __init__(
        self, subject: str, scenario: Scenario, when: str, samples: Samples, say: Callable[[str], None]
    ) -> None:
        self._subject, self._scenario, self._when = subject, scenario, when
        self._samples, self._say = samples, say

    def run(self) -> None:
        try:
            with _launcher(self._subject, self._scenario.words) as launcher:
                self._run(launcher, Client(launcher.port))
        except _FAILURES as error:
            self._failed("all", str(error))

    def _run(self, launcher: Launcher, client: Client) -> None:
        scenario, measured = self._scenario, partial(self._measured, launcher)
        if not measured("up", partial(_up, launcher, client)):
            return
        if scenario.killed or scenario.streams_through:
            launcher.calm_down()
        for key, units in scenario.killed:
            time.sleep(_CALM_S)
            if not measured(key, partial(_recovery, launcher, client, units)):
                break
            launcher.calm_down()
        if scenario.streams_through:
            measured("cut", partial(_cut_streams, launcher, scenario.streams_through))
        if measured("down", partial(_down, launcher)) and scenario.again:
            launcher.park()
            measured("again", partial(_up, launcher, client))

    def _measured(self, launcher: Launcher, key: str, measure: Callable[[], float]) -> bool:
        try:
            value = measure()
        except _FAILURES as error:
            self._failed(key, f"{error}{launcher.story() if isinstance(error, TimeoutError) else ''}")
            return False
        self._samples.add(f"{key}_{self._scenario.name}", self._subject, value)
        self._say(f"{self._when}, {self._scenario.name}, {self._subject}, {key}: {value:.1f}")
        return True

    def _failed(self, key: str, why: str) -> None:
        self._samples.failures.append(f"{self._subject}, {self._scenario.name}, {self._when}, {key}: {why}")
        self._say(f"failed: {self._samples.failures[-1]}")


def _up(launcher: Launcher, client: Client) -> float:
    began = time.monotonic()
    launcher.start()
    client.wait_for_answer(began, UP_LIMIT_S, "of the start")
    return time.monotonic() - began


def _recovery(launcher: Launcher, client: Client, units: Sequence[str]) -> float:
    pids = [launcher.pid_of(unit) for unit in units]
    began = time.monotonic()
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    client.wait_for_failure(began, 30.0)
    client.wait_for_answer(began, _KILL_LIMIT_S, f"after kill -9 of {' and '.join(units)}")
    return time.monotonic() - began


def _down(launcher: Launcher) -> float:
    began = time.monotonic()
    launcher.down()
    return time.monotonic() - began


def _cut_streams(launcher: Launcher, unit: str) -> float:
    pid = launcher.pid_of(unit)
    with ThreadPoolExecutor(_STREAMS) as clients:
        streams = [clients.submit(stream, launcher.port, number) for number in range(_STREAMS)]
        time.sleep(_STREAMED_S)
        os.kill(pid, signal.SIGKILL)
    return sum(not it.result().is_whole for it in streams)


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
def _launcher(subject: str, words: Sequence[str]) -> Iterator[Launcher]:
    """A launcher that has not started anything; all that it has started is ended. The model is made before, the same
    for all."""
    home = Path(tempfile.mkdtemp(prefix="dynkv-bench-", dir="/tmp"))
    standby = subject.rpartition(" ")[2]
    launcher = UnderScript(home, words) if subject == REFERENCE else UnderDynkv(home, words, standby)
    try:
        plan = launcher.plan()
        tiny_model = next(step for step in plan["prepare"] if step["step"] == "run")
        subprocess.run(tiny_model["argv"], check=True, capture_output=True)
        try:
            yield launcher
        finally:
            launcher.stop()
    finally:
        shutil.rmtree(home, ignore_errors=True)
