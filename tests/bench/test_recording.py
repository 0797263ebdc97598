"""From the frontend's record of a request to a line of a trace."""

from __future__ import annotations

import json
from typing import Any

import pytest

from dynkv.bench.recording import SCHEMA, Recorded, recorded

SALT = bytes(range(32))


def line(*hashes: int, **changes: Any) -> str:
    """A record of ai-dynamo 1.6.1, shortened."""
    replay = {"trace_block_size": 64, "input_length": 64 * len(hashes), "input_sequence_hashes": hashes}
    request = {"request_received_ms": 1795810970765, "output_tokens": 8, "cached_tokens": 0, "replay": replay}
    event = {
        "schema": SCHEMA,
        "event_type": "request_end",
        "event_time_unix_ms": 1795810971000,
        "request": request,
        **changes,
    }
    return json.dumps({"timestamp": 20153, "event": event})


def taken(text: str, salt: bytes = SALT) -> Recorded:
    found = recorded(text, salt)
    assert found is not None
    return found


def test_lengths_times_and_block_size_are_kept() -> None:
    found = taken(line(2**64 - 1, 7))
    assert (found.block_tokens, found.request.input_tokens, found.request.output_tokens) == (64, 128, 8)
    assert (found.request.at_ms, found.ended_at_ms) == (1795810970765, 1795810971000)


def test_the_same_block_has_the_same_id_in_one_recording_and_another_one_in_the_next() -> None:
    first, second = taken(line(1, 2)).request.blocks, taken(line(1, 3)).request.blocks
    assert first[0] == second[0]
    assert first[1] != second[1]
    assert not {1, 2, 3} & {*first, *second}
    assert not set(first) & set(taken(line(1, 2), SALT[::-1]).request.blocks)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[]",
        "null",
        '{"event": 1}',
        line(1, schema="other"),
        line(1, event_type="tool_end"),
        line(1, request={}),
    ],
)
def test_what_is_no_ended_request_is_passed_over(text: str) -> None:
    assert recorded(text, SALT) is None


def test_a_salt_that_could_be_guessed_is_refused() -> None:
    with pytest.raises(ValueError, match="16 to 64"):
        recorded(line(1), b"short")
