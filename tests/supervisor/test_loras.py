"""Adapters that a worker must be told to load: a real process that forgets them when it ends."""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from lab import Lab, alive
from msgspec.structs import replace

from dynkv.plan.model import Unit
from dynkv.plan.serving import Lora
from dynkv.supervisor.states import State
from dynkv.supervisor.status import LoraStatus, UnitStatus

pytestmark = pytest.mark.anyio

WORKER = """
import json, os, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
port, refuses, loras = int(sys.argv[1]), sys.argv[2], {}
class Handler(BaseHTTPRequestHandler):
    def answer(self, status, told):
        body = json.dumps(told).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(200, {"status": "success", "loras": loras, "count": len(loras)})
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if os.path.exists(refuses):
            return self.answer(500, {"status": "error", "message": f"not found: {asked['source']['uri']}"})
        loras[asked["lora_name"]] = 1
        self.answer(200, {"status": "success"})
    def log_message(self, *args): pass
HTTPServer(("127.0.0.1", port), Handler).serve_forever()
"""
"""A worker that answers like ai-dynamo 1.6.1; it refuses to load while the file of its second argument exists."""

SQL, CODE = Lora("sql", "file:///a/sql"), Lora("org/code", "hf://org/code")


def worker(lab: Lab) -> Unit:
    unit = lab.unit()
    argv = (sys.executable, "-S", "-c", WORKER, str(unit.ports["system"]), str(lab.sick_file(unit.name)))
    return replace(unit, argv=argv, loras=(SQL, CODE))


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


async def test_it_is_ready_when_it_has_loaded_them_and_again_after_its_death(lab: Lab) -> None:
    async with alive(lab, worker(lab)) as life:
        first = await life.reaches(State.READY)
        assert first.loras == (LoraStatus("sql", True), LoraStatus("org/code", True))
        assert first.pid is not None
        os.kill(first.pid, signal.SIGKILL)
        again = await life.until(lambda unit: unit.restarts == 1 and unit.state is State.READY)
        assert again.loras == first.loras
        told = [event.message for event in await life.events() if event.kind == "lora"]
        assert told == ["loaded LoRA sql", "loaded LoRA org/code"] * 2


async def test_one_that_cannot_be_loaded_is_named_until_it_can(lab: Lab) -> None:
    lab.set_sick("worker-0", True)
    async with alive(lab, worker(lab)) as life:

        def is_told(unit: UnitStatus) -> bool:
            return unit.probe is not None and "LoRA sql is not loaded: not found: file:///a/sql" in unit.probe.detail

        named = await life.until(is_told)
        assert named.state is State.STARTING
        assert [lora.loaded for lora in named.loras] == [False, False]
        assert named.loras[1].detail == "not found: hf://org/code"
        lab.set_sick("worker-0", False)
        ready = await life.reaches(State.READY)
        assert all(lora.loaded for lora in ready.loras)
        assert ready.restarts == 0


@pytest.mark.parametrize(
    "answer", [b"[]", b"nonsense", json.dumps({"loras": 3}).encode(), b'{"message": "no such route"}']
)
async def test_what_it_says_of_them_may_be_anything(lab: Lab, answer: bytes) -> None:
    program = WORKER.replace(
        '{"status": "success", "loras": loras, "count": len(loras)}',
        f"json.loads({answer!r})" if answer.startswith((b"[", b"{")) else "'x' * 3",
    )
    unit = worker(lab)
    odd = replace(unit, argv=(*unit.argv[:3], program, *unit.argv[4:]))
    async with alive(lab, odd) as life:
        told = await life.until(lambda it: bool(it.loras))
        assert not any(lora.loaded for lora in told.loras)
        assert all(lora.detail for lora in told.loras)
        assert "fault" not in [event.kind for event in await life.events()]
