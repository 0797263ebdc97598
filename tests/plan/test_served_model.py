"""Where an engine finds the model, and what clients call it."""

from __future__ import annotations

from hosts import HOME, LLAMA, LOCAL_TINY, PACKAGES, host, option, plan

DYNAMO_1_3 = {**PACKAGES, "ai-dynamo": "1.3.1"}


def test_an_id_stands_for_itself() -> None:
    assert plan("agg", host(1)).model == "Qwen/Qwen3-0.6B"


def test_a_directory_is_known_by_its_last_part() -> None:
    made = plan("agg", host(1, model=LLAMA), {"model.path": "/models/llama"})
    assert made.model == "llama"
    assert option(made.unit("worker-0").argv, "--model") == "/models/llama"


def test_before_1_4_it_is_the_path() -> None:
    made = plan("agg", host(1, model=LLAMA, packages=DYNAMO_1_3), {"model.path": "/models/llama"})
    assert made.model == "/models/llama"
    assert option(made.unit("worker-0").argv, "--served-model-name") == "/models/llama"


def test_before_1_4_an_id_stays_an_id() -> None:
    assert plan("agg", host(1, packages=DYNAMO_1_3)).model == "Qwen/Qwen3-0.6B"


def test_before_1_4_the_tiny_model_too() -> None:
    made = plan("agg", host(0, model=LOCAL_TINY, packages=DYNAMO_1_3), {"model.path": "tiny", "device": "cpu"})
    assert made.model == f"{HOME}/_models/tiny"


def test_one_that_is_given_wins() -> None:
    made = plan("agg", host(1, model=LLAMA, packages=DYNAMO_1_3), {"model.served_name": "chat"})
    assert made.model == "chat"


def test_a_slash_is_quoted_in_the_readiness_check() -> None:
    checks = plan("agg", host(1)).unit("frontend").probes.readiness.checks
    assert checks[1].path == "/v1/models/Qwen%2FQwen3-0.6B/ready"
    assert checks[1].or_lists_model == "Qwen/Qwen3-0.6B"
