"""A plan as a Compose file: one service for each unit, on one machine, all in the namespaces of its host. Pure.

Source: the Compose Specification, as docker-compose 1.29.2 and podman-compose 1.6.0 read it. In separate namespaces
NIXL and CUDA IPC would not work, and the plan's loopback addresses are the host's.
"""

from __future__ import annotations

import math
from typing import Any

from dynkv.plan.model import Condition, HttpGet, Plan, Probes, Role, Unit
from dynkv.plan.steps import MakeDirectory
from dynkv.profile.model import Profile
from dynkv.render.elsewhere import HOME
from dynkv.render.readme import Readme, lost_with_the_supervisor, secret_names
from dynkv.render.yaml_text import as_yaml

FILE = "compose.yaml"
SHARED_SECRETS = "secrets.env"
_PREPARE = "prepare"
_STATE = "state"
_RENUMBERED = ("CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER")
"""Variables that are left out: a container sees only its own GPUs, numbered from 0."""
_LATE_S = 5.0
"""Seconds that Python takes to start, in addition to a check's own time."""
_ASK = """\
import json, sys, urllib.error, urllib.request
def get(url): return urllib.request.urlopen(url, timeout=float(sys.argv[1]))
for url, model in zip(sys.argv[2::2], sys.argv[3::2]):
    try:
        get(url)
    except urllib.error.HTTPError as error:
        if not model or error.code != 404: raise
        listed = json.load(get(url.partition("/v1/")[0] + "/v1/models"))["data"]
        if model not in [one["id"] for one in listed]: raise
"""
"""A program that passes like the plan's checks. The image certainly has Python, but perhaps not curl."""


def compose_files(profile: Profile, plan: Plan, image: str) -> dict[str, str]:
    """Files by path: the Compose file and its README."""
    services: dict[str, Any] = {}
    directories = [step.path for step in plan.prepare if isinstance(step, MakeDirectory) and _is_kept(step.path)]
    if directories:
        services[_PREPARE] = _preparing(image, directories)
    units = [unit for unit in plan.units if not unit.role.is_own]
    for number, unit in enumerate(units):
        services[unit.name] = _service(profile, plan, unit, units[:number], image, is_prepared=bool(directories))
    document = {"services": services, "volumes": {_STATE: {}}}
    head = [f"{plan.name} (profile {plan.profile}) as a Compose file, by `dynkv export compose`: see README.md."]
    return {FILE: as_yaml(_escaped(document), head), "README.md": _readme(profile, plan, image).text()}


def _preparing(image: str, directories: list[str]) -> dict[str, Any]:
    command = ["mkdir", "-p", *directories]
    return {"image": image, "user": "0:0", "command": command, "volumes": [f"{_STATE}:{HOME}"], "restart": "no"}


def _service(
    profile: Profile, plan: Plan, unit: Unit, before: list[Unit], image: str, *, is_prepared: bool
) -> dict[str, Any]:
    made: dict[str, Any] = {
        "image": image,
        "user": "0:0",  # as another user, CUDA IPC's handshake fails (ai-dynamo/dynamo 77d8d4e5, agg_lmcache.yaml)
        "command": list(unit.argv),
        "environment": {name: value for name, value in sorted(unit.env.items()) if not _is_renumbered(unit, name)},
        "network_mode": "host",
        **({} if unit.role is Role.FRONTEND else {"ipc": "host", "pid": "host"}),
        "volumes": [f"{_STATE}:{HOME}", *_mounted(profile, plan, unit)],
        "ulimits": {"memlock": -1, "nofile": 65536},
        "restart": "unless-stopped",
        "stop_grace_period": _seconds(unit.stop_timeout_s),
        "logging": _logging(plan),
    }
    if secrets := secret_files(unit):
        made["env_file"] = secrets
    if unit.probes.readiness.checks:
        made["healthcheck"] = _healthcheck(unit.probes)
    if waits_for := {**_prepared(is_prepared), **_waits_for(plan, unit, before)}:
        made["depends_on"] = waits_for
    if gpus := _gpus(plan, unit):
        devices = [{"driver": "nvidia", "device_ids": gpus, "capabilities": ["gpu"]}]
        made["deploy"] = {"resources": {"reservations": {"devices": devices}}}
    return made


def secret_files(unit: Unit) -> list[str]:
    """Names of the files with its secrets: those shared by several units, and its own."""
    own = [f"secrets-{unit.name}.env"] if unit.own_secrets else []
    return [*([SHARED_SECRETS] if unit.secret_env else []), *own]


def _is_renumbered(unit: Unit, name: str) -> bool:
    return bool(unit.gpus) and name in _RENUMBERED


def _mounted(profile: Profile, plan: Plan, unit: Unit) -> list[str]:
    """Mounts of the machine's own directories at the same paths: a model, and L2."""
    if unit.role is Role.LMCACHE:
        return [f"{path}:{path}" for path in plan.l2_directories if not _is_kept(path)]
    path = profile.model.path
    return [f"{path}:{path}:ro"] if path.startswith("/") else []


def _is_kept(path: str) -> bool:
    return path.startswith(f"{HOME}/")


def _gpus(plan: Plan, unit: Unit) -> list[str]:
    """GPUs of a unit; the sidecar needs those of all its workers."""
    if unit.role is Role.LMCACHE:
        return list(dict.fromkeys(gpu for worker in plan.workers for gpu in worker.gpus))
    return list(unit.gpus)


