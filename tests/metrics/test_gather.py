"""The sidecar's and the workers' own figures."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from lab import Lab, free_port

from dynkv.metrics.gather import gather, registered_workers
from dynkv.plan.model import Role

FILES = """
import http.server, sys
class Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args): pass
server = http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
print("up", flush=True)
server.serve_forever()
"""
METRICS = """\
lmcache_mp_lookup_requested_tokens_total{model="a"} 300
lmcache_mp_lookup_requested_tokens_total{model="b"} 100
lmcache_mp_lookup_hit_tokens_total{model="a"} 133
lmcache_mp_l1_usage_ratio 0.25
lmcache_mp_l1_memory_usage_bytes 1024
"""


@contextmanager
def serving(directory: Path, port: int, **files: str) -> Iterator[None]:
    directory.mkdir()
    for name, content in files.items():
        (directory / name).write_text(content)
    argv = [sys.executable, "-c", FILES, str(port)]
    with subprocess.Popen(argv, cwd=directory, stdout=subprocess.PIPE) as server:
        assert server.stdout is not None
        assert server.stdout.readline() == b"up\n"
        yield
        server.kill()


@pytest.mark.anyio
async def test_figures_of_the_sidecar_and_of_nixl(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home")
    sidecar = replace(lab.unit("lmcache", role=Role.LMCACHE), ports={"zmq": free_port(), "http": free_port()})
    decode, prefill = lab.unit("decode-0", role=Role.DECODE), lab.unit("prefill-0", role=Role.PREFILL)
    plan = lab.plan(decode, prefill, sidecar)
    status = json.dumps({"registered_gpu_ids": [1, 2], "registered_non_cuda_instance_ids": None})
    nixl = 'vllm:nixl_bytes_transferred_sum{engine="0"} 4096\nvllm:nixl_xfer_time_seconds_sum{engine="0"} 0.5\n'
    with (
        serving(tmp_path / "a", sidecar.ports["http"], metrics=METRICS, status=status),
        serving(tmp_path / "b", decode.ports["system"], metrics=nixl),
    ):
        assert await gather(plan) == {
            "lookup_requested_tokens": 400,
            "lookup_hit_tokens": 133,
            "hit_rate": 0.3325,
            "l1_usage_ratio": 0.25,
            "l1_used_bytes": 1024,
            "registered_workers": 2,
            "nixl_bytes_transferred": 4096,
            "nixl_bytes_s": 8192,
        }


@pytest.mark.anyio
async def test_who_does_not_answer_leaves_its_figures_empty(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    sidecar = replace(lab.unit("lmcache", role=Role.LMCACHE), ports={"zmq": free_port(), "http": free_port()})
    figures = await gather(lab.plan(lab.unit("decode-0", role=Role.DECODE), sidecar))
    assert len(figures) == 8
    assert set(figures.values()) == {None}


@pytest.mark.anyio
async def test_without_sidecar_and_decode_there_is_nothing_to_tell(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert await gather(lab.plan(lab.unit())) == {}


@pytest.mark.parametrize(
    ("status", "number"),
    [
        ('{"registered_gpu_ids": [1, 2, 3]}', 3),
        ('{"registered_gpu_ids": [], "registered_non_cuda_instance_ids": [4]}', 1),
        ("{}", 0),
        ("", None),
        (None, None),
        ("[]", None),
        ("<html>", None),
        ('{"registered_gpu_ids": 3}', None),
    ],
)
def test_registered_workers(status: str | None, number: int | None) -> None:
    assert registered_workers(status) == number
