"""Every verb on every host of the table: dynkv works there, or says in one sentence why it cannot."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from host_table import HOSTS, Host
from refusing import IS_POSSIBLE, refuse

ROOT = Path(__file__).parents[2]
PYTHON = "/usr/bin/python3"
"""Debian's interpreter, which other users can run even if the tests' own is in root's home."""
PROFILE = "topology: none\nunits:\n  - {name: one, argv: [sleep, '1000']}\n"
VERBS: tuple[tuple[str, ...], ...] = (
    ("profiles",),
    ("plan", "mine.yaml", "--json"),
    ("plan", "mine.yaml", "--shell"),
    ("doctor", "mine.yaml"),
    ("up", "mine.yaml", "--timeout", "60"),
    ("wait", "--timeout", "30"),
    ("diff", "mine.yaml"),
    ("status",),
    ("status", "--json"),
    ("logs",),
    ("events",),
    ("stop", "one", "--wait"),
    ("start", "one", "--wait"),
    ("restart", "one"),
    ("scale", "worker=1"),
    ("top",),
    ("down",),
)
"""In the order in which a user would run them."""
NOT_HERE = ("scale", "top")
"""There are no workers and no terminal, so these verbs refuse on every host."""
AT_ONCE = 3
"""Number of hosts that are tested in parallel: verbs mostly wait."""
Said = dict[tuple[str, ...], subprocess.CompletedProcess[str]]


@contextmanager
def directory() -> Iterator[Path]:
    """A directory in which every user may write, and in which nothing may be left running; outside of /tmp, which some
    hosts hide."""
    path = Path(tempfile.mkdtemp(prefix="dynkv-", dir="/srv" if os.access("/srv", os.W_OK) else "/tmp"))
    path.chmod(0o777)
    (path / "real").mkdir(mode=0o700)
    (path / "link").symlink_to("real")
    try:
        yield path
    finally:
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


@pytest.fixture(scope="module")
def said(request: pytest.FixtureRequest) -> Iterator[dict[str, Future[Said]]]:
    """What every verb printed on each requested host, as soon as it is known."""
    wanted = {host.title for item in request.session.items if isinstance(host := _parameters(item).get("host"), Host)}
    with ThreadPoolExecutor(AT_ONCE) as pool:
        futures = {host.title: pool.submit(a_day, host) for host in HOSTS if host.title in wanted and not why_not(host)}
        yield futures
        for future in futures.values():
            future.cancel()


def _parameters(item: pytest.Item) -> dict[str, object]:
    spec = getattr(item, "callspec", None)
    return {} if spec is None else spec.params


def why_not(host: Host) -> str:
    """Why this machine cannot imitate that host; empty if it can."""
    if host.needs_root and os.geteuid() != 0:
        return "only root can"
    if "setpriv" in host.before and not is_like_ours(PYTHON):
        return f"{PYTHON} is not there, or of another version than the tests' own"
    if isinstance(host.surround, partial) and host.surround.func is refuse and not IS_POSSIBLE:
        return "the numbers of this machine's system calls are others"
    return ""


@pytest.mark.parametrize("host", HOSTS, ids=lambda host: host.title)
def test_every_verb(host: Host, said: dict[str, Future[Said]]) -> None:
    if why := why_not(host):
        pytest.skip(why)
    for verb, done in said[host.title].result().items():
        told = f"{' '.join(verb)} ended with {done.returncode}: {done.stdout}{done.stderr}"
        assert "Traceback" not in done.stderr, told
        assert "fault in dynkv" not in done.stderr, told
        if not host.refused:
            assert done.returncode == (2 if verb[0] in NOT_HERE else 0), told
        elif verb[0] == "up":
            assert done.returncode in (2, 4), told
            assert host.refused in " ".join(done.stderr.split()), told
        else:
            assert done.returncode in (0, 2, 3, 4), told


def test_what_the_table_says_is_what_is_tried() -> None:
    titles = [host.title for host in HOSTS]
    assert len(titles) == len({*titles}) >= 20
    for host in HOSTS:
        assert bool(host.refused) == ("refuses" in host.does), host.title


def a_day(host: Host) -> Said:
    with directory() as at, living_in(host, at / host.directory) as inside:
        where = at / host.directory
        where.mkdir(exist_ok=True)
        (where / "mine.yaml").write_text(PROFILE)
        (at / host.home).mkdir(mode=0o700, exist_ok=True)
        if "setpriv" in host.before:
            uid = int(host.before[host.before.index("--reuid") + 1])
            for path in (at / "real", at / host.home):
                os.chown(path, uid, uid)
        return {verb: run(host, [*inside, *host.before], verb, at, where) for verb in VERBS}


@contextmanager
def living_in(host: Host, where: Path) -> Iterator[tuple[str, ...]]:
    """A command that runs another in the host's namespaces, which last until the block ends."""
    if not host.lives_in:
        yield ()
        return
    with subprocess.Popen([*host.lives_in, "sh", "-c", "echo; exec sleep 1000"], stdout=subprocess.PIPE) as made:
        assert made.stdout is not None
        made.stdout.readline()
        (first,) = psutil.Process(made.pid).children()
        try:
            yield ("nsenter", "--target", str(first.pid), "--pid", "--mount", f"--wd={where}")
        finally:
            first.kill()


def is_like_ours(python: str) -> bool:
    """Whether it can use the packages that are installed for the tests' interpreter."""
    try:
        done = subprocess.run([python, "-c", "import sys; print(sys.version_info[:2])"], capture_output=True, text=True)
    except OSError:
        return False
    return done.stdout.strip() == f"{sys.version_info[:2]}"


def run(
    host: Host, before: list[str], verb: tuple[str, ...], at: Path, where: Path
) -> subprocess.CompletedProcess[str]:
    given: dict[str, str | None] = {} if host.is_bare else dict(os.environ)
    given |= {"DYNKV_HOME": str(at / host.home), **host.environ}
    is_another = "setpriv" in before
    if is_another:
        given["PYTHONPATH"] = ":".join([str(ROOT), *(path for path in sys.path if path.endswith("-packages"))])
    command = [*before, PYTHON if is_another else sys.executable, "-m", "dynkv", *verb]
    return subprocess.run(
        [sys.executable, "-E", str(Path(__file__).with_name("surround.py")), host.title, *command],
        cwd=where,
        env={name: value for name, value in given.items() if value is not None},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="backslashreplace",
        timeout=120,
    )
