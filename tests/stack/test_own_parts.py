"""Dynamo's own programs as custom units, without the stack that dynkv plans."""

from __future__ import annotations

import sys

import pytest

from dynkv.instack import tiny_model

from .asking import chat
from .harness import Dynkv, unit

pytestmark = pytest.mark.stack

PROFILE = """
topology: none
units:
  - name: model
    kind: job
    argv: [{python}, {make}, {model}]
  - name: front
    argv: [{python}, -m, dynamo.frontend, --http-host, 127.0.0.1, --http-port, "{port}"]
    ports: {{http: {port}}}
    probes: {{http_get: {{port: http, path: /v1/models/mine/ready}}, period_seconds: 0.5}}
  - name: mock
    argv: [{python}, -m, dynamo.mocker, --model-path, {model}, --model-name, mine]
    depends_on: [model]
"""


def test_a_frontend_and_a_mocker_find_each_other(dynkv: Dynkv) -> None:
    profile, model = dynkv.home / "parts.yaml", dynkv.home / "_models" / "mine"
    model.parent.mkdir()
    profile.write_text(
        PROFILE.format(python=sys.executable, make=tiny_model.__file__, model=model, port=dynkv.port), encoding="utf-8"
    )
    dynkv.do("up", str(profile), "--timeout", "90", timeout_s=120)
    status = dynkv.status()
    assert {one["name"]: one["state"] for one in status["units"]} == {
        "model": "completed",
        "front": "ready",
        "mock": "ready",
    }
    assert unit(status, "model")["last_exit"]["code"] == 0
    assert chat(dynkv.endpoint, "mine", "Hello")
    assert any((dynkv.home / "parts" / "discovery").rglob("*"))
