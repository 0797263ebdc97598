"""Mistakes in a profile: each with its place, what was probably meant, and exit code 2."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from refusals import refuse

from dynkv.errors import DynkvError, ProfileError, UnknownProfile
from dynkv.profile.load import load, parse_set


@pytest.mark.parametrize(
    ("text", "place", "what", "hint"),
    [
        pytest.param(
            "modle:\n  path: x\n", "1:1", "unknown key 'modle'", "did you mean 'model'?", id="typo",
        ),
        pytest.param(
            "workers:\n  gpu: [0]\n", "2:3", "unknown key 'gpu' in workers", "did you mean 'gpus'?", id="typo inside",
        ),
        pytest.param(
            "workers:\n  decode:\n    replica: 1\n",
            "3:5",
            "unknown key 'replica' in workers.decode",
            "did you mean 'replicas'?",
            id="typo deep inside",
        ),
        pytest.param(
            "stop:\n  xyz: 1\n", "2:3", "unknown key 'xyz' in stop", "known keys: frontend_s, lmcache_s, worker_s",
            id="nothing near",
        ),
        pytest.param(
            "frontend:\n  port: eight\n", "2:3", "frontend.port should be a valid integer, not the text 'eight'",
            "change that line", id="type",
        ),
        pytest.param(
            "frontend:\n  port: '8000'\n", "2:3", "frontend.port should be a valid integer, not the text '8000'",
            "change that line", id="nothing is coerced",
        ),
        pytest.param(
            "frontend:\n  port: 70000\n", "2:3", "frontend.port should be less than or equal to 65535, not 70000",
            "change that line", id="range",
        ),
        pytest.param(
            "frontend:\n  port: [1]\n", "2:3", "frontend.port should be a valid integer, not a list",
            "change that line", id="list",
        ),
        pytest.param(
            "workers: 3\n", "1:1", "workers should be an object, not 3", "change that line", id="no mapping",
        ),
        pytest.param(
            "topology: both\n", "1:1", "topology should be 'agg', 'disagg' or 'none', not the text 'both'",
            "change that line", id="choice",
        ),
        pytest.param(
            "lmcache:\n  enabled: no\n", "2:3", "lmcache.enabled should be a valid boolean, not the text 'no'",
            "write true or false", id="YAML 1.2 has no `no`",
        ),
        pytest.param(
            "model:\n  served_name: 7\n", "2:3", "model.served_name should be a valid string, not 7",
            "put it in quotes", id="text",
        ),
        pytest.param(
            "env:\n  A: true\n", "2:3", "env.A should be a valid string, not True",
            "put it in quotes", id="flag as text",
        ),
        pytest.param(
            "stop:\n  worker_s: 1\n  worker_s: 2\n", "3:3", 'duplicate key "worker_s"', "remove one", id="duplicate",
        ),
        pytest.param(
            "model:\n  path: [x\nfrontend: {}\n", "3:9", "not valid YAML", "indentation", id="syntax",
        ),
        pytest.param(
            "model:\n\tpath: x\n", "2:1", "not valid YAML", "indentation", id="a tab",
        ),
        pytest.param(
            "discovery:\n  backend: etcd\n", "1:1", "etcd_endpoints go together", "change that line", id="etcd",
        ),
        pytest.param(
            "lmcache:\n  worker_reap_timeout_s: 5\n", "2:3", "must be 0 or at least 30", "change that line", id="reap",
        ),
        pytest.param(
            "lmcache:\n  chunk_size: 250\n", "2:3", "chunk_size 250 is not a multiple of the workers' block size 16",
            "use a multiple of 16, such as 32", id="chunk",
        ),
        pytest.param(
            "device: cpu\nlmcache:\n  chunk_size: 64\n", "3:3", "block size 128", "multiple of 128", id="chunk on CPU",
        ),
        pytest.param(
            "env:\n  A: x\n  PROMETHEUS_MULTIPROC_DIR: /tmp/x\n", "3:3", "it corrupts the workers' metrics",
            "change that line", id="forbidden variable",
        ),
        pytest.param(
            "env:\n  PYTHONHASHSEED: 1\n", "2:3", "no token hash ever matches", "change that line", id="hash seed",
        ),
        pytest.param(
            "topology: disagg\nworkers:\n  share_gpus: true\n", "2:1", "add up to 1.70",
            "workers.decode", id="fractions",
        ),
    ],
)  # fmt: skip
def test_mistake(tmp_path: Path, text: str, place: str, what: str, hint: str) -> None:
    error = refuse(tmp_path, text)
    assert what in error.what
    assert hint in error.hint
    assert error.where == f"{tmp_path}/mine.yaml:{place}"
    line = text.splitlines()[int(place.split(":")[0]) - 1]
    assert line in error.detail


def test_more_mistakes_are_counted(tmp_path: Path) -> None:
    error = refuse(tmp_path, "modle: 1\nfrontend:\n  prot: 1\nstop: 3\n")
    assert "(and 2 more mistakes)" in error.what


def test_one_more_mistake_is_one(tmp_path: Path) -> None:
    assert "(and 1 more mistake)" in refuse(tmp_path, "modle: 1\nfrontned: 1\n").what


@pytest.mark.parametrize(
    "text",
    [
        pytest.param("description: !!binary aGVsbG8=\n", id="bytes"),
        pytest.param("workers:\n  gpus: !!set {0, 1}\n", id="set"),
        pytest.param("description: !mine text\n", id="tagged text"),
        pytest.param("workers:\n  gpus: !mine 0\n", id="tagged item"),
        pytest.param("model: &a\n  args: *a\n", id="circle"),
        pytest.param("env:\n  A: &a [*a]\n", id="circle of a list"),
        pytest.param(f"env: {'[' * 400}{']' * 400}\n", id="nested too deep"),
        pytest.param("lmcache:\n  l2: [fs]\n", id="text for a mapping"),
        pytest.param("lmcache:\n  l2: [~]\n", id="null for a mapping"),
        pytest.param('description: "\\ud800"\n', id="half a character"),
        pytest.param("~: 1\n", id="null key"),
        pytest.param("? [a]\n: 1\n", id="list as key"),
        pytest.param("restart:\n  window_s: .inf\n", id="infinite"),  # JSON, and so the journal, has no infinity
        pytest.param("stop:\n  worker_s: 1e400\n", id="too large"),
        pytest.param("env:\n  'A=B': c\n", id="variable with ="),
        pytest.param("env:\n  '': c\n", id="variable without a name"),
        pytest.param('env:\n  A: "a\\0b"\n', id="NUL in a variable"),
        pytest.param('model:\n  args: ["a\\0b"]\n', id="NUL in an argument"),
        pytest.param("units: [{name: a, argv: [x], env: {'A=B': c}}]\n", id="variable of a unit with ="),
        pytest.param("units: [{name: a, argv: [x], env: {'': c}}]\n", id="variable of a unit without a name"),
        pytest.param('units: [{name: a, argv: [x], env: {A: "a\\0b"}}]\n', id="NUL in a variable of a unit"),
        pytest.param('units: [{name: a, argv: [x], env: {"A\\0": b}}]\n', id="NUL in the name of one"),
    ],
)
def test_what_yaml_can_say_and_a_profile_cannot(tmp_path: Path, text: str) -> None:
    assert "mine.yaml" in refuse(tmp_path, text).where


@pytest.mark.parametrize("variable", ["'A=B': c", "'': c", '"a\\0b": c', "A: true"])
def test_a_unit_of_ones_own_has_variables_that_the_kernel_takes_too(tmp_path: Path, variable: str) -> None:
    error = refuse(tmp_path, f"topology: none\nunits:\n  - name: a\n    argv: [x]\n    env:\n      {variable}\n")
    assert error.where == f"{tmp_path}/mine.yaml:6:7"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("restart.window_s", "1e300"),
        ("restart.backoff_initial_s", "1e10"),
        ("restart.backoff_max_s", "-1"),
        ("restart.max_restarts", "1000000000000"),
        ("stop.worker_s", "1e300"),
        ("stop.frontend_s", "0"),
        ("probes.worker.readiness.period_seconds", "1e-308"),
        ("probes.worker.readiness.period_seconds", "1e-9"),
        ("probes.worker.liveness.period_seconds", "1e-9"),
        ("probes.frontend.startup.timeout_seconds", "1e10"),
        ("probes.canary.idle_seconds", "10000000000"),
        ("lmcache.heartbeat_interval_s", "1e-9"),
        ("lmcache.l1_size_gb", "1e300"),
        ("lmcache.l1_size_gb", "1e-300"),
        ("lmcache.chunk_size", "1000000000"),
        ("lmcache.worker_reap_timeout_s", "100000000000"),
        ("workers.tensor_parallel_size", "1000000000"),
        ("workers.cpu_kv_cache_gb", "10000000000000"),
        ("workers.replicas", "1000000000"),
        ("logs.max_mb", "10000000000"),
        ("logs.keep", "10000000000"),
        ("frontend.port", "100000000000"),
        ("model.max_length", "10000000000"),
    ],
)
def test_a_number_that_can_only_be_a_slip(key: str, value: str) -> None:
    """Nothing on the host has such a size, and a check every nanosecond would use all of a CPU."""
    with pytest.raises(ProfileError) as refused:
        load("agg", [parse_set(f"{key}={value}")])
    assert f"{key} should be " in refused.value.what
    assert refused.value.where == f"--set {key}={value}"


@pytest.mark.parametrize(
    "text",
    [
        "lmcache: {l2: [{type: nixl_store, backend: LONG}]}",
        "lmcache: {l2: [{type: x, LONG_token: 1}]}",
        "env: {LONG=: a}",
        "LONG: 1",
        "model: {LONG: 1}",
        "model: {args: [--LONG-token=x]}",
        "topology: LONG",
        "frontend: {port: LONG}",
        "extends: LONG",
        "topology: none\nunits: [{name: a, argv: [x], probes: {http_get: {port: LONG}}}]",
        "topology: none\nunits: [{name: LONG, argv: [x]}]",
    ],
)
def test_a_mistake_of_any_length_is_told_in_a_few_lines(tmp_path: Path, text: str) -> None:
    error = refuse(tmp_path, text.replace("LONG", "a" * 100_000))
    assert len(error.what + error.hint + error.detail) < 1500


def test_more_units_than_a_machine_runs(tmp_path: Path) -> None:
    units = "".join(f"- {{name: u{number}, argv: [x]}}\n" for number in range(1001))
    assert "at most 1000 items" in refuse(tmp_path, f"topology: none\nunits:\n{units}").what


@pytest.mark.parametrize("program", ["./rel.sh", "../x", "bin/tool", "~/tool", "./{hint}"])
def test_a_program_by_half_a_path_is_nowhere(tmp_path: Path, program: str) -> None:
    """`up` and a script of `plan --shell` would look for it in different directories, and neither in the intended
    one."""
    error = refuse(tmp_path, f"units:\n  - name: a\n    argv: ['{program}', -v]\n")
    assert f"{program} is not an absolute path" in error.what
    assert "mine.yaml:3:" in error.where
    assert "begin with /" in error.what


def test_a_date_is_text_as_in_yaml_1_2(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("description: 2026-11-24\nenv:\n  A: 2026-11-24\n")
    profile = load(str(tmp_path / "mine.yaml")).profile
    assert (profile.description, profile.env) == ("2026-11-24", {"A": "2026-11-24"})


def test_a_merge_key_merges_or_is_refused(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text(
        "model: &m\n  path: m\nworkers:\n  decode: &d {replicas: 1}\n  prefill:\n    <<: *d\n"
    )
    try:
        assert load(str(tmp_path / "mine.yaml")).profile.workers.prefill.replicas == 1
    except ProfileError as error:
        assert "<<" in error.what


WORDS = ["model", "path", "env", "workers", "gpus", "lmcache", "l2", "extends", "agg", "0", "1.5", ".inf", "~", "true"]
MARKS = [
    ": ",
    "\n",
    "\n  ",
    "\n    - ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "&a ",
    "*a",
    "!t ",
    "!!set ",
    "? ",
    "'",
    '"',
    "<<",
    "---\n",
]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(st.lists(st.sampled_from(WORDS + MARKS), max_size=14).map("".join))
def test_whatever_is_written_is_a_profile_or_a_mistake(tmp_path: Path, text: str) -> None:
    (tmp_path / "mine.yaml").write_text(text)
    try:
        load(str(tmp_path / "mine.yaml"))
    except ProfileError as error:
        assert error.hint


@given(st.lists(st.sampled_from(WORDS + MARKS), max_size=10).map("".join))
def test_whatever_is_set_is_taken_or_refused(value: str) -> None:
    try:
        load("agg", [parse_set(f"env={value}")])
    except DynkvError as error:
        assert (error.exit_code, bool(error.hint)) == (2, True)


def test_no_mapping_at_all(tmp_path: Path) -> None:
    error = refuse(tmp_path, "- a\n- b\n")
    assert error.what == "a profile must be a mapping of keys"
    assert error.where == f"{tmp_path}/mine.yaml"


def test_a_file_that_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ProfileError, match="cannot read"):
        load(str(file))


class TestExtends:
    @pytest.mark.parametrize("base", ["~nobody-of-this-name", "a" * 300])
    def test_a_path_that_the_system_cannot_even_look_up(self, tmp_path: Path, base: str) -> None:
        assert "no profile named" in refuse(tmp_path, f"extends: {base}\n").what

    def test_itself(self, tmp_path: Path) -> None:
        error = refuse(tmp_path, "extends: mine.yaml\n")
        assert error.what == "mine.yaml extends itself"
        assert error.where == f"{tmp_path}/mine.yaml:1:1"

    def test_a_circle(self, tmp_path: Path) -> None:
        (tmp_path / "other.yaml").write_text("extends: mine.yaml\n")
        error = refuse(tmp_path, "extends: other.yaml\n")
        assert "extends itself" in error.what
        assert error.where.endswith(".yaml:1:1")

    def test_nothing_that_is_known(self, tmp_path: Path) -> None:
        error = refuse(tmp_path, "\nextends: disag\n")
        assert error.what == "no profile named 'disag'"
        assert error.where == f"{tmp_path}/mine.yaml:2:1"
        assert "did you mean 'disagg'" in error.hint

    def test_a_mistake_in_the_base_is_shown_there(self, tmp_path: Path) -> None:
        (tmp_path / "base.yaml").write_text("frontend:\n  prot: 1\n")
        error = refuse(tmp_path, "extends: base.yaml\n")
        assert error.where == f"{tmp_path}/base.yaml:2:3"


def test_an_unknown_profile() -> None:
    with pytest.raises(UnknownProfile) as refused:
        load("dissag")
    assert refused.value.exit_code == 2
    assert "did you mean 'disagg'?" in refused.value.hint
    assert "agg-router" in refused.value.hint


def test_a_mistake_in_an_override_names_the_option() -> None:
    with pytest.raises(ProfileError) as refused:
        load("agg", [parse_set("frontend.port=x")])
    assert refused.value.where == "--set frontend.port=x"
    assert refused.value.detail == ""
    with pytest.raises(ProfileError) as refused:
        load("agg", [parse_set("frontend.prot=1")])
    assert refused.value.hint == "did you mean 'port'?"
    assert refused.value.where == "--set frontend.prot=1"


def test_shared_fractions_that_fit(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text("topology: disagg\nworkers:\n  share_gpus: true\n  gpu_memory_fraction: 0.5\n")
    assert load(str(file)).profile.gpu_memory_fraction("decode") == 0.5


def test_chunks_matter_only_to_an_engine_with_lmcache() -> None:
    for other in ("engine=mocker", "lmcache.enabled=false"):
        assert load("agg", [parse_set("lmcache.chunk_size=250"), parse_set(other)]).profile.lmcache.chunk_size == 250
