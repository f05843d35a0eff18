import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.ops import texts
from runner.ops.kernels.texts import text_hash


def after_a_word(x):
    x = x * 0x9E3779B97F4A7C15 % 2**64
    return x ^ (x >> 32)


def texts_of_one_hash(count):
    """Of 16 bytes: the second eight undo what the first eight did. One begins with the last."""
    words = [(first, after_a_word(16 ^ first) ^ 8) for first in range(count)]
    texts = [b"".join(word.to_bytes(8, "little") for word in pair) for pair in words]
    return [*texts, texts[0][:8]]


COLLIDING = texts_of_one_hash(20)
TEXT = st.one_of(
    st.binary(max_size=20),
    st.binary(max_size=3).map(lambda end: b"the same long beginning " + end),
    st.binary(max_size=2).map(lambda text: text + b"\0"),
    st.sampled_from(COLLIDING),
)


@st.composite
def tables(draw):
    """Rows of one to three columns."""
    columns = draw(st.integers(1, 3))
    return draw(st.lists(st.tuples(*[TEXT] * columns), min_size=1, max_size=60))


def column(values, offset):
    """As a slice of a column that has other texts too."""
    every = [b"another"] * offset + list(values) + [b"one more"]
    begins = np.cumsum([0, *map(len, every)], dtype=np.int32)
    data = np.frombuffer(b"".join(every), dtype=np.uint8)
    return begins[offset : offset + len(values) + 1], data


def batches_of(rows, bounds, offset):
    bounds = [0, *sorted(min(bound, len(rows)) for bound in bounds), len(rows)]
    pieces = [rows[begin:end] for begin, end in itertools.pairwise(bounds)]
    width = len(rows[0])
    return [[column([r[c] for r in piece], offset) for c in range(width)] for piece in pieces]


def by_dictionary(rows):
    numbers: dict[bytes, int] = {}
    codes = [[numbers.setdefault(text, len(numbers)) for text in row] for row in rows]
    return list(numbers), np.array(codes).T


def listed(found):
    begins, data = found
    return [bytes(data[begin:end]) for begin, end in itertools.pairwise(begins)]


def require_same(rows, bounds=(), offset=0):
    found, codes = texts.number_texts(batches_of(rows, bounds, offset))
    wanted, numbers = by_dictionary(rows)
    assert listed(found) == wanted
    assert codes.dtype == np.int64 and np.array_equal(codes, numbers)


@settings(deadline=None)  # the first call compiles
@given(tables(), st.lists(st.integers(0, 60), max_size=4), st.integers(0, 3))
def test_numbers_are_those_of_a_dictionary(rows, bounds, offset):
    require_same(rows, bounds, offset)


@settings(deadline=None)
@given(tables(), st.lists(st.integers(0, 60), min_size=1, max_size=4))
def test_threads_change_nothing(rows, bounds):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(texts, "_PART", 1)
        patch.setattr(texts.torch, "get_num_threads", lambda: 3)
        require_same(rows, bounds)


def test_tables_that_grow(two_threads):
    rng = np.random.default_rng(0)
    rows = [(b"%d" % a, b"node %d" % b) for a, b in rng.integers(60_000, size=(120_000, 2))]
    require_same(rows, range(0, len(rows), 7000))


def test_one_hash():
    hashes = {text_hash(*padded(text)) for text in COLLIDING}
    assert len(hashes) == 1
    require_same([(text,) for text in COLLIDING * 2])


def padded(text):
    data = np.frombuffer(text + bytes(8), dtype=np.uint8)
    return data, np.uint64(0), np.uint64(len(text))


@pytest.mark.parametrize("text", [b"", b"a", b"12345678", b"\0" * 9])
def test_all_equal(text):
    require_same([(text, text)] * 100)
    require_same([(text,)])


def test_more_than_places_tell_apart():
    known = texts._Known()
    with pytest.raises(OverflowError, match="32 GiB"):
        known._make_room(1, 1 << 35)
