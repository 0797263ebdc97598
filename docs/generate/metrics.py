"""The metrics that the supervisor serves."""

from __future__ import annotations

from collections.abc import Mapping

from dynkv.metrics.exposition import FAMILIES, REPLACED
from dynkv.metrics.traffic import PASSED_ON
from dynkv.supervisor.states import State
from generate.markdown import code, table

HEAD = """# Metrics

`GET /metrics` on the deployment's [control socket](http-api.md), in Prometheus' text format. Prometheus itself cannot
ask a Unix socket. Forward that socket to no TCP port: whoever reached it could stop the deployment, too. Let the text
collector of node_exporter read a file instead, from a timer or a cron job of your own:

```text
curl -sf --unix-socket ~/.local/state/dynkv/agg/control.sock http://dynkv/metrics -o agg.new && mv agg.new agg.prom
```

Every unit's own `/metrics` is on its port: `dynkv status` shows them.
"""
_LABELS = "`deployment`, `unit` and `role`"
_COLUMNS = ("metric", "type", "meaning")


def page() -> str:
    own = {name: family for name, family in FAMILIES.items() if name not in REPLACED}
    before = {name: family for name, family in FAMILIES.items() if name in REPLACED}
    parts = [
        HEAD,
        "## dynkv's own",
        f"Labels: {_LABELS}. `dynkv_build_info` has `version` alone. `dynkv_unit_state` has one series for each "
        f"`state`: {', '.join(code(state) for state in State)}.",
        table(_COLUMNS, _rows(own)),
        "## Passed on",
        "What frontend and workers count about their requests, fetched when you ask. A unit that does not answer "
        f"within a second is left out. The labels are those that the unit gives, and {_LABELS} before them; a label of "
        "the unit's own with one of these names has `exported_` before it. `process` is the older name of `unit`, and "
        "goes with the metrics below. Which of them there are depends on the engine.",
        table(_COLUMNS, _rows(PASSED_ON)),
        "## Deprecated",
        "The names of before, with the label `process` for `unit`. They stay for one version.",
        table(_COLUMNS, _rows(before)),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _rows(families: Mapping[str, tuple[str, str]]) -> list[tuple[str, str, str]]:
    return [(code(name), kind, description) for name, (kind, description) in families.items()]
