"""The frontend's address: accepted as it is, or refused. Source: ai-dynamo 1.6.1 accepts no name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from refusals import refuse

from dynkv.cli.planned import locate, make_plan
from dynkv.errors import PreflightRefused
from dynkv.plan.serving import Frontend
from dynkv.profile.load import Override, load

MOCKED = [Override(("engine",), "mocker", "--engine"), Override(("model", "path"), "tiny", "--model")]


def host(given: str) -> Override:
    return Override(("frontend", "host"), given, f"--set frontend.host={given}")


@pytest.mark.parametrize(
    ("given", "listens", "endpoint"),
    [
        ("localhost", "127.0.0.1", "http://127.0.0.1:8000"),
        ("Localhost", "127.0.0.1", "http://127.0.0.1:8000"),
        ("127.0.0.2", "127.0.0.2", "http://127.0.0.2:8000"),
        ("0.0.0.0", "0.0.0.0", "http://127.0.0.1:8000"),
        ("::", "::", "http://[::1]:8000"),
        ("0:0:0:0:0:0:0:0", "::", "http://[::1]:8000"),
        ("::1", "::1", "http://[::1]:8000"),
        ("[::1]", "::1", "http://[::1]:8000"),
        ("2001:DB8::0001", "2001:db8::1", "http://[2001:db8::1]:8000"),
        ("::ffff:127.0.0.1", "127.0.0.1", "http://127.0.0.1:8000"),
    ],
)
def test_an_address(given: str, listens: str, endpoint: str) -> None:
    profile = load("agg", [host(given)]).profile
    assert profile.frontend.host == listens
    assert Frontend(listens, 8000, "m").endpoint == endpoint


@pytest.mark.parametrize(
    "given",
    ["", " ", "my-machine", "example.com", "127.0.0.1:8000", "http://127.0.0.1", "*", "127.1", "0", "fe80::1%eth0",
     "224.0.0.1", "ff02::1", "[::1", "[]", "{braces}", "1.2.3.4.5", "٣.1.1.1", "127.0.0.1\n"],
)  # fmt: skip
def test_what_is_none(given: str, tmp_path: Path) -> None:
    error = refuse(tmp_path, f"frontend:\n  host: {json.dumps(given)}\n")
    assert error.what == f"frontend.host: {given!r} is not an address to listen on"
    assert "but no name" in error.hint
    assert error.where.endswith(":2:3")


@pytest.mark.parametrize("given", ["192.0.2.1", "2001:db8::1"])
def test_an_address_of_another_host(given: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DYNKV_HOME", str(tmp_path))
    with pytest.raises(PreflightRefused, match=f"the frontend cannot listen on {given}: ") as refused:
        make_plan(*locate("agg", None, [*MOCKED, host(given)]))
    assert "127.0.0.1" in refused.value.hint
    with pytest.raises(PreflightRefused, match=f"metrics cannot be served on {given}: "):
        make_plan(*locate("agg", None, [*MOCKED, Override(("metrics", "host"), given, "metrics.host")]))
