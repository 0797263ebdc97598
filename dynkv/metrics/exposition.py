"""dynkv's own metrics in Prometheus' text format. Source: Prometheus exposition formats, version 0.0.4."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from dynkv import __version__
from dynkv.probes.text import Sample
from dynkv.supervisor.states import State
from dynkv.supervisor.status import DeploymentStatus, UnitStatus

_BUILD = "dynkv_build_info"
_STATE = "dynkv_unit_state"
_RESTARTS = "dynkv_unit_restarts_total"
_MEMORY = "dynkv_unit_resident_memory_bytes"
_STARTUP = "dynkv_unit_startup_duration_seconds"
REPLACED = {
    "dynkv_process_state": _STATE,
    "dynkv_process_restarts_total": _RESTARTS,
    "dynkv_process_resident_memory_bytes": _MEMORY,
    "dynkv_process_startup_duration_seconds": _STARTUP,
}
"""Replacements of earlier names, which have the label `process` instead of `unit`. They stay for one version."""
_OF_UNITS = {
    _STATE: ("gauge", "1 for the state that the unit is in."),
    _RESTARTS: ("counter", "Restarts of the unit."),
    _MEMORY: ("gauge", "Resident memory of the unit's whole process tree."),
    _STARTUP: ("gauge", "Time from the process's start until it was ready, for the current incarnation."),
}
FAMILIES = {
    _BUILD: ("gauge", "The supervisor's version."),
    **_OF_UNITS,
    **{old: (_OF_UNITS[new][0], f"Deprecated: {new} replaces it.") for old, new in REPLACED.items()},
}
"""Type and description by name. The reference is made from this."""


def own_samples(status: DeploymentStatus) -> dict[str, list[Sample]]:
    """Samples by family."""
    found: dict[str, list[Sample]] = {name: [] for name in FAMILIES}
    found[_BUILD].append(Sample(_BUILD, {"version": __version__}, 1))
    for unit in status.units:
        for sample in _of(unit, status.name):
            found[sample.name].append(sample)
    for old, new in REPLACED.items():
        found[old] += [_as_before(sample, old) for sample in found[new]]
    return found


def family(name: str, kind: str, description: str, samples: Iterable[Sample]) -> str:
    """A whole family: its two comments, and a line for each sample."""
    return "".join([f"# HELP {name} {description}\n# TYPE {name} {kind}\n", *map(line, samples)])


def unit_labels(deployment: str, unit: str, role: str) -> dict[str, str]:
    return {"deployment": deployment, "unit": unit, "role": role}


def labelled(own: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Labels with ours added; a given label with one of our names gets the prefix `exported_`, as in Prometheus."""
    labels = dict(own)
    for name, text in given.items():
        free = name
        while free in labels or (free != name and free in given):
            free = f"exported_{free}"
        labels[free] = text
    return labels


def _of(unit: UnitStatus, deployment: str) -> Iterable[Sample]:
    labels = unit_labels(deployment, unit.name, unit.role)
    for state in State:
        yield Sample(_STATE, {**labels, "state": state}, int(unit.state is state))
    yield Sample(_RESTARTS, labels, unit.restarts)
    if unit.rss_bytes is not None:
        yield Sample(_MEMORY, labels, unit.rss_bytes)
    if unit.ready_after_s is not None:
        yield Sample(_STARTUP, labels, unit.ready_after_s)


def _as_before(sample: Sample, name: str) -> Sample:
    labels = {"process" if key == "unit" else key: text for key, text in sample.labels.items()}
    return Sample(name, labels, sample.value)


def line(sample: Sample) -> str:
    inside = ",".join(f'{key}="{_escaped(text)}"' for key, text in sample.labels.items())
    return f"{sample.name}{{{inside}}} {_number(sample.value)}\n"


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def _number(value: float) -> str:
    if math.isfinite(value):
        return f"{value}"
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
