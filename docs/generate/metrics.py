"""The metrics that the supervisor serves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from dynkv.metrics.exposition import REPLACED
from dynkv.metrics.ledger import STEPS
from dynkv.metrics.own import OWN_FAMILIES
from dynkv.metrics.traffic import PASSED_ON
from dynkv.metrics.whole import SCRAPE_FAMILIES
from dynkv.observe.names import STACK_METRICS, SUPPORTED
from dynkv.supervisor.states import State
from dynkv.supervisor.verdict import Reason
from generate.markdown import code, table

HEAD = """# Metrics

`GET /metrics` at the address that `up` prints, and that is `metrics_url` in `status --json`: dynkv's own metrics, and
those of sidecar, frontend and workers, in one answer. [Monitor it](../howto/watch.md) leads to a dashboard. The answer
is in Prometheus' text format, or OpenMetrics for clients that accept it, as Prometheus does. `GET /sd` returns the
address of every unit. Nothing else is served there: 404 for another path, 405 for a method that would change something,
and on loopback 403 for a `Host` that is not this host's. Many requests within a second cost no more than one.

The deployment's [control socket](http-api.md) serves `GET /metrics` too, with dynkv's own metrics and those of
requests.
"""
_LABELS = "`deployment`, `unit` and `role`"
_COLUMNS = ("metric", "type", "meaning")


def page() -> str:
    own = {name: family for name, family in OWN_FAMILIES.items() if name not in REPLACED}
    before = {name: family for name, family in OWN_FAMILIES.items() if name in REPLACED}
    parts = [
        HEAD,
        "## dynkv's own",
        f"Labels of a unit's metrics: {_LABELS}. `dynkv_build_info` only has `version`. `dynkv_unit_state` has one "
        f"series for each `state`: {_listed(State)}. A `reason` of an outage is {_listed(Reason)}. A `step` of "
        f"cleaning up is {_listed(STEPS)}, as in events. Outages, recoveries, times in states, steps, faults and "
        "cut requests cover the whole deployment: a supervisor that takes over continues counting, from events.jsonl. "
        "Others begin with their supervisor. Unknown metrics, as on a host without GPUs, are left out.",
        table(_COLUMNS, _rows(own)),
        "## Of each scrape",
        table(_COLUMNS, _rows(SCRAPE_FAMILIES)),
        "## The stack's",
        "The units' metrics are passed on as they are, with "
        f"{_LABELS} before a unit's own labels; one with the same name gets the prefix `exported_`. If two "
        "units have a family with different types, the first one's is used. Rules and dashboards rely on these:",
        table(("metric", "program", "type", "meaning", "own labels", "versions"), _of_the_stack()),
        "## Passed on by the control socket",
        "Metrics of frontend and workers about their requests. `process` is the older name of `unit`.",
        table(_COLUMNS, _rows(PASSED_ON)),
        "## Deprecated",
        "Earlier names, with the label `process` instead of `unit`. They stay for one version.",
        table(_COLUMNS, _rows(before)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(code(name) for name in names)


def _of_the_stack() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, it in STACK_METRICS.items():
        oldest, newest = SUPPORTED[it.program]
        versions = f"{it.since or oldest} to {newest}"
        found.append((code(name), str(it.program), it.kind, it.meaning, _listed(it.labels), versions))
    return found


def _rows(families: Mapping[str, tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(code(name), kind, description) for name, (kind, description) in families.items()]
