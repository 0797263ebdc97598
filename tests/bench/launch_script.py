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
    """`plan` as `dynkv plan --json` prints it, with topology agg or disagg and a sidecar."""
    by_role = {unit["role"]: unit for unit in plan["units"]}
    sidecar = by_role["lmcache"]
    parts = [_HEAD, _command(sidecar), _WAIT.format(port=sidecar["ports"]["http"]), _command(by_role["frontend"])]
    if plan["topology"] == "agg":
        parts.append(_command(by_role["worker"]))
    else:
        parts += [_command(by_role["decode"]), "sleep 20\n", _command(by_role["prefill"])]
    return "\n".join([*parts, "wait\n"])


def _command(unit: dict[str, Any]) -> str:
    """A unit in a restart loop in the background, with its priority and CPUs, which the original scripts do not set."""
    environment = [f"{name}={value}" for name, value in sorted(unit["env"].items())]
    bound = ["taskset", "-c", ",".join(map(str, unit["cpus"]))] if unit["cpus"] else []
    words = [*bound, "nice", "-n", str(unit["nice"]), "env", "-i", *environment, *unit["argv"]]
    return f"keep {shlex.join(words)} &\n"
