"""The response to each mistake: the exit code, one error, a hint, and nothing left running."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest
from command import free_port

from dynkv import __version__
from dynkv.host.gpus import gpus
from dynkv.profile.engines import ENGINES

STACK = {"ai-dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6", "nixl": "1.4.1"}
TINY_CPU = ("--device", "cpu", "--model", "tiny")
MOCKER = ("--engine", "mocker", "--model", "tiny")


@dataclass(frozen=True)
class Done:
    code: int
    out: str
    err: str


Dynkv = Callable[..., Done]


@pytest.fixture
def dynkv(tmp_path: Path) -> Dynkv:
    """Run the command line in its own DYNKV_HOME; nothing may be left running in it."""

    def run(*args: str, home: Path = tmp_path / "home") -> Done:
        environ = {name: value for name, value in os.environ.items() if name not in ("COLUMNS", "CUDA_VISIBLE_DEVICES")}
        done = subprocess.run(
            [sys.executable, "-m", "dynkv", *args],
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**environ, "DYNKV_HOME": str(home)},
            timeout=60,
        )
        assert running_with(home) == []
        return Done(done.returncode, done.stdout, done.stderr)

    return run


def running_with(home: Path) -> list[str]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get("DYNKV_HOME") == str(home):
                found.append(" ".join(process.cmdline()))
        except psutil.Error:  # it has exited, or is another user's
            continue
    return found


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> str:
    """`--set python=…` for an environment that claims to have the stack: no test gets as far as running it."""
    folder = tmp_path_factory.mktemp("stack")
    venv.create(folder, with_pip=False, symlinks=True)
    packages = next(folder.glob("lib/python*/site-packages"))
    for name, version in STACK.items():
        info = packages / f"{name.replace('-', '_')}-{version}.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    return f"python={folder}/bin/python"


@pytest.fixture
def free() -> tuple[str, ...]:
    """A free port for the frontend, so that only what the test is about is refused."""
    return ("--set", f"frontend.port={free_port()}")


def refused(done: Done, code: int) -> tuple[str, str]:
    """The error and its hint, after checking the format of both."""
    assert done.code == code, done.err
    assert done.out == ""
    assert "Traceback" not in done.err
    errors = re.findall(r"^error: (.+)$", done.err, flags=re.MULTILINE)
    hints = re.findall(r"^  hint: (.+)$", done.err, flags=re.MULTILINE)
    assert (len(errors), len(hints)) == (1, 1), done.err
    return errors[0], hints[0]


def write(folder: Path, text: str) -> str:
    file = folder / "mine.yaml"
    file.write_text(text)
    return str(file)


class TestUsage:
    def test_unknown_profile(self, dynkv: Dynkv) -> None:
        error, hint = refused(dynkv("up", "dissag"), 2)
        assert "'dissag'" in error
        assert "did you mean 'disagg'?" in hint

    def test_typo(self, dynkv: Dynkv, tmp_path: Path) -> None:
        done = dynkv("up", write(tmp_path, "extends: agg\nfrontend:\n  prot: 8001\n"))
        error, hint = refused(done, 2)
        assert error == "unknown key 'prot' in frontend"
        assert hint == "did you mean 'port'?"
        assert f"at {tmp_path}/mine.yaml:3:3" in done.err
        assert "prot: 8001" in done.err

    def test_wrong_type(self, dynkv: Dynkv, tmp_path: Path) -> None:
        done = dynkv("up", write(tmp_path, "frontend:\n  port: eight\n"))
        assert "not the text 'eight'" in refused(done, 2)[0]
        assert "mine.yaml:2:3" in done.err

    def test_duplicate_key(self, dynkv: Dynkv, tmp_path: Path) -> None:
        done = dynkv("up", write(tmp_path, "model:\n  path: a\n  path: b\n"))
        assert refused(done, 2)[0] == 'duplicate key "path"'
        assert "mine.yaml:3:3" in done.err

    def test_chunks_that_are_no_whole_blocks(self, dynkv: Dynkv) -> None:
        error, hint = refused(dynkv("up", "agg", "--set", "lmcache.chunk_size=250"), 2)
        assert "250" in error
        assert "multiple of 16" in hint

    def test_l2_without_its_directory(self, dynkv: Dynkv, tmp_path: Path) -> None:
        text = "lmcache:\n  l2:\n    - type: nixl_store\n      backend: POSIX\n"
        text += "      pool_size: 8\n      backend_params: {}\n"
        done = dynkv("up", write(tmp_path, text))
        assert "file_path is missing" in refused(done, 2)[0]
        assert "mine.yaml:6:7" in done.err

    def test_gpus_for_a_cpu(self, dynkv: Dynkv) -> None:
        error, hint = refused(dynkv("up", "agg", *TINY_CPU, "--gpus", "0"), 2)
        assert "device is cpu" in error
        assert "--gpus" in hint

    def test_bad_name(self, dynkv: Dynkv) -> None:
        error, hint = refused(dynkv("up", "agg", "--name", "../My-Stack"), 2)
        assert "'../My-Stack'" in error
        assert "--name my-stack" in hint

    def test_no_such_engine(self, dynkv: Dynkv) -> None:
        done = dynkv("up", "agg", "--engine", "trt")
        assert all(f"'{engine}'" in refused(done, 2)[0] for engine in ENGINES)
        assert "at --engine trt" in done.err


class TestNothingThere:
    @pytest.mark.parametrize("verb", ["down", "status"])
    def test_unknown_deployment(self, dynkv: Dynkv, verb: str) -> None:
        error, hint = refused(dynkv(verb, "ghost"), 3)
        assert error == "no deployment named 'ghost'"
        assert "dynkv up" in hint

    @pytest.mark.parametrize("args", [("status", "--json"), ("down",)])
    def test_no_deployment_at_all(self, dynkv: Dynkv, args: tuple[str, ...]) -> None:
        assert refused(dynkv(*args), 3)[0] == "no deployment is running"


class TestPreflight:
    def test_a_model_without_config(self, dynkv: Dynkv, free: tuple[str, ...], tmp_path: Path, stack: str) -> None:
        (tmp_path / "model").mkdir()
        error, hint = refused(dynkv("up", "agg", "--device", "cpu", "--model", "./model", "--set", stack, *free), 4)
        assert error == f"there is no config.json in {tmp_path}/model"
        assert "--model tiny" in hint

    @pytest.mark.skipif(bool(gpus()), reason="this host has GPUs")
    def test_no_gpu(self, dynkv: Dynkv, free: tuple[str, ...], stack: str) -> None:
        error, hint = refused(dynkv("up", "agg", "--set", stack, *free), 4)
        assert "no NVIDIA GPU" in error
        assert "--device cpu --model tiny" in hint

    def test_more_l1_than_memory(self, dynkv: Dynkv, free: tuple[str, ...], stack: str) -> None:
        done = dynkv("up", "agg", *TINY_CPU, *free, "--set", stack, "--set", "lmcache.l1_size_gb=1000000")
        assert "l1_size_gb is 1e+06" in refused(done, 4)[0]
        assert "at --set lmcache.l1_size_gb=1000000" in done.err

    def test_an_occupied_port(self, dynkv: Dynkv, stack: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            done = dynkv("up", "agg", *MOCKER, "--set", stack, "--set", f"frontend.port={port}")
        error, hint = refused(done, 4)
        assert f"port {port} (frontend.port) is taken by pid {os.getpid()} (" in error
        assert f"--set frontend.port={port + 1}" in hint

    def test_an_interpreter_without_vllm(self, dynkv: Dynkv, free: tuple[str, ...], tmp_path: Path) -> None:
        venv.create(tmp_path / "empty", with_pip=False, symlinks=True)
        python = f"{tmp_path}/empty/bin/python"
        done = dynkv("up", "agg", *TINY_CPU, *free, "--set", f"python={python}")
        error, hint = refused(done, 4)
        assert error == f"ai-dynamo is not installed for {python}"
        assert "`dynkv stack install cpu`" in hint

    def test_a_home_that_cannot_be_written(self, dynkv: Dynkv, free: tuple[str, ...]) -> None:
        error, hint = refused(dynkv("up", "agg", *TINY_CPU, *free, home=Path("/proc/x")), 4)
        assert "cannot write to /proc/x" in error
        assert "DYNKV_HOME" in hint

    def test_an_l2_directory_that_cannot_be_written(
        self, dynkv: Dynkv, free: tuple[str, ...], tmp_path: Path, stack: str
    ) -> None:
        file = write(tmp_path, "extends: agg\nlmcache:\n  l2:\n    - type: fs\n      base_path: /proc/kv\n")
        done = dynkv("up", file, *TINY_CPU, *free, "--set", stack)
        assert "L2 directory /proc/kv cannot be written" in refused(done, 4)[0]
        assert f"at {file}:5:7" in done.err

    def test_doctor_says_it_too(self, dynkv: Dynkv, free: tuple[str, ...], stack: str) -> None:
        done = dynkv("doctor", "agg", *TINY_CPU, *free, "--set", stack, "--set", "lmcache.l1_size_gb=1000000", "--json")
        assert done.code == 4
        found = [(finding["severity"], finding["id"]) for finding in json.loads(done.out)]
        assert found == [("error", "l1-too-large"), ("warning", "vllm-needs-gpus"), ("info", "metrics-address")]
        assert done.err == ""


class TestHistory:
    def test_a_line_that_was_cut_off_costs_only_itself(self, dynkv: Dynkv, tmp_path: Path) -> None:
        """As after a full disk."""
        directory = tmp_path / "home" / "agg"
        directory.mkdir(parents=True)
        (directory / "journal.json").write_text("{}")
        event = {"seq": 1, "at": "2026-01-01T00:00:00+00:00", "kind": "state", "unit": None, "message": "up"}
        (directory / "events.jsonl").write_text(json.dumps(event) + '\n{"seq": 2, "at": "2026')
        done = dynkv("events", "--json")
        assert done.code == 0, done.err
        assert [json.loads(line)["message"] for line in done.out.splitlines()] == ["up"]

    def test_a_damaged_journal_is_no_traceback(self, dynkv: Dynkv, tmp_path: Path) -> None:
        directory = tmp_path / "home" / "agg"
        directory.mkdir(parents=True)
        (directory / "journal.json").write_bytes(b'{"version":1,"boot_id":"\xff"}')
        assert refused(dynkv("status"), 3)[0] == "deployment 'agg' is not running"
        assert dynkv("down").code == 0

    def test_no_logs_of_an_unknown_unit(self, dynkv: Dynkv, tmp_path: Path) -> None:
        logs = tmp_path / "home" / "agg" / "logs"
        logs.mkdir(parents=True)
        (logs.parent / "journal.json").write_text("{}")
        (logs / "worker-0.log").write_text("one\ntwo\n")
        assert dynkv("logs", "worker-0", "-n", "1") == Done(0, "two\n", "")
        assert dynkv("logs", "--grep", "ONE") == Done(0, "one\n", "")
        assert json.loads(dynkv("logs", "-n", "1", "--json").out) == {
            "unit": "worker-0",
            "at": None,
            "level": None,
            "line": "two",
        }
        assert "--since 'soon'" in refused(dynkv("logs", "--since", "soon"), 2)[0]
        assert "--grep '('" in refused(dynkv("logs", "--grep", "("), 2)[0]
        error, hint = refused(dynkv("logs", "worker-1"), 2)
        assert "'worker-1'" in error
        assert hint == "available: worker-0"

    @pytest.mark.parametrize("verb", ["restart", "start", "stop"])
    def test_a_unit_of_what_does_not_run(self, dynkv: Dynkv, verb: str) -> None:
        assert refused(dynkv(verb, "worker-0"), 3)[0] == "no deployment is running"


class TestLooking:
    def test_version(self, dynkv: Dynkv) -> None:
        assert dynkv("--version") == Done(0, f"dynkv {__version__}\n", "")

    def test_help(self, dynkv: Dynkv) -> None:
        done = dynkv("--help")
        assert (done.code, done.err) == (0, "")
        assert all(verb in done.out for verb in ("up", "down", "status", "logs", "plan", "doctor", "profiles"))

    def test_profiles(self, dynkv: Dynkv) -> None:
        done = dynkv("profiles", "--json")
        assert (done.code, done.err) == (0, "")
        listed = {row["name"]: row["description"] for row in json.loads(done.out)}
        assert listed.keys() == {"agg", "agg-router", "agg-l2-posix", "disagg", "disagg-1gpu", "infra"}
        assert all(listed.values())

    def test_plan(self, dynkv: Dynkv, tmp_path: Path, stack: str) -> None:
        done = dynkv("plan", "disagg", *MOCKER, "--set", stack, "--json")
        assert (done.code, done.err) == (0, "")
        plan = json.loads(done.out)
        assert [unit["name"] for unit in plan["units"]] == ["lmcache", "frontend", "decode-0", "prefill-0"]
        assert plan["python"] == stack.removeprefix("python=")
        assert not (tmp_path / "home").exists(), "looking leaves nothing behind"

    @pytest.mark.parametrize(
        ("words", "engine"),
        [
            (("disagg", *MOCKER), "disagg, mocker"),
            (("agg", "--device", "cpu", "--model", "tiny"), "agg, vllm on cpu"),
            (("infra",), "none"),
        ],
    )
    def test_plan_names_a_device_only_where_something_computes(
        self, dynkv: Dynkv, stack: str, words: tuple[str, ...], engine: str
    ) -> None:
        done = dynkv("plan", *words, "--set", stack)
        assert done.code == 0, done.err
        assert done.out.splitlines()[0] == f"{words[0]}: {engine}, {stack.removeprefix('python=')}"

    def test_plan_as_a_script(self, dynkv: Dynkv, stack: str) -> None:
        done = dynkv("plan", "agg", *MOCKER, "--set", stack, "--shell")
        assert (done.code, done.err) == (0, "")
        assert done.out.startswith("#!/bin/bash\n")
        subprocess.run(["bash", "-n"], input=done.out, text=True, check=True)


class TestCommandLine:
    @pytest.mark.parametrize(
        ("words", "error", "hint"),
        [
            (["frobnicate"], "no such command 'frobnicate'", "`dynkv --help`"),
            (["up"], "missing argument 'PROFILE'", "`dynkv up --help`"),
            (["up", "agg", "--nope"], "no such option: --nope", "`dynkv up --help`"),
            (["wait", "--timeout", "soon"], "invalid value for '--timeout'", "`dynkv wait --help`"),
            (["logs", "--level", "loud"], "'loud' is not one of 'debug'", "`dynkv logs --help`"),
            (["scale", "worker"], "'worker' is not ROLE=N", "dynkv scale worker=2"),
        ],
    )
    def test_one_shape_for_what_typer_refuses_too(self, dynkv: Dynkv, words: list[str], error: str, hint: str) -> None:
        found = refused(dynkv(*words), 2)
        assert error in found[0]
        assert hint in found[1]

    def test_a_fault_of_dynkv_is_an_error_too(
        self, dynkv: Dynkv, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "sitecustomize.py").write_text(
            "import dynkv.supervisor.journal as journal\ndef read_journal(path): return 1 // 0\n"
            "journal.read_journal = read_journal\n"
        )
        monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ.get('PYTHONPATH', '')}")
        (tmp_path / "home" / "agg").mkdir(parents=True)
        (tmp_path / "home" / "agg" / "journal.json").touch()
        error, hint = refused(dynkv("logs"), 1)
        assert error.startswith("ZeroDivisionError")
        assert "dynkv --debug" in hint
        assert "Traceback" in dynkv("--debug", "logs").err
        assert "Traceback" in dynkv("logs", "--debug").err
