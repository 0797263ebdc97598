"""dynkv's own figures in Prometheus' text format. Source: Prometheus exposition formats, version 0.0.4."""

from __future__ import annotations

from collections.abc import Iterable

from dynkv import __version__
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentStatus, UnitStatus

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


FAMILIES = {
    "dynkv_build_info": ("gauge", "The supervisor's version."),
    "dynkv_process_state": ("gauge", "1 for the state that the unit is in."),
    "dynkv_process_restarts_total": ("counter", "Restarts of the unit."),
    "dynkv_process_resident_memory_bytes": ("gauge", "Resident memory of the unit's whole process tree."),
    "dynkv_process_startup_duration_seconds": (
        "gauge",
        "From the process's start to ready, of the current incarnation.",
    ),
}
"""Type and description, by name. The reference is made from this."""


def exposition(status: DeploymentStatus) -> str:
    lines = _family("dynkv_build_info", [({"version": __version__}, 1)])
    labelled = [(unit, _labels(status, unit)) for unit in status.units]
    lines += _family(
        "dynkv_process_state",
        [({**labels, "state": state}, int(unit.state is state)) for unit, labels in labelled for state in State],
    )
    lines += _family("dynkv_process_restarts_total", [(la, u.restarts) for u, la in labelled])
    lines += _family(
        "dynkv_process_resident_memory_bytes",
        [(la, u.rss_bytes) for u, la in labelled if u.rss_bytes is not None],
    )
    lines += _family(
        "dynkv_process_startup_duration_seconds",
        [(la, u.ready_after_s) for u, la in labelled if u.ready_after_s is not None],
    )
    return "\n".join(lines) + "\n"


def _labels(status: DeploymentStatus, unit: UnitStatus) -> dict[str, str]:
    return {"deployment": status.name, "process": unit.name, "role": unit.role}


def _family(name: str, samples: Iterable[tuple[dict[str, str], float | int]]) -> list[str]:
    kind, description = FAMILIES[name]
    lines = [f"# HELP {name} {description}", f"# TYPE {name} {kind}"]
    for labels, value in samples:
        inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in labels.items())
        lines.append(f"{name}{{{inside}}} {value}")
    return lines


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")
