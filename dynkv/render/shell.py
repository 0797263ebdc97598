"""A plan as a shell script that starts the same thing by hand, in the same order, waiting by the same probes."""

from __future__ import annotations

import shlex

from dynkv.plan.model import Condition, HttpGet, Plan, Unit
from dynkv.plan.order import start_stages, stop_stages
from dynkv.plan.steps import MakeDirectory, Run, Step

_HEAD = """#!/bin/bash
# Starts {name} (profile {profile}) by hand. Unlike `dynkv up`, it neither watches nor restarts anything,
# and what a killed process leaves behind stays. Ctrl-C ends it.
set -euo pipefail

wait_for() {{  # URL PID
  until curl -fsS -o /dev/null --max-time 5 "$1" 2>/dev/null; do
    kill -0 "$2" 2>/dev/null || {{ echo "process $2 died before $1 answered" >&2; exit 1; }}
    sleep 1
  done
}}
"""


def shell_script(plan: Plan) -> str:
    by_name = {unit.name: unit for unit in plan.units}
    parts = [_HEAD.format(name=plan.name, profile=plan.profile), _on_exit(plan)]
    parts += [_prepare(step) for step in plan.prepare]
    waited: set[tuple[str, Condition]] = set()
    for stage in start_stages(plan.units):
        for name in stage:
            unit = by_name[name]
            needs = [(d.unit, d.condition) for d in unit.depends_on if (d.unit, d.condition) not in waited]
            parts += [_wait(by_name[other], condition) for other, condition in needs]
            waited.update(needs)
            parts.append(_start(unit))
    parts += [_wait(unit, Condition.READY) for unit in plan.units]
    parts.append(f"echo {shlex.quote(f'ready: {plan.endpoint}')}\nwait\n")
    return "\n".join(parts)


def _prepare(step: Step) -> str:
    match step:
        case MakeDirectory():
            command = shlex.join(["mkdir", "-p", "-m", f"{step.mode:04o}", "--", step.path])
        case Run():
            command = f"[ -e {shlex.quote(step.unless_exists)} ] || {shlex.join(step.argv)}"
    return f"# {step.purpose}\n{command}\n"


def _start(unit: Unit) -> str:
    secrets = [f'{name}="${{{name}-}}"' for name in unit.secret_env]
    settings = [f"{name}={shlex.quote(value)}" for name, value in sorted(unit.env.items())] + secrets
    bound = f"taskset -c {','.join(map(str, unit.cpus))} " if unit.cpus else ""
    words = [
        f"{bound}nice -n {unit.nice} env -i" if unit.nice else f"{bound}env -i",
        *settings,
        *(shlex.quote(word) for word in unit.argv),
    ]
    return f"# {unit.name}\n" + " \\\n  ".join(words) + f" &\n{_pid(unit.name)}=$!\n"


def _wait(unit: Unit, condition: Condition) -> str:
    probe = unit.probes.readiness if condition is Condition.READY else unit.probes.startup
    lines = [f'wait_for {shlex.quote(_url(check))} "${_pid(unit.name)}"' for check in probe.checks]
    return "\n".join(lines) + "\n"


def _on_exit(plan: Plan) -> str:
    pids = [f"${{{_pid(name)}-}}" for stage in stop_stages(plan.units) for name in stage]
    # without `set +e` the first that is gone already, or that ends by the signal, would be the last to be ended
    return f'trap \'set +e; for pid in {" ".join(pids)}; do kill "$pid" 2>/dev/null; wait "$pid"; done\' EXIT\n'


def _pid(unit: str) -> str:
    return "pid_" + unit.replace("-", "_")


def _url(check: HttpGet) -> str:
    return f"http://{check.host}:{check.port}{check.path}"
