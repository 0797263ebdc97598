"""Reading scripts where bash cannot be compared: what stays unknown, what is remarked on, and what is not a script."""

from __future__ import annotations

import pytest

from dynkv.bash.reading import read_script
from dynkv.bash.shell import Record
from dynkv.bash.values import is_known, readable
from dynkv.errors import ScriptError


def read(text: str, *arguments: str, **environ: str) -> Record:
    return read_script(
        text, "/there/script.sh", arguments, environ, {"helper": lambda given, variables: " ".join(given)}
    )


def argv(text: str, *arguments: str, **environ: str) -> list[list[str]]:
    return [[*started.argv] for started in read(text, *arguments, **environ).started]


def test_where_a_program_is_started() -> None:
    record = read("X=1\n\n# comment\nA=b \\\n  run it &\n\nrun again\n")
    assert [(one.line, one.argv, one.is_background) for one in record.started] == [
        (4, ("run", "it"), True),
        (7, ("run", "again"), False),
    ]


def test_a_line_is_the_same_behind_quotes_and_documents() -> None:
    text = 'X="a\nb"\nY=(1\n2)\ncat <<E\nhere\nE\n: $((1 +\n2))\nrun\n'
    assert [one.line for one in read(text).started] == [10]


def test_what_a_program_would_print_is_unknown() -> None:
    (words,) = argv('N=$(nproc)\nrun --n $N "a$N" $((N * 2)) $(ask | sort) ${N:-1} ok\n')
    assert [is_known(word) for word in words] == [True, True, False, False, False, False, False, True]
    assert readable(words[2]) == "$(nproc)"


def test_a_condition_that_only_a_run_decides_is_false_and_remarked() -> None:
    record = read("if [[ -f /etc/x ]]; then run 1; else run 2; fi\n")
    assert [one.argv[1] for one in record.started] == ["2"]
    assert [(it.line, it.text) for it in record.remarks] == [
        (1, "whether `-f /etc/x` holds is known only at run time; it was taken as false")
    ]


def test_programs_end_well() -> None:
    assert argv("if ask; then run 1; else run 2; fi\nask || exit 1\nrun 3") == [
        ["ask"],
        ["run", "1"],
        ["ask"],
        ["run", "3"],
    ]


def test_loops_that_wait_for_something_end() -> None:
    assert argv("while true; do sleep 1; done\nwhile kill -0 $P; do :; done\nuntil ask; do :; done\nrun")[-1] == ["run"]


def test_helpers_that_are_sourced_are_known_and_other_files_are_remarked() -> None:
    record = read('source "$D/launch_utils.sh"\n. ./mine.sh\nX=$(helper --a 1)\nrun $X\nhelper\n')
    assert [one.argv for one in record.started] == [("run", "--a", "1")]
    assert [it.text for it in record.remarks] == [
        "mine.sh is sourced, and was not read: what it sets or defines is missing"
    ]


def test_where_a_script_ends_itself_with_an_error() -> None:
    record = read('if [ -z "$1" ]; then\n  echo "needs a model"\n  exit 1\nfi\nrun "$1"\n')
    assert (record.started, record.ended and (record.ended.line, record.ended.text)) == ([], (3, "needs a model"))
    assert read('[ -z "$1" ] && exit 1\nrun "$1"\n', "m").ended is None


def test_a_variable_of_the_environment_counts_and_is_no_part_of_what_the_script_gives() -> None:
    (started,) = read("A=${A:-no}\nrun $A $B\n", A="mine", B="b").started
    assert (started.argv, started.env) == (("run", "mine", "b"), {"A": "mine"})
    (started,) = read("run\n", A="mine").started
    assert started.env == {}


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('run "a\nb', 1, 'the " here is never closed'),
        ("run $(a\n", 1, "the ( here is never closed"),
        ("if true; then\n  run\n", 2, "ends in the middle"),
        ("fi\n", 1, "fi is not expected"),
        ("x=1\n)\n", 2, ") is not expected"),
        ("<<<<<<< HEAD\n", 1, "not expected"),
        ("f() { f; }\nf\n", 1, "calls itself"),
        ("x=1\nrun ${x+'}\n", 2, "never closed"),
        ("f() { x=$(f); }\nf\n", 1, ""),
        ("{ " * 200 + "run" + "; }" * 200, 1, "nested too deeply"),
        ("for i in {1..999}; do for j in {1..999}; do :; done; done\n", 1, "does not come to an end"),
    ],
)
def test_what_is_no_script(text: str, line: int, words: str) -> None:
    with pytest.raises(ScriptError) as raised:
        read(text)
    assert words in raised.value.what
    assert raised.value.line == line


def test_what_stands_before_a_mistake_is_run() -> None:
    """bash, too, executes a command before it reads the next one."""
    record = read("run 1\nif run 2; then run 3; fi\nfi\nrun 4\n")
    assert [started.argv[1] for started in record.started] == ["1", "2", "3"]
    assert record.unread is not None
    assert (record.unread.what, record.unread.line) == ("fi is not expected here", 3)
