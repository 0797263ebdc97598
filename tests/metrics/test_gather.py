"""The metrics of sidecar and workers."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import answering
import anyio
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab, free_port
from msgspec.structs import replace

from dynkv.metrics.gather import KvFigures, gather
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
lmcache_mp_l2_usage_bytes{type="fs"} 2048
lmcache_mp_l2_usage_bytes{type="s3"} 1024
"""
FIGURES = [line.split("{")[0].split()[0] for line in METRICS.splitlines()]
FIGURES += ["vllm:nixl_bytes_transferred_sum", "vllm:nixl_xfer_time_seconds_sum"]


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
            "l2_used_bytes": 3072,
            "registered_workers": 2,
            "nixl_bytes_transferred": 4096,
            "nixl_bytes_s": 8192,
        }


@pytest.mark.anyio
async def test_two_sidecars_count_together_even_if_one_says_nothing(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home")
    names = ("lmcache", "lmcache-decode", "lmcache-that-starts")
    sidecars = [
        replace(lab.unit(name, role=Role.LMCACHE), ports={"zmq": free_port(), "http": free_port()}) for name in names
    ]
    status = json.dumps({"registered_gpu_ids": [1, 2]})
    fuller = METRICS.replace("0.25", "0.75").replace('{model="a"} 133', '{model="a"} 67')
    with (
        serving(tmp_path / "a", sidecars[0].ports["http"], metrics=METRICS, status=status),
        serving(tmp_path / "b", sidecars[1].ports["http"], metrics=fuller, status=status),
    ):
        found = await gather(lab.plan(lab.unit(), *sidecars))
    assert found == {
        "lookup_requested_tokens": 800,
        "lookup_hit_tokens": 200,
        "hit_rate": 0.25,
        "l1_usage_ratio": 0.75,
        "l1_used_bytes": 2048,
        "l2_used_bytes": 6144,
        "registered_workers": 4,
    }


@pytest.mark.anyio
async def test_who_does_not_answer_leaves_its_figures_empty(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    sidecar = replace(lab.unit("lmcache", role=Role.LMCACHE), ports={"zmq": free_port(), "http": free_port()})
    figures = await gather(lab.plan(lab.unit("decode-0", role=Role.DECODE), sidecar))
    assert len(figures) == 9
    assert set(figures.values()) == {None}


@pytest.mark.anyio
async def test_without_sidecar_and_decode_there_is_nothing_to_tell(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert await gather(lab.plan(lab.unit())) == {}


# --- whatever they say ---


@pytest.mark.parametrize("value", ["foo", "NaN", "+Inf", "1e999", "1_0", "", '"', "-", "\xff", "3 4 5"])
@pytest.mark.anyio
async def test_nonsense_in_one_line_hides_no_other(tmp_path: Path, value: str) -> None:
    nonsense = METRICS.replace("133", value).replace("0.25", value)
    found = await gather_from(tmp_path, nonsense.encode("latin-1"), b"{}")
    assert found["lookup_requested_tokens"] == 400
    assert found["l1_used_bytes"] == 1024
    assert (found["lookup_hit_tokens"], found["hit_rate"], found["l1_usage_ratio"]) == (None, None, None)


NUMBERS = st.floats().map(str) | st.sampled_from(["1e308", "-1e308", "5e-324", "1e999", "foo", "0", "400"])
LINES = st.lists(st.tuples(st.sampled_from(FIGURES), st.sampled_from(["", '{a="1"}', '{a="2"}', '{a="']), NUMBERS))
SAID = LINES.map(lambda lines: "".join(f"{name}{labels} {value}\n" for name, labels, value in lines).encode())
STATUS = st.binary() | st.sampled_from([b"[]", b"null", b'{"registered_gpu_ids": {"a": [1]}}', b"[" * 100_000])


@given(SAID | st.binary(), STATUS)
@pytest.mark.anyio
async def test_whatever_they_say_the_status_stays_json(said: bytes, status: bytes) -> None:
    with TemporaryDirectory() as directory:
        found = await gather_from(Path(directory), said, status)
    assert len(found) == 9
    assert all(value is None or math.isfinite(value) for value in found.values())
    assert msgspec.json.decode(msgspec.json.encode(found)) == found


async def gather_from(directory: Path, metrics: bytes, status: bytes) -> KvFigures:
    """What is gathered if the sidecar and a worker both answer this."""
    lab = Lab(directory)
    async with answering.serving(lambda path: answering.http(200, status if path == "/status" else metrics)) as server:
        sidecar = replace(lab.unit("lmcache", role=Role.LMCACHE), ports={"zmq": free_port(), "http": server.port})
        decode = replace(lab.unit("decode-0", role=Role.DECODE), ports={"system": server.port})
        with anyio.fail_after(20):
            return await gather(lab.plan(decode, sidecar))


@pytest.mark.anyio
async def test_all_are_asked_before_the_first_has_answered(tmp_path: Path) -> None:
    """Each answers only when all have been asked."""
    lab, all_asked, asked = Lab(tmp_path), anyio.Event(), 0

    async def answer(path: str) -> bytes:
        nonlocal asked
        asked += 1
        if asked == 4:
            all_asked.set()
        await all_asked.wait()
        return answering.http(200, b'{"registered_gpu_ids": [7]}' if path == "/status" else METRICS.encode())

    async with AsyncExitStack() as stack:
        ports = [(await stack.enter_async_context(answering.serving(answer))).port for _ in range(3)]
        sidecar = replace(lab.unit("lmcache", role=Role.LMCACHE), ports={"zmq": free_port(), "http": ports[0]})
        workers = [
            replace(lab.unit(role, role=role), ports={"system": port})
            for role, port in zip((Role.DECODE, Role.PREFILL), ports[1:], strict=True)
        ]
        with anyio.fail_after(20):
            found = await gather(lab.plan(*workers, sidecar))
    assert (found["registered_workers"], found["lookup_requested_tokens"]) == (1, 400)
