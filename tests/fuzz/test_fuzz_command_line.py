"""The command line: any input leads to one error in the usual format, or to the requested result; never to a fault."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import DIGITS, NUMBERS, TEXTS, bounded, fuzz, slow

from dynkv.cli.commands import run
from dynkv.cli.quick import quick
from dynkv.errors import DynkvError

VERBS = "status wait down logs events restart start stop scale profiles".split()
"""Verbs that do not inspect the host."""
OPTIONS = (
    "--timeout --name --since -n --grep --level --unit --kind --for --json -f --rolling --wait --help -h --".split()
)
VALUES = (
    TEXTS
    | NUMBERS
    | st.sampled_from(["worker=1", "worker=²", f"worker={DIGITS}", "10m", "(", "[a", "show", "schema", "agg"])
)


@pytest.fixture
def no_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DYNKV_HOME", str(tmp_path / "home"))
    return tmp_path


@fuzz
@given(st.sampled_from(VERBS) | TEXTS, st.lists(st.sampled_from(OPTIONS) | VALUES, max_size=5))
@example("scale", [f"worker={DIGITS}"])
@example("wait", ["--timeout", "nan"])
@example("logs", ["--since", "9" * 400 + "w"])
@example("profiles", ["show", "/dev/zero"])
@example("profiles", ["show", "."])
def test_words(no_home: Path, verb: str, words: list[str]) -> None:
    written = io.StringIO()
    with bounded(), redirect_stdout(written), redirect_stderr(written):
        try:
            code = quick([verb, *words])
            assert (run([verb, *words]) if code is None else code) in (0, 2)
        except DynkvError as error:
            assert error.exit_code in (2, 3)
            assert error.hint
    assert "Traceback" not in written.getvalue()


REAL = [
    [b"plan", b"/dev/zero"],
    [b"up", b"/dev/stdin"],
    [b"up", b"/dev/stdin", b"--timeout", b"nan"],
    [b"plan", b"."],
    [b"plan", b"agg", b"--gpus", "²".encode()],
    [b"plan", b"agg", b"--name", b"\xff"],
    [b"plan", b"agg", b"--set", b"model.path=\xff"],
    [b"plan", b"agg", b"--model", b"caf\xe9"],
    [b"doctor", b"agg", b"--set", b"lmcache.l1_size_gb=1e300"],
    [b"plan", b"agg", b"--set", b"a" * 100_000 + b"=1"],
    [b"plan", b"agg", b"--set", b"env={A: &a [*a]}"],
    [b"plan", b"\xff"],
    [b"logs", b"--since", b"\xff"],
    [b"\xff"],
    [b"profiles", b"show", b"\xff"],
]


def one_error(words: list[bytes], directory: Path, text: bytes = b"") -> None:
    began = time.monotonic()
    environ = {**os.environ, "DYNKV_HOME": str(directory / "home"), "COLUMNS": "²"}
    done = subprocess.run(
        [sys.executable.encode(), b"-m", b"dynkv", *words], input=text, capture_output=True, cwd=directory, env=environ
    )
    said = done.stderr.decode(errors="replace")
    assert done.returncode in (0, 2, 3, 4), said
    assert done.returncode == 0 or len(re.findall("^error: ", said, flags=re.MULTILINE)) == 1, said
    assert "Traceback" not in said
    assert "fault in dynkv" not in said
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("words", REAL, ids=repr)
def test_the_real_command(tmp_path: Path, words: list[bytes]) -> None:
    (tmp_path / "here").mkdir()
    one_error(words, tmp_path)


@slow
@given(st.binary(max_size=40) | TEXTS.map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_the_real_command_with_any_profile(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    one_error([b"plan", b"/dev/stdin"], tmp_path_factory.getbasetemp(), b"topology: none\nx: " + text)


def test_the_real_command_stays_small(tmp_path: Path) -> None:
    """Even with the worst profile, within 200 MB of address space more than without one."""
    (tmp_path / "mine.yaml").write_text("a: &a [" + "x," * 29_000 + "]\nb: [" + ", ".join(["*a"] * 9) + "]\n")
    script = (
        "import resource, runpy, sys; import dynkv.cli.commands, dynkv.cli.plan;"
        "size = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize() + 200 * 1024**2;"
        "resource.setrlimit(resource.RLIMIT_AS, (size, size)); runpy.run_module('dynkv', run_name='__main__')"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, "plan", "mine.yaml"], capture_output=True, text=True, cwd=tmp_path
    )
    assert (done.returncode, "30000 values" in done.stderr) == (2, True), done.stderr
