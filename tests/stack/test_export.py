"""An exported Compose file, carried out without a container engine: its services serve, and its health checks work."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from dynkv.host.sockets import is_free
from dynkv.instack import SCRIPTS

from .asking import complete
from .harness import Dynkv

pytestmark = pytest.mark.stack

HOME = "/var/lib/dynkv"
START_S = 90.0


class Composed:
    """Each service's command with only its own variables, started when the conditions of its dependencies are met."""

    def __init__(self, file: Path, state: Path) -> None:
        text = file.read_text().replace(HOME, str(state))
        self.services: dict[str, dict[str, Any]] = YAML(typ="safe").load(text)["services"]
        self._log = (state / "log").open("wb")
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self) -> None:
        deadline = time.monotonic() + START_S
        while not all(name in self.processes for name in self.services) or not self.is_healthy("frontend"):
            assert time.monotonic() < deadline, sorted(self.services.keys() - self.processes.keys())
            for name, service in self.services.items():
                if name not in self.processes and all(map(self._holds, *_waits(service))):
                    self.processes[name] = subprocess.Popen(
                        _here(service["command"]),
                        env=self._environment(service),
                        stdout=self._log,
                        stderr=self._log,
                    )
            time.sleep(0.2)

    def is_healthy(self, name: str) -> bool:
        test = self.services[name]["healthcheck"]["test"]
        assert test[0] == "CMD"
        return subprocess.run(_here(test[1:]), capture_output=True, timeout=30).returncode == 0

    def end(self) -> None:
        for process in self.processes.values():
            process.terminate()
        for process in self.processes.values():
            process.wait(30)
        self._log.close()

    def _holds(self, name: str, condition: str) -> bool:
        process = self.processes.get(name)
        if process is None:
            return False
        match condition:
            case "service_completed_successfully":
                return process.poll() == 0
            case "service_healthy":
                return self.is_healthy(name)
        return process.poll() is None

    def _environment(self, service: dict[str, Any]) -> dict[str, str]:
        given = {name: value.replace("$$", "$") for name, value in service.get("environment", {}).items()}
        return {"PATH": os.environ["PATH"], "HOME": "/nowhere", **given}


def _waits(service: dict[str, Any]) -> tuple[list[str], list[str]]:
    waits = service.get("depends_on", {})
    return list(waits), [it["condition"] for it in waits.values()]


def _here(words: list[str]) -> list[str]:
    """The command with the stack's interpreter in place of the image's, and with `$$` as `$`, as Compose reads it."""
    words = [word.replace("$$", "$") for word in words]
    return [sys.executable if words[0] == "python3" else words[0], *words[1:]]


@pytest.fixture
def composed(dynkv: Dynkv, tmp_path: Path) -> Iterator[Composed]:
    if taken := [port for port in range(8081, 8084) if not is_free(port)]:
        pytest.skip(f"an export plans for a machine of its own, and ports are taken here: {taken}")
    model = tmp_path / "model"
    subprocess.run([sys.executable, f"{SCRIPTS}/tiny_model.py", str(model)], check=True, timeout=60)
    words = ("--engine", "mocker", "--no-lmcache", "--model", str(model), "--out", str(tmp_path / "out"))
    dynkv.do("export", "compose", "disagg", *words, "--set", f"frontend.port={dynkv.port}")
    made = Composed(tmp_path / "out" / "compose.yaml", tmp_path)
    try:
        yield made
    finally:
        made.end()


def test_its_services_serve(composed: Composed, dynkv: Dynkv) -> None:
    assert set(composed.services) == {"prepare", "frontend", "decode-0", "prefill-0"}
    composed.start()
    assert composed.is_healthy("prefill-0")
    assert complete(dynkv.endpoint, "model", "hello there", 4)
    decode = composed.processes["decode-0"]
    decode.kill()
    decode.wait()
    assert not composed.is_healthy("decode-0")
