"""The export for Compose: real programs read it, its health checks match the plan's probes, and no services wait for
each other in a circle."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from graphlib import TopologicalSorter
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from composing import docker_compose, podman_compose
from exported import STACKS, compose, planned
from ruamel.yaml import YAML

NASTY = "a $HOME ${USER} $(id) 'b' \"c\" \\d # e: f"
SECRETS = {
    "env": {"MY_TOKEN": "s3cr3t-all", "PLAIN": NASTY},
    "frontend.env": {"API_KEY": "s3cr3t-frontend"},
    "workers.each": {"worker-0": {"env": {"API_KEY": "s3cr3t-worker"}}},
}


def services(files: dict[str, str]) -> dict[str, dict[str, Any]]:
    return dict(YAML(typ="safe").load(files["compose.yaml"])["services"])


def written(files: dict[str, str], directory: Path) -> Path:
    """The files, and those of secrets that the README says to make."""
    for path, text in files.items():
        (directory / path).write_text(text)
    for service in services(files).values():
        for name in service.get("env_file", []):
            (directory / name).write_text("GIVEN=1\n")
    return directory


@pytest.mark.parametrize("read", [podman_compose, docker_compose])
class TestReadByRealPrograms:
    @pytest.mark.parametrize("profile", STACKS)
    def test_a_shipped_profile(self, read: Any, profile: str, tmp_path: Path) -> None:
        files = compose(profile)
        told = YAML(typ="safe").load(read(written(files, tmp_path)))
        assert set(told["services"]) == set(services(files))
        for name, service in services(files).items():
            assert told["services"][name]["command"] == service["command"]
            if "healthcheck" in service:
                assert told["services"][name]["healthcheck"]["test"] == service["healthcheck"]["test"]

    def test_texts_arrive_as_they_are(self, read: Any, tmp_path: Path) -> None:
        settings = {"env": {"PLAIN": NASTY}, "model.args": ["--override-generation-config", json.dumps({"a": NASTY})]}
        told = YAML(typ="safe").load(read(written(compose("agg", settings), tmp_path)))
        worker = told["services"]["worker-0"]
        # Compose can read the output of `config` again, so a `$` in it is still doubled
        assert worker["environment"]["PLAIN"].replace("$$", "$") == NASTY
        assert json.loads(worker["command"][-1].replace("$$", "$")) == {"a": NASTY}


class TestOrder:
    @pytest.mark.parametrize("profile", STACKS)
    def test_nobody_waits_for_who_waits_for_them(self, profile: str) -> None:
        made = services(compose(profile, gpus=4))
        TopologicalSorter({name: it.get("depends_on", {}) for name, it in made.items()}).prepare()
        # a frontend is healthy when workers are, so a worker that waited for its health would wait forever
        assert {
            it["depends_on"]["frontend"]["condition"] for it in made.values() if "frontend" in it.get("depends_on", {})
        } == {"service_started"}

    def test_the_plans_conditions_are_those_of_the_services(self) -> None:
        waits = services(compose("disagg"))["prefill-0"]["depends_on"]
        assert {name: it["condition"] for name, it in waits.items()} == {
            "prepare": "service_completed_successfully",
            "frontend": "service_started",
            "lmcache": "service_healthy",
            "decode-0": "service_healthy",
        }

    def test_workers_on_one_gpu_start_one_after_the_other(self) -> None:
        settings = {"workers.share_gpus": True, "workers.replicas": 3, "workers.gpu_memory_fraction": 0.3}
        made = services(compose("agg", settings))
        assert made["worker-2"]["depends_on"]["worker-1"] == {"condition": "service_healthy"}
        assert "worker-1" not in services(compose("agg", gpus=3))["worker-2"]["depends_on"]


def test_who_maps_others_memory_is_in_the_hosts_namespaces() -> None:
    made = services(compose("disagg"))
    shared = {name for name, it in made.items() if (it.get("ipc"), it.get("pid")) == ("host", "host")}
    assert shared == {"lmcache", "decode-0", "prefill-0"}
    assert {it["network_mode"] for name, it in made.items() if name != "prepare"} == {"host"}


class TestGpus:
    def test_each_worker_has_its_own_and_the_sidecar_all(self) -> None:
        made = services(compose("agg", {"workers.tensor_parallel_size": 2}, gpus=4))
        assert {name: gpus(it) for name, it in made.items() if gpus(it)} == {
            "lmcache": ["0", "1", "2", "3"],
            "worker-0": ["0", "1"],
            "worker-1": ["2", "3"],
        }
        assert "CUDA_VISIBLE_DEVICES" not in made["worker-1"]["environment"]

    def test_the_mocker_needs_none(self) -> None:
        made = services(compose("agg", {"engine": "mocker"}))
        assert [name for name, it in made.items() if gpus(it)] == []


def gpus(service: dict[str, Any]) -> list[str]:
    devices = service.get("deploy", {}).get("resources", {}).get("reservations", {}).get("devices", [])
    return [gpu for device in devices for gpu in device["device_ids"]]


class TestFilesOfTheMachine:
    def test_a_model_and_l2_stay_where_they_are(self) -> None:
        l2 = [{"type": "fs", "base_path": "/mnt/l2"}]
        made = services(compose("agg", {"model.path": "/srv/llama", "lmcache.l2": l2}))
        assert "/srv/llama:/srv/llama:ro" in made["worker-0"]["volumes"]
        assert "/mnt/l2:/mnt/l2" in made["lmcache"]["volumes"]
        assert "/mnt/l2" not in made["prepare"]["command"]

    def test_what_the_plan_prepares_is_there_before(self) -> None:
        assert "/var/lib/dynkv/_l2/agg-l2-posix" in services(compose("agg-l2-posix"))["prepare"]["command"]


class TestSecrets:
    def test_are_in_no_file_and_named_in_the_readme(self) -> None:
        files = compose("agg", SECRETS)
        assert [path for path, text in files.items() if "s3cr3t" in text] == []
        made = services(files)
        assert made["worker-0"]["env_file"] == ["secrets.env", "secrets-worker-0.env"]
        assert made["frontend"]["env_file"] == ["secrets.env", "secrets-frontend.env"]
        assert 'echo "API_KEY=$API_KEY" >>secrets-worker-0.env' in files["README.md"]
        assert 'echo "MY_TOKEN=$MY_TOKEN" >>secrets.env' in files["README.md"]

    def test_who_needs_none_is_given_none(self) -> None:
        made = services(compose("agg", {"model.path": "/srv/llama"}))
        assert [name for name, it in made.items() if "env_file" in it] == []


class Answers(BaseHTTPRequestHandler):
    """The answers of a running frontend that has no `/ready`."""

    def do_GET(self) -> None:
        models = {"data": [{"id": "org/listed"}]}
        status = {"/metrics": 200, "/health": 503, "/moved": 204, "/v1/models": 200}.get(self.path, 404)
        self.send_response(status)
        self.end_headers()
        if status == 200:
            self.wfile.write(json.dumps(models).encode())

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    server = HTTPServer(("127.0.0.1", 0), Answers)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


class TestHealthchecks:
    @pytest.mark.parametrize(
        ("path", "model", "passes"),
        [
            ("/metrics", "", True),
            ("/moved", "", True),
            ("/health", "", False),
            ("/nothing", "", False),
            ("/v1/models/x/ready", "org/listed", True),
            ("/v1/models/x/ready", "org/other", False),
        ],
    )
    def test_pass_as_the_plans_checks_do(self, port: int, path: str, model: str, passes: bool) -> None:
        test = services(compose("agg"))["frontend"]["healthcheck"]["test"]
        assert test[:3] == ["CMD", "python3", "-c"]
        script = test[3].replace("$$", "$")
        words = [sys.executable, "-c", script, "5", f"http://127.0.0.1:{port}{path}", model]
        assert (subprocess.run(words, capture_output=True, timeout=30).returncode == 0) is passes

    @pytest.mark.parametrize("profile", STACKS)
    def test_ask_what_the_readiness_probes_ask(self, profile: str) -> None:
        _, made = planned(profile)
        checked = services(compose(profile))
        for unit in made.units:
            test = checked[unit.name]["healthcheck"]["test"]
            readiness = unit.probes.readiness
            asked = [f"http://{check.host}:{check.port}{check.path}" for check in readiness.checks]
            assert test[5::2] == asked
            assert checked[unit.name]["healthcheck"]["retries"] == readiness.failure_threshold
            patience = unit.probes.startup.failure_threshold * unit.probes.startup.period_seconds
            assert checked[unit.name]["healthcheck"]["start_period"] == f"{patience:.0f}s"
