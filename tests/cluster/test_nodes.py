"""What nodes announce to each other, and what they must have in common."""

from __future__ import annotations

from dynkv.cluster.entry import Entry
from dynkv.cluster.nodes import NodeRecord, as_bytes, differences, key, prefix, read, tended
from dynkv.plan.serving import Node

NODE = Node("llm", "10.0.0.1", "mine", "org/model", ("http://10.0.0.1:2379",))
RECORD = NodeRecord("10.0.0.1", "mine", {"model": "org/model", "block size": "16"}, {"decode": 1})


def test_a_record_is_read_as_it_was_written() -> None:
    entry = Entry(key(NODE), as_bytes(RECORD), 1, 1)
    assert key(NODE).startswith(prefix("llm"))
    assert read([entry]) == {key(NODE): (entry, RECORD)}


def test_what_cannot_be_read_hides_no_other() -> None:
    broken = [Entry("a", text, 1, 1) for text in (b"", b"{}", b"[1]", b"\xff", b'{"advertise": 1}')]
    assert [*read([*broken, Entry("b", as_bytes(RECORD), 1, 1)])] == ["b"]


def test_a_later_version_may_tell_more() -> None:
    (told,) = read([Entry("a", as_bytes(RECORD)[:-1] + b',"more":[1]}', 1, 1)]).values()
    assert told[1] == RECORD


def test_differences_are_told_in_words() -> None:
    other = {**RECORD.agreement, "block size": "128"}
    assert differences(RECORD.agreement, RECORD.agreement) == []
    assert differences(RECORD.agreement, other) == ["block size is 16 here but 128 there"]


def test_what_only_one_of_them_names_is_no_difference() -> None:
    assert differences(RECORD.agreement, {"version of vllm": "1"}) == []
    assert differences({}, RECORD.agreement) == []


def test_whose_node_is_there_is_tended_by_it_at_its_own_ports_alone() -> None:
    """Two nodes may have the same address: if one of them dies, the other knows nothing of its workers."""
    one = NodeRecord("10.0.0.1", "one", {}, requests=(21001, 21003))
    other = NodeRecord("10.0.0.2", "other", {}, requests=(21001,))
    assert tended([one, other]) == {("10.0.0.1", 21001), ("10.0.0.1", 21003), ("10.0.0.2", 21001)}
    assert tended([NodeRecord("10.0.0.1", "frontend alone", {})]) == set()
