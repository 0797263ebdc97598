"""The shell script of a plan: valid bash that starts exactly the plan's processes, without their secrets."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dynkv.cli.prepare import prepare
from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts, ModelFacts
from dynkv.plan.gpus import Gpu
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


STUB = """
detach() { new=$$; printf '%s\\0' "$@" $'\\x1e'; }
say() { :; }
scratch='' setsid='' inherited=(PATH MY_TOKEN)
for n in "${!names[@]}"; do printf '%s\\0' "${names[n]}" "${needs[n]}"; start "$n"; done
"""
"""Replaces the end of a script: prints what would be started, and how."""


def told(made: Plan, **environ: str) -> dict[str, list[str]]:
    """By unit: the names of its environment, and its command line."""
    script, end, _ = shell_script(made).partition("main </dev/null")
    assert end
    done = subprocess.run(
        ["bash", "-c", script + STUB], capture_output=True, check=True, env={"PATH": "/usr/bin:/bin", **environ}
    )
    split = [os.fsdecode(unit).split("\0")[:-1] for unit in done.stdout.split(b"\x1e\0")[:-1]]
    return {name: words for name, *words in split}


def shellcheck(script: str) -> str:
    """The output of shellcheck, which `make check` installs."""
    program = shutil.which("shellcheck", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    assert program is not None, "make check installs it"
    return subprocess.run([program, "--norc", "-"], input=script, capture_output=True, text=True).stdout


@pytest.mark.parametrize("name", shipped())
def test_bash_and_shellcheck_take_it(name: str) -> None:
    script = shell_script(plan(name))
    done = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert script.startswith("#!/bin/bash\n")
    assert script.isascii()
    assert shellcheck(script) == ""


@pytest.mark.parametrize("name", shipped())
def test_every_unit_is_started_with_its_words_and_nothing_else(name: str) -> None:
    made = plan(name)
    started = told(made)
    assert started.keys() == {unit.name for unit in made.units}
    for unit in made.units:
        settings = [f"{key}={value}" for key, value in sorted(unit.env.items())]
        assert started[unit.name][1:] == ["env", "-u", "PATH", "--", *settings, *unit.argv]


def test_odd_words_and_names_arrive_and_shellcheck_takes_them() -> None:
    odd = {"A.B": NASTY, "a-b": "\n\t'\\\x01\x7f", "1": "é 😀", "PS4": "$(id)", "x y": "", "{a,b}": "~ ! # *"}
    names = ["a-b", "a.b", "a_b", "1", "esac"]
    made = own(*({"name": name, "argv": ["/bin/x y", *odd.values()], "env": odd} for name in names))
    started = told(made)
    for name in names:
        assert set(started[name][4:]) >= {f"{key}={value}" for key, value in odd.items()}
        assert started[name][-len(odd) - 1 :] == ["/bin/x y", *odd.values()]
    assert shellcheck(shell_script(made)) == ""


def test_bytes_that_are_no_text_stay_what_they_are() -> None:
    made = build(
        load(
            "agg", [Override(("topology",), "none", ""), Override(("units",), [{"name": "a", "argv": ["x"]}], "")]
        ).profile,
        replace(HOST, environ={"PATH": "/bin", "HF_HOME": "/data/caf\udce9"}),
        name="own",
        profile_name="own",
        home="/home",
    )
    assert "HF_HOME=/data/caf\udce9" in told(made)["a"]
    assert r"$'HF_HOME=/data/caf\xe9'" in shell_script(made)


def test_the_name_of_a_profile_is_no_command() -> None:
    script = shell_script(replace(own({"name": "a"}), profile="it\ntouch /tmp/x #é"))
    assert "touch" not in [line.split()[0] for line in script.splitlines() if line]
    assert script.isascii()


def test_secrets_stay_where_they_are() -> None:
    made = plan("agg")
    script = shell_script(made)
    assert "s3cr3t-value" not in script
    assert made.unit("worker-0").secret_env == ("HF_TOKEN", "MY_TOKEN")
    for words in told(made, MY_TOKEN="s3cr3t-value").values():
        assert not [word for word in words if "TOKEN" in word or "s3cr3t" in word]


def test_workers_on_the_cpu_get_their_priority_and_their_own_cpus(tmp_path: Path) -> None:
    host = replace(HOST, gpus=(), cpus=(0, 1, 2, 3))
    loaded = load("disagg", [Override(("device",), "cpu", "--set"), Override(("model", "path"), "tiny", "--set")])
    made = build(loaded.profile, host, name="disagg", profile_name="disagg", home="/home")
    for program in ("taskset", "nice"):
        (tmp_path / program).write_text("#!/bin/sh\n")
        (tmp_path / program).chmod(0o755)
    started = told(made, PATH=f"{tmp_path}:/usr/bin:/bin")
    assert started["decode-0"][1:7] == ["nice", "-n", "10", "taskset", "-c", "0,1"]
    assert started["prefill-0"][1:7] == ["nice", "-n", "10", "taskset", "-c", "2,3"]
    assert started["frontend"][1] == "env"


def test_order_and_what_each_needs() -> None:
    made = plan("disagg")
    needs = {name: words[0] for name, words in told(made).items()}
    assert list(needs) == ["frontend", "lmcache", "decode-0", "decode-1", "decode-2", "prefill-0"]
    assert needs["decode-0"] == "0:started 1:ready"
    assert needs["prefill-0"] == "0:started 1:ready 2:ready 3:ready 4:ready"
    script = shell_script(made)
    assert "make_directory 0700 '/state of things/disagg/discovery'" in script
    assert "tiny_model.py '/state of things/_models/tiny'" in script
    stages = script.partition("end_all() {\n")[2].partition("\n}")[0].splitlines()
    assert [line.strip() for line in stages[:-1]] == ["end 0", "end 5 2 3 4 1"]
    assert stages[-1].endswith("rm -rf -- '/state of things/disagg/discovery'")


def test_one_start_at_a_time_on_a_gpu() -> None:
    """An engine measures the free GPU memory during its start."""
    workers = {"gpus": [0], "share_gpus": True, "replicas": 2, "gpu_memory_fraction": 0.4}
    needs = {name: words[0] for name, words in told(plan("agg", workers=workers)).items()}
    assert needs["worker-0"] == "0:started 1:ready"
    assert needs["worker-1"] == "0:started 1:ready 2:started"


def test_probes_keep_their_parameters() -> None:
    web = {
        "name": "web",
        "ports": {"http": 9000},
        "probes": {
            "http_get": {"port": "http", "host": "::1", "path": "/a b".replace(" ", "?")},
            "initial_delay_seconds": 3,
            "period_seconds": 2,
            "timeout_seconds": 4,
            "success_threshold": 2,
            "startup_seconds": 90,
        },
    }
    script = shell_script(own(web))
    assert "delay=15 every=1 wanted=1 limit=450 within=93" in script
    assert "try 0 1 'http://[::1]:9000' '/a?b'" in script
    assert "delay=0 every=1 wanted=2 limit=450 within=90" in script
    assert "try 0 4 'http://[::1]:9000' '/a?b'" in script


def test_a_model_that_is_only_listed_is_there_too() -> None:
    """ai-dynamo 1.3.1 has no `/ready` for a name with a slash."""
    assert "/v1/models/tiny/ready" in shell_script(plan("agg"))
    assert """$'"id":"tiny"'""" in shell_script(plan("agg")) or """'"id":"tiny"'""" in shell_script(plan("agg"))


def tree(directory: Path) -> dict[str, tuple[int, str]]:
    """Mode and content of every file in a directory."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, path.read_text() if path.is_file() else "")
        for path in directory.rglob("*")
    }


