"""The result of a check: a finding, made by its id from the catalogue of checks."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from dynkv.doctor.catalogue import CHECKS, Severity
from dynkv.plan.facts import HostFacts
from dynkv.plan.gpus import Gpu
from dynkv.plan.model import Plan, Role, Unit
from dynkv.plan.worker import program_of
from dynkv.profile.arguments import value_of
from dynkv.profile.engines import ENGINES
from dynkv.profile.load import LoadedProfile
from dynkv.profile.model import Profile
from dynkv.profile.source import Mark

_VARIABLES = {
    "--use-vllm-tokenizer": "DYN_VLLM_USE_TOKENIZER",
    "--embedding-worker": "DYN_VLLM_EMBEDDING_WORKER",
    "--classify-worker": "DYN_VLLM_CLASSIFY_WORKER",
    "--realtime": "DYN_VLLM_REALTIME",
    "--endpoint-types": "DYN_ENDPOINT_TYPES",
    "--custom-jinja-template": "DYN_CUSTOM_JINJA_TEMPLATE",
}
"""Variables that mean the same as a worker's option. Source: ai-dynamo 1.6.1, backend_args.py and runtime_args.py."""
_TRUE = ("1", "true", "on", "yes")
"""Values that mean true. Source: ai-dynamo 1.6.1, `parse_bool`."""


class Finding(Struct, frozen=True):
    id: str
    """A key of CHECKS."""
    severity: Severity
    what: str
    why: str
    hint: str
    where: str = ""
    excerpt: str = ""

    @property
    def is_error(self) -> bool:
        return self.severity is Severity.ERROR

    def skipped(self) -> Finding:
        """The finding as a warning, if it is an error that a person may override."""
        is_skipped = self.is_error and CHECKS[self.id].can_be_skipped
        return replace(self, severity=Severity.WARNING) if is_skipped else self


def finding(id: str, what: str, why: str, hint: str, mark: Mark | None = None) -> Finding:
    """Make a finding; `mark` is the place in the profile that it is about."""
    severity = CHECKS[id].severity
    return Finding(id, severity, what, why, hint, str(mark or ""), mark.excerpt() if mark else "")


class Case(Struct, frozen=True):
    """What the checks judge: a plan for a host, and the profile it is based on."""

    loaded: LoadedProfile
    plan: Plan
    facts: HostFacts

    @property
    def profile(self) -> Profile:
        return self.loaded.profile

    @property
    def sidecars(self) -> int:
        """The number of sidecars."""
        return sum(unit.role is Role.LMCACHE for unit in self.plan.units)

    @property
    def has_sidecar(self) -> bool:
        return self.sidecars > 0

    @property
    def has_engine(self) -> bool:
        """Whether real engines run, with a model in memory and KV blocks."""
        return ENGINES[self.plan.engine].computes and bool(self.plan.workers)

    @property
    def workers_env(self) -> dict[str, str]:
        """The environment of the first worker; empty without one."""
        return self.plan.workers[0].env if self.plan.workers else {}

    def told(self, option: str) -> str | None:
        """The value of the first worker's option, however it is written, or of the variable with the same meaning.

        None without either, or without workers; a flag's value is `true`.
        """
        if not self.plan.workers:
            return None
        by_words = value_of(option, self.words_of(self.plan.workers[0]))
        by_variable = self.workers_env.get(_VARIABLES.get(option, ""))
        return by_words or ("true" if (by_variable or "").strip().lower() in _TRUE else by_variable)

    def words_of(self, worker: Unit) -> list[str]:
        """The words that a worker's parsers get."""
        return list(worker.argv[len(program_of(worker)) :])

    @property
    def weights_ranks(self) -> int:
        """The number of ranks that share the weights; with expert parallelism at most those of all copies of the
        engine."""
        workers = self.profile.workers
        shares_experts = self.told("--enable-expert-parallel") == "true"
        return workers.ranks if shares_experts else workers.engine_ranks

    @property
    def on_gpus(self) -> list[tuple[Gpu, list[Unit]]]:
        """Each GPU that workers are planned on, with those workers."""
        users = [(gpu, [u for u in self.plan.workers if gpu.visible_as in u.gpus]) for gpu in self.facts.gpus]
        return [(gpu, units) for gpu, units in users if units] if needs_cuda(self.profile) else []


def needs_cuda(profile: Profile) -> bool:
    return profile.device == "cuda" and ENGINES[profile.engine].computes and profile.topology != "none"
