"""One deployment of mockers on two nodes, with etcd and NATS from `dynkv up infra` on the first."""

from __future__ import annotations

import base64
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
from debian import program
from nodes import Machine, two_machines

DYNKV = str(Path(sys.executable).with_name("dynkv"))
START_S = 300.0
"""For an engine; mockers take a few seconds."""
MOCKER = ("--engine", "mocker", "--model", "tiny", "--no-lmcache")
PREFILL = ["workers.decode.replicas=0"]
DECODE = ["workers.prefill.replicas=0", "frontend.enabled=false"]
QUESTION = {"model": "tiny", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 4}


@dataclass(frozen=True)
class Nodes:
    first: Machine
    """It has etcd, NATS, the frontend and prefill."""
    second: Machine
    """It has decode."""

    engine: tuple[str, ...] = MOCKER
    """Options of `up` that choose the engine."""

    def up(self, machine: Machine, roles: list[str], *more: str, name: str = "both") -> tuple[int, str]:
        meets = f"cluster.etcd=[http://{self.first.address}:2379]"
        cluster = [meets, f"cluster.advertise={machine.address}", "cluster.namespace=llm"]
        cluster += [f"cluster.nats=nats://{self.first.address}:4222"]
        sets = [word for setting in (*cluster, *roles) for word in ("--set", setting)]
        common = [*self.engine, "--name", name, "--timeout", f"{START_S:g}"]
        done = machine.run(DYNKV, "up", "disagg", *common, *sets, *more, timeout=START_S + 30)
        return done.returncode, done.stdout + done.stderr

    def status(self, machine: Machine, name: str = "both") -> dict[str, Any]:
        done = machine.run(DYNKV, "status", name, "--json")
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    def pids(self) -> dict[str, int]:
        units = [unit for machine in (self.first, self.second) for unit in self.status(machine)["units"]]
        return {unit["name"]: unit["pid"] for unit in units}

    def entries(self) -> list[str]:
        """Keys in etcd of this cluster's workers and nodes."""
        body = json.dumps({"key": "AA==", "range_end": "AA==", "keys_only": True})
        url = f"http://{self.first.address}:2379/v3/kv/range"
        done = self.first.run("curl", "-s", "--noproxy", "*", "-d", body, url)

        return [base64.b64decode(it["key"]).decode() for it in json.loads(done.stdout).get("kvs", [])]

    def ask(self, question: dict[str, Any]) -> dict[str, Any]:
        """The answer to a request. Raises ValueError if the frontend does not answer."""
        url = "http://127.0.0.1:8000/v1/chat/completions"
        head = ["-H", "Content-Type: application/json", "-d", json.dumps(question)]
        done = self.first.run("curl", "-s", "--noproxy", "*", "-m", "10", *head, url)
        answer: dict[str, Any] = json.loads(done.stdout)
        return answer

    def answers(self) -> bool:
        try:
            return bool(self.ask(QUESTION)["choices"][0]["message"]["content"])
        except (ValueError, KeyError):
            return False

    def answered_by(self, requests: int) -> dict[str, int]:
        """How many workers of each role have answered that many requests."""
        seen: dict[str, set[int]] = {"decode": set(), "prefill": set()}
        for number in range(requests):
            asked = {**QUESTION, "messages": [{"role": "user", "content": f"Hello {number}"}]}
            answer = self.ask({**asked, "nvext": {"extra_fields": ["worker_id"]}})
            for role, workers in seen.items():
                workers.add(answer["nvext"]["worker_id"][f"{role}_worker_id"])
        return {role: len(workers) for role, workers in seen.items()}

    def down(self) -> None:
        for machine in (self.second, self.first):
            done = machine.run(DYNKV, "down", "both")
            assert done.returncode == 0, done.stderr

    def processes(self) -> list[str]:
        """Command lines of all processes of this deployment on both machines, found by their markers."""
        homes, found = {str(self.first.home), str(self.second.home)}, []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                marks = process.environ()
                if marks.get("DYNKV_HOME") in homes and marks.get("DYNKV_DEPLOYMENT") == "both":
                    found.append(" ".join(process.cmdline()))
        return found

    def lose_each_other(self) -> None:
        """Drop the packets between the two, without telling either."""
        for one, other in ((self.first, self.second), (self.second, self.first)):
            words = ("lladdr", "02:00:00:00:00:01", "nud", "permanent", "dev", "eth0")
            assert one.run("ip", "neigh", "replace", other.address, *words).returncode == 0

    def find_each_other(self) -> None:
        for one, other in ((self.first, self.second), (self.second, self.first)):
            assert one.run("ip", "neigh", "del", other.address, "dev", "eth0").returncode == 0

    def told(self, machine: Machine) -> str:
        """The messages of all events about the cluster."""
        events = map(json.loads, machine.run(DYNKV, "events", "both", "--json").stdout.splitlines())
        return "\n".join(event["message"] for event in events if event["kind"] == "cluster")

    def until(self, what: str, holds: Callable[[], bool], within_s: float = 60.0) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"{what}: {self.status(self.first)}\n{self.status(self.second)}"
            time.sleep(0.25)

    def until_whole(self) -> None:
        self.until(
            "both are ready", lambda: [self.status(it)["state"] for it in (self.first, self.second)] == 2 * ["ready"]
        )


@contextmanager
def with_infra(directory: Path) -> Iterator[Nodes]:
    """Two machines, of which the first runs etcd and NATS; everything on them is taken down at the end."""
    program("ip", "iproute2")
    program("etcd", "etcd-server")
    program("nats-server", "nats-server")
    with two_machines(directory) as (first, second):
        found = Nodes(first, second)
        try:
            infra = first.run(DYNKV, "up", "infra", "--set", f"cluster.advertise={first.address}")
            assert infra.returncode == 0, infra.stderr
            yield found
        finally:
            for machine in (second, first):
                machine.run(DYNKV, "down", "both")
            first.run(DYNKV, "down", "infra")
