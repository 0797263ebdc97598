"""Inspecting this host: sockets, interpreters, models, directories. Everything here is real."""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dynkv.doctor.inspect import LeftOver, inspect, model_facts, path_facts
from dynkv.host.memory import memory_available_bytes
from dynkv.host.sockets import holders, is_free, listening_ports
from dynkv.plan.facts import ModelFacts, PathFacts
from dynkv.profile.load import Override, load
from dynkv.profile.model import Profile


@pytest.fixture(params=[(socket.AF_INET, "127.0.0.1"), (socket.AF_INET, "0.0.0.0"), (socket.AF_INET6, "::1")])
def listener(request: pytest.FixtureRequest) -> Iterator[socket.socket]:
    family, address = request.param
    try:
        made = socket.create_server((address, 0), family=family)
    except OSError as error:
        pytest.skip(f"this host cannot listen on {address}: {error}")
    with made:
        yield made


class TestSockets:
    def test_a_port_that_somebody_listens_on(self, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        assert not is_free(port)
        assert port in listening_ports()
        assert holders()[port].startswith(f"pid {os.getpid()} (")
        listener.close()
        assert is_free(port)
        assert port not in listening_ports()
        assert port not in holders()

    def test_a_connection_that_ended_holds_nothing(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as server:
            port = server.getsockname()[1]
            with socket.create_connection(("127.0.0.1", port)) as client:
                accepted, _ = server.accept()
                accepted.close()  # the side that closes first stays in TIME_WAIT
                assert client.recv(1) == b""
        assert is_free(port)
        assert port not in listening_ports()

    def test_processes_that_are_to_be_ignored(self, listener: socket.socket) -> None:
        assert listener.getsockname()[1] not in holders({os.getpid()})


class TestModel:
    def test_tiny(self) -> None:
        assert model_facts("tiny") == ModelFacts(is_local=True, has_config=True)

    def test_an_id(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        assert model_facts("Qwen/Qwen3-0.6B") == ModelFacts(is_local=False, has_config=False)

    @pytest.mark.parametrize("written", ["{}", "./model", "model"])
    def test_a_directory(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, written: str) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "model").mkdir()
        path = str(tmp_path / "model")
        assert model_facts(written.format(path)) == ModelFacts(is_local=True, has_config=False, path=path)
        (tmp_path / "model" / "config.json").write_text("{}")
        assert model_facts(written.format(path)) == ModelFacts(is_local=True, has_config=True, path=path)

    def test_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "real").mkdir()
        (tmp_path / "link").symlink_to("real")
        assert model_facts(str(tmp_path / "link")).real_path == str(tmp_path / "real")

    def test_a_path_to_nothing_is_no_id(self) -> None:
        assert model_facts("/nowhere/model") == ModelFacts(True, False, "/nowhere/model", is_there=False)

    def test_a_file_is_no_id_either(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.chdir(tmp_path)
        (tmp_path / "m.gguf").write_text("")
        assert model_facts("m.gguf") == ModelFacts(True, False, str(tmp_path / "m.gguf"), is_file=True)

    def test_what_has_no_path(self) -> None:
        for odd in ("a\0b", "/a\0b", "/" + "x" * 5000, "x" * 5000, "s3://bucket/model"):
            assert not model_facts(odd).has_config

    def test_mistrals_own_format(self, tmp_path: Path) -> None:
        for name in ("params.json", "consolidated.safetensors"):
            assert not model_facts(str(tmp_path)).has_params
            (tmp_path / name).write_text("{}")
        assert model_facts(str(tmp_path)).has_params


def fs_profile(path: Path | str) -> Profile:
    return load("agg", [Override(("lmcache", "l2"), [{"type": "fs", "base_path": str(path)}], "--set")]).profile


class TestPaths:
    def test_home_and_working_directory(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        monkeypatch.chdir(tmp_path)
        assert path_facts(fs_profile("/kv")) == PathFacts(str(tmp_path), {"": "/home/me"})

    def test_homes_of_the_users_that_the_profile_names(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOME", "/home/me")
        me = pwd.getpwuid(os.getuid())
        assert path_facts(fs_profile(f"~{me.pw_name}/kv")).homes == {"": "/home/me", me.pw_name: me.pw_dir}
        assert path_facts(fs_profile("~no.body.of.this.name/kv")).homes == {"": "/home/me"}

    def test_without_home_the_user_has_one_all_the_same(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("HOME")
        assert path_facts(fs_profile("~/kv")).homes == {"": pwd.getpwuid(os.getuid()).pw_dir}

    def test_a_working_directory_that_was_removed(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        (tmp_path / "gone").mkdir()
        monkeypatch.chdir(tmp_path / "gone")
        (tmp_path / "gone").rmdir()
        assert path_facts(fs_profile("/kv")).working_directory is None
        monkeypatch.chdir(tmp_path)

    def test_what_the_plan_refuses_is_no_reason_to_stop_looking(self, tmp_path: Path) -> None:
        facts = inspect(fs_profile("~no.body.of.this.name/kv"), tmp_path, {})
        assert (facts.unwritable, facts.l2_room_bytes, facts.l2_held_bytes) == ({}, {}, {})


class TestInspect:
    def test_an_l2_directory_that_can_be_made_leaves_no_trace(self, tmp_path: Path) -> None:
        facts = inspect(fs_profile(tmp_path / "deep" / "kv"), tmp_path / "home", {})
        assert facts.unwritable == {}
        assert list(tmp_path.iterdir()) == []

    def test_an_l2_directory_that_cannot(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        facts = inspect(fs_profile(tmp_path / "file" / "kv"), tmp_path, {})
        assert facts.unwritable == {str(tmp_path / "file" / "kv"): "Not a directory"}
        assert list(inspect(fs_profile("/proc/kv"), tmp_path, {}).unwritable) == ["/proc/kv"]

    def test_what_an_l2_directory_holds(self, tmp_path: Path) -> None:
        (tmp_path / "kv" / "deep").mkdir(parents=True)
        (tmp_path / "kv" / "deep" / "block").write_bytes(bytes(100_000))
        [held] = inspect(fs_profile(tmp_path / "kv"), tmp_path, {}).l2_held_bytes.values()
        assert 100_000 <= held < 200_000

    def test_dynkv_home_is_expanded(self, tmp_path: Path) -> None:
        (tmp_path / "home").write_text("a file in the way")
        facts = inspect(fs_profile("${DYNKV_HOME}/kv"), tmp_path / "home", {})
        assert list(facts.unwritable) == ["${DYNKV_HOME}/kv"]

    def test_dynkv_finds_its_own_scripts(self, tmp_path: Path) -> None:
        assert (Path(inspect(Profile(), tmp_path, {}).scripts_directory) / "tiny_model.py").is_file()

    def test_secrets_are_names(self, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        monkeypatch.setenv("HF_TOKEN", "s3cr3t-value")
        monkeypatch.setenv("AZURE_STORAGE_KEY", "s3cr3t-value")
        facts = inspect(Profile(), tmp_path, {})
        assert facts.secret_names == ("AZURE_STORAGE_KEY", "HF_TOKEN")
        assert "s3cr3t-value" not in repr(facts)

    def test_ports_of_other_deployments_are_taken(self, tmp_path: Path, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        taken = inspect(Profile(), tmp_path, {8081: "the deployment 'other' (worker-0)"}).taken_ports
        assert taken[8081] == "the deployment 'other' (worker-0)"
        assert port in taken

    def test_what_is_left_over_counts_as_free(self, tmp_path: Path, listener: socket.socket) -> None:
        port = listener.getsockname()[1]
        own = LeftOver(frozenset({os.getpid()}), 10**15, {"worker-0.system": port})
        facts = inspect(Profile(), tmp_path, {}, own)
        assert port not in facts.taken_ports
        assert facts.kept_ports == {"worker-0.system": port}
        assert facts.memory_available_bytes > 10**15

    def test_memory_is_what_the_kernel_says_at_most(self) -> None:
        rows = dict(line.split(":") for line in Path("/proc/meminfo").read_text().splitlines())
        assert 0 < memory_available_bytes() <= int(rows["MemTotal"].split()[0]) * 1024
