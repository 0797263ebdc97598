"""A machine as one node of a cluster: what listens where, and what all nodes must have in common."""

from __future__ import annotations

from typing import Any

import pytest
from hosts import HOME, LOCAL_TINY, host, option, plan, profile
from msgspec.structs import replace

from dynkv.cluster.nodes import differences
from dynkv.errors import DynkvError, ProfileError, UsageError
from dynkv.plan.cluster import TLS_VARIABLES, Served, agreement
from dynkv.plan.facts import HostFacts, ModelFiles
from dynkv.plan.model import Plan, Role

HERE = "10.0.0.1"
CLUSTER = {"cluster.advertise": HERE, "cluster.etcd": ["http://10.0.0.9:2379"], "cluster.namespace": "llm"}
PINS = {"DYN_TCP_RPC_HOST", "DYN_TCP_RESPONSE_STREAM_HOST", "DYN_EVENT_PLANE_HOST", "DYN_SYSTEM_HOST"}
NIXL_PIN = "VLLM_NIXL_SIDE_CHANNEL_HOST"


def node(name: str = "disagg", facts: HostFacts | None = None, **settings: Any) -> Plan:
    given = {key.replace("__", "."): value for key, value in settings.items()}
    return plan(name, facts or host(2), {**CLUSTER, **given})


def names(made: Plan) -> list[str]:
    return [unit.name for unit in made.units]


def test_what_peers_reach_listens_where_they_can() -> None:
    made = node()
    for unit in made.workers:
        assert {unit.env[name] for name in PINS | {NIXL_PIN}} == {HERE}
        assert unit.host == HERE
        assert {check.host for check in (*unit.probes.startup.checks, *unit.probes.readiness.checks)} == {HERE}
    frontend = made.unit("frontend")
    assert frontend.env["DYN_TCP_RESPONSE_STREAM_HOST"] == HERE
    assert frontend.env["DYN_TCP_RESPONSE_STREAM_PORT"] == str(frontend.ports["responses"])


def test_what_they_have_no_business_with_stays_on_loopback() -> None:
    made = node()
    sidecar = made.unit("lmcache")
    assert option(sidecar.argv, "--http-host") == "127.0.0.1"
    assert option(made.unit("frontend").argv, "--http-host") == "127.0.0.1"
    assert {unit.env["VLLM_HOST_IP"] for unit in made.workers} == {"127.0.0.1"}, "of ranks on several machines"


def test_without_a_cluster_everything_is_on_loopback() -> None:
    made = plan("disagg", host(2))
    assert made.node is None
    assert HERE not in str(made)
    assert {unit.env[name] for unit in made.workers for name in PINS - {"DYN_TCP_RESPONSE_STREAM_HOST"}} == {
        "127.0.0.1"
    }


def test_they_meet_in_etcd_under_one_name() -> None:
    made = node(cluster__nats="nats://10.0.0.9:4222")
    env = made.unit("decode-0").env
    assert env["DYN_DISCOVERY_BACKEND"] == "etcd"
    assert (env["ETCD_ENDPOINTS"], env["DYN_NAMESPACE"]) == ("http://10.0.0.9:2379", "llm")
    assert (env["DYN_REQUEST_PLANE"], env["DYN_EVENT_PLANE"]) == ("tcp", "nats")
    assert env["NATS_SERVER"] == "nats://10.0.0.9:4222"
    assert "DYN_FILE_KV" not in env
    assert made.discovery_dir is None
    assert env["ETCD_LEASE_TTL"] == "120"


def test_all_open_ports_are_from_the_range() -> None:
    made = node(cluster__ports="23000-23031")
    opened = {
        port
        for unit in made.units
        for name, port in unit.ports.items()
        if name in ("system", "requests", "responses", "nixl")
    }
    assert len(opened) == 7
    assert opened <= set(range(23000, 23032))


