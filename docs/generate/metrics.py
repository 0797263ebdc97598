"""The metrics that the supervisor serves."""

from __future__ import annotations

from dynkv.metrics.exposition import FAMILIES
from dynkv.metrics.traffic import PASSED_ON
from dynkv.supervisor.states import State
from generate.markdown import code, sentence, table

HEAD = """# Metrics

`GET /metrics` on the deployment's [control socket](http-api.md), in Prometheus' text format. Prometheus itself cannot
ask a Unix socket; a proxy such as `socat` between it and the socket can:

```text
socat TCP-LISTEN:9100,bind=127.0.0.1,fork UNIX-CONNECT:$HOME/.local/state/dynkv/agg/control.sock
```

Every unit's own `/metrics` is on its port: `dynkv status` shows them.
"""
_LABELS = "`deployment`, `process` (the unit's name) and `role`"


def page() -> str:
    own = [(code(name), kind, description) for name, (kind, description) in FAMILIES.items()]
    passed_on = [(code(name), sentence(meaning)) for name, meaning in PASSED_ON.items()]
    parts = [
        HEAD,
        "## dynkv's own",
        f"Labels: {_LABELS}. `dynkv_build_info` has `version` alone. `dynkv_process_state` has one series for each "
        f"`state`: {', '.join(code(state) for state in State)}.",
        table(("metric", "type", "meaning"), own),
        "## Passed on",
        "What frontend and workers count about their requests, fetched when you ask. A unit that does not answer "
        f"within a second is left out. The labels are those that the unit gives, and {_LABELS} before them. Which of "
        "them there are depends on the engine: the mocker has no `vllm:` figures.",
        table(("metric", "meaning"), passed_on),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"
