"""`vllm bench serve`: its arguments, the requests in its format, and its report. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, ClassVar

from dynkv.bench.figures import Answered, Load
from dynkv.bench.tools import Target
from dynkv.bench.trace import line_of
from dynkv.bench.workloads import WARM_UP, Asked, Workload

_LABELS = "timestamp input-length output-length hash-ids".split()
_COLUMNS = ("start_times", "ttfts", "itls", "input_lens", "output_lens", "errors")


class VllmServe:
    """Requests made of blocks, sent at their times or with limited concurrency."""

    words: ClassVar[str] = "vllm bench serve"
    program: ClassVar[str] = "vllm"
    environment: ClassVar[Mapping[str, str]] = {
        "PYTHONHASHSEED": "0",
        "CUDA_VISIBLE_DEVICES": "",
        "VLLM_NO_USAGE_STATS": "1",
    }
    """It derives the tokens of a block from hash(), so this makes the same block the same in every round; it needs
    no GPU."""
    is_new_each_round: ClassVar[bool] = True

    def refusal(self, workload: Workload) -> str:
        return ""

    def arguments(self, target: Target, workload: Workload, requests: Sequence[Asked], stem: PurePath) -> list[str]:
        if workload.is_timed:
            timing = ["--self-timed"]
        else:
            timing = ["--no-self-timed", "--max-concurrency", str(workload.at_a_time)]
        labels = [word for it in _LABELS for word in (f"--timed-trace-label-{it}", it.replace("-", "_"))]
        result = self.result(stem)
        return [
            *("--backend", "openai", "--endpoint", "/v1/completions", "--base-url", target.endpoint),
            *("--model", target.served_name, "--tokenizer", target.tokenizer),
            *("--dataset-name", "timed_trace", "--dataset-path", f"{stem}.jsonl", "--num-prompts", str(len(requests))),
            *("--timed-trace-chunk-hash-size", str(workload.block_tokens), "--timed-trace-sec-multiplier", "0.001"),
            *labels,
            *timing,
            *("--disable-tqdm", "--temperature", "0", "--seed", str(workload.seed)),
            *("--save-result", "--save-detailed", "--result-dir", str(result.parent), "--result-filename", result.name),
        ]

    def text(self, requests: Sequence[Asked]) -> str:
        return "".join(map(line_of, requests))

    def result(self, stem: PurePath) -> PurePath:
        return stem.with_name(f"{stem.name}.json")

    def load_of(self, text: str, requests: Sequence[Asked]) -> Load:
        report: dict[str, Any] = json.loads(text)
        columns: list[Any] = [report[key] for key in _COLUMNS]
        if any(len(it) != len(requests) for it in columns):
            raise ValueError("its report does not have every request")
        answered, errors = [], []
        for request, values in zip(requests, zip(*columns, strict=True), strict=True):
            start, first, gaps, read, written, error = values
            if request.label == WARM_UP:
                continue
            if error or not written:
                errors.append(str(error or "no token"))
            else:
                answered.append(Answered(request.label, start, first, tuple(gaps), read, written))
        return Load(tuple(answered), len(errors), next(iter(errors), ""))
