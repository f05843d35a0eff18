from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba import njit, uint16, uint64

from runner.ops.kernels.lanes import LANES, compress, match


@njit
def _match(col, i, i_end, j, j_end):
    return match(col, uint64(i), uint64(i_end), uint64(j), uint64(j_end))


@njit
def _compress(col, i, i_end, bits, out, at):
    return compress(col, uint64(i), uint64(i_end), uint16(bits), out, uint64(at))


def check_match(dtype):
    """Ids of both rows agree in their lower halves, where they have two."""
    generator = np.random.default_rng(0)
    high = 2**32 * np.array([0, 1]) if dtype == np.int64 else np.zeros(2, dtype=dtype)
    for _ in range(500):
        rows = [
            np.unique(generator.integers(0, 60, generator.integers(0, 40)) + generator.choice(high))
            for _ in range(2)
        ]
        col, middle = np.concatenate(rows).astype(dtype), len(rows[0])
        found = _match(col, 0, middle, middle, len(col))
        for bits, row, other in zip(found, rows, reversed(rows), strict=True):
            in_other = np.isin(row[:LANES], other[:LANES])
            assert bits == sum(1 << lane for lane, shared in enumerate(in_other) if shared)


def check_compress(dtype, written):
    generator = np.random.default_rng(0)
    col = generator.integers(0, np.iinfo(dtype).max, 1000).astype(dtype)
    for _ in range(500):
        begin, length, at = generator.integers((0, 0, 0), (980, 20, 20))
        bits = int(generator.integers(2**LANES))
        out = np.full(60, -1, dtype=written)
        count = _compress(col, begin, begin + length, bits, out, at)
        expected = np.full(60, -1, dtype=written)
        chosen = [col[begin + k] for k in range(min(length, LANES)) if bits >> k & 1]
        expected[at : at + len(chosen)] = chosen
        assert count == len(chosen)
        np.testing.assert_array_equal(out, expected)


def check_all():
    for dtype in (np.int32, np.int64):
        check_match(dtype)
        check_compress(dtype, np.int64)
    check_compress(np.int32, np.int32)


def test_match_and_compress():
    check_all()


@pytest.mark.command
@pytest.mark.skipif(platform.machine() != "x86_64", reason="the names are of x86-64 processors")
@pytest.mark.parametrize("processor", ["haswell", "x86-64"])
def test_without_avx512(processor, tmp_path):
    """What LLVM makes of the vectors for other processors, which this one runs too."""
    chosen = {"NUMBA_CPU_NAME": processor, "NUMBA_CPU_FEATURES": ""}
    root = Path(__file__).parents[2]
    where = {"PYTHONPATH": os.pathsep.join(map(str, (root, root / "src")))}
    subprocess.run(
        [sys.executable, "-c", "from tests.ops.test_lanes import check_all; check_all()"],
        env=os.environ | chosen | where | {"NUMBA_CACHE_DIR": str(tmp_path)},
        check=True,
    )
