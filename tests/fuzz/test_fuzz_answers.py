"""Answers of units to probes: any framing, any body."""

from __future__ import annotations

import socket
from contextlib import suppress

import anyio
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import BYTES, JSON, as_json, bounded, damaged, fuzz, soup, with_another_value
from lab import Lab

from dynkv.metrics.rates import increase, quantile
from dynkv.metrics.traffic import passed_on
from dynkv.probes.attempt import model_ids, reason_in
from dynkv.probes.http import Response, _receive, _response
from dynkv.probes.inference import _CLASSIFY, _COMPLETIONS
from dynkv.probes.inference import _read as read_reply
from dynkv.probes.registered import registered_in
from dynkv.probes.text import read, samples, total

pytestmark = pytest.mark.anyio

HEADS = [b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 503 X\r\n", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 101 X\r\n"]
FIELDS = [b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Content-Length: -1\r\n", b"Content-Length: 1e9\r\n"]
FIELDS += [
    b"Content-Length: 99999999999999999999999\r\n",
    b"Transfer-Encoding: chunked\r\n",
    b"Transfer-Encoding: gzip\r\n",
]
FIELDS += [
    b"Content-Encoding: gzip\r\n",
    b"Connection: close\r\n",
    b"Upgrade: x\r\n",
    b" folded\r\n",
    b": \r\n",
    b"X" * 20_000,
]
CHUNKS = [
    b"5\r\nabcde\r\n",
    b"0\r\n\r\n",
    b"ffffffffffffffffff\r\n",
    b"5;x=y\r\n",
    b"-1\r\n",
    b"1\r\nx\r\n" * 500,
    b"0\r\na: b\r\n",
]
LINES = [
    b"\r\n",
    b"\n",
    b"\r",
    b"data: {}\n\n",
    b"\x1f\x8b\x08\x00",
    b"HTTP/2.0 200\r\n",
    b"SSH-2.0-x\r\n",
    b"\x16\x03\x01",
]
PLAIN = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n5\r\nabcde\r\n10\r\n0123456789abcdef\r\n0\r\n\r\n"
)

METRICS = b"""# HELP a b
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total{model="a b, {c}",x="\\"\\n\\\\"} 7 1700000000
h_bucket{le="0.1"} 2
h_bucket{le="+Inf"} 3 # {trace="x"} 1
h_sum NaN
"""
SAMPLES = [
    *(b'a{le="1"} 1\n|a_bucket{le="NaN"} 2\n|a{ b = "c" , }|+Inf|1e999|-|{|}|"|\\|,|=| 1|\n|# HELP|\t|a:b'.split(b"|"))
]
HEALTH = {
    "status": "unhealthy",
    "namespaces": {"dynamo": {"reason": "missing worker types: prefill"}},
    "reason": {"message": {"detail": ["x"]}},
    "data": [{"id": "m", "object": "model"}],
    "choices": [{"text": "x"}],
    "nvext": {"worker_id": {"decode_worker_id": 1, "prefill_worker_id": "2"}},
    "registered_gpu_ids": [1, "2"],
    "registered_non_cuda_instance_ids": [],
}


@fuzz
@given(soup(HEADS + FIELDS + CHUNKS + LINES) | soup([*HEADS, PLAIN, *CHUNKS]) | damaged(PLAIN), st.integers(1, 60))
@example(HEADS[2] * 3000, 60)
async def test_framing(answer: bytes, first: int) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs, bounded(), suppress(OSError), anyio.fail_after(10):
        ours.setblocking(False)
        theirs.sendall(answer[:first] + answer[first:200_000])
        theirs.shutdown(socket.SHUT_WR)
        found = await _response(ours, await _receive(ours), "GET")
        assert 100 <= found.status < 1000 or not found.is_whole


@fuzz
@given(soup(SAMPLES, max_size=30) | damaged(METRICS) | BYTES)
@example(b"a" * 1_000_000)
@example(b"a{" + b'b="c",' * 100_000)
@example(b'a{b="' + b"\\\\" * 500_000)
@example(b"a " + b"9" * 1_000_000)
@example(b"a 1 " + b" " * 1_000_000 + b"x")
def test_prometheus_text(tmp_path_factory: pytest.TempPathFactory, body: bytes) -> None:
    text = body.decode(errors="replace")
    lab = Lab(tmp_path_factory.getbasetemp() / "lab")
    with bounded():
        figures = read(text)
        for name in figures:
            total(figures, name)
            increase({}, figures, name)
            quantile({}, figures, name.removesuffix("_bucket"), 0.5)
        assert len(list(samples(text))) >= sum(len(found) for found in figures.values())
        passed_on("mine", [(lab.unit(), text)]).encode()


@fuzz
@given(with_another_value(HEALTH).map(as_json) | damaged(as_json(HEALTH)) | JSON.map(as_json) | BYTES)
@example(b"[" * 100_000)
@example(b'{"reason":' * 100_000)
@example(b'{"data": {"id": 1}}')
@example(b'{"data": ' + b"9" * 5000 + b"}")
@example(b'{"choices": [1], "nvext": {"worker_id": {"worker_id": ' + b"9" * 4000 + b"}}}")
def test_bodies(body: bytes) -> None:
    with bounded():
        reason = reason_in(body)
        assert reason is None or reason.isprintable()
        assert all(isinstance(it, str) for it in model_ids(body))
        registered_in(body)
        for status in (200, 503):
            for endpoint in (_COMPLETIONS, _CLASSIFY):
                assert read_reply(endpoint, Response(status, body)).detail.isprintable()
