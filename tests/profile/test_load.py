"""Reading profiles: bases, overrides, and where each value was written."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynkv.errors import UsageError
from dynkv.profile.load import Override, find, load, parse_set, shipped


def write(folder: Path, name: str, text: str) -> str:
    file = folder / name
    file.write_text(text, encoding="utf-8")
    return str(file)


def test_shipped_profiles_are_found_by_name() -> None:
    assert shipped().keys() == {"agg", "agg-l2-posix", "agg-router", "disagg", "disagg-1gpu", "infra"}
    assert find("disagg") == shipped()["disagg"]


def test_an_empty_file_is_a_profile_of_defaults(tmp_path: Path) -> None:
    loaded = load(write(tmp_path, "mine.yaml", ""))
    assert loaded.name == "mine"
    assert loaded.profile.topology == "agg"
    assert loaded.where("topology") is None


class TestExtends:
    def test_mappings_merge_and_lists_are_replaced(self, tmp_path: Path) -> None:
        write(tmp_path, "base.yaml", "model:\n  path: m\n  args: [--seed, '1']\nworkers:\n  block_size: 32\n")
        loaded = load(write(tmp_path, "mine.yaml", "extends: base.yaml\nmodel:\n  args: [--enforce-eager]\n"))
        assert loaded.profile.model.path == "m"
        assert loaded.profile.model.args == ["--enforce-eager"]
        assert loaded.profile.workers.block_size == 32

    def test_a_shipped_one_by_name(self, tmp_path: Path) -> None:
        loaded = load(write(tmp_path, "mine.yaml", "extends: disagg\nlmcache:\n  chunk_size: 512\n"))
        assert loaded.profile.topology == "disagg"
        assert loaded.profile.lmcache.chunk_size == 512

    def test_a_file_beside_goes_before_a_shipped_name(self, tmp_path: Path) -> None:
        write(tmp_path, "agg", "model:\n  path: beside\n")
        assert load(write(tmp_path, "mine.yaml", "extends: agg\n")).profile.model.path == "beside"

    def test_bases_have_bases(self, tmp_path: Path) -> None:
        write(tmp_path, "a.yaml", "extends: agg\nmodel:\n  path: a\n")
        write(tmp_path, "b.yaml", "extends: a.yaml\nfrontend:\n  port: 9000\n")
        loaded = load(write(tmp_path, "c.yaml", "extends: b.yaml\nlogs:\n  keep: 1\n"))
        assert (loaded.profile.model.path, loaded.profile.frontend.port, loaded.profile.logs.keep) == ("a", 9000, 1)

    def test_marks_name_the_file_that_has_the_last_word(self, tmp_path: Path) -> None:
        base = write(tmp_path, "base.yaml", "model:\n  path: m\nfrontend:\n  port: 9000\n")
        mine = write(tmp_path, "mine.yaml", "extends: base.yaml\nfrontend:\n  port: 9001\n")
        loaded = load(mine)
        assert str(loaded.where("model", "path")) == f"{base}:2:3"
        assert str(loaded.where("frontend", "port")) == f"{mine}:3:3"

    def test_marks_of_a_replaced_list_are_gone(self, tmp_path: Path) -> None:
        write(tmp_path, "base.yaml", "workers:\n  gpus: [0, 1]\n")
        mine = write(tmp_path, "mine.yaml", "extends: base.yaml\nworkers:\n  gpus: all\n")
        loaded = load(mine)
        assert ("workers", "gpus", 0) not in loaded.source.marks
        assert str(loaded.where("workers", "gpus", 0)) == f"{mine}:3:3"


class TestSet:
    @pytest.mark.parametrize(
        ("text", "value"),
        [
            ("a.b=1", 1),
            ("a.b=1.5", 1.5),
            ("a.b=true", True),
            ("a.b=no", "no"),
            ("a.b=[0, 1]", [0, 1]),
            ("a.b={c: d}", {"c": "d"}),
            ("a.b=x=y", "x=y"),
            ("a.b='1'", "1"),
            ("a.b=null", None),
            ("a.b=", None),
        ],
    )
    def test_values_are_yaml(self, text: str, value: object) -> None:
        assert parse_set(text) == Override(("a", "b"), value, f"--set {text}")

    @pytest.mark.parametrize("text", ["frontend.port", "=8001", ".port=1", "frontend.=1", "a..b=1"])
    def test_malformed(self, text: str) -> None:
        with pytest.raises(UsageError, match="not of the form") as refused:
            parse_set(text)
        assert refused.value.exit_code == 2
        assert refused.value.hint == "for example --set frontend.port=8001"

    def test_no_yaml(self) -> None:
        with pytest.raises(UsageError, match="not valid YAML") as refused:
            parse_set("a.b=[1")
        assert refused.value.hint

    def test_it_wins_over_the_file_and_the_later_over_the_earlier(self) -> None:
        given = [parse_set("lmcache.chunk_size=512"), parse_set("lmcache.chunk_size=1024")]
        loaded = load("agg", given)
        assert loaded.profile.lmcache.chunk_size == 1024
        assert loaded.profile.lmcache.l1_size_gb == "auto"
        assert str(loaded.where("lmcache", "chunk_size")) == "--set lmcache.chunk_size=1024"

    def test_an_integer_is_a_number_of_seconds(self) -> None:
        assert load("agg", [parse_set("restart.window_s=60")]).profile.restart.window_s == 60.0

    def test_numbers_in_the_environment_become_text(self) -> None:
        profile = load("agg", [parse_set("env.OMP_NUM_THREADS=4"), parse_set("env.RATIO=0.5")]).profile
        assert profile.env == {"OMP_NUM_THREADS": "4", "RATIO": "0.5"}


@pytest.mark.parametrize("value", ["caf\udce9", ["a", "caf\udce9"], {"caf\udce9": 1}])
def test_a_value_of_bytes_is_refused_by_the_option_that_gave_it(value: object) -> None:
    with pytest.raises(UsageError, match="--model X holds bytes that are not valid UTF-8"):
        load("agg", [Override(("model", "path"), value, "--model X")])
