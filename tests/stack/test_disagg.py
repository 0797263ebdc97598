"""disagg with real vLLM: decode first, then prefill, KV blocks through NIXL in host memory."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from .asking import chat, chat_in_pieces, complete, prompt
from .census import environment
from .figures import figures, registered
from .harness import Dynkv, Status, first_time, unit

pytestmark = pytest.mark.stack

START_S = 300.0
"""Two workers one after the other: 65 to 150 s on two cores."""
ALONE = "{prefill-0: {args: [--max-num-seqs, 4], env: {OF_ONE_TOKEN: x}}}"
"""A secret for one worker does not keep it from starting from the standby."""
HYBRID_FLAG = "--disable-hybrid-kv-cache-manager"


@pytest.fixture(scope="module")
def disagg(module_dynkv: Dynkv) -> Dynkv:
    alone = ("--set", f"workers.each={ALONE}")
    module_dynkv.up("disagg", "--device", "cpu", "--model", "tiny", *alone, timeout_s=START_S)
    return module_dynkv


def test_decode_was_ready_before_prefill_was_started(disagg: Dynkv) -> None:
    events = disagg.events("disagg")
    assert first_time(events, "lmcache", "ready") <= first_time(events, "decode-0", "starting")
    assert first_time(events, "decode-0", "ready") <= first_time(events, "prefill-0", "starting")


def test_the_workers_agree_on_what_the_handshake_compares(disagg: Dynkv) -> None:
    status = disagg.status()
    decode, prefill = (_arguments(status, name) for name in ("decode-0", "prefill-0"))
    assert HYBRID_FLAG in decode
    assert HYBRID_FLAG in prefill
    assert _transfer(decode)["kv_connector"] == "NixlConnector"
    sidecar, nixl = _transfer(prefill)["kv_connector_extra_config"]["connectors"]
    assert sidecar["kv_connector"] == "LMCacheMPConnector"
    assert nixl == _transfer(decode)
    assert nixl["kv_buffer_device"] == "cpu"


def test_what_one_worker_has_of_its_own_reaches_it_alone(disagg: Dynkv) -> None:
    units = {one["name"]: one["pid"] for one in disagg.status()["units"]}
    given = {name: ("OF_ONE_TOKEN" in environment(pid), _given(pid)[-2:]) for name, pid in units.items()}
    own = given.pop("prefill-0")
    assert own == (True, ["--max-num-seqs", "4"])
    assert len(given) == 3
    assert all(not has_token and "--max-num-seqs" not in words for has_token, words in given.values())


def test_a_prompt_is_computed_by_one_worker_and_answered_by_the_other(disagg: Dynkv) -> None:
    decode_port = unit(disagg.status(), "decode-0")["ports"]["system"]
    before = figures(decode_port)["vllm:nixl_bytes_transferred_sum"]
    reply = complete(disagg.endpoint, "tiny", prompt(1200, seed=30))
    assert reply.text
    assert reply.prompt_tokens >= 1200
    assert reply.workers["prefill_worker_id"] != reply.workers["decode_worker_id"]
    after = figures(decode_port)
    assert after["vllm:nixl_bytes_transferred_sum"] > before


def test_no_transfer_failed(disagg: Dynkv) -> None:
    status = disagg.status()
    for name in ("decode-0", "prefill-0"):
        found = figures(unit(status, name)["ports"]["system"])
        failures = {figure: value for figure, value in found.items() if "nixl_num_failed" in figure}
        assert {value for figure, value in failures.items() if not figure.endswith("_created")} == {0.0}, failures


def test_it_chats_at_once_and_in_pieces(disagg: Dynkv) -> None:
    whole = chat(disagg.endpoint, "tiny", "What is a cache?")
    pieces = chat_in_pieces(disagg.endpoint, "tiny", "What is a cache?")
    assert whole
    assert len(pieces) > 1
    assert "".join(pieces) == whole


def test_prefill_alone_is_registered_at_the_sidecar(disagg: Dynkv) -> None:
    port = unit(disagg.status(), "lmcache")["ports"]["http"]
    assert len(registered(port)) == 1
    assert figures(port)["lmcache_mp_lookup_requested_tokens_total"] > 0


def _arguments(status: Status, name: str) -> list[str]:
    return _given(unit(status, name)["pid"])


def _given(pid: int) -> list[str]:
    """The arguments of the process itself, not those of the plan."""
    return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")


def _transfer(arguments: list[str]) -> dict[str, Any]:
    config: dict[str, Any] = json.loads(arguments[arguments.index("--kv-transfer-config") + 1])
    return config
