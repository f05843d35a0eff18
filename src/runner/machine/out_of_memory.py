"""Out-of-memory errors, which come in several types."""

from __future__ import annotations

_WORDS = (
    "can't allocate memory",
    "out of memory",
    "Storage size calculation overflowed",
    "bad_alloc",
    "Unable to allocate",
)
REMEDY = (
    "a smaller train.batch_size, train.eval_batch_size, encoder.hidden or memory budget of the "
    "model (its key memory_gib) takes less, and so does a smaller graph"
)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether an allocation by Python, NumPy or torch has failed, on any device."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)
