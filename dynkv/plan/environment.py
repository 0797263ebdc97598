"""The environment of a child: built from an allow-list, never inherited whole."""

from __future__ import annotations

from collections.abc import Mapping

from dynkv.plan.facts import HostFacts
from dynkv.plan.model import Plan, Role
from dynkv.profile.l2_kinds import HuggingFaceBucket
from dynkv.profile.model import FORBIDDEN_ENV, Profile
from dynkv.secrets import SECRETS, is_secret, only_secrets, without_secrets
from dynkv.surroundings import absolute

CIRCUMSTANCES = frozenset("PATH HOME USER LOGNAME SHELL LANG LANGUAGE TZ TMPDIR TERM XDG_CACHE_HOME".split())
"""What differs from one terminal, cron job or service to the next; the locale's LC_* do, too."""
INHERITED = CIRCUMSTANCES | frozenset(
    "LD_LIBRARY_PATH LD_PRELOAD PYTHONPATH SSL_CERT_FILE SSL_CERT_DIR REQUESTS_CA_BUNDLE "
    "HTTP_PROXY HTTPS_PROXY NO_PROXY http_proxy https_proxy no_proxy CC CXX".split()
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
)


def is_inherited(name: str) -> bool:
    """Whether a variable of the person's environment may reach a child as plain text."""
    if name in FORBIDDEN_ENV or is_secret(name):
        return False
    return name in INHERITED or name.startswith(INHERITED_PREFIXES)


def handed_on_as_text(environ: Mapping[str, str]) -> dict[str, str]:
    """What of the person's environment a child may get, and everybody see; it runs elsewhere than the person."""
    return {name: value for name, value in without_secrets(absolute(environ)).items() if is_inherited(name)}


def handed_on_as_secrets(environ: Mapping[str, str]) -> tuple[str, ...]:
    """Names: of the secrets that dynkv knows, and of what would be inherited but for the password in its value."""
    return tuple(sorted(name for name in only_secrets(environ) if name in SECRETS or is_inherited(name)))


def base_environment(profile: Profile, facts: HostFacts, discovery_dir: str | None, deployment: str) -> dict[str, str]:
    """What every process of a deployment gets; later entries win: inherited, dynkv's own, the profile's."""
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
        # what is advertised; the event sockets themselves bind all addresses (ai-dynamo 1.6.1)
        "DYN_EVENT_PLANE_HOST": "127.0.0.1",
        **_discovery(profile, discovery_dir, deployment),
    }
    if facts.model.is_local:
        own["HF_HUB_OFFLINE"] = "1"
    return {**handed_on_as_text(facts.environ), **own, **given_environment(profile)}


def circumstances(profile: Profile, facts: HostFacts) -> tuple[str, ...]:
    """What a child inherits that is no reason to restart it; what the profile itself gives is one."""
    inherited = (name for name in facts.environ if is_inherited(name) and name not in profile.env)
    return tuple(sorted(name for name in inherited if name in CIRCUMSTANCES or name.startswith("LC_")))


def given_environment(profile: Profile) -> dict[str, str]:
    """The profile's own entries, which have the last word; without secrets."""
    return without_secrets(absolute(profile.env))


def secret_names(profile: Profile, facts: HostFacts, role: Role) -> tuple[str, ...]:
    """Names only: values are taken from the supervisor's environment when the child starts."""
    purpose = "store" if role is Role.LMCACHE else "model"
    hub = {it.token_env or "HF_TOKEN" for it in profile.lmcache.l2 if isinstance(it, HuggingFaceBucket)}
    needed = hub if role is Role.LMCACHE else set()
    present = {name for name in facts.secret_names if SECRETS.get(name, purpose) == purpose or name in needed}
    return tuple(sorted(present | only_secrets(profile.env).keys()))


def kept_secrets(profile: Profile, plan: Plan) -> dict[str, str]:
    """What the supervisor has to have in its environment, besides what the person has in theirs."""
    own = {kept: unit.env[name] for unit in profile.units for name, kept in plan.unit(unit.name).own_secrets.items()}
    return {**only_secrets(profile.env), **own}


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
    # an etcd is shared by others: a namespace keeps deployments apart, as a directory does with files
    return {**env, "ETCD_ENDPOINTS": ",".join(discovery.etcd_endpoints), "DYN_NAMESPACE": deployment}
