"""The unit files of the documentation: understood by systemd, and run by a real service manager."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from dynkv.profile.load import load, parse_set, shipped
from dynkv.render.systemd import TEMPLATE, systemd_files, template_text, unit_text

from .pages import DOCS, ROOT

UNITS = {"dynkv.service": (), "dynkv-user.service": ("--user",)}
"""The options by file that tell systemd's programs which manager it is for."""
TWO = "topology: none\nunits:\n  - {name: first, argv: [sleep, '1000']}\n  - {name: second, argv: [sleep, '1000']}\n"
PROGRAM = Path("/usr/lib/systemd/systemd")
_CGROUPS = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup"))


@pytest.fixture(scope="module")
def systemd() -> None:
    """Installs systemd's programs if they are missing and available."""
    if shutil.which("systemd-analyze") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        for words in (["update"], ["install", "--yes", "--no-install-recommends", "systemd"]):
            subprocess.run(["apt-get", *words], capture_output=True, timeout=300, check=False)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd is not here, and cannot be installed")


def text_of(unit: str) -> str:
    return (DOCS / "systemd" / unit).read_text()


@pytest.mark.parametrize("unit", UNITS)
def test_systemd_understands_every_line(systemd: None, unit: str, tmp_path: Path) -> None:
    assert verified(text_of(unit), tmp_path / unit, *UNITS[unit]) == (0, "")


