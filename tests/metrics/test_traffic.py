"""What the frontend and the workers say of their requests, passed on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from lab import Lab
from prometheus_client.parser import text_string_to_metric_families
from test_gather import serving

from dynkv.metrics.traffic import passed_on, traffic
from dynkv.plan.model import Frontend, Role
from dynkv.probes.text import read

FRONTEND = """\
# HELP dynamo_frontend_requests_total Total number of LLM requests processed
# TYPE dynamo_frontend_requests_total counter
dynamo_frontend_requests_total{endpoint="completions",model="a b, {c}"} 7
# HELP dynamo_frontend_tokenizer_latency_ms Tokenizer latency
# TYPE dynamo_frontend_tokenizer_latency_ms histogram
dynamo_frontend_tokenizer_latency_ms_bucket{le="1"} 7
# HELP dynamo_frontend_time_to_first_token_seconds Time to first token
# TYPE dynamo_frontend_time_to_first_token_seconds histogram
dynamo_frontend_time_to_first_token_seconds_bucket{model="a",le="0.1"} 2
dynamo_frontend_time_to_first_token_seconds_bucket{model="a",le="+Inf"} 3
dynamo_frontend_time_to_first_token_seconds_sum{model="a"} 0.5
dynamo_frontend_time_to_first_token_seconds_count{model="a"} 3
"""
WORKER = """\
# HELP vllm:generation_tokens_total Number of generation tokens processed.
# TYPE vllm:generation_tokens_total counter
vllm:generation_tokens_total {tokens}
vllm:generation_tokens_created 1.7e+09
"""


def test_only_what_is_about_requests_with_the_unit_among_the_labels(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    frontend, worker, second = lab.unit("frontend", role=Role.FRONTEND), lab.unit(), lab.unit("worker-1")
    text = passed_on(
        "agg",
        [
            (frontend, FRONTEND),
            (worker, WORKER.replace("{tokens}", "5")),
            (second, WORKER.replace("{tokens}", "6")),
        ],
    )
    families = {family.name: family for family in text_string_to_metric_families(text)}
    assert set(families) == {
        "dynamo_frontend_requests",
        "dynamo_frontend_time_to_first_token_seconds",
        "vllm:generation_tokens",
    }
    requests = families["dynamo_frontend_requests"]
    assert (requests.type, requests.documentation) == ("counter", "Total number of LLM requests processed")
    assert requests.samples[0].labels == {
        "deployment": "agg",
        "process": "frontend",
        "role": "frontend",
        "endpoint": "completions",
        "model": "a b, {c}",
    }
    first_token = families["dynamo_frontend_time_to_first_token_seconds"]
    assert [sample.value for sample in first_token.samples] == [2, 3, 0.5, 3]
    tokens = {sample.labels["process"]: sample.value for sample in families["vllm:generation_tokens"].samples}
    assert tokens == {"worker-0": 5, "worker-1": 6}
    assert text.count("# TYPE vllm:generation_tokens_total") == 1


@pytest.mark.anyio
async def test_it_is_fetched_from_those_that_answer(tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home")
    worker, silent = lab.unit(), lab.unit("worker-1")
    frontend = lab.unit("frontend", role=Role.FRONTEND)
    plan = lab.plan(worker, silent, frontend)
    plan = replace(plan, frontend=Frontend("0.0.0.0", frontend.ports["system"], "a"))
    with (
        serving(tmp_path / "a", frontend.ports["system"], metrics=FRONTEND),
        serving(tmp_path / "b", worker.ports["system"], metrics=WORKER.replace("{tokens}", "5")),
    ):
        found = read(await traffic(plan))
    assert sum(found["dynamo_frontend_requests_total"].values()) == 7
    assert [dict(labels)["process"] for labels in found["vllm:generation_tokens_total"]] == ["worker-0"]


@pytest.mark.anyio
async def test_where_nobody_answers_it_is_empty(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert await traffic(lab.plan(lab.unit())) == ""
