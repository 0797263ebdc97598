"""Launch scripts: any input is read in bounded time, and refused in words or made into a profile."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import example, given
from hypothesis import strategies as st
from inputs import TEXTS, bounded, damaged, fuzz, soup

from dynkv.errors import ScriptError
from dynkv.init.script import converted

SCRIPT = rb"""
MODEL=${MODEL:-m}; MORE=(a "b c")
while [[ $# -gt 0 ]]; do case $1 in --model) MODEL="$2"; shift 2 ;; *) MORE+=("$1"); shift ;; esac; done
f() { local x=$1; echo "--seed $x"; }
python -m dynamo.frontend --router-mode kv &
for ((i = 0; i < 2; i++)); do
  CUDA_VISIBLE_DEVICES=$i DYN_SYSTEM_PORT=$((8081 + i)) python3 -m dynamo.vllm --model "$MODEL" $(f 1) "${MORE[@]:1}" \
    --kv-events-config "{\"endpoint\":\"tcp://*:$((20080 + i))\"}" &
done
if [ -z "$X" ] || ! ask; then cat <<E
$MODEL
E
fi
"""
PIECES = [
    *(word + b" " for word in SCRIPT.split()),
    *(bytes([sign]) for sign in b"'\"`$(){}[]|&;<>\\#!\n =*?@%/,~-0"),
    *b"$(( ${ (( [[ ]] done fi esac ;; <<E ${x: ${! $@ while{true;do exec env".split(),
]


@fuzz
@given(damaged(SCRIPT) | soup([SCRIPT, *PIECES]), st.lists(TEXTS, max_size=3))
@example(b"while true; do while true; do X=$X$X$X; done; done", [])
@example(b"X=" + b"$(" * 3000 + b")" * 3000, [])
@example(b"run " + b"{0..99}" * 50, [])
@example(b"X=$(( " + b"(" * 5000 + b"1" + b")" * 5000 + b" ))", [])
@example(b"((" + b"9" * 5000 + b"*" + b"9" * 5000 + b"))", [])
def test_whatever_script(content: bytes, arguments: list[str]) -> None:
    with bounded(), suppress(ScriptError):
        converted(content.decode("utf-8", "surrogateescape"), "x.sh", arguments, {"X": "x"}).text("x.sh")
