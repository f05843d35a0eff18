"""Random bits of a place in a matrix, without a state: the same for any number of threads."""

from __future__ import annotations

from numba import njit, uint32, uint64


@njit(inline="always")
def row_key(seed, row):
    """64 well mixed bits of a row: the finaliser of SplitMix64 (Steele et al. 2014)."""
    key = uint64(seed) + uint64(row + 1) * uint64(0x9E3779B97F4A7C15)
    key = (key ^ (key >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    key = (key ^ (key >> uint64(27))) * uint64(0x94D049BB133111EB)
    return key ^ (key >> uint64(31))


@njit(inline="always")
def place_bits(low, high, column):
    """32 random bits of a place: the finaliser of MurmurHash3, keyed at both ends.

    Numba widens every integer operation to 64 bits; cast back, a register holds twice as many.
    """
    x = uint32(low + uint32(uint32(column) * uint32(0x9E3779B9)))
    x = uint32(uint32(x ^ uint32(x >> uint32(16))) * uint32(0x85EBCA6B))
    x = uint32(uint32(uint32(x ^ uint32(x >> uint32(13))) ^ high) * uint32(0xC2B2AE35))
    return uint32(x ^ uint32(x >> uint32(16)))
