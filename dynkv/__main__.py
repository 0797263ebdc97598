"""`python -m dynkv` and the `dynkv` command."""

import gc
import sys

_NEW_OBJECTS = 200_000
"""Between two collections. Classes and functions are no garbage, and importing makes thousands of them: by Python's own
number (700) looking through them takes a tenth of what a quick verb does."""


def main() -> int:
    gc.set_threshold(_NEW_OBJECTS)
    try:
        from dynkv.cli.inherited import shed

        shed()
        from dynkv.cli.app import main as run

        code = run()
    except KeyboardInterrupt:  # while the command itself was still imported
        code = 130
    gc.freeze()  # all of it goes with the process: Python would look through it for garbage, which takes up to 0.1 s
    return code


if __name__ == "__main__":
    sys.exit(main())
