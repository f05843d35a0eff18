"""An error that says that the memory does not suffice, in whatever type it comes."""

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
    """Whether memory was asked for that there is not: by Python, NumPy or torch, on any device."""
    if isinstance(error, MemoryError):
        return True
    return isinstance(error, RuntimeError) and any(word in str(error) for word in _WORDS)
