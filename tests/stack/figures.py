"""Metrics that the sidecar and the workers publish on loopback."""

from __future__ import annotations

import json
import urllib.request
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

_POLL_S = 0.2


def get(port: int, path: str) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=30) as response:
        text: str = response.read().decode()
    return text


def figures(port: int) -> dict[str, float]:
    """Every sample of a process's /metrics, summed over its labels."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(get(port, "/metrics")):
        for sample in family.samples:
            found[sample.name] = found.get(sample.name, 0.0) + sample.value
    return found


def sidecar(port: int) -> dict[str, Any]:
    """The report of LMCache's /status."""
    report: dict[str, Any] = json.loads(get(port, "/status"))
    return report


def registered(port: int) -> list[int]:
    """Ids of the workers whose KV caches the sidecar has mapped."""
    report = sidecar(port)
    return [*report["registered_gpu_ids"], *report["registered_non_cuda_instance_ids"]]
