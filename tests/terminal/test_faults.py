"""Planted faults: for each, the user sees one screen that names the cause and says what to do.

The screens are in faults.txt; `UPDATE_GOLDEN=1 pytest tests/terminal` writes it again.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from dynkv.home import Place
from dynkv.host.gpus import gpus
from dynkv.supervisor.journal import read_journal

from .screen import Terminal

GOLDEN = Path(__file__).with_name("faults.txt")
MOCKER = ("--engine", "mocker", "--model", "tiny", "--no-lmcache")
CPU = ("--device", "cpu", "--model", "tiny")
STACK = {"ai_dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6", "nixl": "1.4.1"}
VLLM = """
import sys
print("\\x1b[32m INFO\\x1b[0m 11-24 19:27:44 [core.py:112] Initializing a V1 LLM engine")
TRACEBACK = "Traceback (most recent call last):", '  File "/site/vllm/core.py", line 1437, in run', "    raise e"
for line in ("EngineCore failed to start.", *TRACEBACK, "{error}: {message}"):
    print("(EngineCore pid=1) ERROR 11-24 19:27:45 [core.py:1433]", line)
print("Process EngineCore:", *TRACEBACK, "{error}: {message}", sep="\\n")
for _ in range(40):
    print("2026-11-24T19:28:05.70Z ERROR tower_http::trace::on_failure: response failed status: 503")
sys.stdout.flush()
raise RuntimeError("Engine core initialization failed. See root cause above. Failed core proc(s): {{}}")
"""
"""A program that fails like a vLLM worker: the cause is far above the last line."""
SLEEPER = "topology: none\nunits:\n  - {name: proxy, argv: [sleep, '1000']}\n"


@dataclass
class Person:
    """A person at a terminal, with their own files and a stack of given versions."""

    directory: Path

    @property
    def env(self) -> dict[str, str]:
        return {"DYNKV_HOME": str(self.directory / "state"), "PYTHONPATH": str(Path(__file__).parents[2])}

    def types(self, *words: str, **env: str) -> tuple[int, str]:
        """The exit code and the screen; everything must fit on one screen."""
        with Terminal(*words, env={**self.env, **env}, cwd=self.directory) as terminal:
            code, text = terminal.finish()
            assert not terminal.has_scrolled, f"more than a screen:\n{text}"
        return code, self.neutral(text)

    def file(self, text: str, name: str = "mine.yaml") -> str:
        (self.directory / name).write_text(text)
        return name

    def unit(self, program: str) -> str:
        """A profile with one unit, which runs this Python program."""
        self.file(program, "engine.py")
        argv = f"[python3, {self.directory}/engine.py]"
        probes = "ports: {http: 18002}, probes: {http_get: {port: http, path: /health}}"
        return self.file(f"topology: none\nunits:\n  - {{name: engine, argv: {argv}, {probes}}}\n")

    def stack(self, **versions: str) -> str:
        """`--set python=…` for an environment that claims to have these packages."""
        folder = self.directory / "stack"
        venv.create(folder, with_pip=False, symlinks=True)
        packages = next(folder.glob("lib/python*/site-packages"))
        for name, version in versions.items():
            info = packages / f"{name}-{version}.dist-info"
            info.mkdir()
            (info / "METADATA").write_text(
                f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: {version}\n"
            )
        return f"python={folder}/bin/python"

    @contextmanager
    def running(self, text: str = SLEEPER) -> Iterator[Place]:
        name = self.file(text, "runs.yaml")
        env = {**os.environ, **self.env}
        dynkv = [sys.executable, "-m", "dynkv"]
        subprocess.run([*dynkv, "up", name], cwd=self.directory, env=env, check=True, capture_output=True)
        try:
            yield Place(self.directory / "state", "runs")
        finally:
            subprocess.run([*dynkv, "down", "runs"], cwd=self.directory, env=env, check=True, capture_output=True)

    def neutral(self, text: str) -> str:
        """The text without what differs on every host, or every time."""
        text = text.replace(str(self.directory), "/home/me")
        text = re.sub(r"\bpid\s\d+\s\([^)]*\)", "pid N (…)", text)
        text = re.sub(r"(  unready|pid) +\d+ +", r"\1  N  ", text)
        text = re.sub(r"\bpid +gpu", "pid  gpu", text)  # as wide as the pid below it
        text = re.sub(r"set it to \d+ or less", "set it to N or less", text)
        return re.sub(r"\d+\.\d+ GiB", "N GiB", text)


@pytest.fixture
def person() -> Iterator[Person]:
    """The directory's path has the same length everywhere, so that lines wrap at the same places."""
    directory = Path(subprocess.check_output(["mktemp", "-d", "/tmp/me-XXXX"], text=True).strip())
    person = Person(directory)
    yield person
    for name in ("mine", "runs"):  # if a start succeeded that should not have
        if Place(directory / "state", name).has_supervisor():
            person.types("down", name)
    shutil.rmtree(directory)


