"""The environment of a child: built from an allow-list, never inherited as a whole."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping

from msgspec.structs import replace

from dynkv.plan.cluster import TLS_VARIABLES, node_environment
from dynkv.plan.facts import HostFacts
from dynkv.plan.model import Plan, Role, Unit
from dynkv.plan.observability import observed_environment
from dynkv.plan.serving import Node
from dynkv.profile.environment import FORBIDDEN_ENV
from dynkv.profile.model import Profile
from dynkv.secrets import SECRETS, is_secret, only_secrets, without_secrets
from dynkv.surroundings import absolute

CIRCUMSTANCES = frozenset("PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TERM XDG_CACHE_HOME".split())
"""Variables that differ between terminals, cron jobs and services; the locale's LC_* do too."""
INHERITED = CIRCUMSTANCES | frozenset(
    "LD_LIBRARY_PATH LD_PRELOAD PYTHONPATH SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE "
    "HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy CC CXX "
    "HUGGINGFACE_HUB_CACHE DYN_LOG LMCACHE_LOG_LEVEL NATS_AUTH_CREDENTIALS_FILE".split()
)
INHERITED_PREFIXES = (
    "LC_",
    "HF_",
    "CUDA_",
    "NVIDIA_",
    "NCCL_",
    "UCX_",
    "NIXL_",
    "VLLM_",
    "TORCH",
    "TRITON_",
    "FLASHINFER_",
    "MKL_",
    "OMP_",
    "GLOO_",
    "TRANSFORMERS_",
    "MODELSCOPE_",
    "AWS_",
    "AZURE_STORAGE_",
    "OTEL_",
    "DYN_LOGGING_",
    "DYN_LORA_",
    "DYN_MM_",
    "DYN_TCP_TLS_",
    "NATS_TLS_",
)
_READ_BY_THE_STACK = ("DYN_", "LMCACHE_", "NATS_", "ETCD_")
"""Prefixes of variables that the stack reads. Most of them would change the plan, as each option of Dynamo's
programs is also a variable (ai-dynamo 1.6.1); those that do not are listed above."""


_CLOUDS = ("s3://", "gs://", "az://")
"""Storage from which vLLM streams a model (0.31.0, runai_streamer), and Dynamo reads an adapter."""


def is_inherited(name: str) -> bool:
    """Whether a variable of the person's environment may be passed to a child as plain text."""
    if name in FORBIDDEN_ENV or is_secret(name):
        return False
    return name in INHERITED or name.startswith(INHERITED_PREFIXES)


def handed_on_as_text(environ: Mapping[str, str]) -> dict[str, str]:
    """The variables of the person's environment that a child may get and everyone may see; it runs in another
    directory."""
    return {name: value for name, value in without_secrets(absolute(environ)).items() if is_inherited(name)}


def handed_on_as_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names of the secrets that dynkv knows, and of variables that are not inherited only because of a password in
    them."""
    return tuple(sorted(name for name in only_secrets(environ) if name in SECRETS or is_inherited(name)))


def dropped(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names of variables that are set, that the stack reads, and that no child gets."""
    handed_on = {*handed_on_as_text(environ), *handed_on_as_secrets(environ), *FORBIDDEN_ENV}
    return tuple(sorted(name for name in environ if name.startswith(_READ_BY_THE_STACK) and name not in handed_on))


def dropped_names(profile: Profile, facts: HostFacts) -> list[str]:
    """Those of the dropped names that the profile does not set either."""
    alone = (name for one in profile.workers.each.values() for name in one.env)
    given = {*profile.env, *(name for role in Role for name in role_environment(profile, role)), *alone}
    return [name for name in facts.dropped_environ if name not in given] if profile.topology != "none" else []


def base_environment(
    profile: Profile, facts: HostFacts, discovery_dir: str | None, deployment: str, node: Node | None = None
) -> dict[str, str]:
    """Variables for every process of a deployment; later ones win: inherited, dynkv's own, the profile's."""
    own = {
        "PYTHONUNBUFFERED": "1",
        "PYTHONHASHSEED": "0",
        "LMCACHE_TRACK_USAGE": "false",
        "LMCACHE_DISABLE_BANNER": "1",
        "VLLM_NO_USAGE_STATS": "1",
        "DO_NOT_TRACK": "1",
        "DYN_TCP_RPC_HOST": "127.0.0.1",
        # an interface for 1.3.1, an interface or an address for 1.6.1
        "DYN_TCP_RESPONSE_STREAM_HOST": "lo",
        # the advertised address; the event sockets themselves bind all addresses (ai-dynamo 1.6.1)
        "DYN_EVENT_PLANE_HOST": "127.0.0.1",
        **(node_environment(node) if node else _discovery(profile, discovery_dir, deployment)),
    }
    own |= observed_environment(profile)
    if facts.model.is_local:
        own["HF_HUB_OFFLINE"] = "1"
    return {**handed_on_as_text(facts.environ), **own, **given_environment(profile)}


