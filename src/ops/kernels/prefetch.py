"""Tell the processor which memory is needed soon: rows in random order are otherwise waited for."""

from __future__ import annotations

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils

from runner.ops.kernels.compile import intrinsic

AHEAD = 16  # entries, whose rows are on their way while one is worked on
LINE = 64  # bytes of a line of the cache


@intrinsic
def _prefetch(typing_context, array, index):
    """Of one line of the cache, at the flat ``index`` of a contiguous ``array``."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        byte = ir.IntType(8).as_pointer()
        address = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        number = ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte, number, number, number]),
            "llvm.prefetch.p0",
        )
        read, keep, data_cache = (ir.Constant(number, value) for value in (0, 3, 1))
        builder.call(function, [address, read, keep, data_cache])
        return context.get_dummy_value()

    return types.void(array, types.int64), generate


@njit(nogil=True, inline="always")
def prefetch(array, index):
    """The line of the cache that holds ``array[index]``; 1-D."""
    _prefetch(array, index)


@njit(nogil=True, inline="always")
def prefetch_row(x, row):
    """All of ``x[row]``; 2-D."""
    width = x.shape[1]
    for j in range(0, width, LINE // x.itemsize):
        _prefetch(x, row * width + j)
