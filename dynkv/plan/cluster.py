"""This machine as a node of a cluster: how others reach it, and what all nodes must agree on. Pure.

Source of the variables: ai-dynamo 1.6.1, run in two network namespaces with etcd 3.4.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable

from msgspec import Struct

from dynkv.errors import UsageError
from dynkv.plan.facts import HostFacts
from dynkv.plan.served_model import TINY
from dynkv.plan.serving import Node
from dynkv.profile.arguments import HANDSHAKE_ARGS, value_of
from dynkv.profile.engines import ENGINES
from dynkv.profile.model import Profile

TLS_VARIABLES = ("ETCD_AUTH_CA", "ETCD_AUTH_CLIENT_CERT", "ETCD_AUTH_CLIENT_KEY")
"""Variables in which Dynamo expects the contents of the three files, not their paths as its documentation says. It
needs all three, and ignores them if a user and a password are set (ai-dynamo 1.6.1,
lib/runtime/src/transports/etcd.rs)."""
_DIGEST = 12


class Served(Struct, frozen=True):
    """The model as clients and as workers know it."""

    name: str
    path: str
    """A path, or an id."""
    roles: tuple[str, ...] = ()
    """Of the workers that are planned here."""


def node_of(
    profile: Profile, facts: HostFacts, deployment: str, home: str, served: Served, expand: Callable[[str], str]
) -> Node | None:
    """This machine as a node; None outside of a cluster. `expand` makes a path absolute.

    Raises UsageError if the address at which others reach it is not set.
    """
    cluster = profile.cluster
    if not cluster.is_set or profile.topology == "none":
        return None
    if cluster.advertise is None:
        raise UsageError(
            "cluster.advertise is not set: the address at which other nodes reach this machine",
            hint="--set cluster.advertise=ADDRESS; `ip -brief address` lists those of this machine",
        )

    def file(path: str | None) -> str | None:
        return None if path is None else expand(path)

    return Node(
        namespace=cluster.namespace or deployment,
        advertise=cluster.advertise,
        deployment=deployment,
        model=served.name,
        etcd=tuple(cluster.etcd),
        nats=cluster.nats,
        lease_ttl_s=cluster.lease_ttl_s,
        tls=(file(cluster.etcd_ca), file(cluster.etcd_cert), file(cluster.etcd_key)),
        agreement=agreement(profile, facts, served),
        home=hashlib.sha256(home.encode("utf-8", "surrogateescape")).hexdigest()[:_DIGEST],
    )


def agreement(profile: Profile, facts: HostFacts, served: Served) -> dict[str, str]:
    """What must be the same on all nodes, by a readable name.

    NIXL compares most of it in its own handshake, and on a mismatch every request fails (vllm 0.31.0, compatibility
    hash). Blocks that go from one machine to another must have been cut alike, by ranks and by tokens.
    The frontend routes to workers of one role only where all of them have the model at the same path (ai-dynamo 1.6.1).
    """
    engine = ENGINES[profile.engine]
    same = {
        "model name": served.name,
        "model": model_identity(profile, facts),
        "topology": profile.topology,
        "engine": profile.engine,
        "block size": str(profile.block_size if engine.runs_vllm else profile.workers.block_size or "default"),
        "model.max_length": str(profile.model.max_length or "the model's own"),
        **{f"path of the model of {role} workers": facts.model.real_path or served.path for role in served.roles},
        **{f"version of {name}": facts.packages[name] for name in engine.agreed if name in facts.packages},
    }
    if engine.runs_vllm and profile.topology == "disagg":
        role = "decode"  # the profile ensures that prefill has the same
        same |= {flag: value_of(flag, profile.worker_args(role)) or "not set" for flag in HANDSHAKE_ARGS}
        same["path of the model"] = served.path
        same["lmcache.enabled"] = str(profile.lmcache.enabled).lower()
    if profile.topology == "disagg" or profile.lmcache.p2p:
        same["workers.tensor_parallel_size"] = str(profile.workers.tensor_parallel_size)
    if profile.lmcache.p2p:
        same["lmcache.chunk_size"] = str(profile.lmcache.chunk_size)
    return same


def model_identity(profile: Profile, facts: HostFacts) -> str:
    """For a model on this host's disk, its config's digest and its weights' size, since paths differ; else its id."""
    if profile.model.path == TINY:
        return TINY
    files = facts.model_files
    revision = value_of("--revision", profile.model.args)
    if files is None or files.config is None:
        return profile.model.path + (f" at {revision}" if revision else "")
    config = json.dumps(files.config, sort_keys=True, default=str).encode()
    return f"config {hashlib.sha256(config).hexdigest()[:_DIGEST]}, {files.weights_bytes:,} bytes of weights"


def node_environment(node: Node) -> dict[str, str]:
    """Variables that replace loopback and the discovery directory for every process of the stack."""
    return {
        "DYN_DISCOVERY_BACKEND": "etcd",
        "DYN_REQUEST_PLANE": "tcp",
        "DYN_EVENT_PLANE": "nats" if node.nats else "zmq",
        "ETCD_ENDPOINTS": ",".join(node.etcd),
        "ETCD_LEASE_TTL": str(node.lease_ttl_s),
        "DYN_NAMESPACE": node.namespace,
        "DYN_TCP_RPC_HOST": node.advertise,
        "DYN_TCP_RESPONSE_STREAM_HOST": node.advertise,
        "DYN_EVENT_PLANE_HOST": node.advertise,
        **({"NATS_SERVER": node.nats} if node.nats else {}),
    }
