"""The house of docs/explanation/architecture.md: imports only go downwards, and the supervisor stays small."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from dynkv.profile.engines import ENGINES

PACKAGE = Path(__file__).parents[1] / "dynkv"
ROWS = (
    "__main__ cli bench daemon control metrics supervisor reclaim render observe init bash doctor stacks cluster "
    "probes park children host plan profile instack home short_paths locks owned documents readable "
    "secrets interrupts surroundings without_openssl own_digests extras errors"
).split()
"""The rows from top to bottom. `dynkv/__init__.py` has the version and belongs to no row."""
FILES = sorted(PACKAGE.rglob("*.py"))
PURE = set(
    "__future__ ast collections dataclasses difflib enum fnmatch functools graphlib hashlib ipaddress itertools json "
    "math msgspec operator pathlib pydantic pydantic_core re ruamel shlex textwrap typing urllib".split()
)
"""Modules that code may import if it only decides."""
LOOKS_AT_THE_HOST = {"urllib.request", *(f"pydantic.{name}Path" for name in ("File", "Directory", "New", "Socket"))}
HIDDEN = {"__import__", "exec", "eval", "compile"}
"""Functions that could import anything."""
FILE_LINES_MAX, FUNCTION_LINES_MAX = 300, 40
NOT_FOR_EVERY_PLAN = {
    *"argparse shutil tempfile zipfile email http".split(),
    *"dynkv.plan.facts dynkv.plan.build dynkv.cluster.etcd dynkv.supervisor.membership dynkv.doctor dynkv.cli".split(),
}
"""Modules that the supervisor of a simple plan does not import: each costs a tenth of a megabyte or more."""
NOT_IN_THE_SUPERVISOR = "torch vllm lmcache dynamo pydantic typer rich ruamel psutil httpx pynvml".split()


def module_name(file: Path) -> str:
    parts = file.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {module_name(file): file for file in FILES}


def imported(file: Path) -> Iterator[tuple[str, str]]:
    """Module and name of each import, also of those inside functions; the name is empty for a whole module."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{file}: a relative import"
            yield from ((node.module or "", alias.name) for alias in node.names)


def imported_modules(file: Path) -> set[str]:
    """Modules of dynkv that a file imports; `from dynkv.cli import view` counts as the module view."""
    names = {f"{module}.{name}" if f"{module}.{name}" in MODULES else module for module, name in imported(file)}
    return {name for name in names if name in MODULES}


def row(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def shown(file: Path) -> str:
    return str(file.relative_to(PACKAGE))


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_values_are_structs(file: Path) -> None:
    """dataclasses.replace does not work for them, and mypy does not notice."""
    assert not {*imported(file)} & {("dataclasses", name) for name in ("", "replace", "fields", "asdict", "astuple")}


def test_every_folder_has_its_row() -> None:
    assert {row(module) for module in MODULES} - {""} == set(ROWS)


def test_the_picture_names_every_room() -> None:
    page = (PACKAGE.parent / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    picture = page.partition("```")[2].partition("```")[0]
    named = set(re.findall(r"[a-z0-9_]+", picture))
    missing = {shown(file) for file in FILES if file.stem not in {"__init__", *named}}
    assert not missing, "name each new file in the picture of docs/explanation/architecture.md"


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_imports_go_downwards(file: Path) -> None:
    own = row(module_name(file))
    for module in imported_modules(file):
        other = row(module)
        assert not other or ROWS.index(other) >= ROWS.index(own), f"{shown(file)} imports {module}"


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_the_supervisor_does_not_depend_on_the_preflight(file: Path) -> None:
    if row(module_name(file)) in {"daemon", "control", "metrics", "supervisor", "reclaim"}:
        assert not [module for module in imported_modules(file) if row(module) == "doctor"]


def test_no_file_is_imported_by_what_it_imports() -> None:
    sorter = TopologicalSorter({module: imported_modules(file) for module, file in MODULES.items()})
    try:
        sorter.prepare()
    except CycleError as error:
        pytest.fail(f"a circle of imports: {' → '.join(error.args[1])}")


def test_only_views_import_rich_and_only_the_live_view_textual() -> None:
    live_view = {f"cli/{name}.py" for name in ("dashboard", "log_screen", "panes", "screens", "tile")}
    assert importers_of("textual") == live_view
    assert importers_of("rich") <= {"cli/view.py", "cli/bench_answer.py", *live_view}


def importers_of(package: str) -> set[str]:
    return {shown(file) for file in FILES for module, _ in imported(file) if module.split(".")[0] == package}


def test_only_the_lowest_row_looks_at_the_gpus() -> None:
    assert {file.split("/")[0] for file in importers_of("pynvml")} == {"host"}


def test_only_one_file_reads_what_proc_says_of_a_process() -> None:
    """Scripts for the stack only read about themselves; an autogroup is written."""
    readers = {shown(file) for file in FILES if names_a_process_in_proc(file)}
    assert {file for file in readers if not file.startswith("instack/")} == {
        "host/processes.py",
        "children/scheduling.py",
    }


def names_a_process_in_proc(file: Path) -> bool:
    texts = [node for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))) if isinstance(node, ast.JoinedStr)]
    first = [text.values[0] for text in texts if text.values]
    return any(isinstance(it, ast.Constant) and str(it.value).startswith("/proc/") for it in first)


