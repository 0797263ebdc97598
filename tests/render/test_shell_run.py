"""Running the script of a plan, with an interactive shell and without one, to its end, however it ends."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import time
from pathlib import Path
from typing import Any

import anyio
import pytest
from scripts import (
    PATIENCE_S,
    Stage,
    dump,
    dumped,
    eventually,
    free_port,
    http,
    python,
    terminal,
    until,
    words_of,
)

from dynkv.children.child import Child
from dynkv.render.shell import shell_script

FAMILY = """
import os, subprocess, sys, time
wait = [sys.executable, "-c", "import time; time.sleep(1000)"]
subprocess.Popen(wait)
subprocess.Popen(wait, start_new_session=True)
if os.fork() == 0:
    os.setsid()
    subprocess.Popen(wait)
    os._exit(0)
os.wait()
time.sleep(1000)
"""
"""A child, one in its own session, and one in its own session that has lost its parent."""
STUBBORN = "import signal, sys, time; signal.signal(15, signal.SIG_IGN); open(sys.argv[1], 'w'); time.sleep(1000)"
ODD = "a b'c\"$HOME`id`\\;&|*\n\té \x01 ~ !"


def family(name: str, **more: object) -> dict[str, object]:
    return {"name": name, "argv": python(FAMILY), **more}


# --- how a unit is started ---


def test_a_unit_is_given_its_words_its_environment_and_nothing_else(tmp_path: Path) -> None:
    env = {"A.B": ODD, "a-b": "x", "1": "y", "a b": "z", "EMPTY": "", "E": ODD}
    stage = Stage(tmp_path, {"name": "odd", "argv": dump(tmp_path / "it", ODD, "", "-x", "a=b"), "env": env})
    with stage.running(env=stage.environ(LEAK="leak", **{"L.E-A K": "leak", "BASH_FUNC_f%%": "() { :; }"})) as script:
        until(script, "ready")
        environ, words, directory = dumped(tmp_path / "it")
    planned = dict(stage.plan.unit("odd").env)
    own = Path(environ.pop("TMPDIR"))
    environ.pop("LC_CTYPE", None)  # Python sets it
    assert environ == planned
    assert words == [ODD, "", "-x", "a=b"]
    assert directory == str(tmp_path / "home" / "own")
    assert own.parent.parent == stage.temporary


def test_bytes_of_no_character_arrive(tmp_path: Path) -> None:
    env = {"BYTES": "caf\udce9"}
    stage = Stage(tmp_path, {"name": "a", "argv": dump(tmp_path / "it")})
    stage.plan.units[0].env.update(env)
    stage.path.write_text(shell_script(stage.plan), encoding="ascii")
    with stage.running() as script:
        until(script, "ready")
        assert dumped(tmp_path / "it")[0]["BYTES"] == "caf\udce9"


def test_secrets_come_from_the_environment_and_never_stand_in_a_command_line(tmp_path: Path) -> None:
    value = "s3cr3t" * 5
    names = ["MY_TOKEN", "MY-TOKEN", "a.b_password"]
    stage = Stage(tmp_path, {"name": "a", "argv": dump(tmp_path / "it")}, env=dict.fromkeys(names, "planned"))
    assert "planned" not in stage.path.read_text()
    told = tmp_path / "traced"
    with stage.running(env=stage.environ(**dict.fromkeys(names[:2], value))) as script:
        seen = until(script, "ready")
        environ, _, _ = dumped(tmp_path / "it")
    assert {name: environ.get(name) for name in names} == {"MY_TOKEN": value, "MY-TOKEN": value, "a.b_password": None}
    assert "a starts without a.b_password: export it" in seen
    _trace(stage, told, value)
    assert "execve" in told.read_text()
    assert value not in told.read_text()


def test_a_secret_that_one_unit_alone_has_comes_under_a_name_of_its_own(tmp_path: Path) -> None:
    units = [
        {"name": name, "argv": dump(tmp_path / name), "env": {"API_KEY": f"planned-{name}"}} for name in ("a", "b.1")
    ]
    stage = Stage(tmp_path, *units)
    assert "planned" not in stage.path.read_text()
    kept = {unit.name: unit.own_secrets["API_KEY"] for unit in stage.plan.units}
    assert kept["a"] == "API_KEY__a"
    with stage.running(env=stage.environ(**{kept["a"]: "given to a", kept["b.1"]: "given to b"})) as script:
        until(script, "ready")
        found = {name: dumped(tmp_path / name)[0] for name in kept}
    assert {name: environ["API_KEY"] for name, environ in found.items()} == {"a": "given to a", "b.1": "given to b"}
    assert not [name for environ in found.values() for name in environ if name in kept.values()]


def test_without_it_the_unit_starts_and_the_name_is_told(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"name": "a", "argv": dump(tmp_path / "it"), "env": {"API_KEY": "planned"}})
    with stage.running() as script:
        seen = until(script, "ready")
        assert "API_KEY" not in dumped(tmp_path / "it")[0]
    assert "a starts without API_KEY: export it as API_KEY__a" in seen


def _trace(stage: Stage, told: Path, value: str) -> None:
    """Everything that it executes, as commands only."""
    shim = stage.folder / "bin"
    shim.mkdir()
    for program in ("env", "setsid", "nice", "mkdir", "curl", "mktemp", "sleep", "grep", "rm"):
        real = shutil.which(program)
        (shim / program).write_text(f'#!/bin/bash\nprintf "execve %s\\n" "$0 $*" >>{told}\nexec {real} "$@"\n')
        (shim / program).chmod(0o755)
    path = f"{shim}:{os.environ['PATH']}"
    with stage.running(env=stage.environ(PATH=path, **{"MY_TOKEN": value, "MY-TOKEN": value})) as script:
        until(script, "ready")


def test_signals_are_as_they_are_by_default(tmp_path: Path) -> None:
    """A command in the background of bash (`&`) ignores Ctrl-C, as would its children."""
    code = "import signal; print([n for n in (2, 3, 15, 1, 13) if signal.getsignal(n) == signal.SIG_IGN])"
    look = python(f"import signal; signal.signal(13, signal.SIG_DFL)\n{code}\nimport time; time.sleep(1000)")
    stage = Stage(tmp_path, {"name": "a", "argv": look, "env": {"PYTHONUNBUFFERED": "1"}})
    with stage.running() as script:
        assert until(script, "[").endswith("[]\n")


def test_only_three_descriptors_are_handed_on(tmp_path: Path) -> None:
    look = python(
        "import os, time\nprint('open:', *sorted(map(int, os.listdir('/proc/self/fd'))), flush=True)\ntime.sleep(1000)"
    )
    stage = Stage(tmp_path, {"name": "a", "argv": look})
    reading, writing = os.pipe()
    with stage.running(pass_fds=(reading, writing)) as script:
        assert until(script, "open:").splitlines()[-1] == "open: 0 1 2 3"  # 3: the directory that is being listed
    os.close(reading)
    os.close(writing)


def test_names_that_differ_in_a_dash_are_three_units(tmp_path: Path) -> None:
    stage = Stage(tmp_path, *({"name": name} for name in ("a-b", "a.b", "a_b")))
    with stage.running() as script:
        until(script, "ready")
        assert len(stage.left()) == 3
        script.send_signal(signal.SIGTERM)
        assert script.wait(PATIENCE_S) == 143
        assert stage.left() == []


def test_a_program_with_an_equals_sign_in_its_name_is_no_variable(tmp_path: Path) -> None:
    program = tmp_path / "a=b"
    program.write_text("#!/bin/sh\necho it runs\nexec sleep 1000\n")
    program.chmod(0o755)
    stage = Stage(tmp_path, {"name": "a", "argv": [str(program)]})
    with stage.running() as script:
        until(script, "it runs")


def test_a_program_is_looked_for_on_the_path_of_its_unit(tmp_path: Path) -> None:
    """By `up`, too."""
    for folder in ("theirs", "own"):
        (tmp_path / folder).mkdir()
        program = tmp_path / folder / "tool"
        program.write_text(f"#!/bin/sh\necho {folder}\nexec sleep 1000\n")
        program.chmod(0o755)
    own = {"PATH": f"{tmp_path / 'own'}:{os.environ['PATH']}"}
    stage = Stage(tmp_path, {"name": "a", "argv": ["tool"], "env": own})
    with stage.running(env=stage.environ(PATH=f"{tmp_path / 'theirs'}:{os.environ['PATH']}")) as script:
        assert until(script, "own").endswith("own\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PATH", f"{tmp_path / 'theirs'}:{os.environ['PATH']}")
        assert anyio.run(_first_line, stage, tmp_path / "log") == "own\n"


async def _first_line(stage: Stage, log: Path) -> str:
    unit = stage.plan.units[0]
    child = Child.spawn(unit.argv, unit.env, log)
    try:
        eventually(lambda: "\n" in log.read_text(), "it has said which it is")
        return log.read_text()  # noqa: ASYNC240 (nothing else runs meanwhile)
    finally:
        child.signal(signal.SIGKILL)
        await child.watch()
        child.reap()


@pytest.mark.parametrize(("mask", "own"), [(0o000, 0o000), (0o027, 0o027), (0o777, 0o077)])
def test_a_umask_is_the_persons_but_for_what_it_takes_from_the_owner(tmp_path: Path, mask: int, own: int) -> None:
    """As under `up`."""
    look = python("import os, sys, time; sys.stdout.write(f'mask {os.umask(0):03o}\\n'); time.sleep(1000)")
    stage = Stage(tmp_path, {"name": "a", "argv": look})
    with stage.running(umask=mask) as script:
        assert until(script, "mask").splitlines()[-1] == f"mask {own:03o}"


# --- how it is run ---


LINES = ["{0}", "bash {0}", "bash <(cat {0})", "cat {0} | bash", 'cd /; bash -c "$(cat {0})"', "set +m; {0}"]


@pytest.mark.parametrize("line", LINES)
def test_however_it_is_run_ctrl_c_ends_all_of_it(tmp_path: Path, line: str) -> None:
    stage = Stage(tmp_path, family("a"), family("b", depends_on=["a"]), {"name": "c", "depends_on": ["b"]})
    with terminal(stage) as window:
        window.type(line.format(stage.path))
        eventually(lambda: len(stage.left()) == 9, "all are there")
        window.sees("ready")
        window.ctrl_c()
        assert window.code() == 130
        assert words_of(stage.left()) == []
        assert stage.litter() == []


def test_a_second_ctrl_c_cuts_nothing_short(tmp_path: Path) -> None:
    stubborn = {"name": "b", "argv": python(STUBBORN, str(tmp_path / "there")), "stop_timeout_s": 1.0}
    stage = Stage(tmp_path, family("a"), {**stubborn, "depends_on": ["a"]})
    with terminal(stage) as window:
        window.type(str(stage.path))
        window.sees("ready")
        eventually((tmp_path / "there").exists, "it ignores SIGTERM")
        eventually(lambda: len(stage.left()) == 5, "all are there")
        window.ctrl_c()
        for _ in range(5):
            window.ctrl_c()
            time.sleep(0.1)
        assert window.code() == 130
        assert words_of(stage.left()) == []


def test_closing_the_window_ends_all_of_it(tmp_path: Path) -> None:
    stage = Stage(tmp_path, family("a"))
    with terminal(stage) as window:
        window.type(str(stage.path))
        window.sees("ready")
        eventually(lambda: len(stage.left()) == 4, "all are there")
        window.close()
        eventually(lambda: stage.left() == [] and stage.litter() == [], "all is gone")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGQUIT, 131)]
)
def test_a_signal_to_the_script_alone_ends_all_of_it(tmp_path: Path, number: signal.Signals, code: int) -> None:
    stage = Stage(tmp_path, family("a"), family("b"))
    with stage.running() as script:
        until(script, "ready")
        eventually(lambda: len(stage.left()) == 8, "all are there")
        script.send_signal(number)
        assert script.wait(PATIENCE_S) == code
        assert words_of(stage.left()) == []
        assert stage.litter() == []


def test_it_can_be_ended_while_it_starts(tmp_path: Path) -> None:
    never = {"http_get": {"port": free_port()}}
    stage = Stage(tmp_path, family("a"), family("b", probes=never), {"name": "c", "depends_on": ["b"]})
    with stage.running() as script:
        eventually(lambda: len(stage.left()) == 8, "two are there")
        script.send_signal(signal.SIGTERM)
        out, _ = script.communicate(timeout=PATIENCE_S)
        assert (script.returncode, "ready" in out, "c starts" in out) == (143, False, False)
        assert words_of(stage.left()) == []


def test_they_end_in_the_order_of_up(tmp_path: Path) -> None:
    note = "import signal, sys, time\n"
    note += "signal.signal(15, lambda *_: (open(sys.argv[1], 'a').write(sys.argv[2] + ' '), sys.exit()))\n"
    note += "sys.stdout.write('listens\\n')\ntime.sleep(1000)"
    names = ["a", "b", "c"]
    units = [
        {"name": name, "argv": python(note, str(tmp_path / "ends"), name), "depends_on": names[:number]}
        for number, name in enumerate(names)
    ]
    stage = Stage(tmp_path, *units)
    with stage.running() as script:
        for _ in names:
            until(script, "listens")
        script.send_signal(signal.SIGTERM)
        assert script.wait(PATIENCE_S) == 143
    assert (tmp_path / "ends").read_text() == "c b a "


# --- what goes wrong ---


def test_one_that_dies_while_it_starts_ends_all(tmp_path: Path) -> None:
    dies = {"name": "dies", "argv": python("exit(3)"), "probes": {"http_get": {"port": free_port()}}}
    stage = Stage(tmp_path, family("a"), dies, {"name": "late", "depends_on": ["dies"]})
    code, out = stage.run()
    assert code == 1
    assert "dies exited with code 3" in out
    assert "late starts" not in out
    assert "ready" not in out.splitlines()


def test_one_that_cannot_be_found_is_named(tmp_path: Path) -> None:
    code, out = Stage(tmp_path, {"name": "a", "argv": ["no-such-program"]}, {"name": "b"}).run()
    assert code == 1
    assert "a exited with code 127" in out
    assert "ready" not in out.splitlines()


def test_one_that_dies_later_is_told_of_and_the_others_go_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, family("a"), {"name": "b"})
    with stage.running() as script:
        until(script, "ready")
        eventually(lambda: len(stage.left()) == 5, "all are there")
        first = next(process for process in stage.left() if "os.fork" in " ".join(process.cmdline()))
        first.kill()
        until(script, "a was killed by SIGKILL")
        eventually(lambda: len(stage.left()) == 1, "what a has left is ended")
        stage.left()[0].kill()
        until(script, "b was killed by SIGKILL")
        assert script.wait(PATIENCE_S) == 1


def test_a_wait_has_the_limit_of_its_probe(tmp_path: Path) -> None:
    port = free_port()
    probes = {"http_get": {"port": port, "path": "/well"}, "startup_seconds": 1.0}
    stage = Stage(tmp_path, {"name": "slow", "argv": http(port, 503), "probes": probes}, family("a"))
    code, out = stage.run()
    assert code == 1
    assert f"slow did not answer http://127.0.0.1:{port}/well within 1 s; see its output above" in out


def test_a_port_that_somebody_has_is_told_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as somebody:
        somebody.bind(("127.0.0.1", 0))
        somebody.listen()
        port = somebody.getsockname()[1]
        probes = {"http_get": {"port": "web"}}
        code, out = Stage(tmp_path, {"name": "a"}, {"name": "b", "ports": {"web": port}, "probes": probes}).run()
    assert (code, out) == (1, f"port {port} (b's web) is in use\n")


# --- how it asks ---


@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "localhost"])
def test_it_asks_the_unit_and_no_proxy(tmp_path: Path, host: str) -> None:
    address = "127.0.0.1" if host == "localhost" else host
    port, path = free_port(address), "/a/../[x]{y}#z?q='"
    probes = {"http_get": {"port": port, "host": host, "path": path}}
    stage = Stage(tmp_path, {"name": "a", "argv": http(port, host=address), "probes": probes})
    (tmp_path / ".curlrc").write_text("proxy = http://127.0.0.1:1\n")
    proxies = dict.fromkeys(("http_proxy", "HTTP_PROXY", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:1")
    with stage.running(env=stage.environ(**proxies)) as script:
        assert f"asked for {path}\n" in until(script, "ready")


def test_one_that_needs_what_starts_later_is_waited_for_beside_it(tmp_path: Path) -> None:
    """An exporter depends on the frontend, which is ready when the workers are, whose names sort after it."""
    gate, router, worker = tmp_path / "gate", free_port(), free_port()
    served = f"open({str(gate)!r}, 'w'); import time; time.sleep(1000)"
    units: list[dict[str, Any]] = [
        {"name": "router", "argv": http(router, ready_when=str(gate)), "probes": {"http_get": {"port": router}}},
        {"name": "base", "argv": http(worker), "probes": {"http_get": {"port": worker}}},
        {"name": "exporter", "depends_on": ["router"]},
        {"name": "worker", "argv": python(served), "depends_on": ["base"]},
    ]
    with Stage(tmp_path, *units).running() as script:
        seen = until(script, "ready")
    assert seen.index("worker starts") < seen.index("exporter starts")


def test_passes_in_a_row_and_a_delay(tmp_path: Path) -> None:
    port = free_port()
    probes = {"http_get": {"port": port}, "success_threshold": 3, "period_seconds": 0.2, "initial_delay_seconds": 1.0}
    with Stage(tmp_path, {"name": "a", "argv": http(port), "probes": probes}).running() as script:
        before = time.monotonic()
        assert until(script, "ready").count("asked for /") == 4  # once for its start
        assert time.monotonic() - before >= 1.0


# --- where programs are not there ---


@pytest.fixture
def bare(tmp_path: Path) -> str:
    """A PATH without util-linux, curl, nice and grep."""
    folder = tmp_path / "bare"
    folder.mkdir()
    for program in ("bash", "env", "sleep", "mkdir", "rm", "mktemp", "true"):
        (folder / program).symlink_to(shutil.which(program) or program)
    return str(folder)


def test_without_util_linux(tmp_path: Path, bare: str) -> None:
    stage = Stage(tmp_path, {"name": "a"}, {"name": "b", "depends_on": ["a"]})
    with terminal(stage, PATH=bare) as window:
        window.type(f"bash {stage.path}")
        window.sees("ready")
        assert len(stage.left()) == 2
        window.ctrl_c()
        assert window.code() == 130
        assert words_of(stage.left()) == []


def test_without_curl_where_something_has_to_be_asked(tmp_path: Path, bare: str) -> None:
    probes = {"http_get": {"port": free_port()}}
    stage = Stage(tmp_path, {"name": "a", "probes": probes})
    code, out = stage.run(shutil.which("bash") or "bash", str(stage.path), env=stage.environ(PATH=bare))
    assert (code, out) == (1, "curl is missing, which checks whether all are ready\n")


def test_another_shell_says_that_it_is_none(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"name": "a"})
    code, out = stage.run("dash", str(stage.path))
    assert (code, out) == (2, "this is for bash 4 or later: bash SCRIPT\n")


# --- jobs ---


def test_a_job_ends_before_what_waits_for_it_begins_and_ends_nothing_else(tmp_path: Path) -> None:
    told = tmp_path / "told"
    stage = Stage(
        tmp_path,
        {"name": "a", "kind": "job", "argv": ["sh", "-c", f"sleep 0.5; sleep 1000 & echo done >> {told}"]},
        {"name": "b", "argv": ["sh", "-c", f"echo begun >> {told}; sleep 1000"], "depends_on": ["a"]},
    )
    with stage.running() as script:
        until(script, "ready")
        eventually(lambda: told.read_text() == "done\nbegun\n", "both have told")
        assert len(stage.left()) == 2
        script.send_signal(signal.SIGTERM)
        assert script.wait(PATIENCE_S) == 143


def test_where_all_are_jobs_the_script_ends_with_them(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"name": "a", "kind": "job", "argv": ["true"]})
    code, out = stage.run()
    assert code == 0
    assert "ready" in out


def test_a_job_that_fails_ends_all(tmp_path: Path) -> None:
    stage = Stage(tmp_path, {"name": "a", "kind": "job", "argv": ["false"]}, {"name": "b"})
    code, out = stage.run()
    assert code == 1
    assert "a exited with code 1" in out
