"""Dynamo's OpenAI frontend. Source: ai-dynamo 1.3.1 and 1.6.1, `python -m dynamo.frontend --help`."""

from __future__ import annotations

from urllib.parse import quote

from dynkv.plan.context import Context, probes
from dynkv.plan.model import HttpGet, Role, Unit
from dynkv.plan.ports import RESPONSE_PORT
from dynkv.plan.serving import local_host

NAME = "frontend"
RECORDS_TO = "DYN_REQUEST_TRACE_FILE_PATH"
_RECORDED = {
    "DYN_REQUEST_TRACE": "1",
    "DYN_REQUEST_TRACE_RECORDS": "request_end",
    "DYN_REQUEST_TRACE_SINKS": "file",
    "DYN_REQUEST_TRACE_FILE_FORMAT": "jsonl",
    "DYN_REQUEST_TRACE_FILE_FLUSH_INTERVAL_MS": "250",
}
"""Variables that record requests. The record `request_payload` would contain the text. The file is opened for
appending, so it may be truncated at any time; if it cannot be written the frontend continues to serve, and records
nothing more (ai-dynamo 1.6.1). With a FIFO it would stop recording when a reader leaves."""


def frontend_unit(ctx: Context, port: int) -> Unit:
    """The frontend. It has started when it answers, and is ready when it can route requests for the model."""
    settings = ctx.profile.frontend
    host = local_host(settings.host)
    model = quote(ctx.served_name, safe="")
    argv = [*ctx.interpreter, "-m", "dynamo.frontend", "--http-host", settings.host, "--http-port", str(port)]
    argv += ["--router-mode", settings.router_mode, "--migration-limit", str(settings.migration_limit), *settings.args]
    responses = {RESPONSE_PORT: ctx.open_port(f"{NAME}.{RESPONSE_PORT}", port)} if ctx.node else {}
    return Unit(
        name=NAME,
        role=Role.FRONTEND,
        argv=tuple(argv),
        env={**ctx.env, "CUDA_VISIBLE_DEVICES": "", **_answered_at(responses), **_recorded(ctx)},
        ports={"http": port, **responses},
        probes=probes(
            ctx.profile.probes.frontend,
            (HttpGet(port, "/metrics", host),),
            (HttpGet(port, "/metrics", host), HttpGet(port, f"/v1/models/{model}/ready", host, ctx.served_name)),
            HttpGet(port, "/metrics", host),
        ),
        secret_env=ctx.secrets(Role.FRONTEND),
        restart=ctx.restart(),
        stop_timeout_s=ctx.profile.stop.frontend_s,
    )


def _answered_at(ports: dict[str, int]) -> dict[str, str]:
    """The port to which workers connect with what they generate."""
    return {"DYN_TCP_RESPONSE_STREAM_PORT": str(ports[RESPONSE_PORT])} if ports else {}


def _recorded(ctx: Context) -> dict[str, str]:
    if not ctx.profile.frontend.record:
        return {}
    return {**_RECORDED, RECORDS_TO: f"{ctx.home}/{ctx.deployment}/tmp/{NAME}/requests.jsonl"}
