"""Scripts that run in the stack's interpreter. They import nothing of dynkv, and are run, never imported."""

from pathlib import Path

SCRIPTS = Path(__file__).parent


def script(name: str) -> str:
    """The path of a script, for an interpreter to run."""
    return str(SCRIPTS / f"{name}.py")
