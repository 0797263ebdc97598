"""Where an engine finds the model, and what clients call it."""

from __future__ import annotations

import pytest
from hosts import HOME, LLAMA, LOCAL_TINY, PACKAGES, host, option, plan

from dynkv.plan.facts import ModelFacts

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


def test_several_names_are_one_model() -> None:
    made = plan("agg", host(1), {"model.served_name": ["chat", "chat-2", "org/old"]})
    assert (made.model, made.model_aliases) == ("chat", ("chat-2", "org/old"))
    argv = made.unit("worker-0").argv
    at = argv.index("--served-model-name")
    assert argv[at + 1 : at + 5] == ("chat", "chat-2", "org/old", "--tensor-parallel-size")
    assert made.unit("frontend").probes.readiness.checks[1].path == "/v1/models/chat/ready"


def test_the_mocker_knows_one_name_and_says_so() -> None:
    made = plan("agg", host(0, model=LOCAL_TINY), {"engine": "mocker", "model.served_name": ["chat", "chat-2"]})
    assert (made.model, made.model_aliases) == ("chat", ())
    assert option(made.unit("worker-0").argv, "--model-name") == "chat"
    assert [note for note in made.notes if "chat-2 will not work" in note]


@pytest.mark.parametrize(
    ("directory", "name"),
    [("/models/My Model", "My-Model"), ("/models/a, b", "a-b"), ("/models/-x", "x"), ("/models/ a ", "a")],
)
def test_a_directory_that_the_stack_would_split_is_served_under_a_name_that_it_does_not(
    directory: str, name: str
) -> None:
    made = plan("agg", host(1, model=ModelFacts(True, True, directory)), {"model.path": directory})
    assert made.model == name
    assert option(made.unit("worker-0").argv, "--model") == directory
    assert [note for note in made.notes if note.startswith(f"the model's name is {name}:")]


def test_a_name_of_ones_own_for_it_needs_no_note() -> None:
    facts = host(1, model=ModelFacts(True, True, "/models/My Model"))
    made = plan("agg", facts, {"model.path": "/models/My Model", "model.served_name": "mine"})
    assert (made.model, made.notes) == ("mine", ())
