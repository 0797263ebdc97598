"""The shell script of a plan: valid bash that starts exactly the plan's processes, without their secrets."""

from __future__ import annotations

import json
import re
import shlex
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from dynkv.cli.prepare import prepare
from dynkv.plan.build import build
from dynkv.plan.facts import Gpu, HostFacts, ModelFacts
from dynkv.plan.model import Plan
from dynkv.plan.steps import Run
from dynkv.profile.load import Override, load, shipped
from dynkv.render.shell import shell_script

GIB = 1024**3
NASTY = "a b'c\"$HOME`id`\\;&|*"
STACK = {"ai-dynamo": "1.6.1", "vllm": "0.31.0", "lmcache": "0.5.6", "nixl": "1.4.1"}
HOST = HostFacts(
    gpus=tuple(Gpu(index, f"GPU-{index}", "NVIDIA H100", 80 * GIB, 79 * GIB) for index in range(4)),
    memory_available_bytes=64 * GIB,
    environ={"PATH": "/bin", "HF_HOME": NASTY},
    secret_names=("HF_TOKEN", "AWS_SECRET_ACCESS_KEY"),
    python="/stack dir/bin/python",
    packages=STACK,
    model=ModelFacts(is_local=True, has_config=True),
)


def plan(name: str, **settings: Any) -> Plan:
    given = {
        "model": {"path": "tiny", "args": [NASTY]},
        "env": {"MY_TOKEN": "s3cr3t-value", "MY_OWN": NASTY},
        **settings,
    }
    loaded = load(name, [Override((key,), value, "--set") for key, value in given.items()])
    return build(loaded.profile, HOST, name=name, profile_name=name, home="/state of things")


def commands(script: str) -> dict[str, list[str]]:
    """The words of each command that is started in the background, by the comment before it."""
    blocks = re.findall(r"^# (\S+)\n(env -i .*?) &\n", script, flags=re.DOTALL | re.MULTILINE)
    return {name: shlex.split(block.replace("\\\n", " ")) for name, block in blocks}


