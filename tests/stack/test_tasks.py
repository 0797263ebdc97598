"""A model for embeddings is ready when it has made one, without generating anything."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from .asking import client, prompt
from .harness import Dynkv

pytestmark = pytest.mark.stack


def test_a_model_that_embeds_is_proven_by_an_embedding(dynkv: Dynkv, random_model: Path) -> None:
    words = ("--device", "cpu", "--model", str(random_model), "--no-lmcache", "--set", "model.task=embed")
    status = dynkv.up("agg", *words, timeout_s=300)
    assert (status["state"], status["task"]) == ("ready", "embed")
    with client(dynkv.endpoint) as asked:
        texts = [prompt(20, seed=1), prompt(20, seed=2), prompt(20, seed=1)]
        vectors = [it.embedding for it in asked.embeddings.create(model="random", input=texts).data]
    assert [math.isclose(math.hypot(*vector), 1, rel_tol=1e-2) for vector in vectors] == [True] * 3
    likeness = [sum(a * b for a, b in zip(vectors[0], other, strict=True)) for other in vectors]
    assert likeness[2] == pytest.approx(likeness[0], abs=1e-2)
    assert likeness[1] < 0.99, "another text, another vector"
    answers = [event for event in dynkv.events("agg") if "answers requests" in event["message"]]
    assert len(answers) == 1
