"""Changes of a running deployment during which both halves serve together: another name, another version."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from .harness import MOCKER, Dynkv, unit, wait_for
from .streams import Stream, stream

pytestmark = pytest.mark.stack

TWO = (*MOCKER, "--no-lmcache", "--set", "workers.replicas=2")
OLD = ("ai-dynamo==1.3.1", "ai-dynamo-runtime==1.3.1")
NEEDED = "aiohttp kubernetes<33 msgspec prometheus-client<1 pydantic<=2.13 pyzmq transformers typing-extensions uvloop"
"""Imports of its mocker and its frontend; ai-dynamo's own extras would install all that vLLM needs."""


def test_a_frontend_that_restarts_for_a_model_with_another_name_does_not_wait_for_itself(dynkv: Dynkv) -> None:
    dynkv.up("agg", *TWO, "--set", "model.served_name=one")
    other = ("--set", "model.served_name=other", "--set", "frontend.router_mode=random")
    told = dynkv.do(*dynkv.up_words("agg", *TWO, *other), "--timeout", "60", timeout_s=90).stdout
    assert "lost: requests for one, also running ones: the model's name becomes other\n" in told
    assert (dynkv.status()["state"], dynkv.status()["model"]) == ("ready", "other")


@pytest.fixture(scope="module")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The interpreter in DYNKV_OLD_STACK, for hosts without a network, else a newly installed one."""
    if given := os.environ.get("DYNKV_OLD_STACK"):
        yield given
        return
    directory = tmp_path_factory.mktemp("old") / "stack"
    venv.create(directory, with_pip=True)
    python = str(directory / "bin" / "python")
    uv = shutil.which("uv", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    install = [uv, "pip", "install", "--python", python] if uv else [python, "-m", "pip", "install"]
    subprocess.run([*install, "--quiet", "--no-deps", *OLD], check=True, timeout=600)
    subprocess.run([*install, "--quiet", *NEEDED.split()], check=True, timeout=600)
    yield python
    shutil.rmtree(directory)


@pytest.mark.skipif("DYNKV_LONG_TESTS" not in os.environ, reason="installs 0.4 GB: DYNKV_LONG_TESTS=1")
@pytest.mark.parametrize("direction", ["up", "down"])
def test_the_workers_change_to_another_version_without_a_cut_stream(
    dynkv: Dynkv, old_python: str, direction: str
) -> None:
    first, second = (old_python, sys.executable) if direction == "up" else (sys.executable, old_python)
    # 1.3.1 finds a local model's tokenizer only under its path
    model = str(dynkv.home / "_models" / "tiny")
    words = (*TWO, "--set", f"model.served_name={model}", "--set")
    before = dynkv.up("agg", *words, f"python={first}")
    losses = json.loads(
        dynkv.do("diff", "agg", *dynkv.up_words("agg", *words, f"python={second}")[2:], "--json").stdout
    )
    assert losses["losses"] == [
        "new requests until the frontend is back, and running ones that take more than 5 s longer"
    ]
    old_frontend = unit(before, "frontend")["pid"]

    def is_changed() -> bool:
        try:
            frontend = unit(json.loads(dynkv.control("/v1/status", "agg")), "frontend")
        except OSError:  # between two supervisors
            return False
        return bool(frontend["state"] == "ready" and frontend["pid"] != old_frontend)

    with dynkv.started(*dynkv.up_words("agg", *words, f"python={second}")) as up:
        wait_for(is_changed, "the frontend to change")
        streams: list[Stream] = []
        with ThreadPoolExecutor(8) as pool:
            while up.poll() is None:
                streams += pool.map(lambda number: stream(dynkv.port, number, model), range(8))
        assert up.returncode == 0, dynkv.background_output()
    assert len(streams) >= 8
    assert [it for it in streams if not it.is_whole] == []