Fault = Callable[[Person], tuple[int, str]]


def wrong_model_path(person: Person) -> tuple[int, str]:
    return person.types("up", "agg", "--device", "cpu", "--model", "./models/llama", "--set", person.stack(**STACK))


def port_taken(person: Person) -> tuple[int, str]:
    with socket.create_server(("127.0.0.1", 18000)):
        return person.types("up", "agg", *MOCKER, "--set", person.stack(**STACK), "--set", "frontend.port=18000")


def bad_yaml(person: Person) -> tuple[int, str]:
    return person.types("up", person.file("extends: agg\nmodel:\n  path: [a, b\n"))


def unknown_key(person: Person) -> tuple[int, str]:
    return person.types("up", person.file("extends: agg\nworkers:\n  gpu_memory_fracton: 0.5\n"))


def wrong_type(person: Person) -> tuple[int, str]:
    return person.types("up", person.file("extends: agg\nfrontend:\n  port: eight thousand\n"))


def unknown_profile(person: Person) -> tuple[int, str]:
    return person.types("up", "dissag")


def no_interpreter(person: Person) -> tuple[int, str]:
    return person.types("up", "agg", *CPU, "--set", "python=/opt/stack/bin/python")


def interpreter_without_the_stack(person: Person) -> tuple[int, str]:
    return person.types("up", "agg", *CPU, "--set", person.stack())


def lmcache_too_old(person: Person) -> tuple[int, str]:
    return person.types("up", "disagg", *CPU, "--set", person.stack(**{**STACK, "lmcache": "0.4.9"}))


def no_gpu(person: Person) -> tuple[int, str]:
    return person.types("up", "agg", "--set", person.stack(**STACK))


def l1_larger_than_memory(person: Person) -> tuple[int, str]:
    return person.types("up", "agg", *CPU, "--set", person.stack(**STACK), "--set", "lmcache.l1_size_gb=100000")


def l2_that_cannot_be_written(person: Person) -> tuple[int, str]:
    text = "extends: agg\nlmcache:\n  l2:\n    - type: fs\n      base_path: /proc/kv\n"
    return person.types("up", person.file(text), *CPU, "--set", person.stack(**STACK))


def home_that_cannot_be_written(person: Person) -> tuple[int, str]:
    return person.types("up", "agg", *CPU, DYNKV_HOME="/proc/dynkv")


def disk_full(person: Person) -> tuple[int, str]:
    """Fill every block of a separate file system."""
    home = person.directory / "state"
    home.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(home)], check=True)
    try:
        with suppress(OSError), (home / "ballast").open("wb", buffering=0) as ballast:
            while True:
                ballast.write(b"0" * 4096)
        return person.types("up", person.file(SLEEPER))
    finally:
        subprocess.run(["umount", str(home)], check=True)


def gpu_memory_held_by_another(person: Person) -> tuple[int, str]:
    message = (
        "Free memory on device cuda:0 (27.21/79.18 GiB) on startup is less than desired GPU memory utilization "
        "(0.85, 67.3 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
    )
    return person.types("up", person.unit(VLLM.format(error="ValueError", message=message)))


def engine_that_dies(person: Person) -> tuple[int, str]:
    message = "Not enough allowed NUMA nodes to bind threads of 2 local CPUWorkers. Allowed NUMA nodes are [0]."
    return person.types("up", person.unit(VLLM.format(error="AssertionError", message=message)))


def out_of_gpu_memory(person: Person) -> tuple[int, str]:
    message = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.18 GiB."
    return person.types("up", person.unit(VLLM.format(error="torch.OutOfMemoryError", message=message)))


