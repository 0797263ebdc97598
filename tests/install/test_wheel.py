"""The way of a stranger: the wheel, in an empty environment on a machine without make, then what README says."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import venv
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from installing import ROOT, Machine, made_dist, own_uv, run

from dynkv import __version__
from dynkv.cli.verbs import VERBS
from dynkv.profile.load import shipped
from dynkv.stacks.choice import Kind
from dynkv.stacks.places import pinned

UV = own_uv()
pytestmark = [
    pytest.mark.skipif(shutil.which("make") is None, reason="there is no make"),
    pytest.mark.skipif(UV is None, reason="there is no uv"),
]
LIGHT = set("anyio h11 msgspec nvidia-ml-py pydantic rich ruamel-yaml typer".split())
LIGHT |= set("annotated-types pydantic-core typing-extensions typing-inspection idna".split())
LIGHT |= set("markdown-it-py mdurl pygments shellingham annotated-doc click sniffio ruamel-yaml-clib".split())
"""What dynkv requires, directly and indirectly."""


@pytest.fixture(scope="session")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_dist(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="session")
def wheel(dist: Path) -> Path:
    return dist / f"dynkv-{__version__}-py3-none-any.whl"


def names(wheel: Path) -> set[str]:
    with zipfile.ZipFile(wheel) as archive:
        return set(archive.namelist())


def test_the_wheel_has_all_that_is_used_without_a_checkout(wheel: Path) -> None:
    found = names(wheel)
    assert {f"dynkv/_profiles/{name}.yaml" for name in shipped()} <= found
    pages = ["dynkv.1", *(f"dynkv-{verb.name}.1" for verb in VERBS)]
    assert {f"dynkv-{__version__}.data/data/share/man/man1/{page}" for page in pages} <= found
    assert sum(name.endswith(("/completions/dynkv", "/_dynkv", "/dynkv.fish")) for name in found) == 3
    modules = {str(path.relative_to(ROOT)) for path in (ROOT / "dynkv").rglob("*") if path.suffix in (".py", ".tcss")}
    assert modules <= found
    assert not [name for name in found if name.startswith(("tests", "docs", "requirements"))]
    with zipfile.ZipFile(wheel) as archive:
        for kind in Kind:
            assert archive.read(f"dynkv/_requirements/{kind}.txt").decode() == pinned(kind)


def test_the_sdist_makes_the_same_wheel(dist: Path, wheel: Path, tmp_path: Path) -> None:
    with tarfile.open(dist / f"dynkv-{__version__}.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    source = tmp_path / f"dynkv-{__version__}"
    done = run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)], source, {**os.environ})
    assert done.returncode == 0, done.stdout
    assert names(tmp_path / wheel.name) == names(wheel)


def test_pip_installs_it(wheel: Path, tmp_path: Path) -> None:
    venv.create(tmp_path / "v", with_pip=True)
    env = {**os.environ, "PIP_RETRIES": "0"}
    pip = str(tmp_path / "v/bin/pip")
    if run([pip, "download", "--quiet", "--no-cache-dir", "--no-deps", "nvidia-ml-py"], tmp_path, env).returncode:
        pytest.skip("there is no network")
    done = run([pip, "install", "--quiet", str(wheel)], tmp_path, env)
    assert done.returncode == 0, done.stdout
    assert run([str(tmp_path / "v/bin/dynkv"), "--version"], tmp_path, env).stdout == f"dynkv {__version__}\n"


@pytest.fixture(scope="module")
def machine(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    """A machine with dist/, but without dynkv."""
    assert UV is not None
    made = Machine(tmp_path_factory.mktemp("machine"), UV)
    (made.directory / "dist").mkdir()
    shutil.copy(wheel, made.directory / "dist")
    yield made
    run(["bash", "-c", "dynkv down"], made.directory, made.env)


def block() -> list[str]:
    """README's lines for a machine without make."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    found = next(it for it in re.findall(r"(?ms)^```sh\n(.*?)^```$", readme) if "dynkv stack install" in it)
    lines: list[str] = found.splitlines()
    return lines


def quickly(line: str) -> str:
    """The line with the mocker's stack, which is installed in seconds, and with a free port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    line = line.replace("stack install cpu", "stack install mocker").replace(
        " --device cpu", " --engine mocker --no-lmcache"
    )
    return re.sub(r"dynkv up \S+", rf"\g<0> --set frontend.port={port} --set metrics.enabled=false", line)


def test_the_readme_on_a_machine_without_make(machine: Machine) -> None:
    """In this order: install, be told of the missing stack, install it, use it, and remove everything."""
    assert shutil.which("make", path=machine.env["PATH"]) is None
    get, bring, up, *rest = [quickly(line) for line in block()]

    done = machine.types(get)
    assert done.returncode == 0, done.stdout
    done = machine.types("dynkv --version && dynkv profiles && dynkv stack")
    assert done.stdout.startswith(f"dynkv {__version__}\n"), done.stdout
    assert all(f"\n{name} " in done.stdout for name in shipped())
    assert "no stack is installed here" in done.stdout
    assert installed(machine) <= LIGHT | {"dynkv"}

    done = machine.types(up)
    assert done.returncode == 4
    assert "hint: `dynkv stack install mocker` installs it" in done.stdout.replace("\n", " ")

    done = machine.types(bring)
    assert done.returncode == 0, done.stdout
    python = machine.home / "_stack" / "mocker" / "bin" / "python"
    assert "already" in machine.types(bring).stdout
    assert (
        machine.types("dynkv stack --json").stdout
        == f'[{{"kind": "mocker", "state": "current", "python": "{python}"}}]\n'
    )

    done = machine.types(up)
    assert done.returncode == 0, done.stdout
    status = machine.types("dynkv status").stdout
    assert "agg is ready" in status
    pids = [int(pid) for pid in re.findall(r"(?m)^\S+ +ready +(\d+)", status)]
    assert len(pids) == 2
    assert all(Path(f"/proc/{pid}/exe").samefile(python) for pid in pids)
    done = machine.types("dynkv stack remove mocker")
    assert (done.returncode, "agg runs from" in done.stdout) == (4, True)
    assert "hint: uv tool install 'dynkv[web]'" in machine.types("dynkv top --web").stdout

    for line in [*rest, "dynkv stack remove mocker", "uv tool uninstall dynkv"]:
        done = machine.types(line)
        assert done.returncode == 0, f"{line}\n{done.stdout}"
    assert not any(os.path.exists(f"/proc/{pid}") for pid in pids)
    assert not (machine.home / "_stack").exists()
    assert [*machine.commands.iterdir()] == []


def installed(machine: Machine) -> set[str]:
    python = str(machine.tool / "bin" / "python")
    asked = [str(machine.uv), "pip", "list", "--quiet", "--format", "freeze", "--python", python]
    done = subprocess.run(asked, capture_output=True, text=True, check=True)
    return {line.partition("==")[0] for line in done.stdout.split()}
