"""Several machines as one deployment: what the nodes have to know of each other."""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from dynkv.profile.fields import Section, WholeSeconds

_URL = re.compile(r"https?://(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+):\d{1,5}/?")
_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")
_FIRST_PORT, _LAST_PORT = 1024, 32767
"""Range of ports: Dynamo reads a system port as a signed 16-bit number (ai-dynamo 1.6.1)."""
_PORTS_MIN = 8


def _check_advertised(given: str) -> str:
    try:
        address = ip_address(given.strip("[]"))
    except ValueError:
        address = None
    if address is None or address.is_unspecified or address.is_loopback or address.is_multicast:
        hint = "write the address at which the other machines reach this one; `ip -brief address` lists them"
        raise PydanticCustomError(
            "advertise",
            "{given} is not an address that another machine can reach",
            {"given": repr(given), "hint": hint},
        )
    return str(address)


def _check_url(given: str) -> str:
    if not _URL.fullmatch(given):
        hint = "write http://HOST:2379, or https:// with cluster.etcd_ca; user and password go into the environment"
        raise PydanticCustomError("etcd", "{given} is not an address of etcd", {"given": repr(given), "hint": hint})
    return given.rstrip("/")


def _check_range(given: str) -> str:
    found = _RANGE.fullmatch(given)
    first, last = (int(found[1]), int(found[2])) if found else (0, 0)
    if not _FIRST_PORT <= first < last <= _LAST_PORT or last - first + 1 < _PORTS_MIN:
        hint = f"write a range such as 21000-21199: at least {_PORTS_MIN} ports, from {_FIRST_PORT} to {_LAST_PORT}"
        raise PydanticCustomError("ports", "{given} is not a range of ports", {"given": repr(given), "hint": hint})
    return given


def _check_coordinator(given: str) -> str:
    found = urlsplit(given)
    try:
        address, port = ip_address(found.hostname or ""), found.port
    except ValueError:
        address, port = None, None
    if found.scheme != "http" or address is None or address.is_loopback or port is None or found.path.strip("/"):
        hint = "write http://ADDRESS:9300, with the cluster.advertise of the node that should run it"
        raise PydanticCustomError(
            "p2p", "{given} is not an address of a coordinator", {"given": repr(given), "hint": hint}
        )
    return given.rstrip("/")


CoordinatorUrl = Annotated[str, AfterValidator(_check_coordinator)]
EtcdUrl = Annotated[str, AfterValidator(_check_url)]


class Cluster(Section):
    """Machines that serve one model together. Each is a node with its own profile; the nodes meet in etcd."""

    namespace: Annotated[str, Field(pattern=r"^[a-z0-9](?:[a-z0-9_-]{0,61}[a-z0-9])?$")] | None = None
    """A name that all nodes share and that no other deployment in the same etcd uses; by default the deployment's
    name."""
    advertise: Annotated[str, AfterValidator(_check_advertised)] | None = None
    """This machine's address for the other nodes. Ports that they need listen there instead of on loopback."""
    etcd: Annotated[list[EtcdUrl], Field(max_length=16)] = []
    """Addresses of etcd, such as `http://host:2379`, in which the nodes find each other; required with `advertise`."""
    etcd_ca: str | None = None
    """With `https`, a file with the CA certificate of etcd; Dynamo needs all three files."""
    etcd_cert: str | None = None
    """A file with this machine's client certificate."""
    etcd_key: str | None = None
    """A file with the key of that certificate."""
    nats: str | None = None
    """Address of NATS, such as `nats://host:4222`, for the events of the KV caches. Without it they use ports that
    change with each start."""
    ports: Annotated[str, AfterValidator(_check_range)] = "21000-21199"
    """The range for ports that other nodes must reach, for a firewall: fixed ones are taken from it."""
    lease_ttl_s: Annotated[WholeSeconds, Field(ge=10, le=3600)] = 120
    """How long etcd may be unreachable before workers restart: they exit when their lease expires (ai-dynamo 1.6.1).
    The other nodes notice a dead node sooner."""

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.namespace or self.nats) and not self.is_set:
            raise PydanticCustomError("cluster", "a cluster needs cluster.etcd, in which the nodes meet")
        if len({bool(path) for path in (self.etcd_ca, self.etcd_cert, self.etcd_key)}) > 1:
            problem = "etcd_ca, etcd_cert and etcd_key go together: Dynamo needs all three for TLS to etcd"
            raise PydanticCustomError("cluster", "{problem}", {"problem": problem, "key": "cluster.etcd_ca"})
        return self

    @property
    def is_set(self) -> bool:
        """Whether there are other nodes."""
        return bool(self.etcd)

    @property
    def first_and_last_port(self) -> tuple[int, int]:
        first, _, last = self.ports.partition("-")
        return int(first), int(last)
