"""One table of hosts, each a real one: dynkv serves there, or says in a sentence what stands in the way."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import psutil
import pytest
from refusing import FLOCK, IS_POSSIBLE, MEMFD_CREATE, PIDFD_OPEN, SENDFILE, refuse

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
"""Debian's, which other users can run where the tests' own lies in root's home."""
UID = "54321"
"""That no list of users has."""
AS_NOBODY = ("setpriv", "--reuid", UID, "--regid", UID, "--clear-groups")
HIDING = ("unshare", "--mount", "sh", "-c", 'mount -t proc -o hidepid=2 proc /proc && exec "$@"', "-")
PROFILE = "topology: none\nunits:\n  - {name: one, argv: [sleep, '1000']}\n"
VERBS: tuple[tuple[str, ...], ...] = (
    ("profiles",),
    ("plan", "mine.yaml"),
    ("plan", "mine.yaml", "--json"),
    ("plan", "mine.yaml", "--shell"),
    ("doctor", "mine.yaml"),
    ("up", "mine.yaml", "--timeout", "60"),
    ("status",),
    ("status", "--json"),
    ("logs",),
    ("events",),
    ("stop", "one", "--wait"),
    ("start", "one", "--wait"),
    ("restart", "one"),
    ("down",),
)
"""In the order of a day."""


@dataclass(frozen=True)
class Host:
    title: str
    surround: Callable[[], object] = lambda: None
    """Done in the process that is to run a verb, before it does."""
    environ: Mapping[str, str | None] = field(default_factory=dict)
    """None for a variable that is not set."""
    before: tuple[str, ...] = ()
    """A command that runs the verb; only root can."""
    refused: str = ""
    """What `up` says where it cannot serve."""
    home: str = "state"


HOSTS = [
    Host("one as most are"),
    Host("no memfd_create", partial(refuse, MEMFD_CREATE)),
    Host("no sendfile", partial(refuse, SENDFILE)),
    Host("a disk without locks", partial(refuse, FLOCK), refused="no file can be locked on this disk"),
    Host("no pidfd_open", partial(refuse, PIDFD_OPEN), refused="pidfd"),
    Host("a user that no list has", environ={"HOME": None}, before=AS_NOBODY),
    Host(
        "such a user, and no DYNKV_HOME",
        environ={"HOME": None, "DYNKV_HOME": None, "XDG_STATE_HOME": None},
        before=AS_NOBODY,
        refused="nothing tells which directory ~ is",
    ),
    Host("HOME and TMPDIR that are not there", environ={"HOME": "/nonexistent", "TMPDIR": "/nonexistent"}),
    Host("a locale that is not installed", environ={"LC_ALL": "xx_YY.UTF-8", "LANG": "xx_YY"}),
    Host("the locale of C, and a terminal without a name", environ={"LC_ALL": "C", "TERM": None}),
    Host("64 open files", partial(resource.setrlimit, resource.RLIMIT_NOFILE, (64, 64))),
    Host("a home that is a symbolic link", home="link"),
    Host("a /proc that hides other users' processes", before=(*HIDING, *AS_NOBODY)),
]


@pytest.fixture
def directory() -> Iterator[Path]:
    """Where anybody may write, and where nothing runs in the end."""
    path = Path(tempfile.mkdtemp(prefix="dynkv-", dir="/tmp"))
    path.chmod(0o777)
    (path / "mine.yaml").write_text(PROFILE)
    (path / "real").mkdir(mode=0o700)
    (path / "link").symlink_to("real")
    yield path
    left = [process for process in psutil.process_iter() if str(path) in " ".join(_environ(process).values())]
    for process in left:
        process.kill()
    shutil.rmtree(path)
    assert left == []


def _environ(process: psutil.Process) -> dict[str, str]:
    try:
        return process.environ()
    except psutil.Error:
        return {}


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.title)
def test_every_verb(host: Host, directory: Path) -> None:
    if host.before and os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    if host.before and not is_like_ours(PYTHON):
        pytest.skip(f"{PYTHON} is not there, or of another version than the tests' own")
    if isinstance(host.surround, partial) and host.surround.func is refuse and not IS_POSSIBLE:
        pytest.skip("the numbers of this machine's system calls are others")
    for verb in VERBS:
        done = run(host, verb, directory)
        said = f"{' '.join(verb)} ended with {done.returncode}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, said
        assert "fault in dynkv" not in done.stderr, said
        if not host.refused:
            assert done.returncode == 0, said
        elif verb[0] == "up":
            assert done.returncode in (2, 4), said
            assert host.refused in done.stderr, said
        else:
            assert done.returncode in (0, 2, 3, 4), said


def is_like_ours(python: str) -> bool:
    """Whether it can use the packages that are installed for this one."""
    try:
        done = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
    except OSError:
        return False
    return done.stdout.strip() == f"{sys.version_info[:2]}"


def run(host: Host, verb: tuple[str, ...], directory: Path) -> subprocess.CompletedProcess[str]:
    home = {"DYNKV_HOME": str(directory / host.home)}
    given: dict[str, str | None] = {**os.environ, **home, **host.environ}
    if host.before:
        given["PYTHONPATH"] = ":".join([str(ROOT), *(path for path in sys.path if path.endswith("-packages"))])
    return subprocess.run(
        [*host.before, PYTHON if host.before else sys.executable, "-m", "dynkv", *verb],
        cwd=directory,
        env={name: value for name, value in given.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        preexec_fn=host.surround,
    )
