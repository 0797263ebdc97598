"""A trace in the words of LMCache's cache simulator. Pure.

Source: lmcache 0.5.6, lmcache/tools/cache_simulator: JSON lines with `timestamp`, `seq_len`, `chunk_size` and
`chunk_hashes` of the whole chunks. It knows one level, an LRU.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from dynkv.bench.trace import Trace
from dynkv.errors import TraceError


def lookups(trace: Trace, chunk_tokens: int) -> Iterator[str]:
    """What a worker would look up, a line a request. A chunk is its last block, which stands for all before it.

    Raises TraceError for chunks that do not end where a block does: where they differ is not in the trace.
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
