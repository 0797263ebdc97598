"""A plan as a shell script that starts the same processes by hand, in the same order, with the same probes."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence

from dynkv.plan.model import Condition, HttpGet, Plan, Probe, Role, Unit
from dynkv.plan.order import start_stages, stop_stages
from dynkv.plan.steps import MakeDirectory, Run, Step
from dynkv.render.ending import ENDING
from dynkv.render.quoting import comment, quoted
from dynkv.render.readme import Readme
from dynkv.render.starting import STARTING

_ROUND_S = 0.2
"""Seconds between two looks at starting units."""
_TICKS_IN_A_SECOND = 10
"""How many times a second to check whether an ending process is gone."""
_HEAD = """#!/bin/bash
# shellcheck disable=SC2329 # not every plan needs all of the functions
# Starts {name} (profile {profile}) by hand. Unlike `dynkv up`, it neither watches nor restarts anything, and what a
# killed process leaves in shared memory stays. Ctrl-C, SIGTERM and SIGHUP end all of it. Secrets are not in here: they
# are taken from the environment of the caller.
if [ "${{BASH_VERSINFO-0}}" -lt 4 ]; then echo "this is for bash 4 or later: bash SCRIPT" >&2; exit 2; fi
if [[ ${{BASH_SOURCE[0]-}} && ${{BASH_SOURCE[0]}} != "$0" ]]; then echo "run it: bash SCRIPT" >&2; return 2; fi
set -eo pipefail
set +m
LC_ALL=C
"""
_STATE = """
names=() needs=() patience=() once=()
pid=() unit_of=() state=() rounds=() tries=() row=() owner=() sessions=()
declare -A seen=()
caught='' step='' died='' new=''
inherited=(PWD OLDPWD SHLVL _)
"""
_MAIN = """
main() {{
  local entry base=/tmp
  trap 'caught=${{caught:-130}}' INT
  trap 'caught=${{caught:-143}}' TERM
  trap 'caught=${{caught:-129}}' HUP
  trap 'caught=${{caught:-131}}' QUIT
  trap 'caught=${{caught:-141}}' PIPE
  trap 'finish $?' EXIT
  while IFS= read -r -d '' entry; do inherited+=("${{entry%%=*}}"); done < <(env -0)
  setsid=$(type -P setsid) || true
  [[ ! ${{TMPDIR-}} || $TMPDIR != /* || ${{#TMPDIR}} -gt 40 ]] || base=$TMPDIR # sockets are made in it
  scratch=$(mktemp -d "$base/dynkv.XXXXXX" 2>/dev/null) || scratch=''
  cd -- "${{scratch:-/}}" # relative entries of search paths lead nowhere from here
  umask "$(printf '%o' $((8#$(umask) & 8#077)))"
  check
  prepare
  start_all
  printf '%s\\n' {ready} || true
  while ((${{#pid[@]}})); do
    look || died=1
    pause 0.5
  done
  exit "${{died:-0}}"
}}

main </dev/null
"""


def shell_script(plan: Plan) -> str:
    """The script. Raises nothing: whatever the plan contains is quoted as bash words."""
    numbers = {name: number for number, name in enumerate(_in_order(plan))}
    units = [plan.unit(name) for name in numbers]
    parts = [
        _HEAD.format(name=comment(plan.name), profile=comment(plan.profile)),
        STARTING,
        ENDING,
        _STATE + f"round_s={_ROUND_S:g}\n",
        *(_facts(unit, numbers, units) for unit in units),
        _cases("start", {numbers[unit.name]: _start(unit, numbers[unit.name]) for unit in units}),
        _cases("probe", {numbers[unit.name]: _probe(unit, numbers[unit.name]) for unit in units}),
        _function("check", _check(units)),
        _function("prepare", _prepare(plan)),
        _function("end_all", _end_all(plan, numbers)),
        _MAIN.format(ready=quoted(f"ready: {plan.endpoint}" if plan.endpoint else "ready")),
    ]
    return "\n".join(parts)


def shell_files(plan: Plan) -> dict[str, str]:
    """Files by path: the script and its README."""
    script = f"{plan.name}.sh"
    secrets = sorted({name for unit in plan.units for name in (*unit.secret_env, *unit.own_secrets.values())})
    told = f"The script contains none. Export those that it should pass on before you run it: {', '.join(secrets)}."
    readme = Readme(
        f"{plan.name} by hand",
        [
            "This machine, as it is now: paths, ports and GPUs are those of the plan.",
            "bash 4.1 or later, env and sleep of coreutils, curl; setsid and grep if available.",
        ],
        [f"bash {quoted(script)}"],
        [
            ("Watching and restarts", "when one process has ended, the script ends all others"),
            ("Standby, GPU memory gate, hang checks, adoption", "there is no supervisor"),
            ("Proof", "it is ready when the probes pass; no real request is sent"),
            ("Status, logs, events and metrics", "each process writes to the terminal, and has its own `/metrics`"),
        ],
        [told] if secrets else [],
    )
    return {script: shell_script(plan), "README.md": readme.text()}


def _in_order(plan: Plan) -> list[str]:
    return [name for stage in start_stages(plan.units) for name in stage]


def _facts(unit: Unit, numbers: dict[str, int], units: Sequence[Unit]) -> str:
    number = numbers[unit.name]
    needs = [f"{numbers[dependency.unit]}:{dependency.condition}" for dependency in unit.depends_on]
    # one start at a time on a GPU: an engine measures its memory while it starts
    beside = [other for other in units[:number] if set(other.gpus) & set(unit.gpus)]
    needs += [f"{numbers[other.name]}:{Condition.STARTED}" for other in beside]
    patience = max(1, math.ceil(unit.stop_timeout_s * _TICKS_IN_A_SECOND))
    return "\n".join(
        [
            f"# {unit.name}",
            f"names[{number}]={quoted(unit.name)}",
            f"needs[{number}]={quoted(' '.join(dict.fromkeys(needs)))}",
            f"patience[{number}]={patience}",
            *([f"once[{number}]=1"] if unit.role is Role.JOB else []),
        ]
    )


def _start(unit: Unit, number: int) -> list[str]:
    cpus = ",".join(map(str, unit.cpus))
    return [
        f"nice={unit.nice} cpus={quoted(cpus)}",
        *_array("private", unit.secret_env),
        *_array("kept", (f"{name}={by}" for name, by in unit.own_secrets.items())),
        *_array("settings", (f"{name}={value}" for name, value in sorted(unit.env.items()))),
        *_array("command", unit.argv),
        f"begin {number}",
    ]


def _probe(unit: Unit, number: int) -> list[str]:
    """How to probe it until it has started, and then until it is ready: at the same pace, for as long again."""
    if unit.role is Role.JOB:
        return [f"[[ ${{state[{number}]}} == begun ]] && runs {number}"]
    startup, readiness = unit.probes.startup, unit.probes.readiness
    pace_s = min(startup.period_seconds, readiness.period_seconds)
    limit_s = startup.failure_threshold * startup.period_seconds
    return [
        f"if [[ ${{state[{number}]}} == begun ]]; then",
        *_indented(_asking(startup, startup.period_seconds, limit_s, number) or [f"runs {number}"]),
        "else",
        *_indented(_asking(readiness, pace_s, limit_s, number) or ["return 0"]),
        "fi",
    ]


def _asking(probe: Probe, period_s: float, limit_s: float, number: int) -> list[str]:
    if not probe.checks:
        return []
    every = max(1, round(period_s / _ROUND_S))
    delay, tries = math.ceil(probe.initial_delay_seconds / _ROUND_S), math.ceil(limit_s / (every * _ROUND_S))
    within = f"{probe.initial_delay_seconds + limit_s:g}"
    checks = " && ".join(f"try {number} {probe.timeout_seconds:g} {_words(check)}" for check in probe.checks)
    return [f"delay={delay} every={every} wanted={probe.success_threshold} limit={tries} within={within}", checks]


def _words(check: HttpGet) -> str:
    host = f"[{check.host}]" if ":" in check.host else check.host
    words = [f"http://{host}:{check.port}", check.path]
    if check.or_lists_model:
        words.append("".join(f'"id":{json.dumps(check.or_lists_model, ensure_ascii=False)}'.split()))
    return " ".join(quoted(word) for word in words)


def _check(units: Sequence[Unit]) -> list[str]:
    lines = []
    if any(unit.probes.startup.checks or unit.probes.readiness.checks for unit in units):
        lines.append("type -P curl >/dev/null || fail 'curl is missing, which checks whether all are ready'")
    for unit in units:
        for name, port in unit.ports.items():
            taken = quoted(f"port {port} ({unit.name}'s {name}) is in use")
            lines += [f"{{ is_free {port} 127.0.0.1 && is_free {port} ::1; }} || fail {taken}"]
    return lines


def _prepare(plan: Plan) -> list[str]:
    lines = [line for step in plan.prepare for line in _step(step)]
    # where `up` starts them too: nothing is imported from the current directory
    where = quoted(plan.directory)
    stand = f'{{ make_directory 0700 {where} && cd -- {where}; }} 2>/dev/null || cd -- "${{scratch:-/}}"'
    return [*lines, stand]


def _end_all(plan: Plan, numbers: dict[str, int]) -> list[str]:
    lines = [f"end {_listed(numbers[name] for name in stage)}" for stage in stop_stages(plan.units)]
    # only if something has started: otherwise somebody else may be using it
    clear = f"[[ ! ${{state[*]-}} ]] || rm -rf -- {quoted(plan.discovery_dir)}" if plan.discovery_dir else ""
    return [*lines, clear] if clear else lines


def _step(step: Step) -> list[str]:
    match step:
        case MakeDirectory():
            failed = quoted(f"the directory {step.path} ({step.purpose}) could not be created")
            return [f"make_directory {step.mode:04o} {quoted(step.path)} || fail {failed}"]
        case Run():
            return [f"make {_listed(map(quoted, (step.unless_exists, step.purpose, step.hint, *step.argv)))}"]


# --- bash ---


def _array(name: str, words: Iterable[str]) -> list[str]:
    return [f"{name}=(", *_indented(quoted(word) for word in words), ")"]


def _function(name: str, lines: Sequence[str]) -> str:
    return "\n".join([f"{name}() {{", *_indented(lines or [":"]), "}", ""])


def _cases(name: str, bodies: dict[int, list[str]]) -> str:
    """A function with a different body for each number."""
    cases: list[str] = []
    for number, lines in bodies.items():
        cases += [f"{number})", *_indented([*lines, ";;"])]
    return _function(name, [*(["case $1 in", *_indented(cases), "esac"] if cases else [])])


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _listed(words: Iterable[object]) -> str:
    return " ".join(map(str, words))
