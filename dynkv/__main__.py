"""`python -m dynkv` and the `dynkv` command."""

import sys


def main() -> int:
    from dynkv.cli.inherited import shed

    shed()
    from dynkv.cli.app import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
