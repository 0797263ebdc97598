"""Profiles and `--set`: any input can be planned, written, read and shown, or is reported as a mistake."""

from __future__ import annotations

import io
import json
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hosts import LOCAL_TINY, host
from hypothesis import example, given
from hypothesis import strategies as st
from inputs import JSON, NUMBERS, TEXTS, as_json, bounded, damaged, fuzz, soup, with_another_value

from dynkv.cli import view
from dynkv.cli.planned import overrides
from dynkv.doctor.checks import findings
from dynkv.errors import DynkvError
from dynkv.plan.build import build
from dynkv.plan.model import Plan
from dynkv.profile.load import LoadedProfile, load, parse_set, shipped, shipped_schema
from dynkv.render.shell import shell_script

SHIPPED = [path.read_bytes() for path in shipped().values()]
WORDS = b"model path env workers gpus lmcache l2 extends agg disagg 0 1.5 .inf ~ true no units name argv probes << 0x1F"
PIECES = [
    *WORDS.split(),
    *(b": |\n|\n  |\n    - |[|]|{|}|, |&a |*a|!t |!!set |? |'|\"|---\n|...\n|#|%YAML 1.1\n|>\n|\t".split(b"|")),
]
PIECES += [
    b"|\n",
    b"\x00",
    b"\xff",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\r",
    b"\x85",
    "\u2028".encode(),
    b"!!python/object:os.system ",
]


def keys(schema: Any, definitions: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    """Every key of a profile, including those of its sections."""
    found = []
    for name, key in schema["properties"].items():
        found.append((*path, name))
        if "$ref" in key:
            found += keys(definitions[key["$ref"].rpartition("/")[2]], definitions, (*path, name))
    return found


SCHEMA = json.loads(shipped_schema())
SCHEMA["properties"].pop("extends")  # it is read before the models
KEYS = [".".join(path) for path in keys(SCHEMA, SCHEMA["$defs"])]
FULL = {
    "topology": "disagg",
    "device": "cpu",
    "model": {"path": "m", "args": ["--seed", "1"], "role_args": {"decode": ["--x"]}},
    "workers": {"gpus": [0, "1"], "decode": {"replicas": 1, "restart_with": ["prefill"]}},
    "lmcache": {
        "l1_size_gb": 2,
        "l2": [
            {"type": "fs", "base_path": "/kv"},
            {"type": "nixl_store", "backend": "POSIX", "pool_size": 4, "backend_params": {"file_path": "/kv"}},
            {"type": "other", "more": [1, {"a": None}]},
        ],
    },
    "frontend": {"host": "::", "port": 8001, "router_mode": "kv"},
    "discovery": {"backend": "etcd", "etcd_endpoints": ["http://h:2379"], "nats_server": "nats://h:4222"},
    "units": [
        {
            "name": "a",
            "argv": ["sleep", "1"],
            "env": {"A": "b"},
            "ports": {"http": 9400},
            "probes": {"http_get": {"port": "http", "path": "/m"}, "period_seconds": 1},
            "depends_on": ["frontend"],
        }
    ],
    "env": {"A": 1},
    "python": "/p",
}


def carried_through(loaded: LoadedProfile) -> None:
    """Do everything that happens to a profile before anything is started."""
    for facts in (host(2, model=LOCAL_TINY), host(0, model=LOCAL_TINY)):
        try:
            plan = build(loaded.profile, facts, name="mine", profile_name=loaded.name, home="/state")
        except DynkvError as error:
            assert error.hint
            continue
        written = msgspec.json.encode(plan)
        assert msgspec.json.decode(written, type=Plan) == plan
        shell_script(plan)
        with redirect_stdout(io.StringIO()):
            view.show_plan(plan)
            view.show_findings(findings(loaded, plan, facts), stderr=False)
        assert all(unit.digest() for unit in plan.units)


def taken_or_refused(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with bounded():
        try:
            carried_through(load(str(path)))
        except DynkvError as error:
            assert error.exit_code == 2
            assert error.hint
            assert len(error.what + error.hint) < 3000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.yaml"


@fuzz
@given(soup(PIECES, max_size=20))
@example(b"env: {A: -_}")
@example(b"a: !<%ff> b")
@example(b"a: 0x" + b"f" * 300)
def test_words_in_any_order(file: Path, content: bytes) -> None:
    taken_or_refused(file, content)


@fuzz
@given(st.sampled_from(SHIPPED).flatmap(damaged) | damaged(as_json(FULL)))
def test_one_place_of_a_profile_is_wrong(file: Path, content: bytes) -> None:
    taken_or_refused(file, content)


@fuzz
@given(with_another_value(FULL))
def test_one_value_of_a_profile_is_another(file: Path, document: Any) -> None:
    taken_or_refused(file, as_json(document))


@fuzz
@given(st.binary() | st.text().map(lambda text: text.encode("utf-16", "surrogatepass")))
def test_anything(file: Path, content: bytes) -> None:
    taken_or_refused(file, content)


def key_and_value() -> st.SearchStrategy[str]:
    values = NUMBERS | TEXTS | JSON.map(lambda value: as_json(value).decode())
    return st.tuples(st.sampled_from(KEYS) | TEXTS, values).map("=".join)


@fuzz
@given(st.lists(key_and_value() | TEXTS, min_size=1, max_size=3))
@example(["units=[{name: a, argv: [x], ports: {'[/x]': 1}}]", "topology=none"])
@example([".".join("a" * 5000) + "=1"])
@example(["model.path=\udcff"])
@example(["workers.gpus=['²']", "engine=mocker"])
@example(
    ["lmcache.l2=[{type: nixl_store_dynamic, backend: POSIX, backend_params: {file_path: /, max_capacity_gb: inf}}]"]
)
def test_set(sets: list[str]) -> None:
    with bounded():
        try:
            carried_through(load("agg", [parse_set(text) for text in sets]))
        except DynkvError as error:
            assert error.exit_code in (2, 4)
            assert error.hint


@fuzz
@given(*[st.none() | TEXTS] * 4, st.booleans())
@example("²", None, None, None, False)
def test_options(gpus: str | None, model: str | None, engine: str | None, device: str | None, no_lmcache: bool) -> None:
    with bounded():
        try:
            carried_through(load("agg", overrides(gpus, model, engine, device, no_lmcache, None)))
        except DynkvError as error:
            assert error.exit_code in (2, 4)
            assert error.hint


@fuzz
@given(TEXTS)
def test_a_name_of_a_profile(name: str) -> None:
    with bounded():
        try:
            load(name)
        except DynkvError as error:
            assert error.exit_code == 2
            assert error.hint


def test_profiles_that_extend_one_another_without_end(tmp_path: Path) -> None:
    for number in range(2000):
        (tmp_path / f"p{number}.yaml").write_text(f"extends: p{number + 1}.yaml\n")
    with bounded(), pytest.raises(DynkvError, match="more than 16 profiles extend one another"):
        load(str(tmp_path / "p0.yaml"))
