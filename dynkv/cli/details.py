"""All that is known of one unit, for people. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.cli.status_text import age, lora_words, probe_words
from dynkv.supervisor.status import LastExit, UnitStatus


def details(unit: UnitStatus) -> list[tuple[str, str]]:
    """Names and values, the most urgent first; without what is unknown."""
    return [(name, value) for name, value in _all(unit) if value not in ("", "-")]


def _all(unit: UnitStatus) -> Iterator[tuple[str, str]]:
    yield "unit", f"{unit.name} ({unit.role})"
    yield "state", f"{unit.state}{', not wanted at present' if not unit.wanted else ''}"
    yield "waits for", unit.waiting_for or ""
    yield "last exit", _ended(unit.last_exit)
    yield "what to do", unit.last_exit.hint if unit.last_exit else ""
    yield "restarts", _restarts(unit)
    yield "cut", f"{unit.requests_cut} requests" if unit.requests_cut else ""
    yield "probe", probe_words(unit)
    yield "age", age(unit)
    yield "ready after", "" if unit.ready_after_s is None else f"{unit.ready_after_s:.1f} s"
    yield "pid", str(unit.pid or "")
    yield "GPUs", ", ".join(unit.gpus)
    yield "ports", ", ".join(f"{name} {port}" for name, port in unit.ports.items())
    yield "memory", f"{unit.rss_bytes / 1e6:.0f} MB" if unit.rss_bytes else ""
    yield from (("LoRA", words.removeprefix("LoRA ")) for words in lora_words([unit]))
    yield "plan", "an earlier one; it will be restarted" if unit.outdated else ""
    yield "log", unit.log


def _ended(last: LastExit | None) -> str:
    return "" if last is None else f"{last.reason}, {last.at}".rstrip(", ")


def _restarts(unit: UnitStatus) -> str:
    left = "" if unit.restarts_left is None else f", {unit.restarts_left} more before it stays down"
    return f"{unit.restarts}{left}"
