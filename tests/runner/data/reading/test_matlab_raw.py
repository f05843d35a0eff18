import io

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from runner.data.reading.matlab_raw import read_matrix
from runner.errors import RunnerError
from runner.machine.child import call_in_child

DENSE = np.random.default_rng(0).random((5, 7)).round(2) * (np.arange(7) % 2)


def read(file, key="net"):
    return scipy.sparse.load_npz(io.BytesIO(read_matrix(str(file), key)))


@pytest.mark.parametrize("version", ["4", "5", "compressed"])
@pytest.mark.parametrize("kind", ["f8", "f4", "u1", "i2", "i4", "u8", "?"])
def test_dense_and_sparse_matrices_are_read(tmp_path, kind, version):
    values, file = (10 * DENSE).astype(kind), tmp_path / "a.mat"
    how = {"format": "4"} if version == "4" else {"do_compression": version == "compressed"}
    for stored in (values, scipy.sparse.csc_matrix(values.astype("f8"))):
        scipy.io.savemat(file, {"text": "abc", "net": stored}, **how)
        assert np.array_equal(read(file).toarray(), values)


def test_a_variable_that_is_not_there(tmp_path):
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, {"b": np.eye(3), "a": np.eye(2)})
    with pytest.raises(RunnerError, match=r"adjacency matrix \(a, b\)\? Say dataset\.key="):
        read(file, "")
    with pytest.raises(RunnerError, match=r"dataset\.key="):
        read(file, "nothing")
    scipy.io.savemat(file, {"features": np.ones((3, 2)), "adjacency": np.eye(3)})
    assert np.array_equal(read(file, "").toarray(), np.eye(3))


@pytest.mark.parametrize("value", ["abc", {"a": 1}, np.ones((2, 2, 2)), np.array([["a"]], object)])
def test_what_is_no_matrix_of_numbers_is_refused(tmp_path, value):
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, {"net": value})
    with pytest.raises(ValueError, match="net is no matrix of numbers"):
        read(file)


def test_version_7_3_is_named(tmp_path):
    file = tmp_path / "a.mat"
    file.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(512))
    with pytest.raises(RunnerError, match=r"version 7\.3; save it with -v7"):
        read(file)


@pytest.mark.command
def test_a_file_that_crashes_scipy_is_an_error(tmp_path):
    """Among these bytes are sizes and indices, which SciPy's compiled reader trusts."""
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, {"net": scipy.sparse.csc_matrix(DENSE)})
    good = file.read_bytes()
    refused = 0
    for position in range(184, len(good), 24):
        file.write_bytes(good[:position] + b"\xff" + good[position + 1 :])
        try:
            content = call_in_child(read_matrix, str(file), "net", seconds=60)
        except (ValueError, MemoryError):
            refused += 1
            continue
        assert scipy.sparse.load_npz(io.BytesIO(content)).shape == DENSE.shape
    assert refused > 3


def test_a_truncated_file_is_refused(tmp_path):
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, {"net": DENSE})
    file.write_bytes(file.read_bytes()[:-40])
    with pytest.raises(Exception, match=r"."):
        read(file)
