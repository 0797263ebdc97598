"""JSON of anything, and back."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynkv.documents import decoded, encoded
from dynkv.supervisor.event_kinds import EventKind
from dynkv.supervisor.events import Event, EventLog
from dynkv.supervisor.states import State
from dynkv.supervisor.status import UnitStatus


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
    """A process's name comes from the host and may not be text."""
    log = EventLog(tmp_path / "events.jsonl")
    log.record(EventKind.PORT, "held by caf\udce9", cause=str(tmp_path), holder=Path("/caf\udce9"), error=OSError("x"))
    told = json.loads((tmp_path / "events.jsonl").read_text())
    assert told["message"] == "held by caf\\udce9"
    assert Event(**told).data == {"holder": "/caf\\udce9", "error": "x"}


TEXTS = st.one_of(
    st.binary(max_size=12).map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.text(st.sampled_from("\\udc589aef\udc5c\udce9"), max_size=16).map(lambda it: it.replace("\udc5c", "\\")),
)


@given(st.recursive(TEXTS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=8))
def test_what_is_written_is_what_is_read(content: object) -> None:
    raw = encoded(content)
    raw.decode()
    assert decoded(raw, object) == content


@pytest.mark.parametrize("name", ["caf\udce9", "\\udce9", "\\udc5c", "\\", "\\\udce9"])
def test_a_structure_with_any_bytes(name: str) -> None:
    status = UnitStatus("web", "unit", State.READY, waiting_for=name, log=f"/{name}/log")
    assert decoded(encoded(status), UnitStatus) == status


def test_documents_within_one() -> None:
    document = encoded({"a": "\udce9", "b": msgspec.Raw(encoded(["\\udce9"]))})
    assert decoded(document, dict[str, object]) == {"a": "\udce9", "b": ["\\udce9"]}


def test_in_order() -> None:
    assert encoded({"b": 1, "a": "\udce9"}, is_sorted=True) == b'{"a":"\\\\udce9","b":1}'
    assert encoded({"b": 1, "a": 2}, is_sorted=True) == b'{"a":2,"b":1}'


@pytest.mark.parametrize("raw", [b"", b"{", b"[\xff]", b'{"name": "\\\\udce9"}', "[\udce9]"])
def test_what_is_none_of_the_kind(raw: bytes | str) -> None:
    with pytest.raises((msgspec.MsgspecError, ValueError)):
        decoded(raw, UnitStatus)
