"""The dashboards as data: their panels and queries. Pure; a generator makes Grafana's JSON from it."""

from __future__ import annotations

from msgspec import Struct

_D = 'deployment="$deployment"'
_U = f'{_D},unit="$unit"'
_RATE = "$__rate_interval"
_FIRST = "dynamo_frontend_time_to_first_token_seconds_bucket"
_NEXT = "dynamo_frontend_inter_token_latency_seconds_bucket"
_UNASKED = 'reason!="asked"'


class Query(Struct, frozen=True):
    expr: str
    legend: str = ""
    unit: str = ""
    """The query's unit, if it differs from its panel's."""


class Panel(Struct, frozen=True):
    title: str
    unit: str
    """A unit in Grafana's names: `s`, `bytes`, `percentunit`, `reqps`, `watt`, `celsius`, `short`."""
    queries: tuple[Query, ...]
    description: str = ""
    is_number: bool = False
    """Whether it shows one number instead of a curve."""
    width: int = 6
    """Width, of 24."""
    height: int = 5


class Row(Struct, frozen=True):
    title: str
    panels: tuple[Panel, ...]


class Dashboard(Struct, frozen=True):
    uid: str
    title: str
    rows: tuple[Row, ...]
    of_unit: bool = False


def _number(title: str, unit: str, expr: str, description: str, legend: str = "") -> Panel:
    return Panel(title, unit, (Query(expr, legend),), description, is_number=True, width=4, height=4)


def _sixth(title: str, unit: str, expr: str, legend: str = "GPU {{gpu}}") -> Panel:
    return Panel(title, unit, (Query(expr, legend),), width=4)


def _of_gpu(figure: str) -> str:
    return f"dynkv_gpu_{figure}{{{_D}}}"


def _quantiles(bucket: str) -> tuple[Query, ...]:
    rates = f"sum by (le) (rate({bucket}{{{_D}}}[{_RATE}]))"
    return tuple(Query(f"histogram_quantile({share}, {rates})", f"p{share[2:]:0<2}") for share in ("0.5", "0.95"))


def _share(part: str, whole: str, labels: str) -> str:
    return f"sum(rate({part}{{{labels}}}[{_RATE}])) / sum(rate({whole}{{{labels}}}[{_RATE}]))"


