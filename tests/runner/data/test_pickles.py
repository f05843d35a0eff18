import collections
import os
import pickle
import pickletools
import subprocess

import numpy as np
import pytest
import scipy.sparse

from runner.data.pickles import Refused, prove_harmless

MATRIX = scipy.sparse.random(30, 6, density=0.5, random_state=0, format="csr")
CONTENTS = {
    "csr_matrix": MATRIX,
    "csr_array": scipy.sparse.csr_array(MATRIX.astype(np.float32)),
    "labels": np.eye(3, dtype=np.int32)[[0, 1, 2, 1]],
    "fortran": np.asfortranarray(np.ones((3, 4))),
    "big-endian": np.arange(4, dtype=">i4"),
    "graph": collections.defaultdict(list, {0: [1, 2], 1: [0], 2: []}),
    "numpy ids": {np.int64(0): [np.int64(1)]},
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("content", CONTENTS)
def test_matrices_and_adjacency_lists_are_harmless(content, protocol):
    prove_harmless(pickle.dumps(CONTENTS[content], protocol))


@pytest.mark.parametrize("content", CONTENTS)
def test_the_old_places_of_numpy_and_scipy_are_known(content):
    written = pickle.dumps(CONTENTS[content], 2)
    for new, old in (
        (b"numpy._core.", b"numpy.core."),
        (b"scipy.sparse._csr", b"scipy.sparse.csr"),
    ):
        written = written.replace(new, old)
    prove_harmless(written)


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
        prove_harmless(written)
    assert list(tmp_path.iterdir()) == []


def test_an_attribute_of_a_known_name_is_refused():
    """Protocol 4 may ask for a.b; here for the method of an array that writes a file."""
    asks = b"\x80\x04" + b"".join(
        b"\x8c" + bytes([len(n)]) + n for n in (b"numpy", b"ndarray.tofile")
    )
    with pytest.raises(Refused, match=r"numpy\.ndarray\.tofile"):
        prove_harmless(asks + b"\x93.")


def matrix(**changes):
    changed = MATRIX.copy()
    changed.__dict__.update(changes)
    return changed


@pytest.mark.parametrize(
    "content",
    [
        matrix(indices=MATRIX.indices + 1),
        matrix(indices=MATRIX.indices - 1),
        matrix(indices=MATRIX.indices.astype(np.float64)),
        matrix(indptr=MATRIX.indptr[:-1]),
        matrix(indptr=MATRIX.indptr * 2),
        matrix(indptr=MATRIX.indptr[::-1].copy()),
        matrix(data=MATRIX.data[:-1]),
        matrix(_shape=(30.0, 6)),
        matrix(todense=np.eye(3)),
        np.array([1, "a"], dtype=object),
        np.zeros(3, dtype=[("a", "i4")]),
        np.array(["text"]),
        Asks(np.dtype, "O"),
        Asks(np.dtype, "f8", state=(3, "<", None, None, None, -1, -1, 63)),
        Asks(np.dtype, "f8", state=(3, "<", None, ("a",), {"a": 0}, -1, -1, 0)),
        Asks(np.eye(1).__reduce__()[0], np.ndarray, (1 << 40,), b"b"),
        Asks(np.eye(1).__reduce__()[0], scipy.sparse.csr_matrix, (0,), b"b"),
        Asks(
            np.eye(1).__reduce__()[0], np.ndarray, (0,), b"b",
            state=(1, (1 << 40,), np.dtype("f8"), False, b"short"),
        ),
    ],
)  # fmt: skip
def test_what_could_do_harm_with_known_names_is_refused(content):
    with pytest.raises(Refused):
        prove_harmless(pickle.dumps(content))


@pytest.mark.parametrize(
    ("content", "state"),
    [
        (np.arange(3), np.arange(3).__reduce__()[2]),
        (np.dtype("i4"), np.dtype(">i4").__reduce__()[2]),
        (MATRIX, {"indices": MATRIX.indices + 1}),
        (np.dtype, {"name": "changed"}),
        (np.zeros(1).__reduce__()[0], {"__name__": "changed"}),
    ],
)
def test_what_changes_after_it_was_built_is_refused(content, state):
    built = pickle.dumps(content, 2).removesuffix(b".")
    once_more = pickle.dumps(state, 2)[2:].removesuffix(b".")
    with pytest.raises(Refused, match="change"):
        prove_harmless(built + once_more + b"b.")


def test_a_byte_order_that_changes_under_its_array_is_refused():
    reconstruct, arguments, state = np.arange(3, dtype="i4").__reduce__()
    kind = Asks(np.dtype, "i4")
    array = Asks(reconstruct, *arguments, state=(*state[:2], kind, *state[3:]))
    both = pickle.dumps((array, kind), 2)
    prove_harmless(both)
    swapped = pickle.dumps(np.dtype(">i4").__reduce__()[2], 2)[2:].removesuffix(b".")
    # Without the tuple, the dtype is the last on the stack; it is built after the array.
    with pytest.raises(Refused, match="dtype that changes"):
        prove_harmless(both[: both.rindex(pickle.TUPLE2)] + swapped + b"b.")


def test_indices_that_change_in_their_buffer_are_refused():
    """Protocol 5 keeps a bytearray, which stays the array's own memory."""
    written = pickle.dumps(MATRIX, 5)
    prove_harmless(written)
    names = [operation.name for operation, _, _ in pickletools.genops(written)]
    memo = names[: names.index("BYTEARRAY8")].count("MEMOIZE")
    unframed = written[:2] + written[11:-1]
    changed = pickle.BINGET + bytes([memo]) + b"K\x03K\x70s"  # its byte 3 to 0x70
    with pytest.raises(Refused, match="indices outside"):
        prove_harmless(unframed + changed + b"0.")


def test_pickle_damage_is_no_refusal():
    with pytest.raises(pickle.UnpicklingError):
        prove_harmless(b"not a pickle")
    with pytest.raises(EOFError):
        prove_harmless(b"")
