"""JSON, whatever is in it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import Event, EventLog
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus
from dynkv.supervisor.wire import encoded


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"a": 1}, {"a": 1}),
        ("caf\udce9", "caf\\udce9"),
        ({"caf\udce9": ["\udcff", State.READY, None]}, {"caf\\udce9": ["\\udcff", "ready", None]}),
        ({"path": Path("/data")}, {"path": "/data"}),
        ({"ratio": float("nan")}, {"ratio": None}),
    ],
)
def test_what_no_text_can_hold_is_shown_as_its_bytes(content: object, expected: object) -> None:
    assert json.loads(encoded(content)) == expected


def test_a_snapshot_keeps_its_fields() -> None:
    status = UnitStatus("web", "unit", State.READY, waiting_for="caf\udce9")
    assert json.loads(encoded(status))["waiting_for"] == "caf\\udce9"


def test_recording_an_event_never_fails(tmp_path: Path) -> None:
    """What a process is called comes from the host: it may be no text."""
    log = EventLog(tmp_path / "events.jsonl")
    log.record(EventKind.PORT, "held by caf\udce9", cause=str(tmp_path), holder=Path("/caf\udce9"), error=OSError("x"))
    told = json.loads((tmp_path / "events.jsonl").read_text())
    assert told["message"] == "held by caf\\udce9"
    assert Event(**told).data == {"holder": "/caf\\udce9", "error": "x"}
