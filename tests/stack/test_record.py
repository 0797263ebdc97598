"""`dynkv record`: real traffic of mockers, as lengths, times and salted hashes."""

from __future__ import annotations

import json
import os
import signal
import stat
from pathlib import Path

import pytest

from .asking import complete
from .harness import MOCKER, Dynkv, said, unit, wait_for

pytestmark = pytest.mark.stack

MARKER = "kumquat"
BEGINNING = f"{MARKER} tells of a fruit " * 60


def ask(dynkv: Dynkv, end: str) -> None:
    complete(dynkv.endpoint, "tiny", BEGINNING + end, max_tokens=4)


def files(dynkv: Dynkv) -> list[Path]:
    found = [Path(place, name) for place, _, names in os.walk(dynkv.home) for name in names]
    return [file for file in found if file.is_file() and not file.is_symlink()]


def test_traffic_is_recorded_without_its_text(dynkv: Dynkv) -> None:
    trace = dynkv.home / "trace.jsonl"
    before = dynkv.up("agg", *MOCKER, "--no-lmcache")
    refused = dynkv.run("record", "--out", str(trace))
    assert (refused.returncode, "frontend.record=true" in refused.stderr) == (4, True), said(refused)
    status = dynkv.up("agg", *MOCKER, "--no-lmcache", "--set", "frontend.record=true")
    assert unit(status, "frontend")["pid"] != unit(before, "frontend")["pid"]
    assert unit(status, "worker-0")["pid"] == unit(before, "worker-0")["pid"]
    ask(dynkv, "before anybody records")

    with dynkv.started("record", "--out", str(trace)) as recording:
        wait_for(lambda: "recording" in dynkv.background_output(), "a recorder that is ready")
        for end in ("first", "second", "third"):
            ask(dynkv, end)
        wait_for(lambda: trace.read_text().count("timestamp") == 3, "three requests in the trace")
        recording.send_signal(signal.SIGINT)
        assert recording.wait(20) == 0, dynkv.background_output()

    head, *requests = [json.loads(line) for line in trace.read_text().splitlines()]
    assert (head["dynkv_trace"], stat.S_IMODE(trace.stat().st_mode)) == (1, 0o600)
    whole = min(request["input_length"] for request in requests) // head["block_size"] - 1
    assert whole > 0
    assert len({tuple(request["hash_ids"][:whole]) for request in requests}) == 1
    assert {request["output_length"] for request in requests} == {4}
    assert "3 requests in" in dynkv.background_output()
    written = (dynkv.home / "agg/tmp/frontend/requests.jsonl").read_text()
    assert not any(str(block) in written for request in requests for block in request["hash_ids"])
    assert [file for file in files(dynkv) if MARKER.encode() in file.read_bytes()] == []

    nothing = dynkv.run("record", "--out", str(dynkv.home / "none.jsonl"), "--for", "0.1")
    assert (nothing.returncode, "nothing was recorded" in nothing.stderr) == (1, True), said(nothing)
    taken = dynkv.run("record", "--out", str(trace))
    assert (taken.returncode, "already exists" in taken.stderr) == (2, True), said(taken)
    dynkv.do("down")
    assert not (dynkv.home / "agg/tmp/frontend/requests.jsonl").exists()
