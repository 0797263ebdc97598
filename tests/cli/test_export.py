"""`export` and `import` as commands: where they write, what they refuse, and that their files contain no secrets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command, command_in

from dynkv.profile.load import load

TARGETS = ("k8s", "compose", "systemd", "shell")
PLANTED = {"all": "plantedA1", "one": "plantedB2", "person": "plantedC3", "--set": "plantedD4"}
PROFILE = (
    "extends: disagg\nengine: mocker\n"
    f"env: {{DB_PASSWORD: {PLANTED['all']}, ADDRESS: 'pg://me:{PLANTED['all']}@db/x'}}\n"
    f"workers: {{prefill: {{env: {{API_KEY: {PLANTED['one']}}}}}}}\n"
)


@pytest.fixture(scope="module")
def dynkv(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Command]:
    with command_in(tmp_path_factory.mktemp("export")) as command:
        (command.directory / "secret.yaml").write_text(PROFILE)
        yield command


def read(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir()}


@pytest.mark.parametrize("target", TARGETS)
def test_no_secret_is_in_a_file_or_on_the_screen(dynkv: Command, target: str) -> None:
    words = ("--set", f"env.OTHER_TOKEN={PLANTED['--set']}", "--out", f"of-{target}")
    person = {"HF_TOKEN": PLANTED["person"], "HTTPS_PROXY": f"http://me:{PLANTED['person']}@proxy:3128"}
    done = dynkv("export", target, "secret.yaml", *words, **person)
    assert done.returncode == 0, done.stderr
    files = read(dynkv.directory / f"of-{target}")
    for text in (*files.values(), done.stdout, done.stderr):
        assert [where for where, value in PLANTED.items() if value in text] == []
    for name in ("DB_PASSWORD", "API_KEY", "OTHER_TOKEN"):
        assert name in files["README.md"]


def test_what_somebody_has_changed_stays(dynkv: Command) -> None:
    words = ("export", "compose", "agg", "--out", "kept")
    assert dynkv(*words).returncode == 0
    (dynkv.directory / "kept" / "other.txt").write_text("mine")
    assert dynkv(*words).returncode == 0
    file = dynkv.directory / "kept" / "compose.yaml"
    before = file.read_text()
    file.write_text("services: {}\n")
    refused = dynkv(*words)
    assert (refused.returncode, file.read_text()) == (2, "services: {}\n")
    assert "--force overwrites it" in refused.stderr
    assert dynkv(*words, "--force").returncode == 0
    assert file.read_text() == before
    assert (dynkv.directory / "kept" / "other.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("k8s", "agg", "--model", "/models/llama"), "name a PersistentVolumeClaim that holds it: --model-pvc"),
        (("k8s", "agg", "--model", "tiny"), "dynkv makes the model `tiny` where it runs"),
        (("compose", "agg", "--device", "cpu"), "have vLLM for GPUs"),
        (("k8s", "agg", "--image", "registry:5000/runtime"), "has no tag"),
        (("compose", "own.yaml"), "only custom units"),
        (("systemd", "agg", "--set", "workers.replicas=many"), "workers.replicas"),
    ],
)
def test_what_is_refused(dynkv: Command, words: tuple[str, ...], says: str) -> None:
    (dynkv.directory / "own.yaml").write_text("topology: none\nunits: [{name: one, argv: [sleep, '1']}]\n")
    done = dynkv("export", *words, "--out", "refused")
    assert (done.returncode, (dynkv.directory / "refused").exists()) == (2, False)
    assert says in done.stderr


def test_options_are_in_what_is_written(dynkv: Command) -> None:
    words = ("--namespace", "serving", "--secret", "mine", "--image", "r/v:1.6.1", "--lmcache-image", "r/l:2")
    assert dynkv("export", "k8s", "agg", *words, "--gpus", "0,1,2", "--out", "options").returncode == 0
    text = (dynkv.directory / "options" / "deployment.yaml").read_text()
    for part in ("namespace: serving", "name: mine", "image: r/v:1.6.1", 'tag: "2"', "replicas: 3"):
        assert part in text, part
    assert dynkv("export", "systemd", "agg", "--user", "--program", "/opt/x/dynkv", "--out", "user").returncode == 0
    unit = (dynkv.directory / "user" / "dynkv@.service").read_text()
    assert "ExecStart=/opt/x/dynkv up %h/.config/dynkv/%i.yaml --foreground" in unit


def test_a_directory_here_is_named_whole(dynkv: Command) -> None:
    (dynkv.directory / "weights").mkdir()
    assert dynkv("export", "compose", "agg", "--model", "weights", "--out", "whole").returncode == 0
    where = dynkv.directory / "weights"
    assert f"- {where}:{where}:ro" in (dynkv.directory / "whole" / "compose.yaml").read_text()


def test_there_and_back_again(dynkv: Command) -> None:
    assert dynkv("export", "k8s", "disagg", "--gpus", "0,1,2", "--out", "there").returncode == 0
    done = dynkv("import", "there/deployment.yaml")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("disagg.yaml is written")
    assert "deployment.yaml:" in done.stderr
    profile = load(str(dynkv.directory / "disagg.yaml")).profile
    assert (profile.topology, profile.workers.decode.replicas, profile.workers.prefill.replicas) == ("disagg", 2, 1)
    again = dynkv("import", "there/deployment.yaml")
    assert (again.returncode, "--force overwrites it" in again.stderr) == (2, True)
    printed = dynkv("import", "there/deployment.yaml", "--out", "-")
    assert printed.stdout == (dynkv.directory / "disagg.yaml").read_text()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("kind: Deployment\n", "expected one DynamoGraphDeployment"),
        ("kind: [\n", "graph.yaml:2"),
        ("", "there is none"),
        ("kind: A\n---\nkind: 'B\n", "graph.yaml:3"),
        ("- 1\n", "there is none"),
    ],
)
def test_what_is_no_manifest(dynkv: Command, text: str, says: str) -> None:
    (dynkv.directory / "graph.yaml").write_text(text)
    done = dynkv("import", "graph.yaml", "--out", "-")
    assert (done.returncode, done.stdout) == (2, "")
    assert says in done.stderr


def test_a_file_that_is_not_there(dynkv: Command) -> None:
    done = dynkv("import", "nowhere.yaml")
    assert (done.returncode, "cannot read nowhere.yaml" in done.stderr) == (2, True)


def test_the_targets_are_listed(dynkv: Command) -> None:
    listed = dynkv("export").stdout
    assert [line.partition(":")[0] for line in listed.splitlines()] == list(TARGETS)