def circumstances(profile: Profile, facts: HostFacts) -> tuple[str, ...]:
    """Inherited variables whose change is no reason to restart a child; a change in the profile is one."""
    inherited = (name for name in facts.environ if is_inherited(name) and name not in profile.env)
    return tuple(sorted(name for name in inherited if name in CIRCUMSTANCES or name.startswith("LC_")))


def given_environment(profile: Profile) -> dict[str, str]:
    """The profile's own variables, which win; without secrets."""
    return without_secrets(absolute(profile.env))


def role_environment(profile: Profile, role: Role) -> dict[str, str]:
    """The profile's variables for one role alone, including secrets."""
    workers = profile.workers
    return {
        Role.LMCACHE: profile.lmcache.env,
        Role.FRONTEND: profile.frontend.env,
        Role.WORKER: workers.env,
        Role.DECODE: {**workers.env, **workers.decode.env},
        Role.PREFILL: {**workers.env, **workers.prefill.env},
    }.get(role, {})


def unit_environment(profile: Profile, role: Role, name: str) -> dict[str, str]:
    """The profile's variables for one unit of the stack beyond those for all, including secrets."""
    one = profile.workers.each.get(name) if role.is_worker else None
    return {**role_environment(profile, role), **(one.env if one else {})}


def with_environment(unit: Unit, env: Mapping[str, str]) -> Unit:
    """The unit with these variables, which win. Secrets among them are kept apart from those of other units, which
    may have the same names."""
    secrets = only_secrets(env)
    inherited = {name: value for name, value in unit.env.items() if name not in secrets}
    return replace(
        unit,
        env={**inherited, **without_secrets(absolute(env))},
        secret_env=tuple(name for name in unit.secret_env if name not in env),
        own_secrets={name: _kept_as(name, unit.name) for name in sorted(secrets)},
        circumstances=tuple(name for name in unit.circumstances if name not in env),
    )


def _kept_as(name: str, unit: str) -> str:
    """A name that is valid in a shell, and that no other unit's secret has."""
    told = f"{name}__{unit}"
    plain = re.sub(r"[^A-Za-z0-9_]", "_", told)
    return plain if plain == told else f"{plain}_{hashlib.sha256(told.encode()).hexdigest()[:6]}"


def secret_names(profile: Profile, facts: HostFacts, role: Role) -> tuple[str, ...]:
    """Names only: the values come from the supervisor's environment when the child starts."""
    purposes = _purposes(profile, role)
    needed = _of_buckets(profile) if role is Role.LMCACHE and profile.lmcache.l2 else set()
    present = {name for name in facts.secret_names if SECRETS.get(name) in (None, *purposes) or name in needed}
    tls = {*TLS_VARIABLES} if profile.cluster.etcd_ca and "meeting" in purposes else set()
    return tuple(sorted(present | tls | only_secrets(profile.env).keys()))


def _of_buckets(profile: Profile) -> set[str]:
    from dynkv.profile.l2_kinds import HuggingFaceBucket  # with the models of all adapters

    return {it.token_env or "HF_TOKEN" for it in profile.lmcache.l2 if isinstance(it, HuggingFaceBucket)}


def _purposes(profile: Profile, role: Role) -> tuple[str, ...]:
    if role is Role.LMCACHE:
        return ("store", "cloud")
    meets = ("meeting",) if profile.cluster.is_set or profile.discovery.backend != "file" else ()
    read = (profile.model.path, *(lora.path for lora in profile.model.loras))
    is_in_cloud = any(path.startswith(_CLOUDS) for path in read)
    return (*(("model", "cloud") if role.is_worker and is_in_cloud else ("model",)), *meets)


def kept_secrets(profile: Profile, plan: Plan) -> dict[str, str]:
    """Secrets that the supervisor needs in its environment, besides those in the person's."""
    own = {unit.name: unit.env for unit in profile.units}
    given = ((unit, own.get(unit.name) or unit_environment(profile, unit.role, unit.name)) for unit in plan.units)
    kept = {name_kept: env[name] for unit, env in given for name, name_kept in unit.own_secrets.items()}
    addresses = {hook.kept_as: hook.webhook for hook in profile.notify if hook.webhook}
    return {**only_secrets(profile.env), **kept, **addresses}


def _discovery(profile: Profile, discovery_dir: str | None, deployment: str) -> dict[str, str]:
    discovery = profile.discovery
    plane = "nats" if discovery.nats_server else "tcp"
    env = {
        "DYN_DISCOVERY_BACKEND": discovery.backend,
        "DYN_REQUEST_PLANE": plane,
        "DYN_EVENT_PLANE": "nats" if discovery.nats_server else "zmq",
    }
    if discovery.nats_server:
        env["NATS_SERVER"] = discovery.nats_server
    if discovery_dir is not None:
        return {**env, "DYN_FILE_KV": discovery_dir}
    # others use the same etcd: a namespace separates deployments, as a directory does with files
    return {**env, "ETCD_ENDPOINTS": ",".join(discovery.etcd_endpoints), "DYN_NAMESPACE": deployment}
