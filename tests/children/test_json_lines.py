"""JSON lines in logs, as text for people."""

from __future__ import annotations

import pytest

from dynkv.children.json_lines import in_text

REQUEST = (
    '{"time":"2026-11-27T14:56:55.9Z","level":"INFO","file":"/opt/metrics.rs","line":1834,"target":"dynamo_llm::http",'
    '"message":"request completed","elapsed_ms":"41","request_id":"76253e4f","span_id":"bc81","trace_id":"896f"}'
)
OF_PYTHON = (
    '{"time":"2026-11-27T14:56:54.8Z","level":"ERROR","target":"log","message":"no\\nmodel","log.file":"/a/main.py",'
    '"log.line":381,"log.target":"main.async_main"}'
)


def test_it_is_the_text_that_dynamo_would_have_written() -> None:
    assert in_text(REQUEST) == (
        "2026-11-27T14:56:55.9Z  INFO dynamo_llm::http: request completed elapsed_ms=41 request_id=76253e4f"
    )
    assert in_text(OF_PYTHON) == "2026-11-27T14:56:54.8Z ERROR main.async_main: no\nmodel"


@pytest.mark.parametrize(
    "line", ["", "text", REQUEST[:-1], '{"time":"now","level":"INFO"}', '{"time":"now","a":1}', '["time"]']
)
def test_another_line_stays_as_it_is(line: str) -> None:
    assert in_text(line) == line
