"""`aiperf profile`: its arguments, the requests in its format, and its report. Pure.

NVIDIA's load generator, from its own environment; a new process each round, which takes seconds before its first
request. Source: aiperf 0.13.0 (`mooncake_trace`, `profile_export.jsonl`).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from pathlib import PurePath
from typing import Any, ClassVar

from msgspec import Struct
from msgspec.structs import replace

from dynkv.bench.figures import Answered, Load
from dynkv.bench.tools import Target
from dynkv.bench.trace import line_of
from dynkv.bench.workloads import WARM_UP, Asked, Workload

_HUB_NAME = "dynkv/tokenizer"
"""The name of a tokenizer directory in the hub's cache that is made for it."""


class Aiperf(Struct, frozen=True):
    """Requests made of blocks, sent at their times or with limited concurrency."""

    command: str
    """The program's path."""
    block_tokens: int
    """The workload's block size."""

    words: ClassVar[str] = "aiperf profile"
    program: ClassVar[str] = "aiperf"
    environment: ClassVar[Mapping[str, str]] = {
        "CUDA_VISIBLE_DEVICES": "",
        "AIPERF_DATASET_MMAP_CACHE_ENABLED": "false",
    }
    """Without this it would keep the prompts of all rounds in the home directory, for a run with the same ones,
    which never happens."""
    is_new_each_round: ClassVar[bool] = True

    def refusal(self, workload: Workload) -> str:
        """Why it cannot make this load: it takes prompts of no token for invalid, and answers of none for any
        length."""
        empty = [it for it in workload.recorded if it.input_tokens < 1 or it.output_tokens < 1]
        return f"{self.words} cannot ask for nothing, as {len(empty)} requests of the trace do" if empty else ""

    def arguments(self, target: Target, workload: Workload, requests: Sequence[Asked], stem: PurePath) -> list[str]:
        """The hub's cache to make and the directory to put into it (empty for none), then the command."""
        is_directory = PurePath(target.tokenizer).is_absolute()
        return [
            *(str(stem / "hub"), target.tokenizer if is_directory else ""),
            *("env", f"AIPERF_DATASET_MMAP_BASE_PATH={stem}", *([f"HF_HUB_CACHE={stem}/hub"] if is_directory else [])),
            *(self.command, "profile", "--url", target.endpoint, "--model", target.served_name),
            *("--tokenizer", _HUB_NAME if is_directory else target.tokenizer, "--use-server-token-count"),
            *("--endpoint-type", "completions", "--streaming"),
            *("--custom-dataset-type", "mooncake_trace", "--input-file", f"{stem}.jsonl"),
            *("--prompt-input-tokens-block-size", str(self.block_tokens), "--random-seed", str(workload.seed)),
            *_timing(workload, len(requests)),
            *("--extra-inputs", "temperature:0", "--extra-inputs", "ignore_eos:true"),
            *("--output-artifact-dir", str(stem), "--export-level", "records"),
            *("--ui", "none", "--no-server-metrics", "--no-gpu-telemetry"),
        ]

    def text(self, requests: Sequence[Asked]) -> str:
        """Lines in Mooncake's format, each a session whose name identifies its record."""
        fresh = count((max((max(it.blocks, default=0) for it in requests), default=0) + 1) * self.block_tokens)
        lines = (line_of(replace(it, blocks=tuple(self._blocks(it, fresh)))) for it in requests)
        return "".join(
            json.dumps({"session_id": str(number), **json.loads(line)}) + "\n" for number, line in enumerate(lines)
        )

    def _blocks(self, request: Asked, fresh: Iterator[int]) -> Iterator[int]:
        """Block ids, all of one length as it requires: a shortened block is different from the whole one.

        What no block of the trace covers must not repeat in any other request; otherwise it would be the same in every
        round.
        """
        left = request.input_tokens
        for block in request.blocks:
            yield block * self.block_tokens + (left if left < self.block_tokens else 0)
            left -= self.block_tokens
        while left > 0:
            yield next(fresh)
            left -= self.block_tokens

    def result(self, stem: PurePath) -> PurePath:
        return stem / "profile_export.jsonl"

    def load_of(self, text: str, requests: Sequence[Asked]) -> Load:
        records: dict[str, dict[str, Any]] = {}
        for line in text.splitlines():
            record = json.loads(line)
            records[record["metadata"]["conversation_id"]] = record
        if records.keys() != {str(number) for number in range(len(requests))}:
            raise ValueError("its report does not have every request")
        answered, errors = [], []
        for number, request in enumerate(requests):
            record = records[str(number)]
            if request.label == WARM_UP:
                continue
            if error := _error(record):
                errors.append(error)
            else:
                answered.append(_answered(record, request.label))
        return Load(tuple(answered), len(errors), next(iter(errors), ""))


def _timing(workload: Workload, requests: int) -> list[str]:
    if workload.is_timed:
        return ["--fixed-schedule"]
    at_a_time = min(workload.at_a_time, requests)
    return ["--no-fixed-schedule", "--concurrency", str(at_a_time), "--request-count", str(requests)]


def _error(record: Mapping[str, Any]) -> str:
    if error := record.get("error"):
        return str(error["message"] or error["type"] or "it failed")
    return "" if "time_to_first_token" in record["metrics"] else "no token"


def _answered(record: Mapping[str, Any], label: str) -> Answered:
    """An answered request. Times are in ms; an output in a single piece has no gaps."""
    values: dict[str, Any] = {name: metric["value"] for name, metric in record["metrics"].items()}
    return Answered(
        label,
        record["metadata"]["request_start_ns"] / 1e9,
        values["time_to_first_token"] / 1e3,
        tuple(gap / 1e3 for gap in values.get("inter_chunk_latency", ())),
        values["input_sequence_length"],
        values["output_sequence_length"],
    )