def test_a_range_that_is_too_small_is_refused() -> None:
    taken = dict.fromkeys(range(23000, 23007), "another")
    with pytest.raises(DynkvError, match="no free port"):
        node(facts=host(2, taken_ports=taken), cluster__ports="23000-23007")


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, ["lmcache", "frontend", "decode-0", "prefill-0"]),
        ({"workers.decode.replicas": 0}, ["lmcache", "frontend", "prefill-0", "prefill-1"]),
        ({"workers.prefill.replicas": 0}, ["frontend", "decode-0", "decode-1"]),
        ({"workers.prefill.replicas": 0, "frontend.enabled": False}, ["decode-0", "decode-1"]),
        (
            {"workers.prefill.replicas": 0, "frontend.enabled": False, "lmcache.layout": "both"},
            ["lmcache-decode", "decode-0", "decode-1"],
        ),
        ({"workers.prefill.replicas": 0, "workers.decode.replicas": 0}, ["frontend"]),
        ({"workers.decode.replicas": 1}, ["lmcache", "frontend", "decode-0", "prefill-0"]),
    ],
)
def test_a_node_has_the_roles_that_it_is_given(settings: dict[str, Any], expected: list[str]) -> None:
    assert names(plan("disagg", host(2), {**CLUSTER, **settings})) == expected


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"frontend.enabled": False}, ["lmcache", "worker-0", "worker-1"]),
        ({"workers.replicas": 0}, ["frontend"]),
    ],
)
def test_a_node_of_agg(settings: dict[str, Any], expected: list[str]) -> None:
    assert names(plan("agg", host(2), {**CLUSTER, **settings})) == expected


@pytest.mark.parametrize("engine", ["vllm", "mocker"])
def test_a_node_without_gpus_may_have_the_frontend_alone(engine: str) -> None:
    settings = {**CLUSTER, "workers.prefill.replicas": 0, "workers.decode.replicas": 0, "engine": engine}
    assert names(plan("disagg", host(0), settings)) == ["frontend"]


def test_no_worker_waits_for_a_frontend_that_is_elsewhere() -> None:
    made = node(frontend__enabled=False)
    assert {need.unit for unit in made.workers for need in unit.depends_on} == {"lmcache", "decode-0"}
    assert (made.endpoint, made.model) == ("", plan("disagg", host(2)).model)


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"workers.prefill.replicas": 0}, "workers.prefill.replicas"),
        ({"frontend.enabled": False}, "frontend.enabled"),
        ({"cluster.advertise": HERE}, "cluster.etcd"),
        ({"cluster.namespace": "llm"}, "cluster.etcd"),
        ({**CLUSTER, "cluster.advertise": "0.0.0.0"}, "another machine can reach"),
        ({**CLUSTER, "cluster.advertise": "127.0.0.1"}, "another machine can reach"),
        ({**CLUSTER, "cluster.advertise": "node-1"}, "another machine can reach"),
        ({**CLUSTER, "cluster.etcd": ["10.0.0.9:2379"]}, "not an address of etcd"),
        ({**CLUSTER, "cluster.etcd": ["http://root:secret@10.0.0.9:2379"]}, "cluster.etcd"),
        ({**CLUSTER, "cluster.ports": "23000-23003"}, "not a range of ports"),
        ({**CLUSTER, "cluster.ports": "40000-41000"}, "not a range of ports"),
        ({**CLUSTER, "cluster.ports": "23000"}, "not a range of ports"),
        ({**CLUSTER, "cluster.etcd_key": "/k"}, "go together"),
        ({**CLUSTER, "cluster.namespace": "a b"}, "namespace"),
        ({**CLUSTER, "discovery.nats_server": "nats://h:4222"}, "replaces discovery"),
        (
            {**CLUSTER, "workers.prefill.replicas": 0, "workers.decode.replicas": 0, "frontend.enabled": False},
            "nothing runs here",
        ),
    ],
)
def test_what_cannot_be_is_refused(settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ProfileError) as caught:
        profile("disagg", settings)
    assert words in f"{caught.value.what} {caught.value.detail} {caught.value.where}"


def test_a_profile_for_all_nodes_lacks_only_the_address_of_each() -> None:
    with pytest.raises(UsageError, match="the address at which"):
        plan("disagg", host(2), {"cluster.etcd": ["http://h:2379"]})


def test_files_for_tls_are_made_absolute_and_dynamo_is_given_what_stands_in_them() -> None:
    made = node(cluster__etcd_ca="~/ca.pem", cluster__etcd_cert="/c.pem", cluster__etcd_key="/k.pem")
    assert made.node is not None
    assert made.node.tls == ("/home/me/ca.pem", "/c.pem", "/k.pem")
    for unit in made.units:
        given = {name for name in unit.secret_env if name.startswith("ETCD_AUTH_C")}
        assert given == (set() if unit.role is Role.LMCACHE else {*TLS_VARIABLES})
        assert not {*TLS_VARIABLES} & unit.env.keys()


