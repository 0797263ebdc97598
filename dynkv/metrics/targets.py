"""Every unit's own address, for a Prometheus that asks them one by one. Pure.

Source: Prometheus, "HTTP service discovery".
"""

from __future__ import annotations

from collections.abc import Mapping

from dynkv.metrics.exposition import unit_labels
from dynkv.plan.model import HttpGet, Plan
from dynkv.plan.serving import local_address


def targets(plan: Plan, sources: Mapping[str, HttpGet]) -> list[dict[str, object]]:
    """As `http_sd_configs` reads them. `sources`: where the figures of each unit are that has any, by its name."""
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