def test_it_prepares_what_up_prepares(tmp_path: Path) -> None:
    """Also when it is run again, or something exists already."""
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
    """A plan without units, with dynkv's tiny model in place of the real one."""
    loaded = load("agg", [Override(("lmcache", "l2"), adapters, "--set")])
    made = build(loaded.profile, HOST, name="agg", profile_name="agg", home=str(home))
    code = f"open({str(home / 'model')!r}, 'a').write('made once')"
    model = Run((sys.executable, "-c", code), str(home / "model"), "the model", "")
    return replace(made, units=(), prepare=(*made.prepare, model))


def test_it_prepares_with_nothing_from_where_the_person_stands(tmp_path: Path) -> None:
    (tmp_path / "os.py").write_text("raise RuntimeError")
    (tmp_path / "shutil.py").write_text("raise RuntimeError")
    made = prepared(tmp_path / "home", [])
    run = made.prepare[-1]
    assert isinstance(run, Run)
    made = replace(made, prepare=(*made.prepare[:-1], replace_argv(run, "import shutil; ")))
    done = subprocess.run(
        ["bash"],
        input=shell_script(made),
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": ".::"},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert (tmp_path / "home" / "model").exists()


def replace_argv(run: Run, before: str) -> Run:
    program, dash_c, code = run.argv
    return Run((program, dash_c, before + code), run.unless_exists, run.purpose, run.hint)


def test_what_cannot_be_prepared_ends_it(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    made = prepared(tmp_path, [{"type": "fs", "base_path": str(tmp_path / "file" / "kv")}])
    done = subprocess.run(["bash"], input=shell_script(made), capture_output=True, text=True)
    assert done.returncode != 0
    assert "ready" not in done.stdout
    assert not (tmp_path / "model").exists()


def own(*units: dict[str, Any], **facts: Any) -> Plan:
    """A plan with custom units only, which run until they are ended."""
    wait = [sys.executable, "-c", "import time; time.sleep(100)"]
    given = {"topology": "none", "units": [{"argv": wait, **unit} for unit in units]}
    loaded = load("agg", [Override((key,), value, "--set") for key, value in given.items()])
    return build(loaded.profile, replace(HOST, **facts), name="own", profile_name="own", home="/nowhere")
