"""Known causes of death, as data: from what a process said to the reason, and to what can be done. Pure."""

from __future__ import annotations

import re

from msgspec import Struct

from dynkv.supervisor.farewells import ENGINE_DIED, Word


class Rule(Struct, frozen=True):
    """A rule. `pattern` is searched only in the statement that ended a process; its group, if any, completes the
    reason."""

    pattern: re.Pattern[str]
    reason: str
    hint: str
    permanent: bool = False
    """Whether starting again cannot help."""
    is_usage: bool = False
    """Whether the rule is about usage errors; all others are not."""


_LONGEST = 4000
"""Most characters of a statement to search: a few lines, without what it may quote."""


def _rule(pattern: str, reason: str, hint: str, *, permanent: bool = False, is_usage: bool = False) -> Rule:
    return Rule(re.compile(pattern, re.IGNORECASE), reason, hint, permanent, is_usage)


RULES = (
    _rule(
        r"(?:error|Unknown arguments specified): (.*)",
        "its arguments are wrong",
        "check model.args, model.role_args, workers.each, frontend.args and lmcache.args in the profile",
        permanent=True,
        is_usage=True,
    ),
    _rule(
        r"^(?:(?:ModuleNotFound|Import)Error|\S*(?:python|pypy)[\d.]*): .*?No module named '?([\w.]+)",
        "a Python module is missing",
        "install the stack for the interpreter that `python` names; `dynkv doctor` shows what is there",
        permanent=True,
    ),
    _rule(
        r"Only one connector can produce KV transfer params",
        "this LMCache is too old to work with NIXL",
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
        "stop the process that uses it (`nvidia-smi`), or lower workers.gpu_memory_fraction",
    ),
    _rule(
        r"(CUDA out of memory|torch\.(?:cuda\.)?OutOfMemoryError|No available memory for the cache blocks)",
        "not enough GPU memory",
        "lower workers.gpu_memory_fraction or model.max_length, or use a smaller model",
    ),
    _rule(
        r"(Address already in use.*|error while attempting to bind on address .*|port \d+ already in use"
        r"|address in use)",
        "a port was taken",
        "`dynkv status` shows the unit's ports; stop the processes that use them",
    ),
    _rule(
        r"(?:Can't load tokenizer|Couldn't instantiate the backend tokenizer"
        r"|tokenizer\.json[^\n]*(?:not found|No such file))",
        "the tokenizer could not be loaded",
        "the model's directory needs its tokenizer files",
        permanent=True,
    ),
    _rule(
        r"(?:is not a local folder and is not a valid model identifier|Repository ?Not ?Found|Invalid repository ID"
        r"|Can't load the configuration of|does not appear to have a file named config\.json"
        r"|unable to extract config\.json from directory|Model snapshots for '[^']*' not found in cache"
        r"|HFValidationError: Repo id must be"
        r"|LocalEntryNotFoundError: .*outgoing traffic has been disabled)",
        "the model was not found",
        "check model.path; a private model needs HF_TOKEN in the environment of `dynkv up`",
        permanent=True,
    ),
    _rule(ENGINE_DIED.pattern, "its engine died", "`dynkv logs --level error` shows what it said before"),
)


def known(word: Word) -> tuple[Rule, str] | None:
    """The first rule that matches, and the text that completes its reason."""
    rules = [rule for rule in RULES if rule.is_usage == word.is_usage]
    for text in word.texts:
        for rule in rules:
            if found := rule.pattern.search(text, 0, _LONGEST):
                return rule, (found.group(1) or "").strip() if found.groups() else ""
    return None
