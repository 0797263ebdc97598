"""`observe`: for running deployments or a profile, without overwriting changed files."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import QUICK, Command, command_in


@pytest.fixture
def dynkv(tmp_path: Path) -> Iterator[Command]:
    with command_in(tmp_path) as command:
        (command.directory / "quick.yaml").write_text(QUICK)
        yield command


def test_it_writes_for_all_that_run(dynkv: Command) -> None:
    nothing = dynkv("observe", "--out", "watch")
    assert (nothing.returncode, (dynkv.directory / "watch").exists()) == (3, False)
    one, two = (dynkv("up", "quick.yaml", "--name", name) for name in ("one", "two"))
    assert dynkv("observe", "--out", "watch").returncode == 0
    config = (dynkv.directory / "watch" / "prometheus.yml").read_text()
    for up in (one, two):
        address = up.stdout.partition("watch: http://")[2].partition("/metrics")[0]
        assert f'targets: ["{address}"]' in config
    assert one.stdout != two.stdout
    dynkv("down", "two")
    assert dynkv("observe", "--out", "again").returncode == 0
    assert "# two" not in (dynkv.directory / "again" / "prometheus.yml").read_text()


def test_what_somebody_has_changed_stays(dynkv: Command) -> None:
    assert dynkv("observe", "quick.yaml", "--out", "watch").returncode == 0
    rules = dynkv.directory / "watch" / "rules.yml"
    before = rules.read_text()
    assert dynkv("observe", "quick.yaml", "--out", "watch").returncode == 0
    rules.write_text("groups: []\n")
    refused = dynkv("observe", "quick.yaml", "--out", "watch")
    assert (refused.returncode, rules.read_text()) == (2, "groups: []\n")
    assert "--force overwrites it" in refused.stderr
    assert dynkv("observe", "quick.yaml", "--out", "watch", "--force").returncode == 0
    assert rules.read_text() == before


def test_every_user_may_read_it_since_prometheus_and_grafana_run_as_others(dynkv: Command) -> None:
    before = os.umask(0o077)
    try:
        assert dynkv("observe", "quick.yaml", "--out", "watch").returncode == 0
    finally:
        os.umask(before)
    watch = dynkv.directory / "watch"
    modes = {it.relative_to(watch): stat.S_IMODE(it.stat().st_mode) for it in watch.rglob("*")}
    assert {mode for path, mode in modes.items() if (watch / path).is_file()} == {0o644}
    assert {mode for path, mode in modes.items() if (watch / path).is_dir()} == {0o755}
    assert stat.S_IMODE(watch.stat().st_mode) == 0o700


def test_nothing_to_watch(dynkv: Command) -> None:
    refused = dynkv("observe", "quick.yaml", "--set", "metrics.enabled=false", "--out", "watch")
    assert refused.returncode == 2
    assert "metrics.enabled: true" in refused.stderr
    (dynkv.directory / "file").write_text("")
    nowhere = dynkv("observe", "quick.yaml", "--out", "file/watch")
    assert (nowhere.returncode, "cannot write" in nowhere.stderr) == (2, True)
