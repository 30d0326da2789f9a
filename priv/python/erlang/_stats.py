"""The statistics of the garbage collector, for the native half of the package."""

import gc


def sample():
    """Return `(counts, numbers)`.

    `counts` is `gc.get_count()`. `numbers` has `collections`, `collected` and `uncollectable` of each generation in turn.
    """
    numbers = []
    for generation in gc.get_stats():
        numbers += (generation["collections"], generation["collected"], generation["uncollectable"])
    return gc.get_count(), tuple(numbers)
