"""The `dynkv` command with its own DYNKV_HOME, used as a person uses it."""

from __future__ import annotations

import http.client
import json
import os
import random
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

from .census import Sightings

COMMAND = Path(sys.executable).with_name("dynkv")
MOCKER = ("--engine", "mocker", "--model", "tiny")
Status = dict[str, Any]
Event = dict[str, Any]
Result = subprocess.CompletedProcess[str]

_POLL_S = 0.2
_EPHEMERAL_FROM = 32768  # ip_local_port_range: outgoing connections use no port below it


class Dynkv:
    """Runs verbs, waits for states, and remembers what it saw for the census at the end."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.port = free_port()
        """The frontend's port for the next deployment."""
        self.sightings = Sightings(home)

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # --- verbs ---

    def run(
        self,
        *words: str,
        timeout_s: float = 60.0,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
    ) -> Result:
        """Run one verb to its end. stdout and stderr are text."""
        return subprocess.run(
            [COMMAND, *words],
            env=self.environment(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout_s,
        )

    def do(self, *words: str, timeout_s: float = 60.0) -> Result:
        """Run one verb that must succeed."""
        result = self.run(*words, timeout_s=timeout_s)
        assert result.returncode == 0, f"dynkv {' '.join(words)} ended with {said(result)}"
        return result

    def up(self, profile: str, *options: str, timeout_s: float = 90.0) -> Status:
        """Bring a deployment up; its status when it is ready."""
        self.do(*self.up_words(profile, *options, "--timeout", f"{timeout_s:g}"), timeout_s=timeout_s + 60)
        return self.status()

    def up_words(self, profile: str, *options: str) -> list[str]:
        return ["up", profile, "--set", f"frontend.port={self.port}", *options]

    @contextmanager
    def started(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """Run a verb in the background, in its own session; it is killed at the end if it still runs."""
        with (
            (self.home / "background.out").open("w") as out,
            subprocess.Popen(
                [COMMAND, *words],
                env=self.environment(),
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            try:
                yield process
            finally:
                process.kill()

    def background_output(self) -> str:
        """The output of the last `started` verb."""
        return (self.home / "background.out").read_text()

    def environment(self, more: Mapping[str, str] | None = None) -> dict[str, str]:
        return {**os.environ, "DYNKV_HOME": str(self.home), **(more or {})}

    # --- looking ---

    def status(self, *name: str) -> Status:
        """What `dynkv status --json` prints."""
        result = self.do("status", *name, "--json")
        status: Status = json.loads(result.stdout)
        self._note(status)
        return status

    def control(self, path: str, name: str) -> bytes:
        """GET on the control socket."""
        connection = http.client.HTTPConnection("localhost")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(30.0)
        try:
            connection.sock.connect(str(self.home / name / "control.sock"))
            connection.request("GET", path)
            return connection.getresponse().read()
        finally:
            connection.close()

    def wait_until(self, what: Callable[[Status], bool], name: str, deadline_s: float = 60.0) -> Status:
        """The first status for which `what` holds. It is read from the socket: a command costs half a second of CPU."""
        deadline = time.monotonic() + deadline_s
        while True:
            status: Status = json.loads(self.control("/v1/status", name))
            self._note(status)
            if what(status):
                return status
            assert time.monotonic() < deadline, f"not so after {deadline_s:g} s: {self._in_words(status)}"
            time.sleep(_POLL_S)

    def wait_for_restart(self, unit_name: str, before: Status, deadline_s: float = 60.0) -> Status:
        """The status when another incarnation of the unit is ready, and all units serve again.

        `before` is a status with the earlier incarnation. The supervisor's own request after a restart has been
        answered as well, so that it does not affect what a test counts.
        """
        restarts, name = unit(before, unit_name)["restarts"], before["name"]
        return self.wait_until(
            lambda status: (
                unit(status, unit_name)["restarts"] > restarts
                and status["state"] == "ready"
                and self._answered_since_start(name, unit_name)
            ),
            name,
            deadline_s,
        )

    def _answered_since_start(self, name: str, unit_name: str) -> bool:
        events = self.events(name)
        starts: list[int] = [e["seq"] for e in events if e["unit"] == unit_name and e["data"].get("new") == "starting"]
        answers: list[int] = [e["seq"] for e in events if "answers requests" in e["message"]]
        return max(answers) > max(starts)

    def events(self, name: str) -> list[Event]:
        """The content of events.jsonl."""
        lines = (self.home / name / "events.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def log(self, name: str, unit_name: str) -> str:
        return (self.home / name / "logs" / f"{unit_name}.log").read_text(errors="replace")

    # --- the end ---

    def take_everything_down(self) -> list[str]:
        """Take all deployments down; complaints in words."""
        results = [self.run("down", name, timeout_s=120) for name in self.names()]
        return [f"down: {said(result)}" for result in results if result.returncode != 0]

    def names(self) -> list[str]:
        """The names of all deployments."""
        return [directory.name for directory in self.home.iterdir() if (directory / "journal.json").exists()]

    def left_behind(self) -> list[str]:
        return self.sightings.left_behind()

    def note(self, pids: list[int], ports: list[int]) -> None:
        """Remember what was started without a supervisor, to look for it at the end."""
        self.sightings.note(pids, ports)

    def _note(self, status: Status) -> None:
        pids = [one["pid"] for one in (*status["units"], status["supervisor"] or {"pid": None})]
        ports = [port for one in status["units"] for port in one["ports"].values()]
        self.sightings.note([pid for pid in pids if pid is not None], ports)

    def _in_words(self, status: Status) -> str:
        units = [f"{one['name']} is {one['state']}, {one['probe']}, {one['last_exit']}" for one in status["units"]]
        logs = [f"--- {one['name']}\n{self.log(status['name'], one['name'])[-1500:]}" for one in status["units"]]
        return "\n".join([f"{status['state']} {status.get('detail')}", *units, *logs])


@contextmanager
def fresh_dynkv() -> Iterator[Dynkv]:
    """A new DYNKV_HOME with a short path; at the end everything is taken down, and the host is inspected."""
    dynkv = Dynkv(Path(tempfile.mkdtemp(prefix="dynkv-", dir="/tmp")))
    try:
        yield dynkv
        complaints = dynkv.take_everything_down() + dynkv.left_behind()
    finally:
        _clear(dynkv)
    assert complaints == [], complaints


def _clear(dynkv: Dynkv) -> None:
    """Whatever happened in the test, leave nothing for the next one."""
    if dynkv.sightings.survivors():
        dynkv.take_everything_down()
    for process in dynkv.sightings.survivors():
        process.kill()
    shutil.rmtree(dynkv.home, ignore_errors=True)


def wait_for(what: Callable[[], bool], words: str, deadline_s: float = 30.0) -> None:
    """Return when `what` holds. No event announces it, so it is polled."""
    deadline = time.monotonic() + deadline_s
    while not what():
        assert time.monotonic() < deadline, f"not within {deadline_s:g} s: {words}"
        time.sleep(_POLL_S)


def unit(status: Status, name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in status["units"] if one["name"] == name)
    return found


def pids(status: Status) -> dict[str, int]:
    return {one["name"]: one["pid"] for one in status["units"]}


def first_time(events: list[Event], unit_name: str, state: str) -> datetime:
    """When a unit first reached a state."""
    return next(
        datetime.fromisoformat(event["at"])
        for event in events
        if event["unit"] == unit_name and event["data"].get("new") == state
    )


def said(result: Result) -> str:
    return f"{result.returncode}\n{result.stdout}\n{result.stderr}"


def free_port() -> int:
    """A port on which nothing listens, outside the range of outgoing connections."""
    for port in random.sample(range(20500, _EPHEMERAL_FROM), 100):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
    raise AssertionError("no free port")
