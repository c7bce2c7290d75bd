"""Tables as pandas, pyarrow and Hugging Face's datasets write them.

    python tables.py OUT        # OUT: crates/dml-data/tests/inputs/tables
"""

import io
import shutil
import sys
from pathlib import Path

import datasets
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

ROWS = 6
COLUMNS = {
    "path": [f"images/{i}.png" for i in range(ROWS)],
    "label": ["owl", "teal", "owl", "wren", "teal", "owl"],
    "labels": [["owl", "night"], ["teal"], ["owl", "night"], ["wren", "small"], ["teal"], ["owl"]],
    "split": ["train"] * 3 + ["test"] * 3,
    "role": [None, None, None, "query", "gallery", "both"],
    "camera": [1, 2, None, 1, 2, 3],
    "sequence": ["a", "a", "b", "b", "c", "c"],
    "category": ["raptor", "duck", "raptor", "song", "duck", "raptor"],
    "box": [[1.0, 2.0, 3.0, 4.0], None, [0.5, 0.5, 7.0, 7.0], None, [0.0, 0.0, 2.0, 2.0], None],
    "text": ["an owl", "a \"teal\", swimming", "two\nlines", "ein Zaunkönig", "x", "y"],
}


def picture(colour):
    file = io.BytesIO()
    Image.new("RGB", (6, 4), colour).save(file, "PNG")
    return file.getvalue()


def pandas_tables(out):
    table = pd.DataFrame(COLUMNS)
    plain = table.assign(
        labels=table["labels"].map("|".join),
        box=table["box"].map(lambda box: "" if box is None else " ".join(map(str, box))),
    )
    plain.to_csv(out / "pandas.csv", index=False)
    plain.to_csv(out / "pandas.tsv", index=False, sep="\t")
    table.to_json(out / "pandas.jsonl", orient="records", lines=True)
    category = table.astype({"label": "category", "split": "category", "camera": "Int16"})
    for codec in ["snappy", "zstd", "lz4", "gzip", "none"]:
        compression = None if codec == "none" else codec
        category.to_parquet(out / f"pandas_{codec}.parquet", compression=compression, row_group_size=2)


def pyarrow_tables(out):
    strings = {
        "string": pa.string(),
        "large": pa.large_string(),
        "dictionary": pa.dictionary(pa.int8(), pa.string()),
        "view": pa.string_view(),
    }
    for name, kind in strings.items():
        columns = {key: pa.array(COLUMNS[key], kind) for key in ["path", "label", "split"]}
        columns["box"] = pa.array(COLUMNS["box"], pa.list_(pa.float32(), 4))
        columns["labels"] = pa.array(COLUMNS["labels"], pa.large_list(pa.string()))
        pq.write_table(pa.table(columns), out / f"pyarrow_{name}.parquet", row_group_size=4)
    kinds = [pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64(), pa.float16(),
             pa.float32(), pa.float64()]
    for kind in kinds:
        columns = {"path": ["a", "b", "c"], "label": pa.array([7, 12, 100], kind)}
        pq.write_table(pa.table(columns), out / f"label_{kind}.parquet")
    columns = {"path": COLUMNS["path"], "label": COLUMNS["label"]}
    pq.write_table(pa.table(columns), out / "pages_v2.parquet", data_page_version="2.0", compression="zstd")
    pq.write_table(pa.table(columns), out / "delta.parquet", use_dictionary=False, column_encoding="DELTA_BYTE_ARRAY")
    pq.write_table(pa.table(columns), out / "brotli.parquet", compression="brotli")


def hugging_face(out):
    images = [{"bytes": picture((40 * i, 90, 20)), "path": f"{i}.png"} for i in range(ROWS)]
    names = ["teal", "owl", "wren"]
    features = datasets.Features({
        "image": datasets.Image(),
        "label": datasets.ClassLabel(names=names),
        "labels": datasets.List(datasets.ClassLabel(names=names)),
        "text": datasets.Value("string"),
    })
    rows = {
        "image": images,
        "label": [names.index(name) for name in COLUMNS["label"]],
        "labels": [[names.index(name)] for name in COLUMNS["label"]],
        "text": COLUMNS["text"],
    }
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(out / "hugging_face.parquet"))
    # As data sets without names, and with a label that is not known, for another column of images.
    features = datasets.Features({"img": datasets.Image(), "fine_label": datasets.Value("uint8")})
    rows = {"img": images, "fine_label": [3, 1, 3, 0, 1, 3]}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(out / "hugging_face_img.parquet"))


def pairs(out):
    table = pd.DataFrame({"sentence1": ["an owl", "a wren", "x"], "sentence2": ["a bird", "ein Zaunkönig", "x"], "score": [0.25, 0.9, 1.0]})
    table.to_parquet(out / "sentence_pairs.parquet")


def main():
    out = Path(sys.argv[1])
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    pandas_tables(out)
    pyarrow_tables(out)
    hugging_face(out)
    pairs(out)


if __name__ == "__main__":
    main()
