"""Reading single figures out of Prometheus' text format."""

from __future__ import annotations

import re


def total(exposition: str | None, name: str) -> float | None:
    """The sum of a metric over all its labels; None where it is not there."""
    values = re.findall(rf"^{re.escape(name)}(?:{{[^}}]*}})? (\S+)", exposition or "", re.MULTILINE)
    return sum(float(value) for value in values) if values else None
