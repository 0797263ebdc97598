"""Forms of Dynamo's launch scripts that no other test starts, with its mocker as the engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from launch_scripts import PROFILES

from .asking import chat
from .harness import MOCKER, Dynkv, free_port

pytestmark = pytest.mark.stack

SHAPES = (
    "agg_router_approx.sh",
    "agg_router_replicas.sh",
    "dep.sh",
    "disagg_router.sh",
    "conditional_prefill_v1_smoke_test.sh",
)
OF_THE_ENGINE = ("model.", "workers.gpu")
"""Keys that only a real engine understands, or that require GPUs."""


@pytest.mark.parametrize("name", SHAPES)
def test_its_shape_serves(name: str, dynkv: Dynkv, tmp_path: Path) -> None:
    script = next(script for script in PROFILES if script.name == name)
    settings = {key: value for key, value in script.settings.items() if not key.startswith(OF_THE_ENGINE)}
    second = free_port()
    text = json.dumps(nested({"extends": script.profile, **settings}))
    profile = tmp_path / "shape.yaml"
    profile.write_text(text.replace('"python3"', json.dumps(sys.executable)).replace("8001", str(second)))

    status = dynkv.up(str(profile), *MOCKER)
    assert status["state"] == "ready"
    workers = [unit for unit in status["units"] if unit["role"] in ("worker", "decode", "prefill")]
    asked = [value for key, value in settings.items() if key.endswith("replicas")]
    assert len(workers) == sum(asked)
    assert chat(dynkv.endpoint, "tiny", "Hello")
    if "units" in settings:
        assert chat(f"http://127.0.0.1:{second}", "tiny", "Hello"), "both frontends know the workers"
    dynkv.do("down")
    assert dynkv.left_behind() == []


def nested(settings: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in settings.items():
        *outer, last = key.split(".")
        into = found
        for part in outer:
            into = into.setdefault(part, {})
        into[last] = value
    return found
