"""The exit codes, and the errors that lead to each."""

from __future__ import annotations

from collections.abc import Iterator

from dynkv.errors import EXIT_CODES, DynkvError
from generate.attributes import docstring
from generate.markdown import code, sentence, table

HEAD = """# Exit codes

The same for all verbs. An error goes to stderr in one format: what happened, `at` where, the relevant lines, and a
`hint` what to do next.
"""


def page() -> str:
    codes = [(code(number), sentence(meaning)) for number, meaning in EXIT_CODES.items()]
    errors = [(code(kind.__name__), code(kind.exit_code), docstring(kind)) for kind in _tree(DynkvError)]
    parts = [
        HEAD,
        table(("code", "meaning"), codes),
        "## Errors",
        "The errors that `dynkv` itself raises, by their names in the code.",
        table(("error", "code", "when"), errors),
    ]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def _tree(kind: type[DynkvError]) -> Iterator[type[DynkvError]]:
    yield kind
    for inner in kind.__subclasses__():
        yield from _tree(inner)
