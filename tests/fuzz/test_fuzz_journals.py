"""Journals and files of events: whatever they contain, they are read as far as possible."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import BYTES, JSON, as_json, bounded, damaged, fuzz, soup, with_another_value
from lab import Lab

from dynkv.cli import view
from dynkv.cli.commands import run
from dynkv.cli.ink import Ink
from dynkv.cli.status_text import status_text
from dynkv.errors import DynkvError
from dynkv.metrics.present import Beside, present
from dynkv.supervisor.events import decoded
from dynkv.supervisor.journal import ChildRecord, read_journal
from dynkv.supervisor.salvage import adoptable, orphaned_status, registrations_left

CHILD = ChildRecord(2**22 + 1, 12345, "ab" * 16, "0123456789abcdef", {"system": 9000}, "2026-01-01T00:00:00+00:00", 17)
"""A child whose pid no process has."""
EVENT = {"seq": 1, "at": "2026-01-01T00:00:00.000+00:00", "kind": "state", "unit": "a", "message": "m", "cause": "c"}


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


def journal(lab: Lab) -> Any:
    content = lab.journal_file(lab.plan(lab.unit(), lab.unit("frontend")), {"worker-0": CHILD})
    return msgspec.to_builtins(content)


def seen_from_outside(lab: Lab, content: bytes) -> None:
    """Do everything that is done with a journal of which nothing runs."""
    path = lab.place.journal
    path.write_bytes(content)
    with bounded():
        found = read_journal(path)
        if found is None:
            return
        status = orphaned_status(found, lab.place)
        status_text(status, Ink(io.StringIO()))
        list(present(status, Beside()))
        msgspec.json.encode(status)
        registrations_left(found, [*found.children][:1], lab.place)
        if found.plan is not None:
            adoptable(found, found.plan, lab.place)


@fuzz
@given(st.data())
def test_one_value_is_another(lab: Lab, data: st.DataObject) -> None:
    seen_from_outside(lab, as_json(data.draw(with_another_value(journal(lab)))))


@fuzz
@given(st.data())
def test_one_place_is_wrong(lab: Lab, data: st.DataObject) -> None:
    seen_from_outside(lab, data.draw(damaged(msgspec.json.encode(journal(lab)))))


@fuzz
@given(BYTES | JSON.map(as_json))
@example(b"[" * 100_000)
@example(b'{"children": ' + b'{"a":' * 100_000)
@example(b'{"children": {}, "version": 1e400}')
@example(b'{"children": {"\\ud800": {}}}')
def test_anything(lab: Lab, content: bytes) -> None:
    seen_from_outside(lab, content)


PIECES = [as_json(EVENT), as_json({**EVENT, "at": ""}), b"\n", b"{", b"\xff", b"null", b"[" * 5000, b'"seq": ']


@fuzz
@given(soup(PIECES) | with_another_value(EVENT).map(as_json))
@example(as_json({**EVENT, "at": ""}))
@example(as_json({**EVENT, "at": "2026-01-01"}))
@example(as_json({**EVENT, "at": "0001-01-01T00:00:00+23:59"}))
@example(as_json({**EVENT, "unit": "[/bold]", "at": "[/]"}))
@example(b"[" * 100_000)
@example(b'{"seq": "\xff"}')
def test_events(tmp_path_factory: pytest.TempPathFactory, content: bytes) -> None:
    home = tmp_path_factory.mktemp("home", numbered=True)
    (home / "mine").mkdir()
    (home / "mine" / "journal.json").write_text("{}")
    (home / "mine" / "events.jsonl").write_bytes(content)
    for words in ([], ["--since", "1h"], ["--json", "--unit", "a"]):
        with bounded(), pytest.MonkeyPatch.context() as patch, redirect_stdout(io.StringIO()):
            patch.setenv("DYNKV_HOME", str(home))
            try:
                run(["events", "mine", *words])
            except DynkvError as error:
                assert error.hint


@fuzz
@given(with_another_value(EVENT))
def test_an_event_is_shown(document: Any) -> None:
    event = decoded(as_json(document))
    if event is None:
        return
    with redirect_stdout(io.StringIO()):
        view.show_event(event)