@pytest.mark.parametrize("file", sorted((PACKAGE / "instack").glob("*.py")), ids=shown)
def test_scripts_for_the_stack_import_nothing_of_dynkv(file: Path) -> None:
    assert not [module for module, _ in imported(file) if module.split(".")[0] == "dynkv"]


def with_what_they_import(modules: Iterable[str]) -> set[str]:
    """These modules of dynkv, and all modules that they import."""
    found: set[str] = set()
    left = list(modules)
    while left:
        module = left.pop()
        if module not in found:
            found.add(module)
            left += imported_modules(MODULES[module])
    return found


@pytest.mark.parametrize(
    "module",
    sorted(
        with_what_they_import(name for name in MODULES if row(name) in {"plan", "render", "observe", "init", "bash"})
    ),
)
def test_the_plan_and_what_is_made_with_it_do_no_io(module: str) -> None:
    """The same is true of everything that it calls. The host and the working directory are passed in as facts."""
    file = MODULES[module]
    for name, member in imported(file):
        assert name.split(".")[0] in {"dynkv", *PURE}, f"{module} imports {name}"
        assert f"{name}.{member}" not in LOOKS_AT_THE_HOST, f"{module} imports {member} of {name}"
        assert name != "pathlib" or member in {"PurePath", "PurePosixPath"}, f"{member} of pathlib touches the disk"
    calls = [node.func for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call, ast.Name) and call.id in {"open", "print", "input", *HIDDEN}]


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_what_an_engine_can_do_stands_in_one_table(file: Path) -> None:
    """Code that compares the engine's name would be forgotten when another engine is added."""
    asking = [f"line {line}" for line in sorted(asks_which_engine(ast.parse(file.read_text(encoding="utf-8"))))]
    allowed = {"profile/engines.py", "plan/build.py"}  # the table, and the makers, which a test compares with it
    assert not asking or shown(file) in allowed, f"{shown(file)}: ask ENGINES of profile/engines.py what it can do"


def asks_which_engine(tree: ast.Module) -> Iterator[int]:
    """Lines that compare an `engine` with a text, or look it up in a table with several engines' names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            names = [side.attr if isinstance(side, ast.Attribute) else getattr(side, "id", "") for side in sides]
            if "engine" in names and any(texts_in(side) for side in sides):
                yield node.lineno
        elif isinstance(node, ast.Dict):
            if len(ENGINES.keys() & {text for key in node.keys if key for text in texts_in(key)}) > 1:
                yield node.lineno
        elif isinstance(node, ast.Match) and getattr(node.subject, "attr", getattr(node.subject, "id", "")) == "engine":
            yield node.lineno


def texts_in(node: ast.expr) -> list[str]:
    """A text literal, or those in a tuple, list or set."""
    parts = node.elts if isinstance(node, ast.Tuple | ast.List | ast.Set) else [node]
    return [part.value for part in parts if isinstance(part, ast.Constant) and isinstance(part.value, str)]


@pytest.mark.parametrize(
    ("text", "is_asked"),
    [
        ("profile.engine == 'vllm'", True),
        ("engine not in ('vllm', 'other')", True),
        ("{'vllm': 1, 'mocker': 2}[name]", True),
        ("match plan.engine:\n    case 'vllm': pass", True),
        ("draft.get('engine') is None", False),
        ("{'vllm': '0.31.0', 'lmcache': '0.5.6'}", False),
        ("ENGINES[profile.engine].computes and device == 'cuda'", False),
    ],
)
def test_asking_is_seen(text: str, *, is_asked: bool) -> None:
    assert bool([*asks_which_engine(ast.parse(text))]) == is_asked


@pytest.mark.parametrize("file", FILES, ids=shown)
def test_a_file_and_its_functions_can_be_read_at_one_sitting(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= FILE_LINES_MAX
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    # without its parameters: each option of a verb is one
    lines = {function.name: (function.end_lineno or 0) - function.body[0].lineno + 1 for function in functions}
    assert {name: count for name, count in lines.items() if count > FUNCTION_LINES_MAX} == {}


def test_the_supervisor_is_light() -> None:
    script = "import sys, dynkv.daemon; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    loaded = {name.split(".")[0] for name in done.stdout.split()}
    assert "dynkv" in loaded
    assert not loaded & set(NOT_IN_THE_SUPERVISOR)
    assert not {*done.stdout.split()} & NOT_FOR_EVERY_PLAN
