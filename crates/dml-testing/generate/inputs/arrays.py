"""Arrays as numpy and scipy write them.

    python arrays.py OUT        # OUT: crates/dml-data/tests/inputs/arrays
"""

import io
import shutil
import sys
import zipfile
from pathlib import Path

import numpy as np
import scipy.io
import scipy.sparse


def matlab(out):
    # The header has the date, which would differ from run to run.
    scipy.io.matlab._mio5.time.asctime = lambda: "Tue Dec  1 00:00:00 2026"
    cells = np.empty((1, 3), dtype=object)
    inner = np.empty((1, 1), dtype=object)
    inner[0, 0] = "inner"
    cells[0, 0], cells[0, 1], cells[0, 2] = "a", 0.5, inner
    structs = np.empty((1, 2), dtype=[("name", object), ("size", object)])
    structs[0, 0], structs[0, 1] = ("x", np.uint8(1)), ("yy", np.float32(2))
    values = {
        "matrix": np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int16),
        "small": np.int8(-3),
        "empty": np.zeros((0, 0)),
        "word": "Vögel",
        "sparse": scipy.sparse.csc_matrix(np.eye(2)),
        "cells": cells,
        "structs": structs,
    }
    scipy.io.savemat(out / "plain.mat", values)
    scipy.io.savemat(out / "compressed.mat", values, do_compression=True)
    scipy.io.savemat(out / "version4.mat", {"matrix": np.eye(2)}, format="4")
    scipy.io.savemat(out / "zeros.mat", {"zeros": np.zeros(500_000)}, do_compression=True)


def numpy_files(out):
    draw = np.random.RandomState(0)
    floats = draw.standard_normal((4, 3)).astype(np.float32)
    np.save(out / "f4.npy", floats)
    np.save(out / "f4_fortran.npy", np.asfortranarray(floats))
    np.save(out / "f4_big.npy", floats.astype(">f4"))
    np.save(out / "f8.npy", floats.astype(np.float64))
    np.save(out / "f2.npy", floats.astype(np.float16))
    np.save(out / "i8.npy", np.array([3, 1, 3, 0]))
    np.save(out / "u2_big.npy", np.array([3, 1, 3, 65535], dtype=">u2"))
    np.save(out / "bool.npy", np.array([[True, False], [False, True]]))
    np.save(out / "scalar.npy", np.float32(2.5))
    np.save(out / "empty.npy", np.zeros((0, 5), dtype=np.float32))
    np.save(out / "text.npy", np.array(["owl", "teal", "owl", "vögel"]))
    np.save(out / "bytes.npy", np.array([b"owl", b"teal"]))
    np.save(out / "object.npy", np.array(["owl", None], dtype=object), allow_pickle=True)
    np.save(out / "struct.npy", np.zeros(2, dtype=[("a", "<f4"), ("b", "<i8")]))
    np.save(out / "complex.npy", np.zeros(2, dtype=np.complex64))
    np.save(out / "time.npy", np.zeros(2, dtype="datetime64[s]"))
    for version in [(2, 0), (3, 0)]:
        file = io.BytesIO()
        np.lib.format.write_array(file, floats, version=version)
        (out / f"version{version[0]}.npy").write_bytes(file.getvalue())

    images = draw.randint(0, 256, (4, 2, 3, 3), dtype=np.uint8)
    named = {"x": images, "y": np.array([2, 0, 2, 1]), "names": np.array(["a", "b", "c"])}
    for name, compression in [("images.npz", zipfile.ZIP_STORED), ("images_compressed.npz", zipfile.ZIP_DEFLATED)]:
        # As np.savez and np.savez_compressed, but with one date.
        with zipfile.ZipFile(out / name, "w", compression) as archive:
            for key, array in named.items():
                file = io.BytesIO()
                np.lib.format.write_array(file, array)
                archive.writestr(zipfile.ZipInfo(f"{key}.npy", (2026, 12, 1, 0, 0, 0)), file.getvalue(), compression)
        with np.load(out / name) as read:
            assert all((read[key] == array).all() for key, array in named.items())
    with zipfile.ZipFile(out / "zeros.npz", "w", zipfile.ZIP_DEFLATED) as archive:
        file = io.BytesIO()
        np.lib.format.write_array(file, np.zeros(1_000_000, dtype=np.float32))
        archive.writestr(zipfile.ZipInfo("x.npy", (2026, 12, 1, 0, 0, 0)), file.getvalue(), zipfile.ZIP_DEFLATED)


def main():
    out = Path(sys.argv[1])
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    matlab(out)
    numpy_files(out)


if __name__ == "__main__":
    main()
