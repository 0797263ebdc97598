"""The hosts on which dynkv is tested, from the tests' table."""

from __future__ import annotations

import sys
from pathlib import Path

from generate.markdown import table

HEAD = """# Hosts

What dynkv does on unusual hosts. The tests try each row on a real host of the kind, with every verb from `up` to
`down`: dynkv works there, or `up` refuses in one sentence and starts nothing. If `up` refuses, the verbs that only look
still work.
"""


def page() -> str:
    sys.path.insert(0, str(Path(__file__).parents[2] / "tests" / "hosts"))
    from host_table import HOSTS

    return HEAD + "\n" + table(("host", "what dynkv does there"), [(host.title, host.does) for host in HOSTS]) + "\n"
