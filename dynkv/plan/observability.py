"""Traces and logs: what each program is told about where to send traces, and how to log. Pure.

Source: ai-dynamo 1.6.1, which reads OTEL_EXPORT_ENABLED and OTEL_EXPORTER_OTLP_TRACES_ENDPOINT when its runtime begins;
vllm 0.31.0, tracing/otel.py; lmcache 0.5.6, v1/mp_observability.
"""

from __future__ import annotations

from dynkv.profile.arguments import value_of
from dynkv.profile.model import Profile

_VLLM_OPTION = "--otlp-traces-endpoint"
SERVICE_NAME = "OTEL_SERVICE_NAME"
KEEPS_FIGURES = (
    "import lmcache.v1.mp_observability.otel_init as otel; pulled = otel.init_otel_metrics; "
    "otel.init_otel_metrics = lambda otlp_endpoint=None, **more: pulled(**more); "
)
"""Code that keeps metrics available: with an OTLP endpoint LMCache pushes them there, and its /metrics, which hit
rates and Prometheus need, is empty (0.5.6). So it uses the endpoint for its traces alone."""


def observed_environment(profile: Profile) -> dict[str, str]:
    """Variables for every process."""
    given = profile.observability
    env = {"DYN_LOGGING_JSONL": "true"} if given.logs == "json" else {}
    if given.otlp is None:
        return env
    # Dynamo sends its logs too, and needs the first variable for them
    ends = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")
    protocols = ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL")
    return {**env, "OTEL_EXPORT_ENABLED": "true", **dict.fromkeys(ends, given.otlp), **dict.fromkeys(protocols, "grpc")}


def named(profile: Profile, deployment: str, unit: str) -> dict[str, str]:
    """The name under which its traces are found, unless the profile's own variables set one."""
    is_named = profile.observability.otlp is not None and SERVICE_NAME not in profile.env
    return {SERVICE_NAME: f"{deployment}-{unit}"} if is_named else {}


def vllm_tracing(profile: Profile, own: list[str]) -> list[str]:
    endpoint = profile.observability.otlp
    return [_VLLM_OPTION, endpoint] if endpoint and value_of(_VLLM_OPTION, own) is None else []


def sidecar_tracing(profile: Profile, deployment: str, sidecar: str) -> list[str]:
    """Arguments for traces, with an instance id that stays the same across restarts; by default it changes."""
    endpoint = profile.observability.otlp
    if endpoint is None:
        return []
    return ["--instance-id", f"{deployment}-{sidecar}", "--enable-tracing", "--otlp-endpoint", endpoint]
