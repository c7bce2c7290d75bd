"""Small excerpts of published data sets, in the layouts that they are published in.

    python layouts.py OUT        # OUT: crates/dml-data/tests/inputs/layouts

Images are drawn here (Pillow); only names, lists and annotations are as in the published archives. Annotations of Cars-196 are
written by scipy.io.savemat, batches of CIFAR by numpy and pickle. The same versions write the same bytes.
"""

import io
import json
import pickle
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import scipy.io
from PIL import Image


def picture(path, colour, size=(12, 9), mode="RGB"):
    """An image of one colour, with a corner of another one that tells the sides apart."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.new(mode, size, colour)
    corner = 255 if mode == "L" else (255, 255, 255)
    image.paste(corner, (0, 0, size[0] // 3, size[1] // 3))
    if path.suffix.lower() in (".jpg", ".jpeg"):
        image.save(path, "JPEG", quality=60, optimize=True)
    else:
        image.save(path, optimize=True)


def colours():
    """Colours that differ, one after the other."""
    i = 0
    while True:
        yield ((37 * i) % 256, (91 * i + 60) % 256, (151 * i + 120) % 256)
        i += 1


def write(path, lines, end="\n"):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("".join(line + end for line in lines).encode())


def cub200(out):
    root, colour = out / "cub200" / "CUB_200_2011", colours()
    classes = {1: "001.Black_footed_Albatross", 2: "002.Laysan_Albatross", 100: "100.Brown_Pelican",
               101: "101.White_Pelican", 200: "200.Common_Yellowthroat"}
    rows, number = [], 0
    for label, name in classes.items():
        for i in range(2):
            number += 1
            path = f"{name}/{name[4:]}_{i:04}_{number}.jpg"
            picture(root / "images" / path, next(colour))
            rows.append((number, path, label, i, (1.0, 2.0, 6.0 + i, 5.0)))
    write(root / "images.txt", [f"{n} {path}" for n, path, *_ in rows])
    write(root / "image_class_labels.txt", [f"{n} {label}" for n, _, label, *_ in rows])
    write(root / "classes.txt", [f"{label} {name}" for label, name in classes.items()])
    write(root / "train_test_split.txt", [f"{n} {i}" for n, _, _, i, _ in rows])
    write(root / "bounding_boxes.txt", [f"{n} {' '.join(map(str, box))}" for n, *_, box in rows])


def cars196(out):
    names = [f"Make Model{i:03} Sedan 2012" for i in range(1, 197)]
    names[0], names[2], names[195] = "AM General Hummer SUV 2000", "Ram C/V Cargo Van Minivan 2012", "smart fortwo 2012"
    cars = [(1, 0), (1, 1), (3, 0), (98, 1), (99, 0), (196, 0), (196, 1)]
    boxes = [(2, 1, 8 + i, 7) for i in range(len(cars))]
    cell = np.empty((1, 196), dtype=object)
    for i, name in enumerate(names):
        cell[0, i] = name

    def structs(fields, rows):
        array = np.empty((1, len(rows)), dtype=[(field, object) for field in fields])
        for i, row in enumerate(rows):
            array[0, i] = row
        return array

    corner = ["bbox_x1", "bbox_y1", "bbox_x2", "bbox_y2"]
    byte, word = np.uint8, np.uint16

    root, colour = out / "cars196" / "one_archive", colours()
    rows = []
    for i, ((label, test), box) in enumerate(zip(cars, boxes), 1):
        path = f"car_ims/{i:06}.jpg"
        picture(root / path, next(colour))
        rows.append((path, *map(word, box), byte(label), byte(test)))
    annotations = structs(["relative_im_path", *corner, "class", "test"], rows)
    # The header has the date, which would differ from run to run.
    scipy.io.matlab._mio5.time.asctime = lambda: "Tue Dec  1 00:00:00 2026"
    scipy.io.savemat(root / "cars_annos.mat", {"annotations": annotations, "class_names": cell}, do_compression=True)

    root, colour = out / "cars196" / "two_archives", colours()
    for split, test in [("train", 0), ("test", 1)]:
        rows = []
        for (label, own), box in zip(cars, boxes):
            if own == test:
                name = f"{len(rows) + 1:05}.jpg"
                picture(root / f"cars_{split}" / name, next(colour))
                rows.append((*map(word, box), byte(label), name))
        path = root / ("devkit/cars_train_annos.mat" if test == 0 else "cars_test_annos_withlabels.mat")
        path.parent.mkdir(exist_ok=True)
        scipy.io.savemat(path, {"annotations": structs([*corner, "class", "fname"], rows)})
    scipy.io.savemat(root / "devkit/cars_meta.mat", {"class_names": cell}, do_compression=True)

    root, colour = out / "cars196" / "class_folders", colours()
    write(root / "names.csv", names)
    for split, test in [("train", 0), ("test", 1)]:
        rows = []
        for (label, own), box in zip(cars, boxes):
            if own == test:
                name = f"{len(rows) + 1:05}.jpg"
                folder = root / "car_data/car_data" / split / names[label - 1].replace("/", "-")
                picture(folder / name, next(colour))
                rows.append(f"{name},{','.join(map(str, box))},{label}")
        write(root / f"anno_{split}.csv", rows)


def stanford_online_products(out):
    root, colour = out / "stanford_online_products" / "Stanford_Online_Products", colours()
    number = 0
    for split, products in [("train", [(1, 1, "bicycle"), (2, 2, "cabinet")]), ("test", [(11319, 1, "bicycle"), (11320, 3, "chair")])]:
        rows = ["image_id class_id super_class_id path"]
        for product, category, folder in products:
            for view in range(2):
                number += 1
                path = f"{folder}_final/{111085122870 + product}_{view}.JPG"
                picture(root / path, next(colour))
                rows.append(f"{number} {product} {category} {path}")
        write(root / f"Ebay_{split}.txt", rows)


def in_shop(out):
    root, colour = out / "in_shop" / "In-shop Clothes Retrieval Benchmark", colours()
    images = [("WOMEN/Dresses/id_00000002/02_1_front.jpg", "train"), ("WOMEN/Dresses/id_00000002/02_2_side.jpg", "train"),
              ("MEN/Denim/id_00000080/01_1_front.jpg", "query"), ("MEN/Denim/id_00000080/01_2_side.jpg", "gallery"),
              ("WOMEN/Dresses/id_00000090/03_1_front.jpg", "gallery")]
    for name, _ in images:
        picture(root / "Img/img" / name, next(colour))
    item = [name.split("/")[2] for name, _ in images]
    rows = [f"{'img/' + name:<70}{item:<12}   {status}" for (name, status), item in zip(images, item)]
    write(root / "Eval/list_eval_partition.txt", [str(len(rows)), "image_name item_id evaluation_status", *rows])
    rows = [f"{'img/' + name:<70}1 1 002 001 {8 + i:03} 007" for i, (name, _) in enumerate(images)]
    write(root / "Anno/list_bbox_inshop.txt", [str(len(rows)), "image_name clothes_type pose_type x_1 y_1 x_2 y_2", *rows])


def market1501(out):
    root, colour = out / "market1501" / "Market-1501-v15.09.15", colours()
    for folder, names in {
        "bounding_box_train": ["0002_c1s1_000451_03", "0002_c2s1_000476_01", "0007_c3s1_077419_01"],
        "query": ["0001_c1s1_001051_00", "0004_c6s3_094992_00"],
        "bounding_box_test": ["-1_c1s1_000401_03", "0000_c1s1_000151_01", "0001_c1s1_002301_02", "0001_c2s1_000301_00",
                              "0004_c1s6_016996_04"],
    }.items():
        for name in names:
            picture(root / folder / f"{name}.jpg", next(colour), (4, 8))
        # Windows left such files in the published archive.
        (root / folder / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")


def lfw(out):
    root, colour = out / "lfw", colours()
    people = {"Abel_Pacheco": 4, "Aaron_Eckhart": 1, "Akhmed_Zakayev": 3, "Dean_Barker": 2}
    for name, count in people.items():
        for i in range(1, count + 1):
            picture(root / "lfw" / name / f"{name}_{i:04}.jpg", next(colour), (10, 10))
    tab = "\t".join
    folds = [
        [("Abel_Pacheco", "1", "4"), ("Akhmed_Zakayev", "1", "3")],
        [("Aaron_Eckhart", "1", "Dean_Barker", "2"), ("Abel_Pacheco", "2", "Dean_Barker", "1")],
        [("Dean_Barker", "1", "2"), ("Abel_Pacheco", "2", "3")],
        [("Akhmed_Zakayev", "2", "Aaron_Eckhart", "1"), ("Abel_Pacheco", "3", "Akhmed_Zakayev", "3")],
    ]
    write(root / "pairs.txt", [tab(["2", "2"]), *(tab(row) for part in folds for row in part)])
    write(root / "pairsDevTrain.txt", ["1", tab(folds[0][0]), tab(folds[1][0])])
    write(root / "peopleDevTrain.txt", ["2", tab(["Abel_Pacheco", "4"]), tab(["Akhmed_Zakayev", "3"])])
    write(root / "peopleDevTest.txt", ["2", tab(["Aaron_Eckhart", "1"]), tab(["Dean_Barker", "2"])])


def inaturalist2018(out):
    root, colour = out / "inaturalist2018", colours()
    categories = [{"id": i, "name": name, "supercategory": group}
                  for i, (name, group) in enumerate([("Quercus robur", "Plantae"), ("Pica pica", "Aves"), ("Larus argentatus", "Aves")])]
    number, listed = 0, {"train": [], "test": []}
    for split in ["train", "val"]:
        images, annotations = [], []
        for category in categories:
            number += 1
            path = f"train_val2018/{category['supercategory']}/{category['id']}/{number:032x}.jpg"
            picture(root / path, next(colour))
            images.append({"id": number, "width": 12, "height": 9, "file_name": path, "license": 3, "rights_holder": "nobody"})
            annotations.append({"id": number, "image_id": number, "category_id": category["id"]})
            listed["train" if category["id"] != 2 else "test"].append(path)
        data = {"info": {"year": 2018}, "images": images, "licenses": [], "annotations": annotations, "categories": categories}
        (root / f"{split}2018.json").write_text(json.dumps(data))
    for split, paths in listed.items():
        write(root / "Inat_dataset_splits" / f"Inaturalist_{split}_set1.txt", paths)


def omniglot(out):
    root, grey = out / "omniglot", iter(range(5, 256, 5))
    for part, alphabets in {"images_background": {"Alphabet_of_the_Magi": 2, "Greek": 1}, "images_evaluation": {"Angelic": 2}}.items():
        number = 0
        for alphabet, characters in alphabets.items():
            for character in range(1, characters + 1):
                number += 1
                for drawer in (1, 2):
                    path = root / part / alphabet / f"character{character:02}" / f"{number:04}_{drawer:02}.png"
                    picture(path, next(grey), (10, 10), "L")


class OldPickler(pickle._Pickler):
    """Bytes as Python 2 pickled its texts, in which CIFAR's batches were written."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_bytes(self, value):
        short = len(value) < 256
        self.write(b"U" + bytes([len(value)]) if short else b"T" + struct.pack("<i", len(value)))
        self.write(value)
        self.memoize(value)

    dispatch[bytes] = save_bytes