def test_a_password_of_etcd_is_handed_on_by_name_alone() -> None:
    made = node(facts=host(2, secret_names=("ETCD_AUTH_PASSWORD", "NATS_AUTH_TOKEN")))
    for unit in made.units:
        given = set() if unit.role is Role.LMCACHE else {"ETCD_AUTH_PASSWORD", "NATS_AUTH_TOKEN"}
        assert given <= {*unit.secret_env}
        assert bool(given) == ("ETCD_AUTH_PASSWORD" in unit.secret_env)
    alone = plan("agg", host(1, secret_names=("ETCD_AUTH_PASSWORD",)))
    assert not any("ETCD_AUTH_PASSWORD" in unit.secret_env for unit in alone.units)


def agreed(
    settings: dict[str, Any] | None = None, facts: HostFacts | None = None, path: str = "org/model"
) -> dict[str, str]:
    return agreement(profile("disagg", {**CLUSTER, **(settings or {})}), facts or host(2), Served("org/model", path))


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        ({"workers.block_size": 32}, "block size"),
        ({"model.max_length": 512}, "model.max_length"),
        ({"lmcache.enabled": False}, "lmcache.enabled"),
        ({"model.args": ["--dtype", "float16"]}, "--dtype"),
        ({"model.args": ["--kv-cache-dtype=fp8"]}, "--kv-cache-dtype"),
        ({"model.path": "org/other"}, "model"),
        ({"model.args": ["--revision", "abc"]}, "model"),
        ({"engine": "mocker"}, "engine"),
        ({"workers.tensor_parallel_size": 2}, "workers.tensor_parallel_size"),
    ],
)
def test_what_nodes_must_have_in_common(settings: dict[str, Any], name: str) -> None:
    assert agreed(settings).get(name) != agreed().get(name)


def test_an_argument_that_one_node_alone_has_is_a_difference() -> None:
    assert differences(agreed({"model.args": ["--kv-cache-dtype=fp8"]}), agreed()) == [
        "--kv-cache-dtype is fp8 here but not set there"
    ]


def test_sidecars_that_share_must_cut_blocks_alike() -> None:
    p2p = {"lmcache.p2p": "http://10.0.0.1:9300", "topology": "agg"}
    other = {**p2p, "lmcache.chunk_size": 512, "workers.tensor_parallel_size": 2}
    assert [it.partition(" ")[0] for it in differences(agreed(p2p), agreed(other))] == [
        "workers.tensor_parallel_size",
        "lmcache.chunk_size",
    ]


def test_what_they_need_not_have_in_common() -> None:
    changed = {"workers.decode.replicas": 0, "workers.gpu_memory_fraction": 0.5, "lmcache.l1_size_gb": 3}
    assert agreed({**changed, "cluster.advertise": "10.0.0.2", "frontend.port": 8001}) == agreed()


def test_other_versions_do_not_fit() -> None:
    packages = {**host(2).packages, "vllm": "0.0.1"}
    assert agreed(facts=host(2, packages=packages))["version of vllm"] == "0.0.1"
    assert agreed()["version of vllm"] != "0.0.1"


def test_a_model_on_disk_is_known_by_what_it_is_and_not_by_its_path() -> None:
    files = ModelFiles(config={"hidden_size": 64, "layers": 2}, weights_bytes=10)
    same = ModelFiles(config={"layers": 2, "hidden_size": 64}, weights_bytes=10)
    other = ModelFiles(config={"hidden_size": 64, "layers": 3}, weights_bytes=10)
    one, two, three = (
        agreed({"model.path": path}, host(2, model_files=it, model=LOCAL_TINY))["model"]
        for path, it in (("/a", files), ("/b", same), ("/a", other))
    )
    assert one == two != three


def test_nixl_compares_the_path_of_the_model_too() -> None:
    """Source: vllm 0.31.0, compute_nixl_compatibility_hash: `model`."""
    assert agreed(path="/here/m")["path of the model"] == "/here/m"
    assert "path of the model" not in agreed({"engine": "mocker"}, path="/here/m")


