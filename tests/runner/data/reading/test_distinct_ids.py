import numpy as np
import pytest

from runner.data.reading.distinct_ids import distinct, places

RNG = np.random.default_rng(0)
SETS = {
    "dense": RNG.integers(0, 50, (2, 300)),
    "gaps": RNG.integers(-7, 9000, (2, 300)) * 13,
    "far apart": RNG.integers(-(2**62), 2**62, (2, 300)),
    "widest": np.array([[-(2**63), 2**63 - 1], [0, 0]]),
    "one": np.array([[5], [5]]),
}


@pytest.mark.parametrize("name", SETS)
def test_as_numpy_does_it(name):
    values = SETS[name]
    ids, place = np.unique(values, return_inverse=True)
    found = distinct(values)
    assert found.dtype == np.int64 and np.array_equal(found, ids)
    assert np.array_equal(places(found, values), place.reshape(values.shape))


def test_of_nothing():
    nothing = np.empty((2, 0), dtype=np.int64)
    assert distinct(nothing).shape == (0,) and places(distinct(nothing), nothing).shape == (2, 0)
