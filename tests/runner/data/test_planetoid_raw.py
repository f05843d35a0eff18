import collections
import os
import pickle
import subprocess

import numpy as np
import pytest
import scipy.sparse

from runner.data.planetoid_raw import Refused, unpickle

MATRIX = scipy.sparse.random(30, 6, density=0.5, random_state=0, format="csr")
CONTENTS = {
    "csr_matrix": MATRIX,
    "csr_array": scipy.sparse.csr_array(MATRIX.astype(np.float32)),
    "labels": np.eye(3, dtype=np.int32)[[0, 1, 2, 1]],
    "fortran": np.asfortranarray(np.ones((3, 4))),
    "graph": collections.defaultdict(list, {0: [1, 2], 1: [0], 2: []}),
    "numpy ids": {np.int64(0): [np.int64(1)]},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("content", CONTENTS)
def test_matrices_and_adjacency_lists_are_read(content, protocol):
    assert_equal(unpickle(pickle.dumps(CONTENTS[content], protocol)), CONTENTS[content])


def assert_equal(found, expected):
    if scipy.sparse.issparse(expected):
        found, expected = found.toarray(), expected.toarray()
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype and np.array_equal(found, expected)
    else:
        assert found == expected


@pytest.mark.parametrize("content", CONTENTS)
def test_the_old_places_of_numpy_and_scipy_are_known(content):
    written = pickle.dumps(CONTENTS[content], 2)
    for new, old in (
        (b"numpy._core.", b"numpy.core."),
        (b"scipy.sparse._csr", b"scipy.sparse.csr"),
    ):
        written = written.replace(new, old)
    assert_equal(unpickle(written), CONTENTS[content])


class Asks:
    def __init__(self, function, *arguments, state=None):
        self.asked = (function, arguments, state)

    def __reduce__(self):
        return self.asked


@pytest.mark.parametrize(
    "function", [os.mkdir, eval, exec, getattr, __import__, subprocess.Popen, np.load, np.save]
)
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_any_other_name_is_refused_and_told(function, protocol, tmp_path):
    written = pickle.dumps({0: [Asks(function, str(tmp_path / "executed"))]}, protocol)
    with pytest.raises(Refused, match=rf"\.{function.__name__}$"):
        unpickle(written)
    assert list(tmp_path.iterdir()) == []


def test_an_attribute_of_a_known_name_is_refused():
    """Protocol 4 may ask for a.b; here for the method of an array that writes a file."""
    asks = b"\x80\x04" + b"".join(
        b"\x8c" + bytes([len(n)]) + n for n in (b"numpy", b"ndarray.tofile")
    )
    with pytest.raises(Refused, match=r"numpy\.ndarray\.tofile"):
        unpickle(asks + b"\x93.")


@pytest.mark.parametrize(
    "content",
    [
        np.array([1, "a"], dtype=object),
        np.zeros(3, dtype=[("a", "i4")]),
        np.array(["text"]),
        Asks(np.dtype, "O"),
        Asks(np.eye(1).__reduce__()[0], scipy.sparse.csr_matrix, (0,), b"b"),
    ],
)
def test_what_could_do_harm_with_known_names_is_refused(content):
    with pytest.raises(Refused):
        unpickle(pickle.dumps(content))


@pytest.mark.parametrize(
    "content",
    [
        Asks(np.ndarray, (1,), "O", b"\1" * 8),
        Asks(
            np.eye(1).__reduce__()[0], np.ndarray, (0,), b"b",
            state=(1, (1 << 40,), np.dtype("f8"), False, b"short"),
        ),
        np.arange(4, dtype=">i4"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("protocol", [0, 2, 4])
def test_what_cannot_be_numbers_is_an_error(content, protocol):
    with pytest.raises((TypeError, ValueError, OverflowError)):
        unpickle(pickle.dumps(content, protocol))


@pytest.mark.parametrize(
    "state", [(3, "<", None, None, None, -1, -1, 63), (3, "<", None, ("a",), {"a": 0}, -1, -1, 0)]
)
def test_a_type_of_numbers_does_not_become_pointers(state):
    unpickle(pickle.dumps(Asks(np.dtype, "f8", state=state)))
    assert np.dtype("f8").flags == 0 and np.dtype("f8").fields is None


def test_pickle_damage_is_no_refusal():
    for content in (b"not a pickle", b""):
        with pytest.raises((pickle.UnpicklingError, EOFError, ValueError)):
            unpickle(content)
