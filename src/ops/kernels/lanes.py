"""Sixteen node ids at once: compared with sixteen of another row, or written without gaps.

In LLVM's own vectors, which become what the processor has: much faster with AVX-512 than without
(docs/performance.md). Ids are not negative, and ascend within a row.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils

from runner.ops.kernels.compile import intrinsic

LANES = 16

_INT32, _INT64 = ir.IntType(32), ir.IntType(64)
_WORD = ir.IntType(LANES)


@intrinsic
def match(typing_context, col, i, i_end, j, j_end):
    """Compare the first entries of ``col[i:i_end]`` and of ``col[j:j_end]``, each with each.

    Returns:
        Bits of those that are equal to one of the others, uint16: of the first row, of the second.
    """

    def generate(context, builder, signature, arguments):
        array, i, i_end, j, j_end = arguments
        of_u, of_v = ir.Constant(_WORD, 0), ir.Constant(_WORD, 0)
        rotate = _function(builder, f"llvm.fshl.i{LANES}", _WORD, [_WORD, _WORD, _WORD])
        left, _ = _load(context, builder, col, array, i, i_end, beyond=-1)
        right, _ = _load(context, builder, col, array, j, j_end, beyond=-2)
        for shift in range(LANES):
            other = _shuffle(builder, right, [(lane + shift) % LANES for lane in range(LANES)])
            equal = builder.bitcast(builder.icmp_signed("==", left, other), _WORD)
            of_u = builder.or_(of_u, equal)
            back = builder.call(rotate, [equal, equal, ir.Constant(_WORD, shift)])
            of_v = builder.or_(of_v, back)
        return context.make_tuple(builder, signature.return_type, (of_u, of_v))

    of_both = types.UniTuple(types.uint16, 2)
    return of_both(col, *[types.uint64] * 4), generate


@intrinsic
def compress(typing_context, col, i, i_end, bits, out, at):
    """Write those of the first entries of ``col[i:i_end]`` that ``bits`` has to ``out[at:]``.

    Args:
        bits: uint16.

    Returns:
        How many.
    """

    def generate(context, builder, signature, arguments):
        array, i, i_end, bits, room, at = arguments
        ids, inside = _load(context, builder, col, array, i, i_end, beyond=0)
        chosen = builder.and_(builder.bitcast(inside, _WORD), bits)
        place = _address(context, builder, out, room, at)
        count = ir.Constant(_INT64, 0)
        # Not more than AVX-512's register at once: LLVM 20 to 22 pack the halves of a longer vector
        # with stores that they wrongly take to be aligned. Without AVX-512 it is no vector at all.
        step = 512 // col.dtype.bitwidth
        for lane in range(0, LANES, step):
            some = _shuffle(builder, ids, range(lane, lane + step))
            which = builder.lshr(chosen, ir.Constant(_WORD, lane))
            which = which if step == LANES else builder.trunc(which, ir.IntType(step))
            there = builder.gep(place, [count])
            count = builder.add(count, _store_packed(builder, some, which, there))
        return count

    assert out.dtype in (col.dtype, types.int64)
    return types.uint64(col, types.uint64, types.uint64, types.uint16, out, types.uint64), generate


@intrinsic
def count_bits(typing_context, bits):
    """Number of those that are set in an unsigned word."""

    def generate(context, builder, signature, arguments):
        count = builder.ctpop(arguments[0])
        return builder.zext(count, _INT64) if bits.bitwidth < 64 else count

    return types.uint64(bits), generate


def _load(
    context: Any, builder: Any, col: Any, array: Any, i: Any, i_end: Any, *, beyond: int
) -> tuple[Any, Any]:
    """The entries, ``beyond`` where the row has ended; and where it has not."""
    element = ir.IntType(col.dtype.bitwidth)
    inside, vector = _below(builder, builder.sub(i_end, i), LANES), ir.VectorType(element, LANES)
    address = _address(context, builder, col, array, i)
    given = [address.type, _INT32, inside.type, vector]
    load = _function(builder, f"llvm.masked.load.v{LANES}i{element.width}.p0", vector, given)
    aligned, rest = ir.Constant(_INT32, element.width // 8), _constant(element, [beyond] * LANES)
    return builder.call(load, [address, aligned, inside, rest]), inside


def _store_packed(builder: Any, ids: Any, bits: Any, place: Any) -> Any:
    """Those that ``bits`` has, one after the other; how many they are."""
    lanes, width = ids.type.count, ids.type.element.width
    count = builder.zext(builder.ctpop(bits), _INT64)
    within = _below(builder, count, lanes)
    name = f"llvm.experimental.vector.compress.v{lanes}i{width}"
    pack = _function(builder, name, ids.type, [ids.type, within.type, ids.type])
    packed = builder.call(pack, [ids, builder.bitcast(bits, within.type), ids])
    element = place.type.pointee
    if element.width > width:
        packed = builder.sext(packed, ir.VectorType(element, lanes))
    given = [packed.type, place.type, _INT32, within.type]
    name = f"llvm.masked.store.v{lanes}i{element.width}.p0"
    store = _function(builder, name, ir.VoidType(), given)
    builder.call(store, [packed, place, ir.Constant(_INT32, element.width // 8), within])
    return count


def _below(builder: Any, count: Any, lanes: int) -> Any:
    """The first ``count`` lanes; all where it is more than there are."""
    most = ir.Constant(_INT64, lanes)
    fewer = builder.icmp_unsigned("<", count, most)
    count = builder.trunc(builder.select(fewer, count, most), _INT32)
    empty = ir.Constant(ir.VectorType(_INT32, lanes), ir.Undefined)
    one = builder.insert_element(empty, count, ir.Constant(_INT32, 0))
    return builder.icmp_signed(
        "<", _constant(_INT32, range(lanes)), _shuffle(builder, one, [0] * lanes)
    )


def _address(context: Any, builder: Any, of: Any, array: Any, index: Any) -> Any:
    return builder.gep(context.make_array(of)(context, builder, array).data, [index])


def _function(builder: Any, name: str, result: Any, given: Any) -> Any:
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(result, given), name)


def _shuffle(builder: Any, vector: Any, lanes: Iterable[int]) -> Any:
    return builder.shuffle_vector(vector, vector, _constant(_INT32, lanes))


def _constant(element: Any, values: Iterable[int]) -> Any:
    constants = [ir.Constant(element, value) for value in values]
    return ir.Constant(ir.VectorType(element, len(constants)), constants)
