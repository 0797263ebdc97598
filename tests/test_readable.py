"""The rule for text that may reach a terminal."""

from __future__ import annotations

import json
import sys
import unicodedata

import pytest

from dynkv.children.lines import plain
from dynkv.readable import COLOURED, MOVING, readable


def test_every_character_that_cannot_be_read_is_written_out() -> None:
    for code in range(sys.maxunicode + 1):
        letter = chr(code)
        acts = unicodedata.category(letter) in ("Cc", "Cf", "Zl", "Zp") and letter not in "\t\n"
        assert (readable(letter) != letter) == acts or (not acts and unicodedata.category(letter) == "Cn"), hex(code)


@pytest.mark.parametrize("text", ["größer → 日本\u3000語\t😀\xa0x\n", "e\u0301", ""])
def test_what_people_write_stays(text: str) -> None:
    assert readable(text) == text


def test_a_document_stays_the_same_document() -> None:
    document = json.dumps({"a": "\x7f\x9b2J\u202e\U000e0041"}, ensure_ascii=False)
    assert readable(document).isascii()
    assert json.loads(readable(document)) == json.loads(document)


def test_colours_and_moves_pass_where_they_are_our_own() -> None:
    text = "\x1b[1;31mred\x1b[0m \x1b[2A\x1b[2K\r\x1b[?25l \x1b[2J\x1bc\x1b[?1049h\x1b]0;x\x07"
    rest = " \\u001b[2J\\u001bc\\u001b[?1049h\\u001b]0;x\\u0007"
    assert readable(text) == r"\u001b[1;31mred\u001b[0m \u001b[2A\u001b[2K\u000d\u001b[?25l" + rest
    assert readable(text, COLOURED) == "\x1b[1;31mred\x1b[0m " + r"\u001b[2A\u001b[2K\u000d\u001b[?25l" + rest
    assert readable(text, MOVING) == "\x1b[1;31mred\x1b[0m \x1b[2A\x1b[2K\r\x1b[?25l" + rest


@pytest.mark.parametrize(
    ("written", "line"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred\x9b0m", "red"),
        ("\x1b]0;title\x07x", "x"),
        ("\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"),
        ("\x9d0;title\x9cx", "x"),
        ("\x1bPq#0;2;0\x1b\\x", "x"),
        ("\x1bcx", "x"),
        ("\x1b7x\x1b8", "x"),
        ("\x1b(0x\x1b(B", "x"),
        ("\x1b#8x", "x"),
        ("\x1b%Gx", "x"),
        ("\x1b]0;never ended", "0;never ended"),
        ("\x1b", ""),
        ("a\x08b\x7fc\x00d\x07e\x0ef", "abcdef"),
        ("a\tb", "a\tb"),
        ("größer 😀\u200d日本", "größer 😀\u200d日本"),
    ],
)
def test_a_line_of_a_log_is_its_text(written: str, line: str) -> None:
    assert plain(written) == line
