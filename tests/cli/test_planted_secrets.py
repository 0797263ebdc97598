"""Secrets planted in every possible place, and searched for in everything that dynkv writes, prints, serves and
runs."""

from __future__ import annotations

import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from command import Command, command_in, until

PLANTED = {
    "env by name": "plantedA1",
    "env by value": "plantedB2",
    "unit one": "plantedC3",
    "unit two": "plantedD4",
    "address of a unit": "plantedE5",
    "token of the person": "plantedF6",
    "proxy of the person": "plantedG7",
    "--set": "plantedH8",
    "of a bad password": "plantedI9",
    "of the sidecar": "plantedJ1",
    "of the frontend": "plantedK2",
    "of all workers": "plantedL3",
    "of a role": "plantedM4",
    "of one worker": "plantedN5",
}
KEEPS = "import json, os, sys, time; json.dump(dict(os.environ), open(sys.argv[1], 'w')); time.sleep(1000)"
DIES = 'echo "RuntimeError: nobody is called $DB_PASS" >&2; exit 3'
PERSON = {
    "HF_TOKEN": PLANTED["token of the person"],
    "HTTPS_PROXY": f"http://me:{PLANTED['proxy of the person']}@proxy:3128",
}


@pytest.fixture(scope="module")
def command(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with command_in(tmp_path_factory.mktemp("planted")) as command:
        command.profile(_profile(command.directory))
        done = _do(command, "up", "mine.yaml", "--set", f"env.OTHER_TOKEN={PLANTED['--set']}", "--no-wait")
        assert done.returncode == 0, done.stderr
        until(lambda: all((command.directory / name).exists() for name in ("one.json", "two.json")))
        until(lambda: "failed" in _do(command, "status").stdout)
        yield command


def _profile(directory: Path) -> str:
    def unit(name: str, key: str) -> str:
        argv = f"[{sys.executable}, -c, {KEEPS!r}, {directory / name}.json]"
        return f"  - {{name: {name}, argv: {argv}, env: {{API_KEY: {PLANTED[key]}, PLAIN: {name}}}}}\n"

    return (
        "topology: none\n"
        "restart: {max_restarts: 1, backoff_initial_s: 0.1}\n"
        f"env: {{DB_PASSWORD: {PLANTED['env by name']}, DATABASE: 'pg://me:{PLANTED['env by value']}@db/x'}}\n"
        "units:\n" + unit("one", "unit one") + unit("two", "unit two") + "  - name: web.1\n"
        "    argv: [sleep, '1000']\n"
        f"    env: {{NATS: 'nats://{PLANTED['address of a unit']}@hub:4222', HTTPS_PROXY: 'http://proxy:3128'}}\n"
        f"  - {{name: dies, argv: [sh, -c, {DIES!r}], env: {{DB_PASS: {PLANTED['of a bad password']}}}}}\n"
    )


def _of_the_stack() -> str:
    def env(name: str) -> str:
        return f"{{DB_PASSWORD: {PLANTED[name]}, DATABASE: 'pg://me:{PLANTED[name]}@db/x'}}"

    return (
        "extends: disagg\nengine: mocker\n"
        f"lmcache: {{env: {env('of the sidecar')}}}\n"
        f"frontend: {{env: {env('of the frontend')}}}\n"
        f"workers:\n  env: {env('of all workers')}\n"
        f"  prefill: {{env: {env('of a role')}}}\n"
        f"  each: {{prefill-0: {{env: {env('of one worker')}}}}}\n"
    )


def _do(command: Command, *words: str) -> subprocess.CompletedProcess[str]:
    return command(*words, **PERSON)


def _shows(text: str) -> list[str]:
    return [where for where, value in PLANTED.items() if value in text]


def test_each_unit_is_given_its_own(command: Command) -> None:
    for name in ("one", "two"):
        given = (command.directory / f"{name}.json").read_text()
        mine, others = PLANTED[f"unit {name}"], PLANTED["unit two" if name == "one" else "unit one"]
        assert f'"API_KEY": "{mine}"' in given
        assert others not in given
        assert f'"PLAIN": "{name}"' in given
        for everybodys in ("env by name", "env by value", "token of the person", "proxy of the person", "--set"):
            assert PLANTED[everybodys] in given, everybodys
    environ = psutil.Process(command.pids()["web.1"]).environ()
    assert environ["NATS"] == f"nats://{PLANTED['address of a unit']}@hub:4222"
    assert environ["HTTPS_PROXY"] == "http://proxy:3128", "what the unit itself is given wins over a secret of all"


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "mine.yaml"),
        ("plan", "mine.yaml", "--json"),
        ("plan", "mine.yaml", "--shell"),
        ("doctor", "mine.yaml"),
        ("doctor", "mine.yaml", "--json"),
        ("profiles", "show", "./mine.yaml"),
        ("up", "mine.yaml"),
        ("up", "mine.yaml", "--set", f"env.HF_TOKEN=[{PLANTED['--set']}]"),
        ("up", "mine.yaml", "--set", f"env.HF_TOKEN={PLANTED['--set']}: x: y"),
        ("up", "mine.yaml", "--set", f"discovery.nats_server=nats://{PLANTED['--set']}@hub"),
        ("up", "mine.yaml", "--set", f"HF_TOKEN={PLANTED['--set']}"),
        ("status",),
        ("status", "--json"),
        ("events",),
        ("events", "--json"),
    ],
    ids=" ".join,
)
def test_no_verb_prints_one(command: Command, words: tuple[str, ...]) -> None:
    done = _do(command, *words)
    assert done.stdout + done.stderr
    assert _shows(done.stdout + done.stderr) == []


