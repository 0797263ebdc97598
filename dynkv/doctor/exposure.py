"""What others can reach: from the network, and as other users of this host. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from itertools import pairwise

from dynkv.doctor.findings import Case, Finding, finding
from dynkv.plan.model import Unit

_KV_EVENTS = "kv_events"
_HOST_OPTIONS = ("--host", "--http-host")
_NAMED_MAX = 3


def checks(case: Case) -> Iterator[Finding]:
    yield from _frontend(case)
    yield from _figures(case)
    yield from _kv_events(case)
    yield from _sidecars(case)
    yield from _other_users(case)


def _frontend(case: Case) -> Iterator[Finding]:
    frontend = case.plan.frontend
    if frontend is not None and _is_open(frontend.host):
        yield finding(
            "frontend-open",
            f"the frontend listens on {frontend.host}, port {frontend.port}",
            "it requires no key: anyone who can reach this host can send prompts",
            "keep frontend.host at 127.0.0.1 behind a proxy that requires one, or close the port in a firewall",
            case.loaded.where("frontend", "host"),
        )


def _figures(case: Case) -> Iterator[Finding]:
    metrics = case.plan.metrics
    if metrics is None:
        return
    if not _is_open(metrics.host):
        yield finding(
            "metrics-address",
            f"Prometheus can read all metrics at {metrics.url}",
            "only processes on this host can read them",
            "`dynkv observe` writes what Prometheus and Grafana need; metrics.enabled: false listens nowhere",
            case.loaded.where("metrics", "host"),
        )
    else:
        yield finding(
            "metrics-open",
            f"metrics are served on {metrics.host}, port {metrics.port}",
            "it requires no password: anyone who can reach it can see what is served, how much, and on which ports",
            "keep metrics.host at 127.0.0.1 and run Prometheus on this host, or close the port in a firewall",
            case.loaded.where("metrics", "host"),
        )


def _kv_events(case: Case) -> Iterator[Finding]:
    ports = sorted(unit.ports[_KV_EVENTS] for unit in case.plan.units if _KV_EVENTS in unit.ports)
    if ports:
        yield finding(
            "kv-events-open",
            f"KV events are published on all interfaces, port{'s' * (len(ports) > 1)} {', '.join(map(str, ports))}",
            "they give the tokens of prompts to anyone who connects: vLLM and Dynamo cannot bind them to one address",
            "close all ports but the frontend's in a firewall, or use a router_mode other than kv",
            case.loaded.where("frontend", "router_mode"),
        )


def _sidecars(case: Case) -> Iterator[Finding]:
    """Sidecars; the plan's own listens on loopback, but one in a custom unit may not."""
    own = {unit.name for unit in case.profile.units}
    for unit in case.plan.units:
        if unit.name in own and any("lmcache" in word for word in unit.argv[:4]) and (host := _open_host(unit)):
            yield finding(
                "lmcache-open",
                f"{unit.name} runs LMCache on {host}",
                "its HTTP API requires no key: anyone who can reach it can read its settings and empty the cache",
                "let it listen on 127.0.0.1, or close its ports in a firewall",
                case.loaded.where("units"),
            )


def _other_users(case: Case) -> Iterator[Finding]:
    users = case.facts.other_users
    if users:
        named = ", ".join(users[:_NAMED_MAX]) + (f" and {len(users) - _NAMED_MAX} more" * (len(users) > _NAMED_MAX))
        yield finding(
            "other-users",
            f"other people use this host: {named}",
            "loopback is open to them: they can send prompts, read the metrics, and empty the sidecar's cache",
            "if they must not, run it on a separate host or in a separate network namespace",
        )


def _open_host(unit: Unit) -> str | None:
    words = [part for word in unit.argv for part in word.split("=", 1)]
    hosts = [after for word, after in pairwise(words) if word in _HOST_OPTIONS]
    return next((host for host in hosts if _is_open(host)), None)


def _is_open(host: str) -> bool:
    try:
        return not ip_address(host).is_loopback
    except ValueError:
        return host != "localhost"