def _logging(plan: Plan) -> dict[str, Any]:
    kept = {"max-size": f"{max(1, plan.logs.max_bytes // 1_000_000)}m", "max-file": str(plan.logs.keep + 1)}
    return {"driver": "json-file", "options": kept}


def _healthcheck(probes: Probes) -> dict[str, Any]:
    """The readiness probe, with as much time as the startup probe before a failure counts."""
    startup, readiness = probes.startup, probes.readiness
    starts_within_s = startup.initial_delay_seconds + startup.failure_threshold * startup.period_seconds
    asked = [word for check in readiness.checks for word in (_url(check), check.or_lists_model)]
    return {
        "test": ["CMD", "python3", "-c", _ASK, f"{readiness.timeout_seconds:g}", *asked],
        "interval": _seconds(readiness.period_seconds),
        "timeout": _seconds(readiness.timeout_seconds * len(readiness.checks) + _LATE_S),
        "retries": readiness.failure_threshold,
        "start_period": _seconds(starts_within_s),
    }


def _url(check: HttpGet) -> str:
    host = f"[{check.host}]" if ":" in check.host else check.host
    return f"http://{host}:{check.port}{check.path}"


def _prepared(is_prepared: bool) -> dict[str, Any]:
    return {_PREPARE: {"condition": "service_completed_successfully"}} if is_prepared else {}


def _waits_for(plan: Plan, unit: Unit, before: list[Unit]) -> dict[str, Any]:
    """Planned dependencies, and units on the same GPUs: an engine measures its memory while it starts."""
    waits = {needed.unit: _condition(plan.unit(needed.unit), needed.condition) for needed in unit.depends_on}
    waits |= {other.name: "service_healthy" for other in before if set(other.gpus) & set(unit.gpus)}
    return {name: {"condition": condition} for name, condition in waits.items()}


def _condition(needed: Unit, condition: Condition) -> str:
    """A condition. A frontend is healthy when its workers are, so a unit that needs it started cannot wait for that."""
    probes = needed.probes
    is_health = condition is Condition.READY or probes.startup.checks == probes.readiness.checks
    return "service_healthy" if is_health and probes.readiness.checks else "service_started"


def _seconds(seconds: float) -> str:
    return f"{math.ceil(seconds)}s"


def _escaped(value: Any) -> Any:
    """Text with `$` doubled, as Compose expands what follows a single one."""
    if isinstance(value, dict):
        return {name: _escaped(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_escaped(inner) for inner in value]
    return value.replace("$", "$$") if isinstance(value, str) else value


def _readme(profile: Profile, plan: Plan, image: str) -> Readme:
    gpus = list(dict.fromkeys(gpu for unit in plan.workers for gpu in unit.gpus))
    needs = [
        f"`{image}`, or another image with the same stack: `--image`. The arguments are those of ai-dynamo 1.6.1, vllm "
        "0.31.0 and lmcache 0.5.6.",
        "Compose: `docker compose` or `podman-compose`. The services run as root in the host's network, workers "
        "and LMCache also in its IPC and process namespaces, since NIXL and CUDA IPC need that.",
        *([f"NVIDIA's Container Toolkit, and GPU {', '.join(gpus)}."] if gpus else []),
        f"Free ports on the host: {', '.join(map(str, sorted(_ports(plan))))}.",
        *([f"The model in `{profile.model.path}` on the host."] if profile.model.path.startswith("/") else []),
    ]
    start = [
        "docker compose up --detach",
        "docker compose ps",
        f"curl {plan.endpoint}/v1/models",
        "docker compose down",
    ]
    return Readme(f"{plan.name} as a Compose file", needs, start, _lost(profile, plan), _secrets(plan))


def _ports(plan: Plan) -> set[int]:
    return {port for unit in plan.units if not unit.role.is_own for port in unit.ports.values()}


def _secrets(plan: Plan) -> list[str]:
    """How to make each file of secrets."""
    own = {f"secrets-{unit.name}.env": tuple(unit.own_secrets) for unit in plan.units if unit.own_secrets}
    files = {**({SHARED_SECRETS: secret_names(plan)} if secret_names(plan) else {}), **own}
    if not files:
        return []
    commands = []
    for file, names in files.items():
        commands += [f"(umask 077; : >{file})", *(f'echo "{name}=${name}" >>{file}' for name in names)]
    text = (
        "These files contain no secrets, which are read from files of variables next to compose.yaml. They have to be "
        "there, but may be empty if nothing is needed, as for a public model. `docker compose config` prints "
        "their contents."
    )
    return [text, "\n".join(f"    {command}" for command in commands)]


def _lost(profile: Profile, plan: Plan) -> list[tuple[str, str]]:
    shares = len({gpu for unit in plan.workers for gpu in unit.gpus}) < sum(len(unit.gpus) for unit in plan.workers)
    found = [
        *lost_with_the_supervisor(profile, plan),
        (
            "Hang checks",
            "a worker that hangs is shown as unhealthy, but stays: Compose only restarts containers that have exited",
        ),
        ("Metrics of all units at one address", "each unit still has its own `/metrics`"),
    ]
    if shares:
        found.append(("Turns on a GPU", "one after the other at `up`; a restart does not wait"))
    return found
