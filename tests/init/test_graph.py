"""From DynamoGraphDeployments to profiles. The manifests were written for these tests, in the form of Dynamo's and
LMCache's examples: https://github.com/ai-dynamo/dynamo/tree/main/examples/backends/vllm/deploy (v1alpha1 and v1beta1)
and https://github.com/LMCache/LMCache/tree/dev/examples/dynamo_integration/kubernetes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hosts import host

from dynkv.cli.graph import manifests_of
from dynkv.errors import ScriptError
from dynkv.init.conversion import Conversion
from dynkv.init.graph import converted_graph
from dynkv.plan.build import build
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import Plan
from dynkv.profile.load import Override, load, shipped
from dynkv.render.cluster import Cluster
from dynkv.render.elsewhere import HOME, fewest_gpus, plan_elsewhere
from dynkv.render.k8s import k8s_files

OLD_ROUTER = """\
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata:
  name: two-behind-a-router
spec:
  services:
    Frontend:
      componentType: frontend
      replicas: 1
      envs:
        - {name: DYN_ROUTER_MODE, value: kv}
      extraPodSpec:
        mainContainer: {image: "registry/runtime:1"}
    Worker:
      componentType: worker
      envFromSecret: hub
      replicas: 2
      resources: {limits: {gpu: "1"}}
      livenessProbe: {httpGet: {path: /live, port: 9090}}
      extraPodSpec:
        mainContainer:
          image: registry/runtime:1
          workingDir: /workspace
          command: [python3, -m, dynamo.vllm]
          args: [--model, org/model, --max-model-len, "4096", --max-num-seqs, "8"]
"""
OLD_DISAGG = """\
apiVersion: nvidia.com/v1alpha1
kind: DynamoGraphDeployment
metadata: {name: apart}
spec:
  services:
    Frontend:
      componentType: frontend
      extraPodSpec: {mainContainer: {image: "registry/runtime:1", args: [-m, dynamo.frontend, --http-port, "8000"]}}
    Decode:
      componentType: worker
      subComponentType: decode
      replicas: 3
      resources: {limits: {gpu: "1"}}
      extraPodSpec:
        mainContainer: {command: [python3, -m, dynamo.vllm], args: [--model, org/model, --is-decode-worker]}
    Prefill:
      componentType: worker
      subComponentType: prefill
      resources: {limits: {gpu: "1"}}
      extraPodSpec:
        mainContainer:
          command: [/bin/sh, -c]
          args: ["python3 -m dynamo.vllm --model org/model --is-prefill-worker"]
