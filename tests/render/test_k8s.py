"""The export for Kubernetes: its schemas accept it, and the connectors are those of the plan."""

from __future__ import annotations

import json
import stat
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from crds import ENGINE, GRAPH
from exported import CLUSTER, IMAGE, STACKS, k8s, planned
from ruamel.yaml import YAML

from dynkv.render.cluster import Cluster

SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "without LMCache": {"lmcache.enabled": False},
    "with secrets": {
        "env": {"MY_TOKEN": "s3cr3t-all", "PLAIN": "$(HOME) and $HOME"},
        "lmcache.env": {"DB_PASSWORD": "s3cr3t-sidecar"},
        "frontend.env": {"API_KEY": "s3cr3t-frontend"},
    },
    "with another policy and arguments": {
        "lmcache.eviction_policy": "ARC",
        "lmcache.args": ["--max-workers", "4"],
        "probes.canary.enabled": True,
        "model.args": ["--max-num-seqs", "8"],
    },
}
HERE = (
    "127.0.0.1 CUDA_VISIBLE_DEVICES DYN_FILE_KV DYN_DISCOVERY_BACKEND DYN_SYSTEM_PORT SIDE_CHANNEL --http-port "
    "DYN_REQUEST_PLANE DYN_EVENT_PLANE DYN_TCP livenessProbe readinessProbe startupProbe 8081 20081 5555"
).split()


def documents(files: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {document["kind"]: document for document in YAML(typ="safe").load_all(files["deployment.yaml"])}


def graph(files: dict[str, str]) -> dict[str, Any]:
    return documents(files)["DynamoGraphDeployment"]


def by_name(files: dict[str, str]) -> dict[str, dict[str, Any]]:
    return {component["name"]: component for component in graph(files)["spec"]["components"]}


def container(component: dict[str, Any]) -> dict[str, Any]:
    (main,) = component["podTemplate"]["spec"]["containers"]
    assert main["name"] == "main"
    return dict(main)


@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
@pytest.mark.parametrize("profile", STACKS)
class TestSchemas:
    def test_of_the_operators(self, profile: str, settings: dict[str, Any]) -> None:
        made = documents(k8s(profile, settings))
        jsonschema.validate(made["DynamoGraphDeployment"], GRAPH)
        has_sidecar = settings.get("lmcache.enabled", True)
        assert ("LMCacheEngine" in made) is has_sidecar
        if has_sidecar:
            jsonschema.validate(made["LMCacheEngine"], ENGINE)

    def test_of_kubernetes(self, profile: str, settings: dict[str, Any]) -> None:
        kubernetes = pytest.importorskip("kubernetes_validate", reason="requirements/dev.txt has it")
        made = documents(k8s(profile, settings, cluster=Cluster(IMAGE, IMAGE, "serving", claim="models")))
        pods = [it["podTemplate"]["spec"] for it in made["DynamoGraphDeployment"]["spec"]["components"]]
        if "LMCacheEngine" in made:
            spec = made["LMCacheEngine"]["spec"]
            mounted = {key: spec[key] for key in ("env", "volumeMounts") if key in spec}
            pods.append({"containers": [{"name": "main", **mounted}], "volumes": spec.get("volumes", [])})
        for spec in pods:
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
            kubernetes.validate(pod, "1.33", strict=True)


def test_schemas_refuse_what_nobody_knows() -> None:
    made = documents(k8s("agg"))
    made["LMCacheEngine"]["spec"]["l1"]["sizeGb"] = 1
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made["LMCacheEngine"], ENGINE)
    made["DynamoGraphDeployment"]["spec"]["components"][0]["type"] = "lmcache"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(made["DynamoGraphDeployment"], GRAPH)


@pytest.mark.parametrize("profile", STACKS)
def test_nothing_of_one_host_is_in_it(profile: str) -> None:
    text = k8s(profile)["deployment.yaml"]
    assert [word for word in HERE if word in text] == []