def dump(path, value, old):
    path.parent.mkdir(parents=True, exist_ok=True)
    file = io.BytesIO()
    (OldPickler(file, 2) if old else pickle.Pickler(file, 4)).dump(value)
    # Where numpy's function was then.
    path.write_bytes(file.getvalue().replace(b"cnumpy._core.", b"cnumpy.core.") if old else file.getvalue())


def cifar(out):
    ten = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
    fine = [f"fine{i:02}" for i in range(100)]
    coarse = [f"coarse{i:02}" for i in range(20)]
    draw = np.random.RandomState(0)

    def pixels(count):
        # Flat, so that archives of the repository stay small: a value for each image, channel and half.
        halves = draw.randint(0, 256, (count, 3, 2, 1), dtype=np.uint8)
        return np.repeat(halves, 512, axis=3).reshape(count, 3072)

    batches = {f"data_batch_{i}": ([i - 1, (3 * i) % 10], pixels(2)) for i in range(1, 6)}
    batches["test_batch"] = ([9, 0, 4], pixels(3))
    root = out / "cifar10"
    write(root / "binary/cifar-10-batches-bin/batches.meta.txt", [*ten, ""])
    for name, (labels, data) in batches.items():
        records = b"".join(bytes([label]) + row.tobytes() for label, row in zip(labels, data))
        (root / f"binary/cifar-10-batches-bin/{name}.bin").write_bytes(records)
        batch = {b"batch_label": name.encode(), b"labels": labels, b"data": data, b"filenames": [b"x.png"] * len(labels)}
        dump(root / f"python/cifar-10-batches-py/{name}", batch, old=True)
    meta = {b"num_cases_per_batch": 10000, b"label_names": [name.encode() for name in ten], b"num_vis": 3072}
    dump(root / "python/cifar-10-batches-py/batches.meta", meta, old=True)

    root = out / "cifar100"
    write(root / "binary/cifar-100-binary/fine_label_names.txt", fine)
    write(root / "binary/cifar-100-binary/coarse_label_names.txt", coarse)
    for name, labels in {"train": [0, 49, 50, 99], "test": [7, 98]}.items():
        data, groups = pixels(len(labels)), [label % 20 for label in labels]
        records = b"".join(bytes([group, label]) + row.tobytes() for group, label, row in zip(groups, labels, data))
        (root / f"binary/cifar-100-binary/{name}.bin").write_bytes(records)
        # Written by the Python and numpy of today.
        batch = {"fine_labels": labels, "coarse_labels": groups, "data": data, "filenames": ["x.png"] * len(labels)}
        dump(root / f"python/cifar-100-python/{name}", batch, old=False)
    dump(root / "python/cifar-100-python/meta", {"fine_label_names": fine, "coarse_label_names": coarse}, old=False)


def main():
    out = Path(sys.argv[1])
    if out.exists():
        shutil.rmtree(out)
    for layout in [cub200, cars196, stanford_online_products, in_shop, market1501, lfw, inaturalist2018, omniglot, cifar]:
        layout(out)


if __name__ == "__main__":
    main()
