"""`python -m dynkv` and the `dynkv` command."""

import atexit
import gc
import os
import sys

_NEW_OBJECTS = 200_000
"""Between two collections. Classes and functions are no garbage, and importing makes thousands of them: by Python's own
number (700) looking through them takes a tenth of what a quick verb does."""


def main() -> int:
    """Run the command and end the process with its exit code, or return the code if something is left to be done."""
    gc.set_threshold(_NEW_OBJECTS)
    try:
        from dynkv.cli.inherited import shed

        shed()
        from dynkv.cli.app import main as run

        code = run()
    except KeyboardInterrupt:  # while the command itself was still imported
        code = 130
    _leave(code)
    return code


def _leave(code: int) -> None:
    """End the process at once, if nothing more is to be done. All of it goes with the process: Python would look
    through it for garbage and take it apart, which takes up to 0.1 s."""
    gc.freeze()
    threads = sys.modules.get("threading")
    if threads is not None and threads.active_count() > 1:
        return
    atexit._run_exitfuncs()
    try:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except (OSError, AttributeError, ValueError):
        return  # Python says what it says about that
    os._exit(code)


if __name__ == "__main__":
    sys.exit(main())
