"""The options listed in dynkv/profile/options.py, compared with the parsers of the installed stack."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import version
from typing import Any

import pytest

from dynkv.instack import script
from dynkv.profile.arguments import HANDSHAKE_ARGS, REFUSED_ARGS, RESERVED_ARGS, WORKER_OPTIONS
from dynkv.profile.options import DYNAMO, FRONTEND, RECORDED_FRONTEND, RECORDED_SIDECAR, SIDECAR, VLLM
from dynkv.profile.words import OptionTable, option_table

pytestmark = pytest.mark.stack

DEADLINE_S = 180
NOT_OF_THESE_PARSERS = {"--model-path", "--model-name", "--is-prefill-worker", "--is-decode-worker", "--config"}
"""Options of the mocker, and those that vLLM looks for before it parses."""


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


SERVERS = {
    FRONTEND: "from dynamo.frontend.frontend_args import FrontendArgGroup as Options; Options().add_arguments(parser)",
    SIDECAR: "from lmcache.cli.commands.server import ServerCommand as Options; Options().add_arguments(parser)",
}
ASK = """import argparse, json, sys
out, sys.stdout = sys.stdout, sys.stderr
parser = argparse.ArgumentParser(add_help=False)
{fill}
told = [(action.option_strings, action.nargs) for action in parser._actions]
print(json.dumps(told), file=out)"""


@pytest.mark.parametrize("text", [FRONTEND, SIDECAR], ids=["frontend", "sidecar"])
def test_what_is_written_down_of_the_others_is_what_their_parsers_know(text: str) -> None:
    recorded = RECORDED_FRONTEND if text == FRONTEND else RECORDED_SIDECAR
    if any(version(name) != of for name, of in recorded.items()):
        pytest.skip(f"the table is of {recorded}")
    command = [sys.executable, "-c", ASK.format(fill=SERVERS[text])]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=DEADLINE_S)
    assert spellings(option_table(text)) == {
        one: nargs != 0 for words, nargs in json.loads(done.stdout) for one in words
    }
