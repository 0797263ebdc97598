"""Dynamo's discovery: whatever is in the directory, entries of the dead are removed and those of others stay."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import BYTES, JSON, as_json, bounded, damaged, fuzz, soup

from dynkv.reclaim.discovery import Entries, purge

ENTRY = b'{"instance_id": 7, "transport": {"tcp": "tcp://127.0.0.1:9/x"}, "endpoint": "generate", "address": "[::1]:9"}'
KINDS = ["instances", "event_channels", "mdc", "other", "mdc\n", "é"]
NAMES = st.sampled_from(
    ["dynamo%2Fbackend%2Fgenerate%2F7", "x%2F7", "x%2Fzz", "%2F", ".again", "a\nb", "-rf"]
) | st.binary(min_size=1, max_size=20).filter(
    lambda name: name not in (b".", b"..") and b"/" not in name and b"\0" not in name
).map(os.fsdecode)
CONTENTS = soup([b'"tcp"', b'"address":', b'"tcp://h:9"', b'"h:99999"', b":", b'"endpoint": "a:1"', ENTRY]) | damaged(
    ENTRY
)
WHAT = st.sampled_from(["file", "directory", "fifo", "socket", "link", "loop", "hidden"])


def put(path: Path, what: str, content: bytes) -> None:
    if what == "directory":
        path.mkdir()
    elif what == "fifo":
        os.mkfifo(path)
    elif what == "socket":
        with socket.socket(socket.AF_UNIX) as made:
            try:
                made.bind(os.fspath(path))
            except OSError:  # the path is too long
                path.touch()
    elif what in ("link", "loop"):
        path.symlink_to("/dev/zero" if what == "link" else path)
    else:
        path.write_bytes(content)
        path.chmod(0 if what == "hidden" else 0o600)


@fuzz
@given(st.lists(st.tuples(st.sampled_from(KINDS), NAMES, WHAT, CONTENTS | BYTES | JSON.map(as_json)), max_size=6))
@example([("instances", "a%2F7", "file", ENTRY), ("mdc", "b%2F7", "file", b""), ("mdc", "c%2F8", "file", b"")])
@example([("instances", "a%2F7", "file", b'"tcp": "tcp://' + b"a" * 1_000_000)])
@example([("instances", "a%2F7", "file", b'"tcp"' + b" " * 1_000_000)])
@example([("instances", "a%2F7", "file", b'"tcp": "h:99999"')])
def test_whatever_lies_there(
    tmp_path_factory: pytest.TempPathFactory, entries: list[tuple[str, str, str, bytes]]
) -> None:
    directory = tmp_path_factory.mktemp("discovery", numbered=True)
    for kind, name, what, content in entries:
        path = directory / "v1" / kind / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if not os.path.lexists(path):
            put(path, what, content)
    with bounded():
        own = Entries(directory, lambda: [os.getpid()])
        for _ in range(2):
            own.keep()
        complaints: list[str] = []
        purge(directory, complaints.append)
        assert purge(directory, complaints.append) == [], "once is enough"
