"""Model cards as ai-dynamo 1.6.1 writes them into etcd, and which of them a frontend rejects."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynkv.cluster.cards import rejections
from dynkv.cluster.entry import Entry
from dynkv.cluster.instances import Instance

CARD: dict[str, Any] = {
    "display_name": "tiny",
    "source_path": "/m/tiny",
    "model_info": {"hf_config_json": {"path": "http://10.0.0.1:21000/config.json", "checksum": "blake3:1", "size": 5}},
    "tokenizer": {"hf_tokenizer_json": {"path": "http://10.0.0.1:21000/tokenizer.json", "checksum": "blake3:2"}},
    "prompt_formatter": None,
    "architectural_max_context_length": 8192,
    "kv_cache_block_size": 64,
    "model_type": "Chat|Completions",
    "worker_type": "decode",
    "needs": [["prefill"]],
    "runtime_config": {"context_length": 512, "total_kv_blocks": 16384},
    "extra_files": [{"path": "http://10.0.0.1:21000/a.json", "checksum": "blake3:a"}],
}


def entry(lease: int, created: int, component: str = "backend", **changed: Any) -> Entry:
    card = {**CARD, **changed}
    key = f"v1/mdc/llm/{component}/generate/{lease:x}"
    return Entry(key, json.dumps({"type": "Model", "card_json": card}).encode(), lease, created)


def worker(lease: int) -> Instance:
    return Instance("backend", "10.0.0.1", 21000 + lease, lease, lease, ())


@pytest.mark.parametrize(
    ("changed", "difference"),
    [
        ({"source_path": "/n/tiny"}, "its path of the model is /n/tiny here but /m/tiny at 10.0.0.1:21001"),
        ({"kv_cache_block_size": 16}, "its block size is 16 here but 64 at 10.0.0.1:21001"),
        ({"runtime_config": {"context_length": 256}}, "its context length is 256 here but 512 at 10.0.0.1:21001"),
        ({"runtime_config": {}}, "its context length is 8192 here but 512 at 10.0.0.1:21001"),
        (
            {"model_info": {"hf_config_json": {"checksum": "blake3:9"}}},
            "its config.json differs from that at 10.0.0.1:21001",
        ),
        (
            {"chat_template_file": {"hf_chat_template": {"checksum": "blake3:7"}}},
            "its chat template differs from that at 10.0.0.1:21001",
        ),
        ({"extra_files": []}, "its set of other files differs from that at 10.0.0.1:21001"),
        ({"aliases": ["other"]}, 'its list of other names is ["other"] here but none at'),
    ],
)
def test_the_later_one_is_rejected(changed: dict[str, Any], difference: str) -> None:
    found = rejections([entry(2, created=9, **changed), entry(1, created=5)], [worker(1), worker(2)])
    assert [*found] == [2]
    assert difference in found[2]


@pytest.mark.parametrize(
    "other",
    [
        entry(2, 9, runtime_config={"context_length": 512, "total_kv_blocks": 1}),
        entry(2, 9, model_info={"hf_config_json": {"path": "elsewhere", "checksum": "blake3:1", "size": 7}}),
        entry(2, 9, component="prefill", source_path="/n/tiny"),
        entry(2, 9, worker_type="aggregated", source_path="/n/tiny"),
        entry(2, 9, display_name="lora", source_path="/n/tiny"),
        Entry("v1/mdc/llm/backend/generate/2", b"[" * 100_000, 2, 9),
        Entry("v1/mdc/llm/backend/generate/2", b'{"card_json": 3}', 2, 9),
        Entry("v1/mdc/llm/backend/generate/2", b"[]", 2, 9),
        Entry("v1/instances/llm/backend/generate/2", entry(2, 9, source_path="/n").value, 2, 9),
    ],
)
def test_what_is_no_reason(other: Entry) -> None:
    assert rejections([entry(1, created=5), other], [worker(1), worker(2)]) == {}


def test_after_the_first_has_gone_the_next_one_counts() -> None:
    second, third = entry(2, created=6, source_path="/n/tiny"), entry(3, created=7)
    assert [*rejections([entry(1, created=5), second, third], [])] == [2]
    assert [*rejections([second, third], [])] == [3]
