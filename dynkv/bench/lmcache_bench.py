"""`lmcache bench engine`: its arguments and its report. Pure.

Its chats are real ones: a turn contains the answer to the previous one. It makes texts, the same in each round, and
lengths are approximately those requested. Source: lmcache 0.5.6, lmcache/cli/commands/bench/engine_bench.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import ClassVar

from dynkv.bench.figures import Answered, Load
from dynkv.bench.tools import Target
from dynkv.bench.workloads import Asked, Workload

_SESSION = re.compile(r"s(\d+)_r\d+")


class LMCacheBench:
    """Chats, documents or random prompts."""

    words: ClassVar[str] = "lmcache bench engine"
    program: ClassVar[str] = "lmcache"
    environment: ClassVar[Mapping[str, str]] = {
        "CUDA_VISIBLE_DEVICES": "",
        "LMCACHE_TRACK_USAGE": "false",
        "LMCACHE_DISABLE_BANNER": "1",
    }
    is_new_each_round: ClassVar[bool] = False

    def refusal(self, workload: Workload) -> str:
        return "" if workload.kind in ("chat", "rag", "random") else f"{self.words} knows no {workload.kind}"

    def arguments(self, target: Target, workload: Workload, requests: Sequence[Asked], stem: PurePath) -> list[str]:
        return [
            *("bench", "engine", "--no-interactive", "--quiet", "--ignore-eos", "--seed", str(workload.seed)),
            *("--engine-url", target.endpoint, "--model", target.served_name, "--output-dir", str(stem)),
            *_of(workload),
        ]

    def text(self, requests: Sequence[Asked]) -> str:
        return ""

    def result(self, stem: PurePath) -> PurePath:
        return stem / "bench_results.csv"

    def load_of(self, text: str, requests: Sequence[Asked]) -> Load:
        rows = sorted(csv.DictReader(io.StringIO(text)), key=lambda row: float(row["submit_time"]))
        well = [row for row in rows if row["successful"] == "True"]
        errors = [row["error"] for row in rows if row["successful"] != "True"]
        return Load(tuple(_answered(well)), len(errors), next(iter(errors), ""))


def _of(workload: Workload) -> list[str]:
    """Arguments for the number of users: it counts them by the size of what they hold, so a GB for each makes the
    size their number."""
    match workload.kind:
        case "chat":
            size, words = workload.shared_tokens + workload.context_tokens, _chat(workload)
        case "rag":
            size, words = workload.context_tokens, _documents(workload)
        case _:
            size, words = workload.context_tokens, _random(workload)
    return ["--tokens-per-gb-kvcache", str(size), "--kv-cache-volume", str(workload.users), *words]


def _chat(workload: Workload) -> list[str]:
    """Arguments of a chat: as many turns as there is time for, at its rate."""
    seconds = workload.turns * workload.users / workload.rate
    return [
        *("--workload", "multi-round-chat", "--mrc-qps", f"{workload.rate:g}", "--mrc-duration", f"{seconds:g}"),
        *("--mrc-shared-prompt-length", str(workload.shared_tokens)),
        *("--mrc-chat-history-length", str(workload.context_tokens)),
        *("--mrc-user-input-length", str(workload.question_tokens)),
        *("--mrc-output-length", str(workload.output_tokens)),
    ]


def _documents(workload: Workload) -> list[str]:
    return [
        *("--workload", "long-doc-qa", "--ldqa-document-length", str(workload.context_tokens)),
        *("--ldqa-query-per-document", str(workload.turns)),
        *("--ldqa-num-inflight-requests", str(workload.concurrency)),
        *("--ldqa-max-output-length", str(workload.output_tokens)),
    ]


def _random(workload: Workload) -> list[str]:
    length, count = str(workload.context_tokens), str(workload.users)
    return ["--workload", "random-prefill", "--rp-request-length", length, "--rp-num-requests", count]


def _answered(rows: Sequence[dict[str, str]]) -> Iterator[Answered]:
    turns: dict[str, int] = {}
    for row in rows:
        label = ""
        if session := _SESSION.fullmatch(row["request_id"]):
            turns[session[1]] = turns.get(session[1], 0) + 1
            label = f"turn {turns[session[1]]}"
        first, whole = float(row["ttft"]), float(row["request_latency"])
        read, written = int(row["num_input_tokens"]), int(row["num_output_tokens"])
        yield Answered(label, float(row["submit_time"]), first, (max(0.0, whole - first),), read, written)