@pytest.mark.parametrize("name", shipped())
def test_bash_takes_it(name: str) -> None:
    done = subprocess.run(["bash", "-n"], input=shell_script(plan(name)), capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("name", shipped())
def test_every_unit_is_started_with_its_words_and_nothing_else(name: str) -> None:
    made = plan(name)
    started = commands(shell_script(made))
    assert started.keys() == {unit.name for unit in made.units}
    for unit in made.units:
        secrets = [f"{secret}=${{{secret}-}}" for secret in unit.secret_env]
        settings = [f"{key}={value}" for key, value in sorted(unit.env.items())]
        assert started[unit.name] == ["env", "-i", *settings, *secrets, *unit.argv]


def test_bash_itself_reads_the_words_as_they_are() -> None:
    """The command of one unit, run with a program that prints what it was given."""
    made = plan("agg", engine="mocker")
    worker = made.unit("worker-0")
    block = re.search(r"^# worker-0\n(env -i .*?) &\n", shell_script(made), flags=re.DOTALL | re.MULTILINE)
    assert block is not None
    program = "import json, os, sys; print(json.dumps([sys.argv[1:], dict(os.environ)]))"
    command = block[1].replace(shlex.quote(worker.argv[0]), f"{sys.executable} -c {shlex.quote(program)}", 1)
    done = subprocess.run(
        ["bash", "-c", command],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin", "MY_TOKEN": NASTY},
    )
    argv, environ = json.loads(done.stdout)
    assert argv == list(worker.argv[1:])
    assert environ["MY_OWN"] == NASTY
    assert environ["MY_TOKEN"] == NASTY
    assert environ["HF_TOKEN"] == ""


def test_secrets_are_taken_from_whoever_runs_it() -> None:
    script = shell_script(plan("agg"))
    assert "s3cr3t-value" not in script
    for secret in ("MY_TOKEN", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY"):
        assert set(re.findall(rf"{secret}=(\S+)", script)) == {f'"${{{secret}-}}"'}


def test_workers_on_the_cpu_get_their_priority_and_their_own_cpus() -> None:
    host = replace(HOST, gpus=(), cpus=(0, 1, 2, 3))
    loaded = load("disagg", [Override(("device",), "cpu", "--set"), Override(("model", "path"), "tiny", "--set")])
    made = build(loaded.profile, host, name="disagg", profile_name="disagg", home="/home")
    script = shell_script(made)
    assert "# decode-0\ntaskset -c 0,1 nice -n 10 env -i \\\n" in script
    assert "# prefill-0\ntaskset -c 2,3 nice -n 10 env -i \\\n" in script
    assert "# frontend\nenv -i \\\n" in script


def test_order_and_waiting() -> None:
    made = plan("disagg")
    script = shell_script(made)
    places = [script.index(f"# {name}\n") for name in ("decode-0", "prefill-0")]
    decode = made.unit("decode-0")
    wait = f'wait_for http://127.0.0.1:{decode.ports["system"]}/health "$pid_decode_0"'
    assert places[0] < script.index(wait) < places[1]
    assert script.index("mkdir -p -m 0700 -- '/state of things/disagg/discovery'") < places[0]
    assert script.index("tiny_model.py '/state of things/_models/tiny'") < places[0]
    trap = next(line for line in script.splitlines() if line.startswith("trap"))
    assert re.findall(r"pid_(\w+)-", trap) == ["frontend", "prefill_0", "decode_0", "decode_1", "decode_2", "lmcache"]


def tree(directory: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of all that is in a directory."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, path.read_text() if path.is_file() else "")
        for path in directory.rglob("*")
    }


def test_it_prepares_what_up_prepares(tmp_path: Path) -> None:
    """Also where it is run again, and where something is there already."""
    by_hand, by_up = tmp_path / "by hand", tmp_path / "by up"
    for home in (by_hand, by_up):
        (home / "there").mkdir(mode=0o750, parents=True)
        adapters = [{"type": "fs", "base_path": f"${{DYNKV_HOME}}/{name}"} for name in ("deep/it's kv", "there")]
        made = prepared(home, adapters)
        for _ in range(2):
            if home is by_up:
                prepare(made.prepare)
            else:
                done = subprocess.run(["bash"], input=shell_script(made), capture_output=True, text=True)
                assert (done.returncode, done.stderr) == (0, "")
    found = tree(by_hand)
    assert found == tree(by_up)
    modes = {name: stat.S_IMODE(mode) for name, (mode, _) in found.items()}
    assert (modes["deep/it's kv"], modes["there"], modes["agg/discovery"]) == (0o700, 0o750, 0o700)
    assert found["model"][1] == "made once"


def prepared(home: Path, adapters: list[dict[str, str]]) -> Plan:
    """A plan without units, in which a tiny model of our own takes the place of the real one."""
    loaded = load("agg", [Override(("lmcache", "l2"), adapters, "--set")])
    made = build(loaded.profile, HOST, name="agg", profile_name="agg", home=str(home))
    code = f"open({str(home / 'model')!r}, 'a').write('made once')"
    model = Run((sys.executable, "-c", code), str(home / "model"), "the model", "")
    return replace(made, units=(), prepare=(*made.prepare, model))


def test_what_cannot_be_prepared_ends_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = prepared(tmp_path, [{"type": "fs", "base_path": str(tmp_path / "file" / "kv")}])
    done = subprocess.run(["bash"], input=shell_script(made), capture_output=True, text=True)
    assert done.returncode != 0
    assert "ready" not in done.stdout
    assert not (tmp_path / "model").exists()


def own(*units: dict[str, Any]) -> Plan:
    """Programs of one's own alone, which wait until they are ended."""
    wait = [sys.executable, "-c", "import time; time.sleep(100)"]
    given = {"topology": "none", "units": [{"argv": wait, **unit} for unit in units]}
    loaded = load("agg", [Override((key,), value, "--set") for key, value in given.items()])
    return build(loaded.profile, HOST, name="own", profile_name="own", home="/nowhere")


@contextmanager
def running(script: str) -> Iterator[subprocess.Popen[str]]:
    command = ["bash", "-c", script]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as bash:
        yield bash


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_that_it_started(number: signal.Signals) -> None:
    with running(shell_script(own({"name": "a"}, {"name": "b"}, {"name": "c", "depends_on": ["b"]}))) as bash:
        assert bash.stdout is not None
        assert bash.stdout.readline().startswith("ready")
        started = psutil.Process(bash.pid).children()
        bash.send_signal(number)
        bash.wait(20)
    assert len(started) == 3
    assert psutil.wait_procs(started, timeout=20)[1] == []


def test_one_that_dies_while_it_starts_ends_all() -> None:
    probes = {"http_get": {"port": 9}}
    dies = {"name": "dies", "argv": [sys.executable, "-c", "exit(3)"], "probes": probes}
    script = shell_script(own({"name": "a"}, {"name": "b"}, dies, {"name": "late", "depends_on": ["dies"]}))
    ends = [f"pid_{name}=$!\n" for name in "ab"]
    for end in ends:
        script = script.replace(end, f"{end}echo $!\n")
    with running(script) as bash:
        assert bash.stdout is not None
        pids = [int(bash.stdout.readline()) for _ in ends]
        assert bash.wait(60) == 1
    assert not [pid for pid in pids if psutil.pid_exists(pid)]