_IS_IT_WELL = Row(
    "Is it well?",
    (
        _number("State", "short", f"max by (state) (dynkv_deployment_state{{{_D}}} == 1)", "", "{{state}}"),
        _number("Units ready", "short", f'sum(dynkv_unit_state{{{_D},state="ready"}})', ""),
        _number(
            "Outages, last hour",
            "short",
            f"sum(increase(dynkv_unit_outages_total{{{_D},{_UNASKED}}}[1h]))",
            "Units that stopped serving without a request.",
        ),
        _number(
            "Time lost, last hour",
            "s",
            f"sum(increase(dynkv_unit_outage_seconds_total{{{_D},{_UNASKED}}}[1h]))",
            "Over all units; the deployment may have served meanwhile.",
        ),
        _number(
            "Slowest recovery, last hour",
            "s",
            f"histogram_quantile(0.99, sum by (le) (increase(dynkv_unit_recovery_seconds_bucket{{{_D}}}[1h])))",
            "From the end of a serving unit until it was ready again.",
        ),
        _number(
            "Restarts left",
            "short",
            f"min(dynkv_unit_restarts_left{{{_D}}})",
            "For the unit with the fewest; at 0, one more death within the window leaves it down.",
        ),
    ),
)
_WHAT_USERS_FEEL = Row(
    "What do users feel?",
    (
        Panel(
            "Requests",
            "reqps",
            (Query(f"sum by (status) (rate(dynamo_frontend_requests_total{{{_D}}}[{_RATE}]))", "{{status}}"),),
        ),
        Panel("First token", "s", _quantiles(_FIRST)),
        Panel("Between tokens", "s", _quantiles(_NEXT)),
        Panel(
            "Tokens and requests",
            "short",
            (
                Query(f"sum(rate(dynamo_frontend_input_sequence_tokens_sum{{{_D}}}[{_RATE}]))", "tokens/s in"),
                Query(f"sum(rate(dynamo_frontend_output_tokens_total{{{_D}}}[{_RATE}]))", "tokens/s out"),
                Query(f"sum(dynamo_frontend_inflight_requests{{{_D}}})", "in flight"),
                Query(f"sum(dynamo_frontend_queued_requests{{{_D}}})", "queued"),
                Query(f"sum(increase(dynkv_requests_cut_total{{{_D}}}[1h]))", "cut, 1 h"),
            ),
        ),
    ),
)
_DO_CACHES_PAY = Row(
    "Do the caches pay off?",
    (
        Panel(
            "Hit rate",
            "percentunit",
            (
                Query(_share("vllm:prefix_cache_hits_total", "vllm:prefix_cache_queries_total", _D), "GPU"),
                Query(
                    _share("lmcache_mp_lookup_hit_tokens_total", "lmcache_mp_lookup_requested_tokens_total", _D),
                    "sidecar",
                ),
            ),
            "Share of looked-up tokens that were found. The sidecar is asked for what the GPU does not have.",
        ),
        Panel(
            "KV cache of the workers",
            "percentunit",
            (
                Query(f"max by (unit) (vllm:kv_cache_usage_perc{{{_D}}})", "{{unit}}"),
                Query(f"sum(rate(vllm:num_preemptions_total{{{_D}}}[{_RATE}]))", "preemptions/s", "short"),
            ),
        ),
        Panel(
            "L1 and L2",
            "bytes",
            (
                Query(f"dynkv_l1_used_bytes{{{_D}}}", "L1"),
                Query(f"sum(lmcache_mp_l2_usage_bytes{{{_D}}})", "L2"),
                Query(f"dynkv_l2_disk_free_bytes{{{_D}}}", "free disk space"),
            ),
        ),
        Panel(
            "NIXL",
            "Bps",
            (
                Query(f"sum(rate(vllm:nixl_bytes_transferred_sum{{{_D}}}[{_RATE}]))", "bytes/s"),
                Query(f"sum(rate(vllm:nixl_num_failed_transfers_total{{{_D}}}[{_RATE}]))", "failed/s", "short"),
            ),
        ),
    ),
)
_WHAT_GPUS_DO = Row(
    "What do the GPUs do?",
    (
        _sixth("GPU memory of units", "bytes", f"sum by (unit) (dynkv_unit_gpu_memory_bytes{{{_D}}})", "{{unit}}"),
        _sixth("GPU memory in use", "percentunit", f"{_of_gpu('memory_used_bytes')} / {_of_gpu('memory_size_bytes')}"),
        _sixth("GPU utilization", "percentunit", _of_gpu("utilization_ratio")),
        _sixth("GPU power", "watt", _of_gpu("power_watts")),
        _sixth("GPU temperature", "celsius", _of_gpu("temperature_celsius")),
        _sixth("Memory of units", "bytes", f"dynkv_unit_resident_memory_bytes{{{_D}}}", "{{unit}}"),
    ),
)
DEPLOYMENT = Dashboard(
    "dynkv-deployment", "dynkv: deployment", (_IS_IT_WELL, _WHAT_USERS_FEEL, _DO_CACHES_PAY, _WHAT_GPUS_DO)
)
UNIT = Dashboard(
    "dynkv-unit",
    "dynkv: unit",
    (
        Row(
            "How is it?",
            (
                _number("State", "short", f"max by (state) (dynkv_unit_state{{{_U}}} == 1)", "", "{{state}}"),
                _number("Restarts left", "short", f"dynkv_unit_restarts_left{{{_U}}}", ""),
                _number(
                    "Ready after", "s", f"dynkv_unit_startup_duration_seconds{{{_U}}}", "Of the current incarnation."
                ),
                _number("Metrics readable", "short", f"dynkv_scrape_ok{{{_U}}}", "1 if they are."),
                _number("Scrape time", "s", f"dynkv_scrape_duration_seconds{{{_U}}}", ""),
                _number(
                    "Hang checks",
                    "cps",
                    f"rate(dynkv_unit_hang_checks_total{{{_U}}}[{_RATE}])",
                    "Checks per second whether it makes progress.",
                ),
            ),
        ),
        Row(
            "What went wrong?",
            (
                Panel(
                    "Outages",
                    "short",
                    (Query(f"increase(dynkv_unit_outages_total{{{_U}}}[1h])", "{{reason}}"),),
                    "In the preceding hour.",
                    width=8,
                ),
                Panel(
                    "Time in states",
                    "percentunit",
                    (Query(f"rate(dynkv_unit_state_seconds_total{{{_U}}}[{_RATE}])", "{{state}}"),),
                    width=8,
                ),
                Panel(
                    "Cleaning up",
                    "s",
                    (Query(f"increase(dynkv_unit_reclaim_seconds_sum{{{_U}}}[1h])", "{{step}}"),),
                    "Seconds that each step took, in the preceding hour.",
                    width=8,
                ),
            ),
        ),
        Row(
            "What does it do?",
            (
                Panel(
                    "Requests",
                    "short",
                    (
                        Query(f"sum(vllm:num_requests_running{{{_U}}})", "running"),
                        Query(f"sum(vllm:num_requests_waiting{{{_U}}})", "waiting"),
                    ),
                ),
                Panel(
                    "Tokens",
                    "short",
                    (
                        Query(f"sum(rate(vllm:prompt_tokens_total{{{_U}}}[{_RATE}]))", "prompt/s"),
                        Query(f"sum(rate(vllm:generation_tokens_total{{{_U}}}[{_RATE}]))", "generated/s"),
                    ),
                ),
                Panel("KV cache", "percentunit", (Query(f"max(vllm:kv_cache_usage_perc{{{_U}}})", "taken"),)),
                Panel(
                    "Memory",
                    "bytes",
                    (
                        Query(f"dynkv_unit_resident_memory_bytes{{{_U}}}", "host"),
                        Query(f"sum by (gpu) (dynkv_unit_gpu_memory_bytes{{{_U}}})", "GPU {{gpu}}"),
                    ),
                ),
            ),
        ),
    ),
    of_unit=True,
)
DASHBOARDS = (DEPLOYMENT, UNIT)
