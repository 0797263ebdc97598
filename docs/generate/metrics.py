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

`GET /metrics` at the address that `up` prints and `status --json` has as `metrics_url`: dynkv's own figures, and all
that sidecar, frontend and workers say, in one answer. [Watch it](../howto/watch.md) has the way to a dashboard. It is
Prometheus' text format, or OpenMetrics for who accepts that, as Prometheus does. `GET /sd` names the address of every
unit. Nothing else is answered there: 404 for another path, 405 for a method that would change something, and on
loopback 403 for a `Host` that is not this host's. Many who ask within a second cost no more than one.

The deployment's [control socket](http-api.md) answers `GET /metrics` too, with dynkv's own figures and those of
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
        f"Labels of what is a unit's: {_LABELS}. `dynkv_build_info` has `version` alone. `dynkv_unit_state` has one "
        f"series for each `state`: {_listed(State)}. A `reason` of an outage is {_listed(Reason)}. A `step` of "
        f"clearing up is {_listed(STEPS)}, as events name it. Outages, recoveries, times in states, steps, faults and "
        "cut requests are of the whole deployment: a supervisor that takes over counts on, from events.jsonl. Others "
        "begin with their supervisor. What is not known, as on a host without GPUs, is not there.",
        table(_COLUMNS, _rows(own)),
        "## Of each scrape",
        table(_COLUMNS, _rows(SCRAPE_FAMILIES)),
        "## The stack's",
        "What units say is passed on as it is, with "
        f"{_LABELS} before a unit's own labels; one with such a name has `exported_` before it. Where two "
        "units have a family as different kinds, the first one's is taken. Rules and dashboards rely on these:",
        table(("metric", "program", "type", "meaning", "versions"), _of_the_stack()),
        "## Passed on by the control socket",
        "What frontend and workers count about their requests. `process` is the older name of `unit`.",
        table(_COLUMNS, _rows(PASSED_ON)),
        "## Deprecated",
        "The names of before, with the label `process` for `unit`. They stay for one version.",
        table(_COLUMNS, _rows(before)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _listed(names: Iterable[str]) -> str:
    return ", ".join(code(name) for name in names)


def _of_the_stack() -> list[tuple[str, str, str, str, str]]:
    found = []
    for name, it in STACK_METRICS.items():
        oldest, newest = SUPPORTED[it.program]
        found.append((code(name), str(it.program), it.kind, it.meaning, f"{it.since or oldest} to {newest}"))
    return found


def _rows(families: Mapping[str, tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(code(name), kind, description) for name, (kind, description) in families.items()]
