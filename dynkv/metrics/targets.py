"""The address of every unit, for a Prometheus that scrapes them one by one. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from dynkv.metrics.exposition import unit_labels
from dynkv.plan.model import HttpGet, Plan
from dynkv.plan.serving import local_address


def targets(plan: Plan, sources: Mapping[str, HttpGet]) -> list[dict[str, object]]:
    """Targets in the form that `http_sd_configs` reads. `sources`: where units serve metrics, by name."""
    return [
        {
            "targets": [local_address(sources[unit.name].host, sources[unit.name].port)],
            "labels": {
                **unit_labels(plan.name, unit.name, unit.role),
                "__metrics_path__": sources[unit.name].path,
            },
        }
        for unit in plan.units
        if unit.name in sources
    ]
