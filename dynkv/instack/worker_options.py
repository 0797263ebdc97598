"""Print the options that a worker's parsers know, as JSON: `PYTHON worker_options.py`.

Runs in the stack's interpreter, and imports vLLM, which takes seconds. `{"vllm": [...], "dynamo": [...]}`, for each
option `[spellings, number of values or null for one]`; nothing is parsed. Source: dynamo/vllm/args.py of ai-dynamo
1.6.1, which parses Dynamo's own options first and exactly, and what is left with vLLM's parser.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import sys
from typing import Any


def options() -> dict[str, list[tuple[list[str], Any]]]:
    args: Any = importlib.import_module("dynamo.vllm.args")
    of_vllm = args.FlexibleArgumentParser(add_help=False)
    args.AsyncEngineArgs.add_cli_args(of_vllm, async_args_only=False)
    of_dynamo = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    args.DynamoRuntimeArgGroup().add_arguments(of_dynamo)
    args.DynamoVllmArgGroup().add_arguments(of_dynamo)
    return {"vllm": _told_by(of_vllm), "dynamo": _told_by(of_dynamo)}


def _told_by(parser: argparse.ArgumentParser) -> list[tuple[list[str], Any]]:
    return [(list(action.option_strings), action.nargs) for action in parser._actions if action.option_strings]


if __name__ == "__main__":
    answer = os.dup(1)
    os.dup2(2, 1)  # output during imports is not part of the answer
    text = json.dumps(options()).encode()
    with os.fdopen(answer, "wb") as file:
        file.write(text)
    sys.exit(0)
