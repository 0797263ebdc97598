"""Traces and logs of the real frontend, sidecar and mocker, with an OTLP collector."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from .asking import complete, prompt
from .collector import collector
from .figures import figures
from .harness import MOCKER, Dynkv, unit, wait_for

pytestmark = pytest.mark.stack


def test_one_request_is_one_trace_and_the_sidecar_keeps_its_figures(dynkv: Dynkv) -> None:
    with collector() as otlp:
        observed = f"observability={{otlp: '{otlp.url}', logs: json}}"
        status = dynkv.up("agg", *MOCKER, "--set", observed)
        complete(dynkv.endpoint, "tiny", prompt(8, seed=1), max_tokens=2)

        def whole_traces() -> list[str]:
            served = {span.trace for span in otlp.spans if span.name == "handle_payload"}
            return [span.trace for span in otlp.spans if not span.parent and span.trace in served]

        wait_for(lambda: len(whole_traces()) >= 2, "the traces of this request and of the first one")
        for trace in whole_traces():
            spans = otlp.of(trace)
            assert {span.service for span in spans} == {"agg-frontend", "agg-worker-0"}
            assert {span.parent for span in spans} - {span.id for span in spans} == {""}
        assert "lmcache_mp_l1_memory_usage_bytes" in figures(unit(status, "lmcache")["ports"]["http"])

        log = Path(unit(status, "frontend")["log"])
        assert any("trace_id" in json.loads(line) for line in log.read_text().splitlines() if line.startswith("{"))
        shown = dynkv.do("logs", "frontend").stdout
        assert "INFO dynamo_llm::http::service::metrics: request completed" in shown
        assert '{"time"' not in shown
