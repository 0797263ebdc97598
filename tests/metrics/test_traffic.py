"""The metrics of frontend and workers about their requests, passed on."""

from __future__ import annotations

import math
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lab import Lab
from msgspec.structs import replace
from prometheus_client.parser import text_string_to_metric_families
from test_gather import serving

from dynkv.metrics.traffic import PASSED_ON, passed_on, traffic
from dynkv.plan.model import Role
from dynkv.plan.serving import Frontend
from dynkv.probes.text import read, samples

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
    assert (requests.type, requests.documentation) == ("counter", PASSED_ON["dynamo_frontend_requests_total"][1])
    assert requests.samples[0].labels == {
        "deployment": "agg",
        "unit": "frontend",
        "process": "frontend",
        "role": "frontend",
        "endpoint": "completions",
        "model": "a b, {c}",
    }
    first_token = families["dynamo_frontend_time_to_first_token_seconds"]
    assert [sample.value for sample in first_token.samples] == [2, 3, 0.5, 3]
    tokens = {sample.labels["unit"]: sample.value for sample in families["vllm:generation_tokens"].samples}
    assert tokens == {"worker-0": 5, "worker-1": 6}
    assert text.count("# TYPE vllm:generation_tokens_total") == 1


def passed_on_of(lab: Lab, text: str) -> list[tuple[str, dict[str, str], float]]:
    """The samples, read by the reference parser, which refuses text that is not well-formed."""
    families = text_string_to_metric_families(passed_on('a"b', [(lab.unit(), text)]))
    return [(it.name, dict(it.labels), it.value) for family in families for it in family.samples]


def test_labels_that_are_needed_here_are_renamed_when_a_unit_has_its_own(tmp_path: Path) -> None:
    own = 'vllm:num_requests_running{unit="a",exported_unit="b",role="\\"",le="1"} 3\n'
    ((_, labels, value),) = passed_on_of(Lab(tmp_path), own)
    assert (labels, value) == (
        {
            "deployment": 'a"b',
            "unit": "worker-0",
            "process": "worker-0",
            "role": "worker",
            "exported_exported_unit": "a",
            "exported_unit": "b",
            "exported_role": '"',
            "le": "1",
        },
        3,
    )


def test_a_unit_that_talks_nonsense_spoils_nobodys_figures(tmp_path: Path) -> None:
    nonsense = """\
# HELP vllm:num_requests_running \\x
# TYPE vllm:num_requests_running nonsense
# TYPE vllm:num_requests_running gauge
vllm:num_requests_running foo
vllm:num_requests_running{a="b
vllm:num_requests_running{a="1",a="2"} 3
vllm:num_requests_running{a="1"} 3
vllm:num_requests_running{a="1"} 4 1700000000
vllm:num_requests_waiting NaN # {x="y"} 3
<html>
"""
    running, waiting = passed_on_of(Lab(tmp_path), nonsense)
    assert (running[0], running[1]["a"], running[2]) == ("vllm:num_requests_running", "1", 4)
    assert (waiting[0], math.isnan(waiting[2])) == ("vllm:num_requests_waiting", True)


NAMES = st.sampled_from([*PASSED_ON, "dynamo_frontend_time_to_first_token_seconds_bucket"])
REST = st.sampled_from(
    ['{a="b"}', '{unit="x"}', '{a="\\\\"', " 3", " NaN", " 1e999", " foo", " # {} 1", "\n", "# TYPE "]
)
SAID = st.lists(NAMES | REST | st.text(max_size=3), max_size=30).map("".join)


@given(SAID)
def test_whatever_a_unit_says_what_is_passed_on_can_be_read_line_for_line(said: str) -> None:
    with TemporaryDirectory() as directory:
        unit = Lab(Path(directory)).unit()
    text = passed_on("agg", [(unit, said)])
    series = [line for line in text.splitlines() if not line.startswith("#")]
    assert len(list(samples(text))) == len(series)
    assert len({line.rpartition(" ")[0] for line in series}) == len(series), "each once"
    list(text_string_to_metric_families(text))


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
    assert [dict(labels)["unit"] for labels in found["vllm:generation_tokens_total"]] == ["worker-0"]


@pytest.mark.anyio
async def test_where_nobody_answers_it_is_empty(tmp_path: Path) -> None:
    lab = Lab(tmp_path)
    assert await traffic(lab.plan(lab.unit())) == ""
