"""The status in a pipe, in a terminal, and in a narrow one."""

from __future__ import annotations

import io
import re

import pytest
from msgspec.structs import replace
from sample import STATUS

from dynkv.cli.ink import Ink
from dynkv.cli.report import say, show_error
from dynkv.cli.status_text import kv_words, lora_words, standby_words, status_text
from dynkv.errors import DynkvError
from dynkv.supervisor.status import LoraStatus, StandbyState, StandbyStatus


def without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", text)


PLAIN = """\
agg is degraded  http://127.0.0.1:8000  model tiny
worker-0 is failed
unit      state   pid  gpu  ports      age    restarts  memory  probe    last exit
frontend  ready   12   -    http:8000  -      0         -       ok 4 ms  -
worker-0  failed  -    0,1             1h01m  5         12 MB   -        exit code 1
GPU 0: 60.2 of 80.0 GB, 43% busy
GPU 1: 0.5 of 80.0 GB
KV: hit rate 33% of 400 tokens, L1 25% full (1.20 GB), NIXL 4.10 GB at 351 MB/s
standby is parked, worker can start from it, pid 77, 500 MB
standby-helper is ended, 2 started from it"""

NARROW = """\
agg is degraded  http://127.0.0.1:8000  model tiny
worker-0 is failed
unit      state   pid  gpu  ports      age    restarts  memory  probe   last
                                                                        exit
frontend  ready   12   -    http:8000  -      0         -       ok 4    -
                                                                ms
worker-0  failed  -    0,1             1h01m  5         12 MB   -       exit
                                                                        code 1
GPU 0: 60.2 of 80.0 GB, 43% busy
GPU 1: 0.5 of 80.0 GB
KV: hit rate 33% of 400 tokens, L1 25% full (1.20 GB), NIXL 4.10 GB at 351
MB/s
standby is parked, worker can start from it, pid 77, 500 MB
standby-helper is ended, 2 started from it"""


@pytest.fixture(autouse=True)
def plain(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("COLUMNS", "FORCE_COLOR", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_in_a_pipe_it_is_plain_and_lines_are_whole() -> None:
    assert status_text(STATUS, Ink(io.StringIO())) == PLAIN


def test_where_nothing_is_served_there_is_no_endpoint() -> None:
    text = status_text(replace(STATUS, endpoint="", model=""), Ink(io.StringIO()))
    assert text.splitlines()[0] == "agg is degraded"


@pytest.mark.parametrize(
    ("kv", "words"),
    [
        ({}, ""),
        ({"hit_rate": None, "l1_usage_ratio": None, "registered_workers": 2}, ""),
        ({"hit_rate": None, "l1_usage_ratio": 0.0}, "KV: L1 0% full"),
        ({"nixl_bytes_transferred": 5e8, "nixl_bytes_s": None}, "KV: NIXL 0.50 GB"),
    ],
)
def test_of_the_kv_caches_what_is_known(kv: dict[str, float | None], words: str) -> None:
    assert kv_words(kv) == words


def test_each_lora_adapter_has_a_line() -> None:
    front, worker = STATUS.units
    loras = (LoraStatus("sql", True), LoraStatus("code", False, "not found"))
    other = replace(worker, name="worker-1", loras=(LoraStatus("sql", True), LoraStatus("code", True)))
    assert lora_words([front, replace(worker, loras=loras), other]) == [
        "LoRA sql: on worker-0, worker-1",
        "LoRA code: on worker-1; missing on worker-0",
    ]


def test_in_a_terminal_states_have_colours_and_columns_stay_where_they_are() -> None:
    text = status_text(STATUS, Ink(Terminal()))
    assert "agg\x1b[0m is \x1b[1;33mdegraded" in text
    assert "\x1b[32mready" in text
    assert "\x1b[1;31mfailed" in text
    assert without_colours(text) == PLAIN


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_a_terminal_without_colours_gets_none(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    assert status_text(STATUS, Ink(Terminal())) == PLAIN


def test_in_a_narrow_terminal_cells_go_on_below(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "78")
    assert without_colours(status_text(STATUS, Ink(Terminal()))) == NARROW


def test_in_a_very_narrow_terminal_a_unit_is_a_paragraph(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = without_colours(status_text(STATUS, Ink(Terminal()))).splitlines()
    assert max(map(len, lines)) <= 60
    at = next(number for number, line in enumerate(lines) if line.startswith("frontend is "))
    assert "ports http:8000" in lines[at + 1]


def test_an_error_has_one_shape(capsys: pytest.CaptureFixture[str]) -> None:
    show_error(DynkvError("it broke [here]", where="/a/file", detail="line 1\nline 2", hint="mend it"))
    assert capsys.readouterr().err == "error: it broke [here]\n  at /a/file\nline 1\nline 2\n  hint: mend it\n"


def test_in_a_terminal_an_error_is_folded_between_words(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "20")
    show_error(DynkvError("one two three four five", hint="mend it"))
    err = capsys.readouterr().err
    assert err == "\x1b[1;31merror: \x1b[0mone two three\nfour five\n\x1b[36m  hint: \x1b[0mmend it\n"


def test_in_a_pipe_a_line_stays_whole(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    say("word " * 20)
    assert capsys.readouterr().out == "word " * 20 + "\n"


def test_other_names_of_the_model_stand_behind_it() -> None:
    head = status_text(replace(STATUS, model_aliases=("chat", "chat-2")), Ink(io.StringIO())).splitlines()[0]
    assert head == "agg is degraded  http://127.0.0.1:8000  model tiny (also chat, chat-2)"


def test_a_standby_of_the_host_is_told_apart() -> None:
    own = StandbyStatus("standby", ("decode",), StandbyState.PARKED, 78, rss_bytes=600_000_000)
    assert standby_words(own) == "decode can start from it, pid 78, 600 MB"
    assert (
        standby_words(replace(own, is_of_host=True)) == "decode can start from it, pid 78, 600 MB, parked for the host"
    )
