"""A trace in the format of LMCache's cache simulator. Pure.

Source: lmcache 0.5.6, lmcache/tools/cache_simulator: JSON lines with `timestamp`, `seq_len`, `chunk_size` and
`chunk_hashes` of the whole chunks. It simulates one level with LRU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from dynkv.bench.trace import Trace
from dynkv.errors import TraceError


def lookups(trace: Trace, chunk_tokens: int) -> Iterator[str]:
    """A worker's lookups, one line per request. A chunk is identified by its last block, which stands for all before
    it.

    Raises TraceError for chunks that do not end at the end of a block: the trace does not show where they differ.
    """
    if chunk_tokens % trace.block_tokens:
        raise TraceError(
            f"chunks of {chunk_tokens} tokens do not consist of the trace's blocks of {trace.block_tokens}"
        )
    blocks_each = chunk_tokens // trace.block_tokens
    for request in trace.requests:
        whole = request.input_tokens // chunk_tokens
        ends = request.blocks[blocks_each - 1 : whole * blocks_each : blocks_each]
        lookup = {"timestamp": request.at_ms / 1000, "seq_len": request.input_tokens, "chunk_size": chunk_tokens}
        yield json.dumps({**lookup, "chunk_hashes": [str(block) for block in ends]}) + "\n"
