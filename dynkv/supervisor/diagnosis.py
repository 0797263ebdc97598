"""Why a child died, from its exit status and the end of its log. Pure; the rules are data."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from dynkv.children.child import Exit
from dynkv.children.lines import raised

_LONGEST = 240
"""Characters of a reason."""
_ENGINE_DIED = r"(EngineDeadError|Engine core initialization failed|EngineCore encountered a fatal error)"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    reason: str
    hint: str
    permanent: bool
    """Starting again cannot help."""


@dataclass(frozen=True, slots=True)
class Rule:
    """`pattern` is searched in the log's lines, the newest first; its group, if any, completes the reason."""

    pattern: re.Pattern[str]
    reason: str
    hint: str
    permanent: bool = False

    @property
    def is_about_engine(self) -> bool:
        """The main process only says that its engine died; what for, stands above."""
        return self.pattern.pattern == _ENGINE_DIED


def _rule(pattern: str, reason: str, hint: str, *, permanent: bool = False) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), reason, hint, permanent)


RULES = (
    _rule(
        r"error: (unrecognized arguments: .*|argument [^:]+: .*)",
        "its arguments are wrong",
        "check model.args, model.role_args, frontend.args and lmcache.args in the profile",
        permanent=True,
    ),
    _rule(
        r"No module named '?([\w.]+)",
        "a Python module is missing",
        "install the stack for the interpreter that `python` names; `dynkv doctor` shows what is there",
        permanent=True,
    ),
    _rule(
        r"Only one connector can produce KV transfer params",
        "LMCache is too old to stand beside NIXL",
        "install lmcache 0.5.1 or later, or use --no-lmcache",
        permanent=True,
    ),
    _rule(
        r"(Unsupported (?:GPU|Engine)KVFormat\S*)",
        "LMCache does not know this vLLM's KV layout",
        "install a newer lmcache (LMCache#3282), or use --no-lmcache",
        permanent=True,
    ),
    _rule(
        r"compatibility hash mismatch",
        "prefill and decode do not agree, so NIXL refuses the handshake",
        "give both roles the same engine arguments and the same versions",
    ),
    _rule(
        r"(Free memory on device .* is less than desired GPU memory utilization)",
        "too little GPU memory is free",
        "end what holds it (`nvidia-smi`), or lower workers.gpu_memory_fraction",
    ),
    _rule(
        r"(CUDA out of memory|torch\.(?:cuda\.)?OutOfMemoryError|No available memory for the cache blocks)",
        "the GPU's memory did not suffice",
        "lower workers.gpu_memory_fraction or model.max_length, or take a smaller model",
    ),
    _rule(
        r"(Address already in use.*|address in use)",
        "a port was taken",
        "`dynkv status` shows the unit's ports; end what holds them",
    ),
    _rule(
        r"(?:Can't load tokenizer|Couldn't instantiate the backend tokenizer"
        r"|tokenizer\.json[^\n]*(?:not found|No such file))",
        "the tokenizer could not be loaded",
        "the model's directory needs its tokenizer files",
        permanent=True,
    ),
    _rule(
        r"(?:is not a local folder and is not a valid model identifier|Repository Not Found|Invalid repository ID"
        r"|Can't load the configuration of|does not appear to have a file named config\.json)",
        "the model was not found",
        "check model.path; a private model needs HF_TOKEN in the environment of `dynkv up`",
        permanent=True,
    ),
    _rule(_ENGINE_DIED, "its engine died", "`dynkv logs --level error` shows what it said before"),
)


def diagnose(exit_: Exit, lines: Sequence[str], *, oom_killed: bool = False) -> Diagnosis:
    """`lines` are the last of the dead incarnation's log; `oom_killed`: the kernel killed for memory meanwhile.

    What no rule knows is named by the exception that the log ends with.
    """
    if oom_killed and exit_.signal == 9:
        hint = "lower lmcache.l1_size_gb or the number of workers, or give the machine more memory"
        return Diagnosis(f"the kernel ran out of memory and killed it ({exit_})", hint, permanent=False)
    for rule in RULES:
        for line in reversed(lines):
            found = rule.pattern.search(line)
            if found and exit_.signal is None:
                what = (rule.is_about_engine and _root(lines)) or (found.group(1) if found.groups() else "")
                told = f": {what.strip()[:_LONGEST]}" if what else ""
                return Diagnosis(f"{rule.reason}{told} ({exit_})", rule.hint, rule.permanent)
    root = _root(lines) if exit_.signal is None and exit_.code else ""
    return Diagnosis(f"{root[:_LONGEST]} ({exit_})" if root else str(exit_), "", permanent=False)


def _root(lines: Sequence[str]) -> str:
    """The last exception that is not only about the end of the engine; empty if there is none."""
    found = [what for line in lines if (what := raised(line)) and not re.search(_ENGINE_DIED, what)]
    return found[-1] if found else ""
