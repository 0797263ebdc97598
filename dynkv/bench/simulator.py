"""LMCache's own cache simulator, run by the stack's interpreter."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from dynkv.bench.simulated import lookups
from dynkv.bench.trace import Trace
from dynkv.errors import DynkvError, PreflightRefused
from dynkv.instack import script

_MISSING = 3
_DEADLINE_S = 300.0


class NotComputed(DynkvError):
    """The simulator failed, or took too long."""


def hit_rates(
    python: Sequence[str], trace: Trace, bytes_per_token: int, sizes: Mapping[int, Sequence[int]]
) -> dict[int, list[float]]:
    """By chunk size in tokens, for each capacity in bytes, the share of all prompt tokens that would be found.

    `python` is the stack's interpreter with its options. Raises PreflightRefused if the installed LMCache has no
    simulator, and NotComputed.
    """
    with tempfile.TemporaryDirectory(prefix="dynkv-advise-") as directory:
        sweeps = []
        for chunk_tokens, capacities in sizes.items():
            file = Path(directory) / f"{chunk_tokens}.jsonl"
            with file.open("w") as out:
                out.writelines(lookups(trace, chunk_tokens))
            chunk_bytes = chunk_tokens * bytes_per_token
            sweeps.append({"file": str(file), "chunk_bytes": chunk_bytes, "capacities": list(capacities)})
        found = json.loads(_answer([*python, script("cache_simulation")], json.dumps(sweeps), directory))
    return dict(zip(sizes, found, strict=True))


def _answer(command: Sequence[str], asked: str, directory: str) -> str:
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
    try:
        done = subprocess.run(
            command, input=asked, capture_output=True, text=True, timeout=_DEADLINE_S, cwd=directory, env=env
        )
    except OSError as error:
        raise PreflightRefused(f"{command[0]} cannot be run: {error.strerror}") from None
    except subprocess.TimeoutExpired:
        raise NotComputed(f"the cache simulator was not finished after {_DEADLINE_S:g} s") from None
    last = done.stderr.strip().splitlines()[-1:] or [f"exit code {done.returncode}"]
    if done.returncode == _MISSING:
        raise PreflightRefused(
            f"the LMCache of {command[0]} has no cache simulator: {last[0]}", hint="lmcache 0.5.6 has one"
        )
    if done.returncode:
        raise NotComputed(f"the cache simulator failed: {last[0]}", detail=done.stderr[-2000:])
    return done.stdout