def module_missing(person: Person) -> tuple[int, str]:
    return person.types("up", person.unit("import not_installed_anywhere\n"))


def wrong_argument(person: Person) -> tuple[int, str]:
    program = (
        "import argparse\nargparse.ArgumentParser(prog='dynamo.vllm').parse_args(['--max-model-length', '4096'])\n"
    )
    return person.types("up", person.unit(program))


def program_missing(person: Person) -> tuple[int, str]:
    return person.types("up", person.file("topology: none\nunits:\n  - {name: proxy, argv: [/opt/proxy, -v]}\n"))


def never_ready(person: Person) -> tuple[int, str]:
    probes = "probes: {http_get: {port: http, path: /health}}"
    text = f"topology: none\nunits:\n  - {{name: proxy, argv: [sleep, '9'], ports: {{http: 18001}}, {probes}}}\n"
    # a slow start of the supervisor on a busy machine would be another fault
    return person.types("up", person.file(text), "--timeout", "3")


def nothing_runs(person: Person) -> tuple[int, str]:
    return person.types("status")


def unknown_deployment(person: Person) -> tuple[int, str]:
    return person.types("down", "ghost")


def change_that_cannot_run(person: Person) -> tuple[int, str]:
    with person.running():
        dies = "units: [{name: proxy, argv: [python3, -c, 'raise LookupError']}]"
        return person.types("up", person.file(f"topology: none\n{dies}\n", "runs.yaml"))


def unknown_unit(person: Person) -> tuple[int, str]:
    with person.running():
        return person.types("restart", "worker-7")


def supervisor_killed(person: Person) -> tuple[int, str]:
    with person.running() as place:
        journal = read_journal(place.journal)
        assert journal is not None
        os.kill(journal.supervisor_pid, signal.SIGKILL)
        while place.has_supervisor():
            time.sleep(0.01)
        return person.types("status")


def typing_mistake(person: Person) -> tuple[int, str]:
    return person.types("statsu")


FAULTS: tuple[Fault, ...] = (
    wrong_model_path,
    port_taken,
    bad_yaml,
    unknown_key,
    wrong_type,
    unknown_profile,
    no_interpreter,
    interpreter_without_the_stack,
    lmcache_too_old,
    no_gpu,
    l1_larger_than_memory,
    l2_that_cannot_be_written,
    home_that_cannot_be_written,
    disk_full,
    gpu_memory_held_by_another,
    engine_that_dies,
    out_of_gpu_memory,
    module_missing,
    wrong_argument,
    program_missing,
    never_ready,
    nothing_runs,
    unknown_deployment,
    change_that_cannot_run,
    unknown_unit,
    supervisor_killed,
    typing_mistake,
)


def sections() -> dict[str, str]:
    """The screens of faults.txt, by fault."""
    if not GOLDEN.exists():
        return {}
    parts = re.split(r"^=== (\w+)\n", GOLDEN.read_text(), flags=re.MULTILINE)[1:]
    return dict(zip(parts[::2], (part.rstrip("\n") for part in parts[1::2]), strict=True))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
def test_what_a_person_sees(person: Person, fault: Fault) -> None:
    if fault is no_gpu and gpus():
        pytest.skip("this host has GPUs")
    if fault is disk_full and os.geteuid() != 0:
        pytest.skip("only root may mount")
    code, screen = fault(person)
    seen = f"{screen}\n(exit code {code})"
    if os.environ.get("UPDATE_GOLDEN"):
        kept = sections() | {fault.__name__: seen}
        ordered = [f"=== {it.__name__}\n{kept[it.__name__]}\n" for it in FAULTS if it.__name__ in kept]
        GOLDEN.write_text("\n".join(ordered))
    assert seen == sections()[fault.__name__]


def test_every_fault_names_a_cause_and_the_next_step() -> None:
    screens = sections()
    assert list(screens) == [fault.__name__ for fault in FAULTS]
    for name, screen in screens.items():
        if name != "supervisor_killed":
            assert len(re.findall("^error: ", screen, flags=re.MULTILINE)) == 1, name
            assert "hint: " in screen, name
        assert not re.search(r"exit code 0", screen) or name == "supervisor_killed"
