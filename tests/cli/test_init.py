"""`init`: where it writes, what it refuses, and that its profile for this host passes `doctor` here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command, command_in

from dynkv.profile.load import load

SCRIPT = """\
MODEL=tiny
while [[ $# -gt 0 ]]; do
  case $1 in
    --model) MODEL=$2; shift 2 ;;
    *) echo "unknown option: $1"; exit 1 ;;
  esac
done
python -m dynamo.frontend --router-reset-states &
python -m dynamo.mocker --model-path "$MODEL" &
"""


@pytest.fixture(scope="module")
def dynkv(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with command_in(tmp_path_factory.mktemp("init")) as command:
        yield command


@pytest.mark.stack
def test_what_it_writes_for_this_host_passes_doctor(dynkv: Command) -> None:
    done = dynkv("init")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("dynkv.yaml is written")
    checked = dynkv("doctor", "dynkv.yaml", "--set", "frontend.port=8765")
    assert checked.returncode == 0, checked.stdout


def test_it_overwrites_nothing_unless_it_is_told_to(dynkv: Command) -> None:
    there = dynkv.directory / "there.yaml"
    there.write_text("extends: agg\n")
    refused = dynkv("init", "--out", "there.yaml")
    assert (refused.returncode, there.read_text()) == (2, "extends: agg\n")
    assert "--force overwrites it" in refused.stderr
    assert dynkv("init", "--out", "there.yaml", "--force").returncode == 0
    assert load(str(there)).profile.topology == "agg"
    nowhere = dynkv("init", "--out", "no/such/file.yaml")
    assert (nowhere.returncode, "cannot write" in nowhere.stderr) == (2, True)


def test_a_script(dynkv: Command) -> None:
    (dynkv.directory / "launch.sh").write_text(SCRIPT)
    done = dynkv("init", "--from-script", "launch.sh")
    assert done.returncode == 0, done.stderr
    assert "launch.sh:8: --router-reset-states" in done.stderr
    assert load(str(dynkv.directory / "launch.yaml")).profile.engine == "mocker"
    printed = dynkv("init", "--from-script", "launch.sh", "--out", "-", "--", "--model", "org/other")
    assert "  path: org/other  # line 9\n" in printed.stdout
    assert not Path(dynkv.directory / "-").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--from-script", "launch.sh", "--", "--oh"], "launch.sh:5"),
        (["--from-script", "launch.sh", "--model", "m"], "the script determines model and device"),
        (["--from-script", "none.sh"], "cannot read none.sh"),
        (["--from-script", "empty.sh"], "no part of Dynamo"),
        (["--from-script", "broken.sh"], "broken.sh:1"),
        (["agg"], "'agg' is not an option"),
    ],
)
def test_what_is_refused(dynkv: Command, words: list[str], says: str) -> None:
    (dynkv.directory / "launch.sh").write_text(SCRIPT)
    (dynkv.directory / "empty.sh").touch()
    (dynkv.directory / "broken.sh").write_text("run 'a\n")
    done = dynkv("init", "--out", "-", *words)
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr
