"""What the interpreter knows about its memory, for the native half of the package."""

import gc
import sys

_allocated_blocks = getattr(sys, "getallocatedblocks", lambda: 0)


def sample():
    """Return `(allocated blocks, counts, numbers)`; `numbers` has three for each generation, as `gc.get_stats` names them."""
    numbers = []
    for generation in gc.get_stats():
        numbers += (generation["collections"], generation["collected"], generation["uncollectable"])
    return _allocated_blocks(), gc.get_count(), tuple(numbers)
