"""Makes docs/pictures/*.svg from real runs of the command line in a pseudo-terminal.

    python docs/pictures.py

Brings up a deployment on the CPU, or with --mocker a quicker one, photographs `up`, `status`, `top` and `doctor`, and
takes it down. It needs the tests' packages, and a home that nobody uses, whose path is seen in the pictures.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

from pyte.screens import Char
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import MONOKAI
from rich.text import Text

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from terminal.screen import Terminal  # noqa: E402 (needs the path above)

PICTURES = ROOT / "docs" / "pictures"
WIDE, LOW = 110, 16
_WATCHED_S = 45.0
_NAMES = {"brown": "yellow", "brightbrown": "bright_yellow"}
"""Colours that pyte and rich name differently."""


def main() -> None:
    parser = argparse.ArgumentParser(description="Make the documentation's pictures.")
    parser.add_argument("--home", type=Path, default=Path("/var/lib/dynkv"), help="DYNKV_HOME, made and removed again")
    parser.add_argument("--port", default="8000", help="the frontend's")
    parser.add_argument("--mocker", action="store_true", help="workers without an engine, to try this out")
    given = parser.parse_args()
    engine = ["--engine", "mocker", "--model", "tiny"] if given.mocker else ["--device", "cpu", "--model", "tiny"]
    if given.port != "8000":
        engine += ["--set", f"frontend.port={given.port}"]
    if given.home.exists():
        sys.exit(f"{given.home} is there: name another --home")
    given.home.mkdir(parents=True)
    try:
        Photographer(given.home).photograph(engine, given.port)
    finally:
        subprocess.run([sys.executable, "-m", "dynkv", "down", "agg"], env=environment(given.home), check=False)
        shutil.rmtree(given.home)


class Photographer:
    def __init__(self, home: Path) -> None:
        self._home = home

    def photograph(self, engine: list[str], port: str) -> None:
        with self._typed("up", "agg", *engine) as terminal:
            terminal.until(lambda text: is_in_the_middle(text) and not is_private(text), 120)
            self._keep("up-starting", ["up", "agg", *engine], terminal)
            terminal.until(lambda text: "logs:" in text, 600)
            terminal.finish()
            self._keep("up-ready", ["up", "agg", *engine], terminal)
        self._snap("status", ["status"])
        with asking(f"http://127.0.0.1:{port}"):
            self._snap("top", ["top"], lambda text: "worker-0" in text, rows=30)
        self._snap("doctor", ["doctor", "agg", "--device", "cpu", "--model", "tiny", "--set", "lmcache.l1_size_gb=200"])

    def _snap(self, name: str, words: list[str], shown: Callable[[str], bool] | None = None, rows: int = LOW) -> None:
        """Keep the output of a verb or, with `shown`, the screen some time after that holds."""
        with self._typed(*words, rows=rows) as terminal:
            if shown is None:
                terminal.finish()
            else:
                terminal.until(shown)
                terminal.settle(_WATCHED_S)
            self._keep(name, words, terminal)

    @contextmanager
    def _typed(self, *words: str, rows: int = LOW) -> Iterator[Terminal]:
        env = {**environment(self._home), "COLORTERM": "truecolor"}
        with Terminal(*words, env=env, cwd=self._home, columns=WIDE, rows=rows) as terminal:
            yield terminal

    def _keep(self, name: str, words: list[str], terminal: Terminal) -> None:
        text = terminal.text
        assert not is_private(text), f"a path of this machine is seen:\n{text}"
        (PICTURES / f"{name}.svg").write_text(svg(name, words, terminal.cells), encoding="utf-8")
        print(f"{name}.svg")


@contextmanager
def asking(endpoint: str) -> Iterator[None]:
    """Send requests until the block ends, so that the pictures show some activity."""
    over = threading.Event()

    def ask() -> None:
        prompts = itertools.cycle(
            " ".join(["the", "of", "and", "to", "a"][turn:]) + " in that it is" for turn in range(5)
        )
        while not over.is_set():
            body = {"model": "tiny", "prompt": next(prompts) * 90, "max_tokens": 8}
            headers = {"Content-Type": "application/json"}
            asked = urllib.request.Request(f"{endpoint}/v1/completions", json.dumps(body).encode(), headers)
            with urllib.request.urlopen(asked, timeout=60) as answer:
                answer.read()

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def svg(name: str, words: list[str], rows: list[list[Char]]) -> str:
    """The screen as a picture, below the command line."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDE, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.assemble(("$ ", "dim"), (" ".join(["dynkv", *words]), "bold")), soft_wrap=True)
        for row in rows:
            console.print(line(row), no_wrap=True, crop=True)
    return console.export_svg(
        title="dynkv", theme=MONOKAI, code_format=without_fonts(CONSOLE_SVG_FORMAT), unique_id=name
    )


def line(row: list[Char]) -> Text:
    """The row, with adjacent cells of the same style as one piece."""
    text = Text()
    for (fg, bg, bold, reverse), cells in groupby(row, lambda cell: (cell.fg, cell.bg, cell.bold, cell.reverse)):
        style = Style(color=colour(fg), bgcolor=colour(bg), bold=bold, reverse=reverse)
        text.append("".join(cell.data for cell in cells), style)
    return text


def colour(name: str) -> str | None:
    if name == "default":
        return None
    if len(name) == 6 and all(digit in "0123456789abcdef" for digit in name):
        return f"#{name}"
    return _NAMES.get(name, name.replace("bright", "bright_"))


def without_fonts(template: str) -> str:
    """rich's template without fonts from the network: the reader's own are good enough."""
    head, _, rest = template.partition("    @font-face")
    _, _, body = rest.rpartition("@font-face")
    made = head + body.partition("    }}\n")[2]
    made = made.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")
    return made.replace("<svg ", '<svg xml:space="preserve" ', 1)  # otherwise leading spaces of a piece are lost


def is_in_the_middle(text: str) -> bool:
    return bool(
        re.search(r"^lmcache +ready", text, re.MULTILINE)
        and re.search(r"^worker-0 +starting +\d+s .*INFO", text, re.MULTILINE)
    )


def is_private(text: str) -> bool:
    """Whether the text contains a path or the name of this machine."""
    return any(word in text for word in (str(ROOT), sys.prefix, str(Path.home()) + "/", os.uname().nodename + " "))


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "DYNKV_HOME": str(home), "PYTHONPATH": str(ROOT)}


if __name__ == "__main__":
    main()
