import itertools

import numpy as np
import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runner.data.reading import distinct_texts as module
from runner.data.reading.distinct_texts import compiled, distinct_texts, plain
from runner.data.reading.end_texts import EndTexts


def chunked(values, bounds=()):
    """In chunks, each a slice of an array that has other texts too."""
    whole = pyarrow.array(["before", *values, "behind"], pyarrow.string())
    bounds = [0, *sorted(min(bound, len(values)) for bound in bounds), len(values)]
    chunks = [whole.slice(a + 1, b - a) for a, b in itertools.pairwise(bounds)]
    return pyarrow.chunked_array(chunks)


BOUNDS = st.lists(st.integers(0, 30), max_size=3)


@settings(deadline=None)  # the first call compiles
@given(
    st.lists(st.tuples(st.text(max_size=12), st.text("ab", max_size=12)), min_size=1),
    st.tuples(BOUNDS, BOUNDS),
)
def test_compiled_is_as_plain(rows, bounds):
    columns = list(map(chunked, zip(*rows, strict=True), bounds))
    values, codes = compiled(columns)
    wanted, numbers = plain(columns)
    assert values.equals(wanted) and values.type == pyarrow.string()
    assert codes.dtype == numbers.dtype == np.int64 and np.array_equal(codes, numbers)


def test_by_row_and_source_before_target():
    values, codes = plain([chunked(["b", "a"], [1]), chunked(["c", "b"])])
    assert values.to_pylist() == ["b", "c", "a"]
    assert codes.tolist() == [[0, 2], [1, 0]]


@pytest.mark.parametrize("rows, form", [(module._FEW - 1, "plain"), (module._FEW, "compiled")])
def test_small_tables_wait_for_no_compiler(rows, form, monkeypatch):
    monkeypatch.setattr(module, form, lambda columns: form)
    names = pyarrow.chunked_array([pyarrow.array(["a"]).take(pyarrow.array(np.zeros(rows, int)))])
    assert distinct_texts([names, names]) == form


def test_texts_that_differ_in_blanks_are_one():
    texts = EndTexts.of([chunked([" b", "a ", "c"]), chunked(["a", "b", " b "])])
    assert texts.values.to_pylist() == ["b", "a", "c"]
    assert texts.codes.tolist() == [[0, 1, 2], [1, 0, 0]]
