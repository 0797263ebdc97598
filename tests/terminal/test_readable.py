"""Whatever programs, files and other users write, every verb prints only text to a terminal; tested in a real one."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pexpect
import pytest

from dynkv.home import Place

ROOT = Path(__file__).parents[2]
ACTS = (
    "\x1bc\x1b]0;TITLE\x07\x1b]52;c;AAAA\x1b\\\x1b[2J\x1b[31mPLANTED\x1b[8m\x1b[?1049h\x1bPq\x1b\\\x1b(0"
    "\x9b2J\x9d0;TITLE\x9c\x07\b\b\x7f\x0e\x85\u202egnp.exe\u2066\u200b\u2028"
)
"""Control sequences of 7 and 8 bits (resets, titles, the clipboard, colours, other screens and alphabets), and
characters that hide others."""
OWN = re.compile(r"\x1b\[[0-9;]*m|\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[hl]|\r")
"""dynkv's own sequences: colours, and those that replace the lines above."""
TALKER = f"""
import json, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
ACTS = {ACTS!r}
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        ok = self.path == "/ok"
        self.send_response(200 if ok else 503)
        self.end_headers()
        self.wfile.write(json.dumps({{"reason": "b" + ACTS}}).encode())
    def log_message(self, *args): pass
sys.stdout.buffer.write(("a" + ACTS + "z\\nb\\rc\\n").encode() + b"\\xff\\x9b2J\\x80\\n")
sys.stdout.flush()
if sys.argv[1] == "dies":
    raise RuntimeError("dead" + ACTS)
HTTPServer(("127.0.0.1", int(sys.argv[2])), Handler).serve_forever()
"""


@dataclass
class Person:
    directory: Path

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "LINES", "NO_COLOR")}
        own = {"DYNKV_HOME": str(self.directory / "state"), "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
        return {**kept, **own, "LC_ALL": "C.UTF-8"}

    def begins(self, *words: str) -> Any:
        return pexpect.spawn(
            sys.executable, ["-m", "dynkv", *words],
            env=self.env, cwd=str(self.directory), dimensions=(40, 400), timeout=60,
        )  # fmt: skip

    def sees(self, *words: str) -> str:
        """All output to the terminal, until the program ends."""
        with self.begins(*words) as child:
            raw: bytes = child.read()
        return raw.decode()

    def runs(self, *words: str) -> subprocess.CompletedProcess[str]:
        argv = [sys.executable, "-m", "dynkv", *words]
        return subprocess.run(
            argv, env=self.env, cwd=self.directory, capture_output=True, text=True, timeout=60, check=False
        )

    def profile(self, name: str, text: str) -> str:
        (self.directory / f"{name}.yaml").write_text(text)
        return f"{name}.yaml"

    def unit(self, name: str, how: str, port: int) -> str:
        path = "/ok" if how == "serves" else "/ill"
        argv = json.dumps([sys.executable, str(self.directory / "talker.py"), how, str(port), ACTS])
        probes = f"ports: {{http: {port}}}, probes: {{http_get: {{port: http, path: {path}}}, period_seconds: 0.1}}"
        return self.profile(name, f"topology: none\nunits:\n  - {{name: {name}, argv: {argv}, {probes}}}\n")


def is_text(seen: str) -> bool:
    """Whether it contains only text, line breaks and dynkv's own sequences."""
    rest = OWN.sub("", seen)
    return all(letter.isprintable() or letter in "\n\t" for letter in rest) and "\x1b[31mPLANTED" not in seen


@pytest.fixture(scope="module")
def ports() -> tuple[int, int, int]:
    import socket

    made = [socket.socket() for _ in range(3)]
    for one in made:
        one.bind(("127.0.0.1", 0))
    found = [one.getsockname()[1] for one in made]
    for one in made:
        one.close()
    return found[0], found[1], found[2]


@pytest.fixture(scope="module")
def person(tmp_path_factory: pytest.TempPathFactory, ports: tuple[int, int, int]) -> Iterator[Person]:
    """A home in which `talks` runs, and the supervisor of `ill` is dead, with foreign text in its journal and
    events."""
    made = Person(tmp_path_factory.mktemp("readable"))
    (made.directory / "talker.py").write_text(TALKER)
    assert made.runs("up", made.unit("talks", "serves", ports[0])).returncode == 0
    assert made.runs("up", made.unit("ill", "is ill", ports[1]), "--no-wait").returncode == 0
    place = Place(made.directory / "state", "ill")
    deadline = time.monotonic() + 30
    while "PLANTED" not in made.runs("status", "ill").stdout and time.monotonic() < deadline:
        pass
    with place.events.open("a", encoding="utf-8") as events:
        at = "2026-01-01T00:00:00.000+00:00"
        event = {"seq": 10**6, "at": at, "kind": "state", "unit": ACTS, "message": ACTS, "cause": ACTS, "data": {}}
        events.write(json.dumps(event, ensure_ascii=False) + "\n")
    yield made
    for name in ("talks", "ill"):
        assert made.runs("down", name).returncode == 0


EVERY = [
    ("logs", "--name", "talks"),
    ("logs", "--name", "talks", "--json"),
    ("status", "talks"),
    ("status", "talks", "--json"),
    ("status", "ill"),
    ("status", "ill", "--json"),
    ("events", "talks"),
    ("events", "ill"),
    ("events", "ill", "--json"),
    ("plan", "talks.yaml"),
    ("plan", "talks.yaml", "--json"),
    ("plan", "talks.yaml", "--shell"),
    ("doctor", "talks.yaml"),
    ("profiles", "show", "odd.yaml"),
    ("plan", "odd.yaml"),
    ("plan", f"{ACTS}.yaml"),
    ("status", ACTS),
    ("logs", ACTS),
    ("logs", "--name", "talks", "--grep", f"({ACTS}"),
    ("restart", "--name", "talks", ACTS),
    ("up", "talks.yaml", "--set", f"{ACTS}=1"),
    ("up", "talks.yaml", f"--{ACTS}"),
    (ACTS,),
    ("--debug", ACTS),
]


@pytest.mark.parametrize("words", EVERY, ids=lambda words: " ".join(words).replace(ACTS, "…"))
def test_what_is_printed_is_text(person: Person, words: tuple[str, ...]) -> None:
    person.profile("odd", f'topology: none\nunits:\n  - {{name: a, argv: [sleep, "1"], odd: "\u202e"}}\n# {ACTS}\n')
    seen = person.sees(*words)
    assert seen.strip()
    assert is_text(seen), repr(seen)


def test_what_it_says_is_not_lost(person: Person) -> None:
    """A program's colours are removed; its words stay, and so do a document's."""
    assert "aPLANTED" in person.sees("logs", "--name", "talks")
    status = json.loads(person.sees("status", "ill", "--json"))
    assert "PLANTED" in status["units"][0]["probe"]["detail"]
    events = person.sees("events", "ill", "--json").splitlines()
    assert [line for line in events if json.loads(line)["message"] == ACTS]


def test_a_pipe_gets_text_of_logs_and_documents_as_they_are(person: Person) -> None:
    out = person.runs("logs", "--name", "talks").stdout
    assert "aPLANTED" in out
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f-\x9f]", out)
    assert ACTS in [
        json.loads(line)["message"] for line in person.runs("events", "ill", "--json").stdout.split("\n") if line
    ]