def argv(component: dict[str, Any], directory: Path) -> list[str]:
    """The command line of the container, with an engine's ConfigMap in its place."""
    main = container(component)
    python = directory / "python3"
    python.write_text('#!/bin/sh\nfor word in "$0" "$@"; do printf "%s\\0" "$word"; done\n')
    python.chmod(stat.S_IRWXU)
    (directory / "kv-transfer-config.json").write_text('{\n  "kv_connector": "LMCacheMPConnector"\n}')
    command = [word.replace("/etc/lmcache", str(directory)) for word in main["command"]]
    done = subprocess.run(
        [*command, *main["args"]],
        env={"PATH": f"{directory}:/bin:/usr/bin"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.split("\0")[1:-1]


class TestConnectors:
    def test_of_a_worker_is_the_config_map(self, tmp_path: Path) -> None:
        words = argv(by_name(k8s("agg"))["worker"], tmp_path)
        assert words[:2] == ["-m", "dynamo.vllm"]
        assert json.loads(words[words.index("--kv-transfer-config") + 1]) == {"kv_connector": "LMCacheMPConnector"}

    def test_of_prefill_is_the_plans_with_the_config_map_in_it(self, tmp_path: Path) -> None:
        words = argv(by_name(k8s("disagg"))["prefill"], tmp_path)
        made = json.loads(words[words.index("--kv-transfer-config") + 1])
        nixl = {"kv_connector": "NixlConnector", "kv_role": "kv_both"}
        assert made["kv_connector"] == "MultiConnector"
        assert made["kv_connector_extra_config"]["connectors"] == [{"kv_connector": "LMCacheMPConnector"}, nixl]

    def test_decode_has_no_sidecar_and_a_shared_memory_of_its_own(self, tmp_path: Path) -> None:
        decode = by_name(k8s("disagg"))["decode"]
        assert "sharedMemorySize" not in decode
        assert "hostIPC" not in decode["podTemplate"]["spec"]
        words = argv(decode, tmp_path)
        assert json.loads(words[words.index("--kv-transfer-config") + 1])["kv_connector"] == "NixlConnector"

    def test_who_shares_memory_with_the_sidecar_is_in_the_hosts_ipc_as_root(self) -> None:
        worker = by_name(k8s("agg"))["worker"]
        assert worker["sharedMemorySize"] == "0"
        assert worker["podTemplate"]["spec"]["hostIPC"] is True
        assert container(worker)["securityContext"] == {"runAsUser": 0}
        (volume,) = worker["podTemplate"]["spec"]["volumes"]
        engine = documents(k8s("agg"))["LMCacheEngine"]["metadata"]["name"]
        assert volume["configMap"]["name"] == f"{engine}-connection"


class TestComponents:
    def test_workers_that_are_alike_are_one(self) -> None:
        components = by_name(k8s("disagg", gpus=6))
        assert {name: it["replicas"] for name, it in components.items()} == {"frontend": 1, "decode": 4, "prefill": 2}

    def test_one_that_differs_has_its_own(self) -> None:
        each = {"worker-1": {"args": ["--max-num-seqs", "4"]}}
        components = by_name(k8s("agg", {"workers.each": each}, gpus=3))
        assert {name: it["replicas"] for name, it in components.items()} == {"frontend": 1, "worker": 2, "worker-1": 1}
        assert "--max-num-seqs" in container(components["worker-1"])["args"]

    def test_gpus_are_a_limit(self) -> None:
        settings = {"workers.tensor_parallel_size": 2, "workers.pipeline_parallel_size": 2}
        (worker,) = [it for name, it in by_name(k8s("agg", settings)).items() if name == "worker"]
        assert container(worker)["resources"] == {"limits": {"nvidia.com/gpu": "4"}}

    def test_the_router_follows_events_at_a_port_that_is_the_same_for_all(self) -> None:
        components = by_name(k8s("agg-router", gpus=2))
        assert components["worker"]["replicas"] == 2
        args = container(components["worker"])["args"]
        assert json.loads(args[args.index("--kv-events-config") + 1])["endpoint"] == "tcp://*:20080"
        assert container(components["frontend"])["args"][:2] == ["--router-mode", "kv"]

    def test_what_kubernetes_would_replace_is_escaped(self) -> None:
        env = container(by_name(k8s("agg", SETTINGS["with secrets"]))["worker"])["env"]
        assert {"name": "PLAIN", "value": "$$(HOME) and $HOME"} in env


class TestModels:
    def test_a_directory_comes_from_the_claim_that_holds_it(self) -> None:
        cluster = Cluster(IMAGE, IMAGE, claim="weights")
        worker = by_name(k8s("agg", {"model.path": "/srv/models/llama"}, cluster=cluster))["worker"]
        main = container(worker)
        assert {"name": "models", "mountPath": "/srv/models"} in main["volumeMounts"]
        assert main["args"][:2] == ["--model", "/srv/models/llama"]
        assert "envFrom" not in main
        assert {"name": "HF_HUB_OFFLINE", "value": "1"} in main["env"]
        claims = [volume for volume in worker["podTemplate"]["spec"]["volumes"] if "persistentVolumeClaim" in volume]
        assert claims == [{"name": "models", "persistentVolumeClaim": {"claimName": "weights"}}]

    def test_of_the_hub_it_is_kept_in_the_claim(self) -> None:
        main = container(by_name(k8s("agg", cluster=Cluster(IMAGE, IMAGE, claim="cache")))["worker"])
        assert {"name": "HF_HOME", "value": "/models"} in main["env"]
        assert "HF_HOME" not in k8s("agg")["deployment.yaml"]


class TestSecrets:
    def test_are_named_and_in_no_file(self) -> None:
        files = k8s("agg", SETTINGS["with secrets"])
        assert [path for path, text in files.items() if "s3cr3t" in text] == []
        components = by_name(files)
        assert container(components["worker"])["envFrom"] == [{"secretRef": {"name": CLUSTER.secret}}]
        assert container(components["frontend"])["envFrom"][1] == {"secretRef": {"name": "agg-frontend"}}
        env = {it["name"]: it for it in documents(files)["LMCacheEngine"]["spec"]["env"]}
        assert env["DB_PASSWORD"]["valueFrom"]["secretKeyRef"] == {"name": "agg-lmcache", "key": "DB_PASSWORD"}
        readme = files["README.md"]
        assert 'kubectl create secret generic agg-frontend --from-literal=API_KEY="$API_KEY"' in readme
        assert '--from-literal=HF_TOKEN="$HF_TOKEN" --from-literal=MY_TOKEN="$MY_TOKEN"' in readme

    def test_a_token_of_the_hub_alone_may_be_missing(self) -> None:
        source = container(by_name(k8s("agg"))["worker"])["envFrom"]
        assert source == [{"secretRef": {"name": "hf-token-secret", "optional": True}}]


def test_the_sidecars_arguments_are_fields_where_there_are_any() -> None:
    spec = documents(k8s("agg-l2-posix", SETTINGS["with another policy and arguments"]))["LMCacheEngine"]["spec"]
    assert spec["l1"] == {"sizeGB": 20}
    assert "eviction" not in spec
    assert spec["l2Backend"]["raw"]["type"] == "nixl_store_dynamic"
    path = spec["l2Backend"]["raw"]["config"]["backend_params"]["file_path"]
    assert spec["volumes"][0]["hostPath"] == {"path": path, "type": "DirectoryOrCreate"}
    words = spec["extraArgs"]
    assert words[words.index("--eviction-policy") + 1] == "ARC"
    assert words[-2:] == ["--max-workers", "4"]
    assert not {"--port", "--l1-size-gb", "--chunk-size", "--l2-adapter"} & set(words)


def test_what_is_lost_is_told() -> None:
    settings = {
        "units": [{"name": "exporter", "argv": ["exporter"]}],
        "notify": [{"command": ["mail"]}],
        "standby": "off",
    }
    lost = k8s("disagg-1gpu", settings)["README.md"].partition("## What is lost")[2]
    for words in ("exporter", "Notifications", "Shared GPUs", "GPU memory gate", "Hang checks", "Adoption"):
        assert words in lost
    assert "Standby" not in lost
    assert "Standby" in k8s("agg")["README.md"]


@pytest.mark.parametrize(("here", "workers"), [(0, 2), (1, 2), (6, 6)])
def test_where_gpus_are_too_few_it_is_for_as_many_as_it_takes(here: int, workers: int) -> None:
    _, made = planned("disagg", gpus=here)
    assert len(made.workers) == workers


def test_a_plan_for_elsewhere_takes_nothing_from_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://mine")
    _, made = planned("agg")
    assert {"PATH", "HF_ENDPOINT"}.isdisjoint(made.units[0].env)


def test_of_a_node_of_a_cluster_the_whole_deployment_is_exported() -> None:
    node = {
        "cluster.advertise": "10.0.0.1",
        "cluster.etcd": ["http://10.0.0.9:2379"],
        "workers.prefill.replicas": 0,
        "frontend.enabled": False,
    }
    alone, of_cluster = k8s("disagg"), k8s("disagg", node)
    assert of_cluster["deployment.yaml"] == alone["deployment.yaml"]
    assert "the part of one node" in " ".join(of_cluster["README.md"].split())
