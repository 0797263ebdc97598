"""What a later supervisor must know: complete, or absent."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lab import Lab
from msgspec.structs import replace

from dynkv.supervisor.journal import VERSION, ChildRecord, Journal, JournalFile, boot_id, read_journal, set_aside

CHILD = ChildRecord(4711, 12345, "ab" * 16, "0123456789abcdef", {"system": 9000}, "2026-01-01T00:00:00+00:00", 17)


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return Lab(tmp_path)


@pytest.fixture
def content(lab: Lab) -> JournalFile:
    return lab.journal_file(lab.plan(lab.unit(), lab.unit("frontend")), {"worker-0": CHILD})


def test_what_is_written_is_read(lab: Lab, content: JournalFile) -> None:
    Journal(lab.place.journal, content)
    assert read_journal(lab.place.journal) == content


def test_every_change_is_on_disk(lab: Lab, content: JournalFile) -> None:
    journal = Journal(lab.place.journal, content)
    other = replace(CHILD, pid=4712)
    journal.remember("frontend", other)
    assert read_journal(lab.place.journal) == replace(content, children={"worker-0": CHILD, "frontend": other})
    journal.remember("worker-0", other)
    journal.forget("frontend")
    journal.forget("frontend")
    assert read_journal(lab.place.journal) == replace(content, children={"worker-0": other})
    journal.close()
    assert read_journal(lab.place.journal) == replace(content, children={}, stopped=True)
    assert [path.name for path in lab.place.directory.iterdir() if path.is_file()] == ["journal.json"]


def test_a_journal_cut_off_anywhere_is_none(lab: Lab, content: JournalFile) -> None:
    path = lab.place.journal
    Journal(path, content)
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        assert read_journal(path) is None, length
    path.write_bytes(whole)
    assert read_journal(path) == content


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_damage_anywhere_raises_nothing(lab: Lab, content: JournalFile, data: st.DataObject) -> None:
    whole = msgspec.json.encode(content)
    at = data.draw(st.integers(0, len(whole) - 1))
    lab.place.journal.write_bytes(whole[:at] + data.draw(st.binary(max_size=4)) + whole[at + 1 :])
    read_journal(lab.place.journal)


@pytest.mark.parametrize("damage", [b"\xff", b"\x00", b'"', b"{"])
def test_a_damaged_name_is_none(lab: Lab, content: JournalFile, damage: bytes) -> None:
    whole = msgspec.json.encode(content)
    at = whole.index(content.boot_id.encode())
    lab.place.journal.write_bytes(whole[:at] + damage + whole[at + 1 :])
    read = read_journal(lab.place.journal)
    assert read is None or read.boot_id != content.boot_id


def test_another_versions_is_read_and_known_for_it(lab: Lab, content: JournalFile) -> None:
    Journal(lab.place.journal, replace(content, version=VERSION + 1))
    read = read_journal(lab.place.journal)
    assert read is not None
    assert (read.children, read.is_understood) == (content.children, False)


@pytest.mark.parametrize(
    "changes",
    [
        *({"pid": pid} for pid in (0, 1, -1, 10**30)),
        {"start_ticks": -1},
        {"incarnation": ""},
        {"ports": {"http": 0}},
        {"ports": {"http": 65536}},
        {"log_start_byte": -1},
        {"registrations": ["--all"]},
    ],
    ids=str,
)
def test_a_child_that_can_be_none_is_not_understood(lab: Lab, content: JournalFile, changes: dict[str, object]) -> None:
    written = msgspec.to_builtins(content)
    written["children"]["worker-0"] |= changes
    lab.place.journal.write_bytes(msgspec.json.encode(written))
    read = read_journal(lab.place.journal)
    assert read is not None
    assert (read.children, read.is_understood) == ({}, False)


@pytest.mark.parametrize("name", ["..", "../x", "/etc", "a/b", "", "A", "a\n", "a" * 64])
def test_names_that_lead_elsewhere_are_none(lab: Lab, content: JournalFile, name: str) -> None:
    written = msgspec.to_builtins(content)
    lab.place.journal.write_bytes(msgspec.json.encode({**written, "children": {name: written["children"]["worker-0"]}}))
    read = read_journal(lab.place.journal)
    assert read is not None
    assert (read.children, read.is_understood) == ({}, False)
    written["plan"]["units"][0]["name"] = name
    lab.place.journal.write_bytes(msgspec.json.encode(written))
    read = read_journal(lab.place.journal)
    assert read is not None
    assert (read.plan, read.is_understood) == (None, False)


def test_a_plan_that_goes_round_in_a_circle_is_none(lab: Lab, content: JournalFile) -> None:
    written = msgspec.to_builtins(content)
    written["plan"]["units"][0]["depends_on"] = [{"unit": "worker-0", "condition": "ready"}]
    lab.place.journal.write_bytes(msgspec.json.encode(written))
    read = read_journal(lab.place.journal)
    assert read is not None
    assert (read.plan, read.is_understood) == (None, False)


UNREADABLE = {"gone": 1, "units": [{"name": 7}]}


@pytest.mark.parametrize("part", ["boot_id", "supervisor_pid", "started_at", "socket", "plan", "stopped", "version"])
def test_what_can_be_read_is_read_whatever_the_rest_is(lab: Lab, content: JournalFile, part: str) -> None:
    written = msgspec.to_builtins(content)
    for broken in ({**written, part: UNREADABLE}, {name: it for name, it in written.items() if name != part}):
        lab.place.journal.write_bytes(msgspec.json.encode(broken))
        read = read_journal(lab.place.journal)
        assert read is not None
        assert (read.children, read.is_understood, read.unread) == (content.children, False, (part,))


def test_one_child_that_cannot_be_read_hides_no_other(lab: Lab, content: JournalFile) -> None:
    written = msgspec.to_builtins(content)
    written["children"]["worker-1"] = {"pid": "seven"}
    lab.place.journal.write_bytes(msgspec.json.encode(written))
    read = read_journal(lab.place.journal)
    assert read is not None
    assert (read.children, read.unread) == (content.children, ("children.worker-1",))


def test_what_earlier_versions_did_not_write_is_not_missed(lab: Lab, content: JournalFile) -> None:
    """And additions of later versions are ignored."""
    written = msgspec.to_builtins(content)
    del written["resting"]
    for child in written["children"].values():
        del child["registrations"]
    lab.place.journal.write_bytes(msgspec.json.encode({**written, "new": [1], "plan": {**written["plan"], "x": 1}}))
    read = read_journal(lab.place.journal)
    assert read is not None
    assert (read.children, read.resting, read.is_understood) == (content.children, {}, True)


RELEASED = Path(__file__).with_name("released")


@pytest.mark.parametrize("path", sorted(RELEASED.glob("journal-*.json")), ids=lambda path: path.stem)
def test_those_of_released_versions_are_read_whole(path: Path, lab: Lab) -> None:
    """Journals written by those versions, without what was specific to the host."""
    lab.place.journal.write_bytes(path.read_bytes())
    read = read_journal(lab.place.journal)
    assert read is not None
    assert read.plan is not None
    assert (read.version, read.unread) == (VERSION, ())
    assert read.children.keys() == {unit.name for unit in read.units}
    assert [unit.argv for unit in read.units] == [
        tuple(unit["argv"]) for unit in json.loads(path.read_text())["plan"]["units"]
    ]


def test_none_where_there_is_none(tmp_path: Path) -> None:
    assert read_journal(tmp_path / "journal.json") is None


def test_only_a_damaged_one_is_set_aside_and_kept(lab: Lab, content: JournalFile) -> None:
    path = lab.place.journal
    assert set_aside(path) is None
    Journal(path, content)
    assert set_aside(path) is None
    path.write_bytes(b"{")
    kept = set_aside(path)
    assert kept is not None
    assert (kept.read_bytes(), path.exists()) == (b"{", False)


def test_one_that_cannot_be_written_says_so_and_keeps_the_old(lab: Lab, content: JournalFile) -> None:
    path = lab.place.journal
    journal = Journal(path, content)
    (path.with_suffix(".tmp")).mkdir()
    journal.forget("worker-0")
    assert journal.write_error is not None
    assert (read_journal(path), journal.content.children) == (content, {})
    path.with_suffix(".tmp").rmdir()
    journal.remember("worker-0", CHILD)
    assert read_journal(path) == content
    assert not journal.write_error


def test_it_holds_no_secret(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_very_secret")
    plan = lab.plan(lab.unit(secret_env=("HF_TOKEN",)))
    assert b"hf_very_secret" not in msgspec.json.encode(lab.journal_file(plan))


def test_the_boot_has_a_name_that_stays() -> None:
    assert len(boot_id()) == 36
    assert boot_id() == boot_id()
