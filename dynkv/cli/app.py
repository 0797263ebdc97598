"""The entry point, and the one place where errors become text and exit codes."""

from __future__ import annotations

import sys

from dynkv.cli.ahead import ahead
from dynkv.cli.quick import quick
from dynkv.cli.streams import prepare
from dynkv.errors import DynkvError, Fault, HostFailed

_DEBUG = "--debug"


def main() -> int:
    """Run the command line. The exit codes are part of the contract: 0 to 5, and 130 for Ctrl-C."""
    prepare()
    words = [word for word in sys.argv[1:] if word != _DEBUG]  # wherever it is
    try:
        ahead.begin(words)
        code = quick(words)
        if code is None:
            from dynkv.interrupts import hold_back

            hold_back()
            from dynkv.cli.commands import run

            code = run(words)
        sys.stdout.flush()
        return code
    except DynkvError as error:
        from dynkv.cli.report import show_error

        show_error(error)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output is gone
        return 1
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        if _DEBUG in sys.argv:
            raise
        from dynkv.cli.report import show_error

        said = HostFailed(error) if isinstance(error, OSError | MemoryError) else Fault(error)
        show_error(said)
        return said.exit_code
    finally:
        ahead.end()
