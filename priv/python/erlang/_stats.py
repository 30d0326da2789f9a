"""The interpreter's statistics of its memory, for the native half of the package."""

import gc


def sample():
    """Return `(counts, numbers)`: `gc.get_count()`, and three numbers for each generation, as `gc.get_stats` names them."""
    numbers = []
    for generation in gc.get_stats():
        numbers += (generation["collections"], generation["collected"], generation["uncollectable"])
    return gc.get_count(), tuple(numbers)
