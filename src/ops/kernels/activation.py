"""Compiled: LayerNorm, dropout and ReLU in one pass over the rows of a matrix, and dropout alone.

Scalars come in the type of the matrix: a literal would turn float32 into float64. Loops that read
and write the same matrix go through a line of their own: otherwise they are not vectorised where
the two arrays may be one. Sums are taken in loops that only read: one that writes as well is
compiled for arrays near each other and for arrays apart, and would add in another order wherever
memory happens to lie. NaN and infinity stay what they are at places that are kept.
"""

from __future__ import annotations

import numpy as np
from numba import njit, uint32, uint64

from runner.ops.kernels.compile import kernel
from runner.ops.kernels.hash import place_bits, row_key


@kernel
def drop(begin, end, x, out, threshold, scale, zero, seed, first_row):
    """Dropout. The same seed drops the same places again."""
    for row in range(begin, end):
        key = row_key(seed, first_row + row)
        low, high = uint32(key), uint32(key >> uint64(32))
        for j in range(x.shape[1]):
            value = x[row, j] * scale
            out[row, j] = value if place_bits(low, high, j) >= threshold else zero


@kernel
def drop_rectify(begin, end, x, out, threshold, scale, zero, seed):
    """Dropout and ReLU; ``x`` may be ``out``."""
    line = np.empty(x.shape[1], x.dtype)
    for row in range(begin, end):
        key = row_key(seed, row)
        low, high = uint32(key), uint32(key >> uint64(32))
        for j in range(x.shape[1]):
            value = x[row, j] * scale
            kept = place_bits(low, high, j) >= threshold
            line[j] = value if kept and not value <= zero else zero
        for j in range(x.shape[1]):
            out[row, j] = line[j]


@njit(inline="always")
def _widen(bits, row, line_bits):
    """bfloat16 is the upper half of a float32."""
    for j in range(line_bits.shape[0]):
        line_bits[j] = uint32(bits[row, j]) << uint32(16)


@njit(inline="always")
def _narrow(line, line_bits, bits, row):
    """To the nearest, ties to even; NaN to NaN."""
    for j in range(line.shape[0]):
        exact = line_bits[j]
        even = uint32(exact >> uint32(16)) & uint32(1)
        near = uint32(uint32(exact + uint32(0x7FFF)) + even) >> uint32(16)
        bits[row, j] = near if line[j] == line[j] else uint32(0x7FC0)


@kernel
def drop_rectify_bfloat16(begin, end, bits, threshold, scale, zero, seed):
    """`drop_rectify` in place, of numbers given by their bits."""
    line_bits = np.empty(bits.shape[1], np.uint32)
    line = line_bits.view(np.float32)
    for row in range(begin, end):
        _widen(bits, row, line_bits)
        key = row_key(seed, row)
        low, high = uint32(key), uint32(key >> uint64(32))
        for j in range(line.shape[0]):
            value = line[j] * scale
            kept = place_bits(low, high, j) >= threshold
            line[j] = value if kept and not value <= zero else zero
        _narrow(line, line_bits, bits, row)


@kernel
def normalise_drop_rectify_bfloat16(
    begin, end, bits, weight, bias, eps, threshold, scale, zero, seed
):
    """`normalise_drop_rectify` in place, of numbers given by their bits."""
    width = bits.shape[1]
    line_bits = np.empty(width, np.uint32)
    line = line_bits.view(np.float32)
    for row in range(begin, end):
        _widen(bits, row, line_bits)
        total = zero
        for j in range(width):
            total += line[j]
        centre = np.float32(total / width)
        total = zero
        for j in range(width):
            difference = line[j] - centre
            total += difference * difference
        inverse = np.float32(1 / np.sqrt(total / width + eps))
        key = row_key(seed, row)
        low, high = uint32(key), uint32(key >> uint64(32))
        for j in range(width):
            value = ((line[j] - centre) * inverse * weight[j] + bias[j]) * scale
            kept = place_bits(low, high, j) >= threshold
            line[j] = value if kept and not value <= zero else zero
        _narrow(line, line_bits, bits, row)


@kernel
def rectify_backward(begin, end, grad, out, scale, zero, grad_x):
    for row in range(begin, end):
        for j in range(out.shape[1]):
            value, passed = grad[row, j] * scale, out[row, j]
            grad_x[row, j] = value if passed != zero else zero


@kernel
def normalise_drop_rectify(
    begin, end, x, out, weight, bias, eps, threshold, scale, zero, seed, mean, rstd
):
    """LayerNorm, dropout and ReLU; ``x`` may be ``out``."""
    width = x.shape[1]
    line = np.empty(width, x.dtype)
    for row in range(begin, end):
        for j in range(width):
            line[j] = x[row, j]
        total = zero
        for j in range(width):
            total += line[j]
        centre = x.dtype.type(total / width)
        total = zero
        for j in range(width):
            difference = line[j] - centre
            total += difference * difference
        inverse = x.dtype.type(1 / np.sqrt(total / width + eps))
        mean[row], rstd[row] = centre, inverse
        key = row_key(seed, row)
        low, high = uint32(key), uint32(key >> uint64(32))
        for j in range(width):
            value = ((line[j] - centre) * inverse * weight[j] + bias[j]) * scale
            kept = place_bits(low, high, j) >= threshold
            out[row, j] = value if kept and not value <= zero else zero


@kernel
def normalise_backward(
    begin,
    end,
    grad,
    x,
    weight,
    bias,
    threshold,
    scale,
    zero,
    seed,
    mean,
    rstd,
    grad_x,
    grad_weight,
    grad_bias,
):
    """Of blocks of rows, so that the sums over rows do not depend on the number of threads.

    What passed is computed again, so that the output need not be kept. ``grad_weight`` and
    ``grad_bias`` have a row for each block.
    """
    rows, width = x.shape
    blocks = grad_weight.shape[0]
    for block in range(begin, end):
        for j in range(width):
            grad_weight[block, j] = grad_bias[block, j] = zero
        for row in range(rows * block // blocks, rows * (block + 1) // blocks):
            centre, inverse = mean[row], rstd[row]
            key = row_key(seed, row)
            low, high = uint32(key), uint32(key >> uint64(32))
            for j in range(width):
                normalised = (x[row, j] - centre) * inverse
                kept = place_bits(low, high, j) >= threshold
                passed = kept and not normalised * weight[j] + bias[j] <= zero
                value = grad[row, j] * scale if passed else zero
                grad_bias[block, j] += value
                grad_weight[block, j] += value * normalised
                grad_x[row, j] = value * weight[j]
            total = projected = zero
            for j in range(width):
                total += grad_x[row, j]
                projected += grad_x[row, j] * ((x[row, j] - centre) * inverse)
            average = x.dtype.type(total / width)
            projected = x.dtype.type(projected / width)
            for j in range(width):
                normalised = (x[row, j] - centre) * inverse
                grad_x[row, j] = inverse * (grad_x[row, j] - average - normalised * projected)
