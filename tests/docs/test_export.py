"""Every shell block of the page on `export` and `import`, run in order, and the import that the page shows."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from .pages import DOCS, ROOT, blocks

PAGE = DOCS / "howto" / "export.md"
MANIFEST = """\
# In the shape of https://github.com/ai-dynamo/dynamo/blob/main/examples/backends/vllm/deploy/agg_router.yaml
# with a probe of its own.

apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata:
  name: vllm-agg-router
spec:
  services:
    Frontend:
      componentType: frontend
      extraPodSpec:
        mainContainer:
          image: nvcr.io/nvidia/ai-dynamo/vllm-runtime:1.3.1
      envs:
        - name: DYN_ROUTER_MODE
          value: kv
    VllmDecodeWorker:
      envFromSecret: hf-token-secret
      componentType: worker
      replicas: 2
      livenessProbe: {httpGet: {path: /live, port: system}}
      extraPodSpec:
        mainContainer: {command: [python3, -m, dynamo.vllm], args: [--model, Qwen/Qwen3-0.6B]}
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with `dynkv`, and with a `docker` whose `compose` is podman-compose: it needs no engine to read a
    file."""
    pytest.importorskip("podman_compose", reason="requirements/dev.txt has it")
    directory = tmp_path_factory.mktemp("programs")
    for name, words in {"dynkv": "-m dynkv", "docker": "-m podman_compose --dry-run"}.items():
        shift = "shift; " if name == "docker" else ""
        (directory / name).write_text(f'#!/bin/sh\n{shift}exec {sys.executable} {words} "$@"\n')
        (directory / name).chmod(0o700)
    return directory


def run(script: str, directory: Path, programs: Path) -> str:
    paths = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": paths}
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=directory,
        env={**env, "DYNKV_HOME": str(directory / "state")},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, f"{script}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_what_the_page_says_can_be_done(programs: Path, tmp_path: Path) -> None:
    scripts = [block.text for block in blocks(PAGE) if block.language == "sh"]
    assert len(scripts) == 4
    for script in scripts:
        run(script, tmp_path, programs)
    for made in ("k8s", "compose", "systemd", "by-hand", "disagg", "cached"):
        assert (tmp_path / made / "README.md").exists()
    assert "decode" in (tmp_path / "disagg" / "deployment.yaml").read_text()


def test_an_import_says_what_the_page_shows(programs: Path, tmp_path: Path) -> None:
    (tmp_path / "agg_router.yaml").write_text(MANIFEST)
    said = run("dynkv import agg_router.yaml --out -", tmp_path, programs)
    (shown,) = [block.text for block in blocks(PAGE) if block.language == "text"]
    assert said.startswith(shown)
    assert "router_mode: kv" in said