def verified(text: str, file: Path, *manager: str) -> tuple[int, str]:
    """What systemd says of the unit in that file, with an existing program in it."""
    file.write_text(re.sub(r"(?m)^ExecStart=\S+", f"ExecStart={sys.executable}", text))
    done = subprocess.run(
        ["systemd-analyze", *manager, "verify", "--man=no", "--recursive-errors=no", str(file)],
        env={**os.environ, "XDG_RUNTIME_DIR": str(file.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


class TestExported:
    """`dynkv export systemd` writes the same unit, for any profile."""

    @pytest.mark.parametrize("manager", UNITS.values(), ids=UNITS)
    def test_systemd_understands_every_line(self, systemd: None, manager: tuple[str, ...], tmp_path: Path) -> None:
        text = template_text(is_user=bool(manager))
        assert verified(text, tmp_path / TEMPLATE, *manager) == (0, "")
        assert verified(text.replace("KillMode", "KillModus"), tmp_path / TEMPLATE, *manager)[1]

    @pytest.mark.parametrize("unit", UNITS)
    def test_there_is_one_truth(self, unit: str) -> None:
        assert unit_text("agg", is_user=bool(UNITS[unit])) == text_of(unit)

    @pytest.mark.parametrize("profile", shipped())
    def test_the_profile_beside_it_is_the_same(self, profile: str, tmp_path: Path) -> None:
        whole = load(profile, [parse_set("frontend.port=8123")]).profile
        files = systemd_files(whole, "mine", "", is_user=False)
        (tmp_path / "mine.yaml").write_text(files["mine.yaml"])
        assert load(str(tmp_path / "mine.yaml")).profile == whole
        assert "/etc/dynkv/%i.yaml" in files[TEMPLATE]
        assert "dynkv@mine" in files["README.md"]

    def test_secrets_stay_behind_and_are_named(self, tmp_path: Path) -> None:
        profile = tmp_path / "secret.yaml"
        profile.write_text(
            "extends: agg\nenv: {MY_TOKEN: s3cr3t-a, PLAIN: told}\n"
            "workers: {each: {worker-0: {env: {DATABASE: 'pg://me:s3cr3t-b@db/x'}}}}\n"
            "units: [{name: proxy, argv: [proxy], env: {API_KEY: s3cr3t-c}}]\n"
            "notify: [{webhook: 'https://hook/s3cr3t-d'}, {command: [mail]}]\n"
        )
        files = systemd_files(load(str(profile)).profile, "mine", "", is_user=False)
        assert [path for path, text in files.items() if "s3cr3t" in text] == []
        for key in ("env.MY_TOKEN", "workers.each.worker-0.env.DATABASE", "units.0.env.API_KEY", "notify.0.webhook"):
            assert f"# Left out, because it is a secret: {key}\n" in files["mine.yaml"]
            assert f"`{key}`" in files["README.md"]
        (tmp_path / "mine.yaml").write_text(files["mine.yaml"])
        kept = load(str(tmp_path / "mine.yaml")).profile
        assert (kept.env, len(kept.notify), kept.units[0].env) == ({"PLAIN": "told"}, 1, {})


@pytest.mark.parametrize("unit", UNITS)
def test_the_page_shows_the_file(unit: str) -> None:
    assert f"```ini\n{text_of(unit)}```\n" in (DOCS / "howto" / "systemd.md").read_text()


@dataclass
class Service:
    """The unit of the documentation with two processes, under its own manager."""

    directory: Path

    @property
    def env(self) -> dict[str, str]:
        return {
            **os.environ,
            "XDG_RUNTIME_DIR": str(self.directory / "run"),
            "DYNKV_HOME": str(self.directory / "home"),
        }

    def systemctl(self, *words: str) -> str:
        done = subprocess.run(
            ["systemctl", "--user", "--no-pager", *words],
            env=self.env, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        return done.stdout.strip() if done.returncode == 0 else ""

    def shows(self, name: str) -> str:
        return self.systemctl("show", "--value", "--property", name, "dynkv.service")

    def is_shown(self, name: str, value: str) -> bool:
        return self.shows(name) == value

    def reaches(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 60
        while not condition():
            assert time.monotonic() < deadline, self.systemctl("show", "dynkv.service") + self.log
            time.sleep(0.05)

    @property
    def supervisor(self) -> int:
        return int(self.shows("MainPID") or 0)

    @property
    def log(self) -> str:
        return (self.directory / "log").read_text()

    def dynkv(self, *words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dynkv", *words],
            env={**self.env, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    def pids(self) -> list[str]:
        return re.findall(r"(?m)^(?:first|second) +ready +(\d+)", self.dynkv("status"))


@pytest.fixture
def service(systemd: None, tmp_path: Path) -> Iterator[Service]:
    """Like the user's unit, with less patience: a watchdog of 3 s, and a restart after 0.2 s."""
    for name in ("run", "home", "units"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "two.yaml").write_text(TWO)
    text = text_of("dynkv-user.service")
    for pattern, other in (
        (r"^\[Unit\]$", "[Unit]\nDefaultDependencies=no"),
        (r"^ExecStart=\S+ up agg", f"ExecStart={sys.executable} -m dynkv up {tmp_path}/two.yaml"),
        (r"^Type=.*$", f"\\g<0>\nEnvironment=DYNKV_HOME={tmp_path}/home PYTHONPATH={ROOT}"),
        (r"^RestartSec=.*$", "RestartSec=0.2"),
        (r"^WatchdogSec=.*$", "WatchdogSec=3"),
    ):
        text, count = re.subn(rf"(?m){pattern}", other, text)
        assert count == 1, pattern
    (tmp_path / "units" / "dynkv.service").write_text(text)
    (tmp_path / "units" / "default.target").write_text("[Unit]\nDescription=nothing\n")
    made = Service(tmp_path)
    with Manager(made):
        yield made


class Manager:
    """A user's manager in its own mount namespace and control group, if this host allows one."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._group = next((top for top in _CGROUPS if (top / "cgroup.procs").exists()), None)

    def __enter__(self) -> None:
        if self._group is None or os.geteuid() != 0 or not PROGRAM.exists():
            pytest.skip("a manager of systemd needs root here, and control groups")
        self._group /= f"dynkv-test-{os.getpid()}"
        try:
            self._group.mkdir()
        except OSError as error:
            pytest.skip(f"no control group for a manager of systemd: {error.strerror}")
        directory = self._service.directory
        script = (
            f"echo $$ > {self._group}/cgroup.procs && mount --make-rprivate / && mount -t tmpfs tmpfs /run"
            " && mkdir -p /run/systemd/system"  # the manager checks whether systemd has started the host
            f" && exec {PROGRAM} --user --unit=default.target --log-target=console"
        )
        env = {**self._service.env, "SYSTEMD_UNIT_PATH": f"{directory}/units", "HOME": f"{directory}/home"}
        with (directory / "log").open("wb") as log:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "bash", "-c", script], env=env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 20
        while not self._service.systemctl("list-units"):
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                pytest.skip(f"no manager of systemd runs here: {self._service.log}")
            time.sleep(0.05)

    def __exit__(self, *_: object) -> None:
        assert self._group is not None
        self._service.systemctl("stop", "dynkv.service")
        self._process.kill()
        self._process.wait()
        for group in [*self._group.rglob("*"), self._group]:
            if group.is_dir() and not (group / "cgroup.procs").read_text():
                group.rmdir()


class TestUnderAManager:
    def test_it_is_started_when_it_is_ready_and_a_stop_leaves_nothing(self, service: Service) -> None:
        service.systemctl("start", "dynkv.service")
        assert service.shows("ActiveState") == "active", service.log
        assert service.shows("StatusText") == "ready"
        pids = service.pids()
        assert len(pids) == 2
        service.systemctl("stop", "dynkv.service")
        assert service.shows("Result") == "success"
        assert not any(Path("/proc", pid).exists() for pid in pids)

    def test_it_stays_down_after_dynkv_down(self, service: Service) -> None:
        service.systemctl("start", "dynkv.service")
        service.dynkv("down")
        service.reaches(lambda: service.shows("ActiveState") == "inactive")
        time.sleep(1.0)  # five times the pause before a restart
        assert (service.shows("ActiveState"), service.shows("NRestarts")) == ("inactive", "0")

    def test_the_next_supervisor_takes_over_what_serves(self, service: Service) -> None:
        """After its death, and after it hung."""
        service.systemctl("start", "dynkv.service")
        pids = service.pids()
        for number, signal in enumerate(("-KILL", "-STOP"), start=1):
            before = service.supervisor
            subprocess.run(["kill", signal, str(before)], check=True)
            service.reaches(partial(service.is_shown, "NRestarts", str(number)))
            service.reaches(lambda: service.shows("StatusText") == "ready")
            assert service.supervisor != before
            assert service.pids() == pids

    def test_a_mistake_in_the_profile_is_not_tried_again(self, service: Service) -> None:
        (service.directory / "two.yaml").write_text("topolgy: none\n")
        service.systemctl("start", "dynkv.service")
        service.reaches(lambda: service.shows("ActiveState") == "failed")
        assert (service.shows("ExecMainStatus"), service.shows("NRestarts")) == ("2", "0")
