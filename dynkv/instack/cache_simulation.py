"""LMCache's cache simulator, for several chunk sizes and capacities: `PYTHON cache_simulation.py`.

It reads a JSON list from stdin, each item with `file` (lookups, as LMCache logs them), `chunk_bytes` and `capacities`
in bytes, and prints the shares of all tokens that were found, a list for each item. The command `lmcache tool
cache-simulator sweep` does the same, but needs matplotlib, and chooses the capacities itself (lmcache 0.5.6).

This runs in the stack's interpreter, and imports nothing of dynkv.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

MISSING = 3
"""The exit code if the installed version has no simulator."""


def swept(simulator: Any, sweep: dict[str, Any]) -> list[float]:
    events = simulator.load_lookup_events([Path(sweep["file"])])
    found = (simulator.simulate(events, size, sweep["chunk_bytes"], fast=True) for size in sweep["capacities"])
    return [float(result["token_hit_rate"]) for result in found]


if __name__ == "__main__":
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # its log output is not part of the answer
    try:
        simulator = import_module("lmcache.tools.cache_simulator.simulator")
        _ = simulator.load_lookup_events, simulator.simulate
    except (ImportError, AttributeError) as error:
        print(error, file=sys.stderr)
        sys.exit(MISSING)
    answers.write(json.dumps([swept(simulator, sweep) for sweep in json.load(sys.stdin)]))
    answers.close()
