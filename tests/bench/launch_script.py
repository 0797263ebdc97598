"""The stack as Dynamo's launch scripts start it, with the very commands of a plan.

Source: ai-dynamo/dynamo, examples/backends/vllm/launch: agg_lmcache_mp.sh (the sidecar, a wait for its health with a
look each second, the frontend and the worker at once) and disagg_lmcache.sh (frontend, decode, `sleep 20`, prefill),
both with `kill 0` at their end. disagg_lmcache.sh has the cache inside the worker; here it gets the same sidecar as
dynkv's profile, started as the other script does. What people add to survive a crash is a loop around each command.
"""

from __future__ import annotations

import shlex
from typing import Any

_HEAD = """\
#!/bin/bash
trap 'echo Cleaning up...; kill 0' EXIT

keep() { while true; do "$@"; echo "$1 ended with $?, starting it again"; sleep 1; done; }
"""
_WAIT = """\
for ((attempt = 0; attempt < 180; attempt++)); do
  if curl -sf "http://127.0.0.1:{port}/healthcheck" >/dev/null 2>&1; then break; fi
  sleep 1
done
"""


def launch_script(plan: dict[str, Any]) -> str:
    """`plan` as `dynkv plan --json` prints it."""
    parts = [_HEAD]
    for sidecar in _of(plan, "lmcache"):
        parts += [_command(sidecar), _WAIT.format(port=sidecar["ports"]["http"])]
    parts += [_command(_without_migration(frontend)) for frontend in _of(plan, "frontend")]
    parts += [_command(worker) for worker in [*_of(plan, "worker"), *_of(plan, "decode")]]
    for worker in _of(plan, "prefill"):
        parts += ["sleep 20\n", _command(worker)]
    return "\n".join([*parts, "wait\n"])


def _of(plan: dict[str, Any], role: str) -> list[dict[str, Any]]:
    return [unit for unit in plan["units"] if unit["role"] == role]


def _without_migration(frontend: dict[str, Any]) -> dict[str, Any]:
    """As in the original scripts, which leave it off."""
    argv = list(frontend["argv"])
    at = argv.index("--migration-limit")
    return {**frontend, "argv": [*argv[:at], *argv[at + 2 :]]}


def _command(unit: dict[str, Any]) -> str:
    """A unit in a restart loop in the background, with its priority and CPUs, which the original scripts do not set."""
    environment = [f"{name}={value}" for name, value in sorted(unit["env"].items())]
    bound = ["taskset", "-c", ",".join(map(str, unit["cpus"]))] if unit["cpus"] else []
    words = [*bound, "nice", "-n", str(unit["nice"]), "env", "-i", *environment, *unit["argv"]]
    return f"keep {shlex.join(words)} &\n"
