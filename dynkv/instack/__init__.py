"""Scripts that run in the stack's interpreter. They import nothing of dynkv, and are run, never imported.

What they need of the stack they load by `importlib.import_module` into an `Any`: `make lint` checks their types where
no stack is installed, too.
"""

from pathlib import Path

SCRIPTS = Path(__file__).parent


def script(name: str) -> str:
    """The path of a script, for an interpreter to run."""
    return str(SCRIPTS / f"{name}.py")
