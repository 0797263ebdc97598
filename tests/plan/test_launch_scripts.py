"""The table of Dynamo's launch scripts: each profile is valid, and its plan on a host of 8 GPUs is compared as text."""

from __future__ import annotations

from hosts import host, plan
from launch_scripts import CONVERTED, PROFILES, SCRIPTS, Script
from test_golden import check, plan_lines


def test_each_script_stands_there_once_with_a_profile_or_a_reason() -> None:
    names = [script.name for script in SCRIPTS]
    assert len(names) == len(set(names))
    assert all(bool(script.profile) != bool(script.reason) for script in SCRIPTS)
    assert set(names) >= CONVERTED
    assert len(PROFILES) >= 35
    assert len(names) >= 130


def test_what_each_profile_becomes_on_eight_gpus() -> None:
    """`UPDATE_GOLDEN=1 pytest tests/plan` writes it again."""
    planned: dict[str, list[str]] = {}
    for script in PROFILES:
        planned.setdefault(_planned(script), []).append(script.name)
    check("launch_scripts", "\n".join(f"== {', '.join(names)}\n{text}" for text, names in planned.items()))


def _planned(script: Script) -> str:
    """The plan, of whose environment only what the profile sets: golden files of the shipped profiles have the rest."""
    made = plan(script.profile, host(8), {**script.settings})
    given = {name for key, value in script.settings.items() if key.endswith("env") for name in value}
    lines = [line for line in plan_lines(made) if not line.startswith(("note: ", "prepare: "))]
    shown = [_only(given, line) if _is_environment(line) else line for line in lines]
    shared = [f"{name}={made.units[-1].env[name]}" for name in script.settings.get("env", {})]
    return "\n".join(line for line in [*shown, " ".join(["all:", *shared]) if shared else ""] if line) + "\n"


def _is_environment(line: str) -> bool:
    """Whether the line is about the environment of a unit of the stack."""
    return line == "  -" or "CUDA_VISIBLE_DEVICES= " in f"{line} " or " DYN_SYSTEM_HOST=" in line


def _only(names: set[str], line: str) -> str:
    kept = [word for word in line.split() if word.partition("=")[0] in names]
    return f"  {' '.join(kept)}" if kept else ""