@pytest.mark.parametrize(
    "words",
    [
        ("plan", "--json"),
        ("plan", "--shell"),
        ("plan",),
        ("doctor", "--json"),
        ("diff",),
        ("profiles", "show"),
        ("plan", "--set", "workers.each.decode-9.env.DB_PASSWORD=" + PLANTED["of one worker"]),
        ("plan", "--set", "workers.each.decode-0.env.DB_PASSWORD=[" + PLANTED["of one worker"] + "]"),
    ],
    ids=" ".join,
)
def test_none_of_a_part_of_the_stack_is_printed(command: Command, words: tuple[str, ...]) -> None:
    (command.directory / "stack.yaml").write_text(_of_the_stack())
    verb = words[:2] if words[0] == "profiles" else words[:1]
    done = _do(command, *verb, "./stack.yaml", *words[len(verb) :])
    assert done.stdout + done.stderr
    assert _shows(done.stdout + done.stderr) == []


@pytest.mark.parametrize("path", ["/v1/status", "/v1/events", "/metrics"])
def test_nothing_that_is_served_holds_one(command: Command, path: str) -> None:
    socket = command.place().directory / "control.sock"
    asked = ["curl", "-s", "-N", "--max-time", "1", "--unix-socket", str(socket), f"http://dynkv{path}"]
    answer = subprocess.run(asked, capture_output=True, text=True, check=False).stdout
    assert "dies" in answer
    assert _shows(answer) == []


def test_the_cause_of_a_death_is_told_without_it(command: Command) -> None:
    last = next(unit for unit in command.status()["units"] if unit["name"] == "dies")["last_exit"]
    assert "nobody is called ***" in last["reason"]


def test_no_command_line_holds_one(command: Command) -> None:
    shown = []
    for process in psutil.process_iter():
        try:
            shown += _shows(" ".join(process.cmdline()))
        except psutil.Error:  # it has exited
            continue
    assert shown == []


def test_nothing_that_is_written_holds_one_and_nobody_else_may_read_it(command: Command) -> None:
    logs = {command.place().logs / "dies.log"}  # a program may log its own secrets
    files = [path for path in command.home.rglob("*") if path.is_file() and path not in logs]
    assert command.place().journal in files
    for path in files:
        assert _shows(path.read_text(errors="replace")) == [], path
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path
