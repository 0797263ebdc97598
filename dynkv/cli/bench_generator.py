"""Which load generator `bench` uses, and where it is installed."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from pathlib import Path

from dynkv.bench.aiperf import Aiperf
from dynkv.bench.lmcache_bench import LMCacheBench
from dynkv.bench.tools import Tool
from dynkv.bench.vllm_serve import VllmServe
from dynkv.bench.workloads import Workload
from dynkv.errors import ProgramMissing, UsageError


def generator_of(name: str, traffic: Workload, pressures: Sequence[float], pythons: Sequence[str]) -> Tool:
    """The load generator. Raises UsageError if it cannot make this load or is missing; `pythons` are the stacks'
    interpreters."""
    tool = _tool(name, traffic, pythons)
    if refusal := tool.refusal(traffic):
        raise UsageError(refusal, hint="--tool vllm")
    if len(pressures) > 1 and not tool.is_new_each_round:
        raise UsageError(
            f"{tool.words} sends the same requests at each pressure",
            hint="give one pressure for each run, or use --tool vllm",
        )
    return tool


def _tool(name: str, traffic: Workload, pythons: Sequence[str]) -> Tool:
    match name:
        case "lmcache":
            return LMCacheBench()
        case "aiperf":
            return Aiperf(_installed("aiperf", pythons), traffic.block_tokens)
        case _:
            return VllmServe()


def _installed(program: str, pythons: Sequence[str]) -> str:
    """The program's path: next to an interpreter of the stack, or on PATH."""
    places = [*(str(Path(it).parent) for it in pythons), os.environ.get("PATH", os.defpath)]
    found = shutil.which(program, path=os.pathsep.join(places))
    if found is None:
        raise ProgramMissing(f"--tool {program}", program)
    return str(Path(found).absolute())
