"""The options written down in dynkv/profile/options.py, against the parsers of the stack that is installed."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from dynkv.instack import script
from dynkv.profile.arguments import HANDSHAKE_ARGS, REFUSED_ARGS, RESERVED_ARGS, WORKER_OPTIONS
from dynkv.profile.options import DYNAMO, VLLM
from dynkv.profile.words import OptionTable, option_table

pytestmark = pytest.mark.stack

DEADLINE_S = 180
NOT_OF_THESE_PARSERS = {"--model-path", "--model-name", "--is-prefill-worker", "--is-decode-worker", "--config"}
"""The mocker's, and what vLLM looks for before it parses."""


@pytest.fixture(scope="module")
def told() -> dict[str, list[list[Any]]]:
    command = [sys.executable, script("worker_options")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    answer: dict[str, list[list[Any]]] = json.loads(done.stdout)
    return answer


def spellings(table: OptionTable) -> dict[str, bool]:
    return {one: option.takes_value for option in table.options for one in option.spellings}


@pytest.mark.parametrize(("parser", "text"), [("vllm", VLLM), ("dynamo", DYNAMO)])
def test_what_is_written_down_is_what_the_parsers_know(
    told: dict[str, list[list[Any]]], parser: str, text: str
) -> None:
    if version("ai-dynamo") != "1.6.1":
        pytest.skip("the table is of ai-dynamo 1.6.1")
    assert spellings(option_table(text)) == {one: nargs != 0 for words, nargs in told[parser] for one in words}


def test_every_argument_that_is_judged_is_one_of_the_stack(told: dict[str, list[list[Any]]]) -> None:
    known = {one for parser in told.values() for words, _ in parser for one in words} | NOT_OF_THESE_PARSERS
    assert {*RESERVED_ARGS, *REFUSED_ARGS, *HANDSHAKE_ARGS} <= known


def test_aliases_lead_to_the_same_option(told: dict[str, list[list[Any]]]) -> None:
    for words, _ in told["vllm"]:
        found = {match[0].name for word in words if (match := WORKER_OPTIONS.find(word)) is not None}
        assert len(found) == 1, words
