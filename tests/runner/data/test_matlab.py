import struct

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from runner.data.matlab import is_version_4, read_matrix

DENSE = np.random.default_rng(0).random((5, 7)).round(2) * (np.arange(7) % 2)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("kind", ["f8", "f4", "u1", "i2", "i4", "u8", "?"])
def test_dense_and_sparse_are_read_as_scipy_reads_them(tmp_path, kind, compressed):
    values = (10 * DENSE).astype(kind)
    for stored in (values, scipy.sparse.csc_matrix(values.astype("f8"))):
        file = tmp_path / "a.mat"
        scipy.io.savemat(
            file, {"text": "abc", "net": stored, "z": {"a": 1}}, do_compression=compressed
        )
        found, names = read_matrix(file, "net")
        assert names == ["text", "net", "z"]
        expected = scipy.io.loadmat(file)["net"]
        dense = found.toarray() if scipy.sparse.issparse(found) else found
        expected = expected.toarray() if scipy.sparse.issparse(expected) else expected
        assert np.array_equal(dense, expected)


def test_a_variable_that_is_not_there(tmp_path):
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, {"a": 1, "b": np.eye(2)})
    assert read_matrix(file, "net") == (None, ["a", "b"])


@pytest.mark.parametrize("value", ["abc", {"a": 1}, np.ones((2, 2, 2)), np.eye(2) * 1j])
def test_what_is_no_matrix_of_real_numbers_is_refused(tmp_path, value):
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, {"net": value})
    with pytest.raises(ValueError, match=r"matrix of real numbers|of shape"):
        read_matrix(file, "net")


def test_a_big_endian_file(tmp_path):
    flags = struct.pack(">IIII", 6, 8, 6, 0)
    shape = struct.pack(">IIii", 5, 8, 1, 2)
    name = struct.pack(">HH4s", 1, 1, b"n")  # a small element: size, type and content in 8 bytes
    values = struct.pack(">IIdd", 9, 16, 0.5, -2.0)
    body = flags + shape + name + values
    header = b"MATLAB".ljust(124) + struct.pack(">H", 0x0100) + b"MI"
    file = tmp_path / "a.mat"
    file.write_bytes(header + struct.pack(">II", 14, len(body)) + body)
    found, names = read_matrix(file, "n")
    assert names == ["n"] and found.tolist() == [[0.5, -2.0]]


def test_the_version_before_has_no_header(tmp_path):
    scipy.io.savemat(tmp_path / "4.mat", {"net": DENSE}, format="4")
    scipy.io.savemat(tmp_path / "5.mat", {"net": DENSE}, format="5")
    assert is_version_4(tmp_path / "4.mat") and not is_version_4(tmp_path / "5.mat")


@pytest.mark.parametrize("sparse", [False, True])
def test_no_damage_is_read_beyond_the_file(tmp_path, sparse):
    """Every byte in turn is replaced; SciPy's own reader dies on some of these files."""
    file = tmp_path / "a.mat"
    stored = scipy.sparse.csc_matrix(DENSE) if sparse else DENSE
    scipy.io.savemat(file, {"net": stored})
    good = file.read_bytes()
    refused = 0
    for position in range(126, len(good)):
        for value in (0, 255):
            file.write_bytes(good[:position] + bytes([value]) + good[position + 1 :])
            try:
                found, _ = read_matrix(file, "net")
            except ValueError:
                refused += 1
                continue
            if scipy.sparse.issparse(found):
                assert found.tocoo().nnz == found.nnz
    assert refused > 50


def test_every_truncation_is_refused(tmp_path):
    file = tmp_path / "a.mat"
    scipy.io.savemat(file, {"net": scipy.sparse.csc_matrix(DENSE)})
    good = file.read_bytes()
    for size in range(129, len(good)):
        file.write_bytes(good[:size])
        with pytest.raises(ValueError):
            read_matrix(file, "net")
