"""The readable part of a text, which may reach a terminal. Control characters would act on it or hide text.

They are escaped as in JSON, so that a JSON document stays the same document. Pure.
Source: ECMA-48 (control functions, of 7 and of 8 bits); Unicode's general categories Cc, Cf, Zl and Zp.
"""

from __future__ import annotations

TYPE_CHECKING = False  # mypy takes it as true; importing it takes longer than everything else here
if TYPE_CHECKING:
    from re import Match

_ACTS = (
    "\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\\xad\\u0600-\\u0605\\u061c\\u06dd\\u070f\\u0890\\u0891\\u08e2\\u180e\\u200b-\\u200f"
    "\\u2028-\\u202e\\u2060-\\u206f\\ufeff\\ufff9-\\ufffb\\U000110bd\\U000110cd\\U00013430-\\U0001345f"
    "\\U0001bca0-\\U0001bca3\\U0001d173-\\U0001d17a\\U000e0000-\\U000e007f"
)
_COLOUR = "\x1b\\[[0-9;]*m"
PLAIN = f"[{_ACTS}]"
COLOURED = f"({_COLOUR})|[{_ACTS}]"
"""Keeps colours too: for text that was cleaned before it was coloured."""
MOVING = f"({_COLOUR}|\x1b\\[(?:[0-9]*A|2K|\\?25[hl])|\r)|[{_ACTS}]"
"""Also keeps what replaces the lines above, as rich does for live displays (rich 13 to 15)."""


def readable(text: str, kept: str = PLAIN) -> str:
    """Escape control characters, except line breaks and tabs. `kept` is one of the patterns above."""
    if text.replace("\n", " ").replace("\t", " ").isprintable():
        return text
    import re  # compiling a pattern takes longer than everything else in a quick verb

    return re.sub(kept, _written_out, text)


def _written_out(found: Match[str]) -> str:
    return found[0] if found.lastindex else escaped(found[0])


def escaped(text: str) -> str:
    """Each character as its JSON escape in ASCII."""
    utf16 = text.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{high:02x}{low:02x}" for high, low in zip(utf16[::2], utf16[1::2], strict=True))
