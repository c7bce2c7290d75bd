"""Tar archives of samples, as WebDataset and tarfile write them, and ones made to break a reader.

    python archives.py OUT        # OUT: crates/dml-data/tests/inputs/archives
"""

import gzip
import io
import shutil
import sys
import tarfile
import zipfile
from pathlib import Path

import webdataset
from PIL import Image

DATE = 1796083200.0


def picture(colour, kind="PNG"):
    file = io.BytesIO()
    Image.new("RGB", (6, 4), colour).save(file, kind)
    return file.getvalue()


def samples(out):
    labels = ["owl", "teal", "owl"]
    for shard in range(2):
        with webdataset.TarWriter(str(out / f"train-{shard:06}.tar"), mtime=DATE) as writer:
            for i in range(3):
                writer.write({
                    "__key__": f"{shard:02}/sample.{i:06}".replace(".", "_"),
                    "png" if i < 2 else "jpg": picture((50 * i, 90 * shard, 20), "PNG" if i < 2 else "JPEG"),
                    "cls": 10 * shard + i % 2,
                })
    with webdataset.TarWriter(str(out / "columns.tar"), mtime=DATE) as writer:
        for i, label in enumerate(labels):
            writer.write({
                "__key__": f"{i:06}",
                "left.png": picture((50 * i, 0, 0)),
                "right.png": picture((0, 50 * i, 0)),
                "json": {"label": label, "camera": i, "box": [1, 1, 2.5, 2], "more": {"deep": [1, 2]}},
                "txt": f"the {label} of camera {i}",
            })
    with webdataset.TarWriter(str(out / "texts.tar"), mtime=DATE) as writer:
        for i, label in enumerate(labels):
            writer.write({"__key__": f"{i:06}", "txt": f"the {label}", "cls": i % 2})
    with webdataset.TarWriter(str(out / "train.tar"), mtime=DATE) as writer:
        writer.write({"__key__": "a", "png": picture((1, 2, 3)), "cls": 0})
    compress(out / "train.tar")


def member(archive, name, data=b"", **fields):
    info = tarfile.TarInfo(name)
    info.size, info.mtime = len(data), DATE
    for key, value in fields.items():
        setattr(info, key, value)
    archive.addfile(info, io.BytesIO(data))


def formats(out):
    """Long names in every format of tarfile, and folders."""
    name = "/".join(["a_folder_with_a_long_name"] * 6) + "/one"
    for kind in ["gnu", "pax", "ustar"]:
        own = name if kind != "ustar" else name[-150:].lstrip("/")
        with tarfile.open(out / f"{kind}.tar", "w", format=getattr(tarfile, f"{kind.upper()}_FORMAT")) as archive:
            member(archive, "./notes", b"no sample")
            member(archive, "folder", type=tarfile.DIRTYPE)
            member(archive, f"./{own}.png" if kind == "gnu" else f"{own}.png", picture((9, 8, 7)))
            member(archive, f"./{own}.cls" if kind == "gnu" else f"{own}.cls", b"5\n")


def hostile(out):
    image = picture((1, 2, 3))

    def write(name, *members):
        with tarfile.open(out / name, "w", format=tarfile.GNU_FORMAT) as archive:
            for own in members:
                member(archive, *own[:2], **(own[2] if len(own) > 2 else {}))

    write("absolute.tar", ("/etc/one.png", image), ("/etc/one.cls", b"0"))
    write("escape.tar", ("a/../../one.png", image))
    write("link.tar", ("one.png", b"", {"type": tarfile.SYMTYPE, "linkname": "/etc/passwd"}))
    write("hard_link.tar", ("one.png", b"", {"type": tarfile.LNKTYPE, "linkname": "two.png"}))
    write("device.tar", ("one.png", b"", {"type": tarfile.CHRTYPE}))
    write("twice.tar", ("one.png", image), ("one.PNG", image))
    write("no_image.tar", ("one.cls", b"0"))
    write("no_label.tar", ("one.png", image))
    write("large_label.tar", ("one.png", image), ("one.cls", b"0" * ((1 << 20) + 1)))
    # A header that announces more than there is.
    info = tarfile.TarInfo("one.png")
    info.size = 1 << 40
    (out / "huge.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + bytes(1024))
    # A name of 1 MiB before the member.
    info = tarfile.TarInfo("././@LongLink")
    info.type, info.size = b"L", 1 << 20
    (out / "long_name.tar").write_bytes(info.tobuf(tarfile.GNU_FORMAT) + b"a" * (1 << 20) + bytes(1024))
    # Large files of equal bytes; the tests unpack them.
    compress(out / "long_name.tar", out / "large_label.tar")


def folders(out):
    """Archives that are unpacked into folders, good ones and hostile ones."""
    images = {f"images_background/Greek/character01/0001_0{i}.png": picture((i, i, i)) for i in (1, 2)}
    for name, kind in [("background.tgz", "w:gz"), ("background.tar", "w")]:
        file = io.BytesIO()
        with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
            member(archive, "images_background", type=tarfile.DIRTYPE)
            for path, data in images.items():
                member(archive, path, data)
        data = file.getvalue()
        (out / name).write_bytes(gzip.compress(data, mtime=0) if kind == "w:gz" else data)

    def write(path, *members):
        with zipfile.ZipFile(path, "w") as archive:
            for name, data, kind, mode in members:
                info = zipfile.ZipInfo(name, (2026, 12, 1, 0, 0, 0))
                info.external_attr = mode << 16
                archive.writestr(info, data, kind)

    plain, packed, file, link = zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, 0o100644, 0o120777
    write(out / "evaluation.zip", ("images_evaluation/", b"", plain, 0o40755),
          *((path.replace("background", "evaluation"), data, kind, file) for (path, data), kind in zip(images.items(), [plain, packed])))
    write(out / "hostile/escape.zip", ("../one.png", b"x", plain, file))
    write(out / "hostile/absolute.zip", ("/etc/one.png", b"x", plain, file))
    write(out / "hostile/link.zip", ("one.png", b"/etc/passwd", plain, link))
    write(out / "hostile/bzip2.zip", ("one.png", b"x" * 100, zipfile.ZIP_BZIP2, file))
    write(out / "hostile/file_and_folder.zip", ("one", b"x", plain, file), ("one/two", b"x", plain, file))


def compress(*paths):
    for path in paths:
        data = path.read_bytes()
        path.unlink()
        with open(f"{path}.gz", "wb") as file, gzip.GzipFile("", "wb", 9, file, mtime=0) as packed:
            packed.write(data)


def main():
    out = Path(sys.argv[1])
    if out.exists():
        shutil.rmtree(out)
    (out / "hostile").mkdir(parents=True)
    samples(out)
    formats(out)
    hostile(out / "hostile")
    folders(out)


if __name__ == "__main__":
    main()
