"""The checks of `dynkv doctor`, from its catalogue."""

from __future__ import annotations

from dynkv.doctor.catalogue import CHECKS, Severity
from generate.markdown import code, table

HEAD = """# Checks

What `dynkv doctor` checks before you start, as does every `up`. Each finding ends with its id in parentheses, which is
`id` in `--json`. The exit code is 4 if there is an error.
"""
_WHAT = {
    Severity.ERROR: "It will not work: `up` refuses to start. `--skip-checks` starts anyway.",
    Severity.WARNING: "It may not work, or not for long: `up` reports it and continues.",
    Severity.INFO: "Good to know: only `doctor` reports it.",
}


def page() -> str:
    parts = [HEAD]
    for severity in Severity:
        rows = [(code(name), it.description) for name, it in CHECKS.items() if it.severity is severity]
        parts += [f"## {severity.capitalize()}s" if severity != "info" else "## Infos", _WHAT[severity]]
        parts.append(table(("id", "it fires when"), rows))
    return "\n\n".join(part.strip() for part in parts) + "\n"
