"""`vllm bench serve`: its arguments, the requests as it reads them, and what it reports. Pure.

Source: vllm 0.31.0, vllm/benchmarks/serve.py and datasets (`timed_trace`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynkv.bench.figures import Answered, Load
from dynkv.bench.workloads import WARM_UP, Asked, Workload

_FIELDS = ("timestamp", "input_length", "output_length", "hash_ids")
_LABELS = ("timestamp", "input-length", "output-length", "hash-ids")
_COLUMNS = ("start_times", "ttfts", "itls", "input_lens", "output_lens", "errors")
ENVIRONMENT = {"PYTHONHASHSEED": "0", "CUDA_VISIBLE_DEVICES": "", "VLLM_NO_USAGE_STATS": "1"}
"""It seeds the tokens of a block by hash(), so the same block is the same tokens in every round; it needs no GPU."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where requests go."""

    endpoint: str
    """The frontend's base URL."""
    served_name: str
    tokenizer: str
    """A directory, or an id."""


def arguments(target: Target, workload: Workload, requests: int, file: Path, result: Path) -> list[str]:
    """`file` has the requests, `result` will have what it reports."""
    timing = (
        ["--self-timed"] if workload.is_timed else ["--no-self-timed", "--max-concurrency", str(workload.at_a_time)]
    )
    labels = [
        word for flag, field in zip(_LABELS, _FIELDS, strict=True) for word in (f"--timed-trace-label-{flag}", field)
    ]
    return [
        *("--backend", "openai", "--endpoint", "/v1/completions", "--base-url", target.endpoint),
        *("--model", target.served_name, "--tokenizer", target.tokenizer),
        *("--dataset-name", "timed_trace", "--dataset-path", str(file), "--num-prompts", str(requests)),
        *("--timed-trace-chunk-hash-size", str(workload.block_tokens), "--timed-trace-sec-multiplier", "0.001"),
        *labels,
        *timing,
        *("--disable-tqdm", "--temperature", "0", "--seed", str(workload.seed)),
        *("--save-result", "--save-detailed", "--result-dir", str(result.parent), "--result-filename", result.name),
    ]


def lines(requests: Sequence[Asked]) -> str:
    """Its trace, one request a line."""
    rows = ((it.at_ms, it.input_tokens, it.output_tokens, it.blocks) for it in requests)
    return "".join(json.dumps(dict(zip(_FIELDS, row, strict=True))) + "\n" for row in rows)


def load_of(report: Mapping[str, Any], requests: Sequence[Asked]) -> Load:
    """What it reports of `requests`, in their order; raises ValueError where it is something else."""
    columns: list[Any] = [report.get(key) for key in _COLUMNS]
    if any(not isinstance(it, list) or len(it) != len(requests) for it in columns):
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