def test_workers_of_one_role_have_the_model_at_one_path() -> None:
    """Source: ai-dynamo 1.6.1, mdcsum; the frontend rejects the later one otherwise."""
    here = node(workers__prefill__replicas=0, model__path="/here/m", facts=host(2, model=LOCAL_TINY)).node
    assert here is not None
    assert here.agreement["path of the model of decode workers"] == "/here/m"
    assert "path of the model of prefill workers" not in here.agreement
    linked = node(model__path="/here/m", facts=host(2, model=replace(LOCAL_TINY, real_path="/there"))).node
    assert linked is not None
    assert linked.agreement["path of the model of decode workers"] == "/there"


def test_nodes_with_homes_of_their_own_share_the_path_of_the_tiny_model() -> None:
    here = node(facts=host(2, environ={"HOME": "/home/me"}), model__path="tiny")
    assert {unit.argv[unit.argv.index("--model") + 1] for unit in here.workers} == {"/home/me/.cache/dynkv/tiny"}
    assert any("/home/me/.cache/dynkv/tiny" in str(step) for step in here.prepare)
    homeless = node(facts=host(2, environ={}), model__path="tiny")
    assert {unit.argv[unit.argv.index("--model") + 1] for unit in homeless.workers} == {f"{HOME}/_models/tiny"}


def test_units_of_infra_listen_on_the_address_for_the_others() -> None:
    alone, shared = plan("infra", host(0)), plan("infra", host(0), {"cluster.advertise": HERE})
    assert option(alone.unit("nats").argv, "--addr") == "127.0.0.1"
    assert option(shared.unit("nats").argv, "--addr") == HERE
    assert f"--listen-client-urls=http://{HERE}:2379" in shared.unit("etcd").argv
    assert {unit.probes.readiness.checks[0].host for unit in shared.units} == {HERE}
    assert "${" not in str(shared)


P2P = {"lmcache.p2p": f"http://{HERE}:9300"}


def test_sidecars_of_several_nodes_read_from_each_other() -> None:
    made = plan("agg", host(1), {**CLUSTER, **P2P})
    sidecar, coordinator = made.unit("lmcache"), made.unit("lmcache-coordinator")
    at = f"{HERE}:{sidecar.ports['p2p']}"
    assert (option(sidecar.argv, "--p2p-advertise-url"), option(sidecar.argv, "--p2p-listen-url")) == (at, at)
    assert option(sidecar.argv, "--coordinator-url") == f"http://{HERE}:9300"
    assert 21000 <= sidecar.ports["p2p"] <= 21199
    assert option(sidecar.argv, "--host") == "0.0.0.0"
    assert 21000 <= sidecar.ports["zmq"] <= 21199
    assert option(coordinator.argv, "--host") == HERE
    assert [(it.host, it.port) for it in coordinator.probes.readiness.checks] == [(HERE, 9300)]


def test_only_the_node_with_its_address_runs_the_coordinator() -> None:
    made = plan("agg", host(1), {**CLUSTER, **P2P, "cluster.advertise": "10.0.0.2"})
    assert "lmcache-coordinator" not in names(made)
    assert option(made.unit("lmcache").argv, "--coordinator-url") == f"http://{HERE}:9300"


@pytest.mark.parametrize("given", ["http://127.0.0.1:9300", "10.0.0.1:9300", "http://node:9300", "http://10.0.0.1"])
def test_what_is_no_address_of_a_coordinator(given: str) -> None:
    with pytest.raises(ProfileError, match="coordinator"):
        profile("agg", {**CLUSTER, "lmcache.p2p": given})


def test_there_is_no_p2p_on_one_machine() -> None:
    with pytest.raises(ProfileError, match="several nodes"):
        profile("agg", P2P)


def test_a_sidecar_that_polls_on_the_cpu_comes_after_what_routes() -> None:
    cpu = {**CLUSTER, **P2P, "device": "cpu", "model.path": "tiny"}
    assert plan("agg", host(0, model=LOCAL_TINY), cpu).unit("lmcache").nice == 15
    assert plan("agg", host(1), {**CLUSTER, **P2P}).unit("lmcache").nice == 0