"""
NEW_LMCACHE = """\
apiVersion: nvidia.com/v1beta1
kind: DynamoGraphDeployment
metadata: {name: cached}
spec:
  backendFramework: vllm
  env:
  - {name: SHARED, value: "1"}
  components:
  - name: Frontend
    type: frontend
    replicas: 1
    podTemplate:
      spec:
        containers:
        - name: main
          image: registry/runtime:2
          envFrom: [{secretRef: {name: hub}}]
  - name: Worker
    type: worker
    replicas: 1
    sharedMemorySize: "0"
    podTemplate:
      spec:
        hostIPC: true
        containers:
        - name: main
          image: registry/runtime:2
          command:
          - /bin/sh
          - -c
          - exec python3 -m dynamo.vllm "$@" --kv-transfer-config "$(cat /etc/lmcache/kv-transfer-config.json)"
          - --
          args: [--model, org/model, --tensor-parallel-size, "2"]
          env:
          - {name: PYTHONHASHSEED, value: "0"}
          - {name: WHERE, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
          - {name: SHARED, value: "2"}
          - {name: NAMED, value: "$(SHARED) $(NOBODY) $$(SHARED)"}
          resources:
            limits: {nvidia.com/gpu: "2"}
            requests: {ephemeral-storage: 2Gi}
          volumeMounts: [{name: kv-transfer-config, mountPath: /etc/lmcache, readOnly: true}]
        - {name: exporter, image: "registry/exporter:1"}
        volumes: [{name: kv-transfer-config, configMap: {name: cache-connection}}]
"""
ENGINE = """\
---
apiVersion: lmcache.lmcache.ai/v1alpha1
kind: LMCacheEngine
metadata: {name: cache}
spec:
  image: {repository: registry/lmcache, tag: v1}
  nodeSelector: {gpu: "yes"}
  server: {chunkSize: 512}
  l1: {sizeGB: 16}
  eviction: {policy: LRU}
  l2Backend: {raw: {type: fs, config: {base_path: /mnt/l2}}}
  extraArgs: [--max-workers, "4"]
"""


def convert(text: str) -> Conversion:
    return converted_graph(list(manifests_of(text)), "graph.yaml")


def told(found: Conversion) -> list[str]:
    return [f"{remark.line}: {remark.text}" for remark in found.left_out]


def settings(text: str) -> dict[str, Any]:
    data = convert(text).draft.data()
    assert data.pop("description") == "as graph.yaml"
    return data


def test_workers_behind_a_router() -> None:
    assert settings(OLD_ROUTER) == {
        "topology": "agg",
        "model": {"path": "org/model", "max_length": 4096, "args": ["--max-num-seqs", "8"]},
        "workers": {"gpu_memory_fraction": 0.92, "replicas": 2},
        "lmcache": {"enabled": False},
        "frontend": {"router_mode": "kv"},
    }


def test_what_has_no_counterpart_is_named_by_line() -> None:
    assert told(convert(OLD_ROUTER)) == [
        "13: image registry/runtime:1: dynkv uses the stack of the interpreter in `python`",
        "14: export what `hub` holds before `dynkv up`, which passes it on",
        "19: Worker: livenessProbe: dynkv has its own probes, under `probes`",
    ]


def test_prefill_and_decode_of_older_releases() -> None:
    data = settings(OLD_DISAGG)
    assert data["topology"] == "disagg"
    assert data["workers"] == {
        "gpu_memory_fraction": 0.92,
        "decode": {"replicas": 3},
        "prefill": {"replicas": 1},
    }
    assert data["frontend"] == {"port": 8000}


class TestLMCache:
    def test_with_its_engine(self) -> None:
        data = settings(NEW_LMCACHE + ENGINE)
        assert data["lmcache"] == {
            "l1_size_gb": 16,
            "chunk_size": 512,
            "eviction_policy": "LRU",
            "l2": [{"type": "fs", "base_path": "/mnt/l2"}],
            "args": ["--max-workers", "4"],
        }
        assert data["workers"]["tensor_parallel_size"] == 2

    def test_an_engine_before_the_deployment_counts_too(self) -> None:
        assert settings(ENGINE + "---\n" + NEW_LMCACHE) == settings(NEW_LMCACHE + ENGINE)

    def test_without_its_engine_it_says_so(self) -> None:
        found = convert(NEW_LMCACHE)
        assert found.draft.get("lmcache.l1_size_gb") == "auto"
        assert any("is not in the file: put both into one" in text for text in told(found))

    def test_one_that_the_operator_connects_by_a_label(self) -> None:
        text = NEW_LMCACHE.replace(' --kv-transfer-config "$(cat /etc/lmcache/kv-transfer-config.json)"', "")
        label = '      metadata: {labels: {lmcache.ai/lmcache-inject: "true"}}\n'
        text = text.replace("kv-transfer-config", "other").replace(
            "      spec:\n        hostIPC", f"{label}      spec:\n        hostIPC"
        )
        assert convert(text).draft.get("lmcache.enabled") is None
        assert convert(text).draft.get("lmcache.l1_size_gb") == "auto"

    def test_the_rest_is_told(self) -> None:
        found = told(convert(NEW_LMCACHE + ENGINE))
        assert [text.partition(": ")[2] for text in found] == [
            "export what `hub` holds before `dynkv up`, which passes it on",
            "image registry/runtime:2: dynkv uses the stack of the interpreter in `python`",
            "WHERE, taken from a field of the pod: export it",
            "Worker: requests of ephemeral-storage: the machine's own resources apply",
            "Worker: the container exporter could be a unit",
            "image registry/lmcache:v1: dynkv uses the stack of the interpreter in `python`",
            "cache: nodeSelector: it has no counterpart",
        ]


def test_variables_of_all_and_of_one() -> None:
    data = settings(NEW_LMCACHE + ENGINE)
    assert data["workers"]["env"] == {"NAMED": "2 $(NOBODY) $(SHARED)", "SHARED": "2"}
    assert data["frontend"]["env"] == {"SHARED": "1"}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (("kind: DynamoGraphDeployment", "kind: Deployment"), "expected one DynamoGraphDeployment, but there is none"),
        (("backendFramework: vllm", "backendFramework: sglang"), "its backend is sglang"),
        (("dynamo.vllm", "dynamo.sglang"), "`python3 -m dynamo.sglang"),
        (
            ("    sharedMemorySize", "    multinode: {nodeCount: 2}\n    sharedMemorySize"),
            "spreads a worker over machines",
        ),
        (("replicas: 1\n    shared", "replicas: 1000000\n    shared"), "replicas is not a number from 0 to 256"),
        (("args: [--model, org/model", "args: --model, #"), "args is not a list"),
    ],
)
def test_what_no_profile_can_ask_for(change: tuple[str, str], says: str) -> None:
    assert NEW_LMCACHE.replace(*change) != NEW_LMCACHE
    with pytest.raises(ScriptError, match=says):
        convert(NEW_LMCACHE.replace(*change))


def test_several_deployments_are_refused() -> None:
    with pytest.raises(ScriptError, match="2 of them"):
        convert(NEW_LMCACHE + "---\n" + OLD_ROUTER)


def test_a_planner_and_other_resources_are_left_out() -> None:
    planner = "  - {name: Planner, type: planner}\n"
    claim = "---\napiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {name: disk}\n"
    found = told(convert(NEW_LMCACHE + planner + claim))
    assert any(text.endswith("Planner: dynkv has no planner") for text in found)
    assert any(text.endswith("PersistentVolumeClaim disk: it has no counterpart") for text in found)


def test_an_argument_that_only_a_run_would_tell_is_named() -> None:
    text = OLD_DISAGG.replace("--is-prefill-worker", "--is-prefill-worker --max-num-seqs $(cat /tmp/n)")
    assert any("--max-num-seqs $(cat /tmp/n): its value is known only at run time" in it for it in told(convert(text)))


def test_a_script_that_cannot_be_read_has_the_line_of_its_component() -> None:
    with pytest.raises(ScriptError, match="the script of Prefill") as refused:
        convert(OLD_DISAGG.replace("--is-prefill-worker", "--is-prefill-worker '"))
    assert refused.value.line == 16


@pytest.mark.parametrize("profile", [name for name in shipped() if name != "infra"])
def test_there_and_back_again(profile: str, tmp_path: Path) -> None:
    """Only a shared GPU of a shipped profile is lost in a cluster: there each worker has its own."""
    settings = {"workers.gpus": "all", "workers.share_gpus": False} if profile == "disagg-1gpu" else {}
    facts = host(fewest_gpus(load(profile).profile) + (profile == "disagg-1gpu"))
    before = _plan(profile, facts, settings)
    loaded = load(profile, _overrides(settings))
    there = k8s_files(
        loaded.profile, plan_elsewhere(loaded.profile, profile, profile, 0, facts.model), Cluster("r/v:1", "r/l:1")
    )
    file = tmp_path / f"{profile}.yaml"
    file.write_text(convert(there["deployment.yaml"]).text("deployment.yaml", "import"))
    after = _plan(str(file), facts, {})
    assert after.units == before.units
    assert (after.endpoint, after.model, after.topology) == (before.endpoint, before.model, before.topology)


def _plan(profile: str, facts: HostFacts, settings: dict[str, Any]) -> Plan:
    loaded = load(profile, _overrides(settings))
    return build(loaded.profile, facts, name="same", profile_name="same", home=HOME)


def _overrides(settings: dict[str, Any]) -> list[Override]:
    return [Override(tuple(key.split(".")), value, "--set") for key, value in settings.items()]
