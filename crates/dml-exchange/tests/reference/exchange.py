"""Writes ../files/made_by_others: rows, ids and attributes as NumPy, faiss, pyarrow and pandas write them; and reads such files of ours.

    python exchange.py                    (needs numpy, faiss-cpu, pyarrow and pandas; written with 2.4, 1.15, 26.0 and 3.1)
    python exchange.py read FOLDER        (prints what `cargo test -p dml-exchange` has left in FOLDER, if DML_EXCHANGE_OUT is it)
"""

import pathlib
import sys

import faiss
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

FOLDER = pathlib.Path(__file__).parent.parent / "files" / "made_by_others"
ROWS = np.array([[(3 * i + 7 * j) % 11 / 4 - 1.25 for j in range(3)] for i in range(5)])
NUMBERS = np.array([3, 1, 4, 15, 9])
TEXTS = ["a", "größe", "c d", "𝛼", "e"]


def write_numpy():
    for name, rows in [
        ("f2", ROWS.astype("<f2")),
        ("f4", ROWS.astype("<f4")),
        ("f8", ROWS.astype("<f8")),
        ("f4-big", ROWS.astype(">f4")),
        ("f8-columns", np.asfortranarray(ROWS)),
    ]:
        np.save(FOLDER / f"rows-{name}.npy", rows)
    with open(FOLDER / "rows-version-2.npy", "wb") as file:
        np.lib.format.write_array(file, ROWS.astype("<f4"), version=(2, 0))
    for name in ["u8", "i8", "i4", ">i2", "u1"]:
        np.save(FOLDER / f"ids-{name.replace('>', 'big-')}.npy", NUMBERS.astype(name))
    np.save(FOLDER / "ids-texts.npy", np.array(TEXTS))
    np.save(FOLDER / "ids-bytes.npy", np.array([b"a", b"bc"]))
    np.save(FOLDER / "ids-negative.npy", np.array([1, -1]))
    np.save(FOLDER / "no-rows.npy", np.zeros((0, 3), "<f4"))
    np.save(FOLDER / "three-dimensions.npy", np.zeros((1, 1, 2), "<f4"))
    np.save(FOLDER / "booleans.npy", np.zeros((1, 2), bool))


def write_faiss():
    rows = ROWS.astype("float32")
    for name, kind in [("l2", faiss.IndexFlatL2), ("ip", faiss.IndexFlatIP)]:
        index = kind(3)
        index.add(rows)
        faiss.write_index(index, str(FOLDER / f"flat-{name}.faiss"))
        for wrapper in [faiss.IndexIDMap, faiss.IndexIDMap2]:
            index = wrapper(kind(3))
            index.add_with_ids(rows, NUMBERS)
            faiss.write_index(index, str(FOLDER / f"{wrapper.__name__}-{name}.faiss"))
    faiss.write_index(faiss.IndexFlatL2(3), str(FOLDER / "empty.faiss"))
    other = faiss.IndexFlat(3, faiss.METRIC_L1)
    other.add(rows)
    faiss.write_index(other, str(FOLDER / "flat-l1.faiss"))
    graph = faiss.IndexHNSWFlat(3, 4)
    graph.add(rows)
    faiss.write_index(graph, str(FOLDER / "hnsw.faiss"))


def write_parquet():
    attributes = {
        "color": ["red", None, "blue", "red", ""],
        "size": pa.array([40, 41, None, -3, 2**40], pa.int64()),
        "price": [1.5, None, float("nan"), 2.0, 3.0],
        "new": [True, False, None, True, False],
        "year": pa.array([2001, 2002, 2003, None, 2005], pa.int32()),
        "level": pa.array([0, 255, None, 1, 2], pa.uint8()),
        "weight": pa.array([0.5, None, 2.5, 1.0, 1.0], pa.float32()),
        "day": pa.array([1, 2, 3, 4, 5], pa.date32()),
        "tags": [["x"], [], None, ["y", "z"], ["x"]],
    }
    single = pa.array([list(row) for row in ROWS], pa.list_(pa.float32()))
    fixed = pa.array([list(row) for row in ROWS], pa.list_(pa.float32(), 3))
    double = pa.array([list(row) for row in ROWS], pa.large_list(pa.float64()))
    table = pa.table({"id": TEXTS, "vector": single, **attributes})
    pq.write_table(table, FOLDER / "arrow.parquet", row_group_size=2)
    table = pa.table({"vector": fixed, "id": pa.array(NUMBERS, pa.uint64()), "color": pa.array(attributes["color"]).dictionary_encode()})
    pq.write_table(table, FOLDER / "fixed.parquet", compression="zstd")
    for codec in ["gzip", "lz4", "snappy"]:
        pq.write_table(table, FOLDER / f"fixed-{codec}.parquet", compression=codec)
    table = pa.table({"id": pa.array(NUMBERS, pa.int32()), "vector": double, "text": pa.array(attributes["color"], pa.large_string())})
    pq.write_table(table, FOLDER / "double.parquet", compression="none", use_dictionary=False, data_page_version="2.0")
    frame = pd.DataFrame({"id": NUMBERS, "vector": list(ROWS.astype("float32")), "size": [40, 41, None, -3, 7], "color": attributes["color"]})
    frame.to_parquet(FOLDER / "pandas.parquet", index=False)
    for name, vectors in [
        ("ragged", [[1.0, 2.0], [3.0]]),
        ("none", [[1.0, 2.0], None]),
        ("hole", [[1.0, 2.0], [3.0, None]]),
    ]:
        table = pa.table({"id": [1, 2], "vector": pa.array(vectors, pa.list_(pa.float32()))})
        pq.write_table(table, FOLDER / f"{name}.parquet")
    table = pa.table({"id": [1, None], "vector": pa.array([[1.0], [2.0]], pa.list_(pa.float32()))})
    pq.write_table(table, FOLDER / "no-id.parquet")
    pq.write_table(pa.table({"id": [1], "vector": [2.0]}), FOLDER / "no-list.parquet")


def read(folder):
    for path in sorted(folder.iterdir()):
        if path.suffix == ".npy":
            array = np.load(path, allow_pickle=False)
            print(path.name, array.dtype.str, array.tolist())
        elif path.suffix == ".faiss":
            index = faiss.read_index(str(path))
            flat = faiss.downcast_index(index.index) if hasattr(index, "id_map") else index
            rows = flat.reconstruct_n(0, flat.ntotal)
            ids = faiss.vector_to_array(index.id_map).tolist() if hasattr(index, "id_map") else None
            print(path.name, type(index).__name__, index.metric_type, rows.tolist(), ids)
            if flat.ntotal:
                print("   nearest of the first row:", index.search(rows[:1], 2))
        elif path.suffix == ".parquet":
            table = pq.read_table(path)
            print(path.name, table.schema.to_string().replace("\n", ", "), table.to_pylist())


if __name__ == "__main__":
    if sys.argv[1:2] == ["read"]:
        read(pathlib.Path(sys.argv[2]))
    else:
        FOLDER.mkdir(parents=True, exist_ok=True)
        write_numpy()
        write_faiss()
        write_parquet()
