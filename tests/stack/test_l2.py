"""KV blocks on disk outlive the sidecar: both adapters for which this is so, with real vLLM."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from .asking import complete, prompt
from .figures import figures, registered
from .harness import Dynkv, unit, wait_for
from .random_model import ARGS

pytestmark = pytest.mark.stack

START_S = 240.0
PROMPT_TOKENS = 1200
WHOLE_CHUNKS_TOKENS = 1024
# without vLLM's prefix cache every prompt is looked up in the sidecar, so that no worker must be restarted
NO_PREFIX_CACHE = json.dumps([*json.loads(ARGS), "--no-enable-prefix-caching"])
FS = json.dumps([{"type": "fs", "base_path": "${DYNKV_HOME}/_l2/agg"}])


@dataclass(frozen=True)
class L2:
    dynkv: Dynkv
    name: str

    def ask(self, text: str) -> str:
        reply = complete(self.dynkv.endpoint, "random", text)
        assert reply.prompt_tokens >= PROMPT_TOKENS
        return reply.text

    def sidecar_port(self) -> int:
        port: int = unit(self.dynkv.status(), "lmcache")["ports"]["http"]
        return port

    def figure(self, name: str) -> float:
        return figures(self.sidecar_port()).get(f"lmcache_mp_{name}_total", 0.0)

    def wait_until_looked_up(self) -> None:
        """The part of the engine that looks up has its own heartbeat, separate from the one that registers, of 10 s
        each."""

        def is_looked_up() -> bool:
            before = self.figure("lookup_requested_tokens")
            self.ask(prompt(PROMPT_TOKENS, seed=99))
            return self.figure("lookup_requested_tokens") > before

        wait_for(is_looked_up, "the worker to look up in the sidecar again")

    def files(self) -> list[Path]:
        return [path for path in (self.dynkv.home / "_l2" / self.name).rglob("*") if path.is_file()]


@pytest.fixture(params=["nixl_store_dynamic", "fs"])
def l2(request: pytest.FixtureRequest, dynkv: Dynkv, random_model: Path) -> Iterator[L2]:
    """The shipped POSIX profile, or agg with LMCache's own file adapter."""
    model = ("--device", "cpu", "--model", str(random_model), "--set", f"model.args={NO_PREFIX_CACHE}")
    if request.param == "fs":
        dynkv.up("agg", *model, "--set", f"lmcache.l2={FS}", timeout_s=START_S)
        yield L2(dynkv, "agg")
    else:
        dynkv.up("agg-l2-posix", *model, timeout_s=START_S)
        yield L2(dynkv, "agg-l2-posix")


def test_what_a_restarted_sidecar_answers_comes_from_the_disk(l2: L2) -> None:
    text, stored = prompt(PROMPT_TOKENS, seed=20), l2.figure("l2_store_completed_objects_chunks")
    answer = l2.ask(text)
    chunks, port = WHOLE_CHUNKS_TOKENS // 256, l2.sidecar_port()
    wait_for(
        lambda: figures(port).get("lmcache_mp_l2_store_completed_objects_chunks_total", 0.0) >= stored + chunks,
        f"{chunks} chunks stored in L2",
    )
    assert l2.files()

    before = l2.dynkv.status()
    l2.dynkv.do("restart", "lmcache")
    after = l2.dynkv.wait_for_restart("lmcache", before)
    for name in ("frontend", "worker-0"):
        assert unit(after, name)["pid"] == unit(before, name)["pid"], "a soft dependency restarts nobody"
    wait_for(lambda: len(registered(l2.sidecar_port())) == 1, "the worker registered again")
    l2.wait_until_looked_up()

    hits = l2.figure("lookup_hit_l2_tokens")
    assert l2.ask(text) == answer
    assert l2.figure("lookup_hit_l2_tokens") - hits >= WHOLE_CHUNKS_TOKENS
    assert l2.ask(prompt(PROMPT_TOKENS, seed=21)) != answer

    l2.dynkv.do("down", timeout_s=120)
    assert l2.dynkv.left_behind() == []
    assert l2.files(), "`down` leaves the persistent cache"
