"""Debian's Prometheus, with promtool."""

from __future__ import annotations

from debian import program


def prometheus() -> str:
    """Its path; skips the test where there is none."""
    return program("prometheus", "prometheus")


def promtool() -> str:
    """Its path; skips the test where there is none."""
    return program("promtool", "prometheus")
