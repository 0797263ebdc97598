"""The reader of scripts agrees with bash itself. `show` stands for any program that a script starts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from dynkv.bash.reading import read_script

SHOW = """\
#!/bin/bash
{ printf '%s\\0' "$@"; printf '\\1%s\\0' "$GIVEN" "$SHARED" "$LATER"; printf '\\2'; } >>"$SHOWN"
"""
SCRIPTS = {
    "quotes": r"""
        X='a  b'; Y="c $X"
        show $X "$X" '$X' "$Y" a\ b "a\"b" 'a"b' $'a\tb' "x"'y'z '' "" $EMPTY "$EMPTY"
    """,
    "continued lines": """
        show a \\
          b \\
          --c "d
        e"   # a comment
        show '#no' a#b # comment
    """,
    "defaults": """
        show ${A:-one} "${A:-two words}" ${A-three} "${EMPTY-unused}" "${EMPTY:-four}" ${SET:+five} "${A:+no}"
        show ${B:=six} $B
        : "${C:=7}"; show "$C" ${D:-${SET:-no}} "${D:-"quoted $SET"}" "${#SET}" ${SET:1:2} ${SET#s} ${SET%et}
    """,
    "patterns": """
        P=/a/b/c.tar.gz
        show ${P##*/} ${P#*/} ${P%.*} ${P%%.*} ${P/b/x} ${P//a/x} ${P^^} ${SET,,}
    """,
    "arrays": """
        A=(one "two words" $SET); A+=(--x "$SET"); A+=()
        show "${A[@]}" ${A[1]} "${#A[@]}" "${A[0]}" "${!A[@]}" "${NONE[@]}" "${A[*]}"
        B=(
          --k v   # a comment
          --json '{"a": 1}'
        )
        show "${B[@]}" "${B[@]:1}"
        EMPTY_ARRAY=(); show "${EMPTY_ARRAY[@]}" "${EMPTY_ARRAY[@]:-none}"
    """,
    "numbers": """
        i=3; show $((i + 1)) $((20080 + i)) $(( (i - 1) * 2 )) $((i / 2 * 7 % 5)) "$((i > 2 && i != 4))"
        show $((i++)) $i $((--i))
        ((i += 5)); show $i; let j=i*2; show $j; ((i == 8)) && show yes
    """,
    "loops": """
        for i in {0..2} x; do show $i; done
        for ((n=0; n<3; n++)); do [ $n -eq 1 ] && continue; show n$n; done
        for w in a "b c"; do show "$w"; [[ $w == a* ]] && continue; break; done
        n=0; while (( n < 2 )); do n=$((n + 1)); show $n; done; until [ $n -ge 4 ]; do n=$((n+1)); done; show $n
        for i in $(seq 1 3); do show $i; done; for _ in {1..2}; do :; done
    """,
    "conditions": """
        if [[ "$SET" == "set" && -n $SET ]]; then show 1; elif true; then show no; else show no; fi
        if [ "$SET" = other ] || [ -z "$EMPTY" ]; then show 2; fi
        [[ ! "$SET" =~ ^[0-9]+$ ]] && show 3; [[ 12 =~ ^[1-9][0-9]*$ ]] && show 4
        [[ $SET == s* ]] && show 5; [[ $SET == "s*" ]] || show 6; [ 3 -gt 2 ] && show 7
        [[ ( $SET == x || -z "" ) && ! -n "" ]] && show 8; if ! false; then show 9; fi
        if [ -z "$SET" ] || [ -z "$EMPTY" ]; then show 10; else show no; fi
    """,
    "arguments": """
        MODEL=default; EXTRA=()
        while [[ $# -gt 0 ]]; do
          case "$1" in
            --model) MODEL="$2"; shift 2 ;;
            --flag|-f) FLAG=1; shift ;;
            *) EXTRA+=("$1"); shift ;;
          esac
        done
        show "$MODEL" "$FLAG" "${EXTRA[@]}" "$#"; set -- a "b c" d; show "${@:2}" "${@:1:1}" "$*" $2 "$@"
    """,
    "functions": """
        greet() { local name="$1" other=x; shift; show "$name" "$@" $#; [[ $name == b ]] && return 1; return 0; }
        function twice { greet "$1"; greet "$1" more; }
        other=kept; greet a 1 2; greet b || show failed; twice c; show $other "$name"
    """,
    "substitutions": """
        f() { echo "--size $1"; }
        ARGS=$(f 5); show $ARGS "$ARGS" `echo back` "$(printf '{"a":"%s"' x)}" $(basename /a/b.sh) "$(dirname "/a/b")"
        show $(echo "a b" c) "$(echo '$no')" "$(if true; then echo in; fi)"
    """,
    "environment": """
        export SHARED=s
        GIVEN=1 show one
        GIVEN="$SHARED 2" SHARED=$((1+1)) show two
        show three; unset SHARED; show four; LATER=no; show five; export LATER; show six
        env GIVEN=7 show seven
    """,
    "operators": """
        true && show 1 || show no; false || show 2 && show 3; false && show no
        { show 4; show 5; }; (show 6; exit 3); show 7
        show 8 >/dev/null 2>&1; show 9 2>&1 | cat; show 10 &
        wait
    """,
    "documents": """
        : <<'TEXT'
        $no ( ' "
        TEXT
        read -r FIRST REST <<< "one two three"; show "$FIRST" "$REST"
        IFS=',' read -r -a LIST <<< "0,1,2"; show "${LIST[@]}" "${#LIST[@]}"
        show "$(cat <<EOF
        v=$SET
        EOF
        )"
    """,
    "indirect": """
        NAME=SET; show "${!NAME}" "${NONE:-}" ${NONE:-}
        declare -a L=(1 2); L+=(3); show "${L[@]}"; readonly R=r; show $R
    """,
    "it ends": """
        show 1
        if [ -z "$EMPTY" ]; then echo usage; exit 0; fi
        show no
    """,
    "cases": """
        case $SET in s?t) show 1 ;; *) show no ;; esac
        case "$EMPTY" in "") show 2;; esac
        case x in a|x) show 3 ;; esac; case "*" in "*") show 4 ;; esac
    """,
}


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_starts_what_bash_starts(name: str, tmp_path: Path) -> None:
    script = tmp_path / "script.sh"
    script.write_text("\n".join(line.removeprefix(" " * 8) for line in SCRIPTS[name].splitlines()) + "\n")
    given = ["--model", "mine", "-f", "--other", "a b"]
    by_bash = run_by_bash(script, given, tmp_path)
    assert by_bash, "a script that shows nothing tests nothing"
    assert what_is_read(script, given) == by_bash


def run_by_bash(script: Path, given: list[str], directory: Path) -> list[tuple[list[str], list[str]]]:
    """The arguments and three variables of each call of `show`."""
    (directory / "bin").mkdir()
    (directory / "bin" / "show").write_text(SHOW)
    (directory / "bin" / "show").chmod(0o755)
    shown = directory / "shown"
    shown.touch()
    environ = {"PATH": f"{directory}/bin:{os.environ['PATH']}", "SHOWN": str(shown), "SET": "set"}
    subprocess.run(["bash", str(script), *given], env=environ, check=False, capture_output=True, timeout=20)
    parts = [part.split("\0") for part in shown.read_text().split("\2")[:-1]]
    return [
        ([word for word in words[:-1] if not word.startswith("\1")], [word[1:] for word in words if word[:1] == "\1"])
        for words in parts
    ]


def what_is_read(script: Path, given: list[str]) -> list[tuple[list[str], list[str]]]:
    record = read_script(script.read_text(), str(script), given, {"SET": "set"}, {})
    found = []
    for started in record.started:
        words, env = [*started.argv], dict(started.env)
        if words[0] == "env":
            env |= dict([words[1].split("=")])
            words = words[2:]
        found.append((words[1:], [env.get(name, "") for name in ("GIVEN", "SHARED", "LATER")]))
    return found