@pytest.mark.parametrize(
    "words", [("logs", "--name", "talks", "-f"), ("status", "ill", "--watch"), ("events", "talks", "-f")], ids=" ".join
)
def test_what_goes_on_is_text(person: Person, words: tuple[str, ...]) -> None:
    with person.begins(*words) as child:
        log = Place(person.directory / "state", "talks").logs / "talks.log"
        seen, end = b"", time.monotonic() + 4
        while time.monotonic() < end:
            with log.open("a") as file:
                file.write(f"more{ACTS}\n")
            try:
                seen += child.read_nonblocking(65536, timeout=0.3)
            except pexpect.TIMEOUT:
                continue
        child.kill(signal.SIGKILL)
    assert seen.strip()
    assert is_text(seen.decode(errors="ignore")), seen


def test_a_start_that_fails_shows_text(person: Person, ports: tuple[int, int, int]) -> None:
    """Also one that is refused because a foreign program with such a name has the port."""
    profile = person.unit("dies", "dies", ports[2])
    seen = person.sees("up", profile)
    assert "PLANTED" in seen
    assert is_text(seen), repr(seen)
    seen = person.sees("up", person.unit("taken", "serves", ports[0]))
    assert "held by" in seen or "taken" in seen
    assert is_text(seen), repr(seen)


def test_in_the_foreground_events_are_text(person: Person, ports: tuple[int, int, int]) -> None:
    with person.begins("up", person.unit("dies", "dies", ports[2]), "--foreground") as child:
        child.expect("PLANTED")
        seen = child.before + child.after + child.read_nonblocking(65536, timeout=5)
        child.kill(signal.SIGTERM)
        seen += child.read()
    assert is_text(seen.decode(errors="ignore")), seen


def test_the_live_view_shows_text(person: Person) -> None:
    """It uses many sequences of its own, but none of the planted ones."""
    with person.begins("top", "ill") as child:
        child.expect("PLANTED")
        seen = child.before + child.after
        child.send("l")
        child.expect("aPLANTED")
        seen += child.before + child.after
        child.send("q")
        child.send("q")
        seen += child.read()
    for planted in (b"\x1bc", b"]0;TITLE\x07", b"\x1b]52;", b"\x1b[8m", b"\x1b(0", b"\xc2\x9b", "\u202e".encode()):
        assert planted not in seen, planted
