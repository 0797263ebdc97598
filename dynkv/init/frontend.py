"""From the frontend of a script to that of a profile."""

from __future__ import annotations

from collections.abc import Sequence

from dynkv.init.conversion import Conversion
from dynkv.init.given import Argument, arguments, whole
from dynkv.init.programs import Program
from dynkv.init.workers import Worker
from dynkv.profile.words import option_table

OPTIONS = option_table(
    """
active-decode-blocks-threshold active-prefill-tokens-threshold active-prefill-tokens-threshold-frac
ais-attention-dp-size ais-backend ais-backend-version ais-model-path ais-moe-ep-size ais-moe-tp-size ais-mtp-seed
ais-nextn ais-nextn-accept-rates ais-perf-config ais-system ais-tp-size discovery-backend dump-config-to
dyn-chat-processor dyn-debug-perf! dyn-preprocess-workers enable-anthropic-api! enable-session-prefix-index!
enable-streaming-reasoning-dispatch! enable-streaming-tool-dispatch! enforce-disagg! event-plane
exclude-tools-when-tool-choice-none! frontend-route-extension grpc-metrics-port http-host http-port
kserve-grpc-server! kv-cache-block-size load-aware! metrics-prefix migration-limit migration-max-seq-len model-name
model-path namespace namespace-prefix nats-tls-ca-cert-path nats-tls-client-cert-path nats-tls-client-key-path
nats-tls-insecure! reasoning-field-name request-plane response-plane router-approximate-cache-policy
router-assume-kv-reuse! router-conditional-disagg! router-conditional-disagg-config router-decode-active-request-weight
router-decode-policy router-disk-cache-hit-weight router-event-threads router-host-cache-hit-weight
router-kv-events|--kv-events! router-kv-overlap-score-credit router-kv-overlap-score-credit-decay
router-min-initial-workers router-mode router-policy-config router-predicted-ttl-secs router-prefill-load-model
router-prefill-load-scale router-prefill-policy router-queue-policy router-queue-threshold router-replica-sync!
router-session-affinity-mode router-session-affinity-ttl-secs router-temperature router-track-active-blocks!
router-track-output-blocks! router-track-prefill-tokens! router-tracking-hash router-tracking-key-file
router-tracking-key-id router-ttl-secs serve-indexer! shared-cache-multiplier shared-cache-type
strip-anthropic-preamble! tcp-tls-ca-cert-path tcp-tls-cert-path tcp-tls-client-ca-cert-path
tcp-tls-client-cert-path tcp-tls-client-key-path tcp-tls-key-path tls-cert-path tls-client-ca-cert-path tls-key-path
tokenizer tokenizer-fallback! trust-remote-code! use-remote-indexer!
"""
)
"""Source: `python -m dynamo.frontend --help` of ai-dynamo 1.6.1."""
_KEYS = {"--router-mode": "frontend.router_mode", "--http-host": "frontend.host"}
_NUMBERS = {"--http-port": "frontend.port", "--migration-limit": "frontend.migration_limit"}
_PLANNED = frozenset(
    "--namespace --namespace-prefix --discovery-backend --request-plane --event-plane --model-name --model-path".split()
)


def take_frontend(found: Conversion, frontends: Sequence[Program], workers: Sequence[Worker]) -> None:
    if not frontends:
        found.leave_out(workers[0].program.line, "the script starts no frontend for its workers; a deployment has one")
        return
    frontend = frontends[0]
    if port := whole(frontend.env.get("DYN_HTTP_PORT", "")):
        found.draft.put("frontend.port", port, "DYN_HTTP_PORT")
    rest: list[str] = []
    for argument in arguments(frontend.args, OPTIONS):
        rest += _take(found, argument, frontend.line)
    if rest:
        found.draft.put("frontend.args", rest, f"line {frontend.line}")
    _take_request_plane(found, frontend)
    _tell_of_events(found, [one for one in workers if one.publishes_events])


def _tell_of_events(found: Conversion, publishing: Sequence[Worker]) -> None:
    if found.draft.get("frontend.router_mode") != "kv":
        publishing, why = publishing[:1], "KV events are published where the router is kv"
    else:
        publishing, why = [one for one in publishing if one.role == "decode"], "decode workers publish no KV events"
    for one in publishing:
        found.leave_out(one.program.line, f"--kv-events-config: {why}")


def _take(found: Conversion, argument: Argument, line: int) -> tuple[str, ...]:
    """The words that stay arguments."""
    why = f"line {line}: {argument.name}"
    if not argument.is_known:
        found.leave_out(line, f"{argument.shown()}: its value is only known where the script runs")
    elif argument.name in _KEYS:
        found.draft.put(_KEYS[argument.name], argument.value, why)
    elif argument.name in _NUMBERS:
        found.put_number(_NUMBERS[argument.name], argument, line)
    elif argument.name in _PLANNED:
        found.planned.add(argument.name)
    elif argument.name == "--store-kv":
        found.planned.add("--store-kv")
    elif not argument.is_option_known:
        found.leave_out(line, f"{argument.shown()}: the frontend of ai-dynamo 1.6.1 has no such option")
    else:
        return argument.words
    return ()


def _take_request_plane(found: Conversion, frontend: Program) -> None:
    if frontend.env.get("DYN_REQUEST_PLANE") == "nats":
        server = frontend.env.get("NATS_SERVER", "nats://localhost:4222")
        found.draft.put(
            "discovery.nats_server", server, f"line {frontend.line}: requests go through NATS, which has to run"
        )
