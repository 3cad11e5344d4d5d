"""Every format of docs/protect/own-data.md: what was written comes out, and what is none is one
line.
"""

import gzip
import io
import json
import re

import keras
import numpy as np
import pyarrow as pa
import pytest
import tensorflow as tf
from PIL import Image
from pyarrow import parquet

from madvae_tf.data.labelled import labelled
from madvae_tf.data.readers import has_splits, read_dataset
from madvae_tf.utils.errors import UserError
from tests.programs import DOCS

RNG = np.random.default_rng(3)
COUNT = 300  # more than are decoded at once
IMAGES = RNG.integers(0, 256, (COUNT, 28, 28, 1), dtype=np.uint8)
COLOURS = RNG.integers(0, 256, (COUNT, 32, 32, 3), dtype=np.uint8)
LABELS = np.arange(COUNT) * 7 % 10
PAGE = (DOCS / "protect" / "own-data.md").read_text(encoding="utf-8")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MADVAE_TF_CACHE", str(tmp_path / "cache"))
    return tmp_path


def png(image):
    file = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(file, "PNG")
    return file.getvalue()


def same(found, images=IMAGES, labels=LABELS, ordered=True):
    """Whether these are the images with their labels; where not `ordered`, in any order."""
    order = lambda x, y: sorted((int(b), bytes(a)) for a, b in zip(x, y, strict=True))  # noqa: E731
    assert found.images.shape == images.shape and found.labels.dtype == np.int64
    if ordered:
        np.testing.assert_array_equal(found.images, images)
        np.testing.assert_array_equal(found.labels, labels)
    assert order(*found) == order(images, labels)


class Batches(keras.utils.PyDataset):
    """Batches of 64, the last one smaller."""

    def __len__(self):
        return -(-COUNT // 64)

    def __getitem__(self, place):
        rows = slice(64 * place, 64 * (place + 1))
        return IMAGES[rows], LABELS[rows]


def write_csv(path, images=IMAGES, header="label,{}", labels=LABELS):
    rows = images.reshape(len(images), -1)
    lines = [",".join(map(str, (label, *row))) for label, row in zip(labels, rows, strict=True)]
    pixels = ",".join(f"pixel{place}" for place in range(rows.shape[1]))
    path.write_text("\n".join([*([header.format(pixels)] if header else []), *lines]) + "\n")


def write_tree(folder, images=IMAGES, labels=LABELS):
    for place, (image, label) in enumerate(zip(images, labels, strict=True)):
        (folder / str(label)).mkdir(parents=True, exist_ok=True)
        (folder / str(label) / f"{place}.png").write_bytes(png(image))


def write_idx(folder, idx_bytes):
    folder.mkdir()
    for part in ("train", "t10k"):
        (folder / f"{part}-images-idx3-ubyte").write_bytes(idx_bytes(IMAGES[..., 0]))
        content = gzip.compress(idx_bytes(LABELS))
        (folder / f"{part}-labels-idx1-ubyte.gz").write_bytes(content)


def write_parquet(path, images=IMAGES, labels=LABELS, names=None):
    struct = [{"bytes": png(image), "path": None} for image in images]
    table = pa.table({"image": struct, "label": labels})
    features = {"image": {"_type": "Image"}, "label": {"_type": "ClassLabel", "names": names}}
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    parquet.write_table(table.replace_schema_metadata(metadata if names else {}), path)


EXAMPLES = re.findall(r"^\| [^|]+ \| `((?:fit|read_dataset)\(.+\))` \|$", PAGE, re.MULTILINE)


@pytest.mark.parametrize("example", EXAMPLES)
def test_the_examples_of_the_page(example, here, idx_bytes, monkeypatch):
    write = {
        "data.npz": lambda path: np.savez(path, x_train=IMAGES, y_train=LABELS),
        "idx": lambda path: write_idx(path, idx_bytes),
        "train.csv": write_csv,
        "colour.csv": lambda path: write_csv(path, COLOURS[:20], labels=LABELS[:20]),
        "train.parquet": write_parquet,
        "pictures": write_tree,
        "mixed": write_tree,
    }
    path = re.search(r'read_dataset\("([^"]+)"', example)
    if path and path.group(1) in write:
        write[path.group(1)](here / path.group(1))
    if path and path.group(1) == "mixed":
        image = Image.fromarray(IMAGES[0, ..., 0]).resize((56, 56), Image.Resampling.NEAREST)
        image.save(here / "mixed" / str(LABELS[0]) / "0.png")
    given = {
        "classifier": None,
        "images": IMAGES,
        "labels": LABELS,
        "dataset": tf.data.Dataset.from_tensor_slices((IMAGES, LABELS)),
        "py_dataset": Batches(),
        "read_dataset": read_dataset,
        "fit": lambda classifier, images, labels=None: labelled(images, labels),
    }
    if path and path.group(1).startswith("tfds:"):
        pytest.importorskip("tensorflow_datasets")
        monkeypatch.setattr("madvae_tf.data.readers.tfds_sets.reachable", lambda url: False)
        with pytest.raises(UserError, match="Cannot fetch tfds:kmnist: no connection"):
            eval(example, given)
        return
    found = eval(example, given)
    if "colour" in example:
        same(found, COLOURS[:20], LABELS[:20])
    elif "mixed" in example:
        assert found.images.shape == IMAGES.shape
        # All but the one that was resized.
        pairs = {bytes(image): label for image, label in zip(*found, strict=True)}
        assert all(pairs[bytes(i)] == b for i, b in zip(IMAGES[1:], LABELS[1:], strict=True))
    else:
        same(found, ordered="pictures" not in example)
    kept = {"data.npz", "idx"} if path else set()
    on_disk = not ((path and path.group(1) in kept) or "images, labels" in example)
    assert isinstance(found.images, np.memmap) == on_disk
    # The file behind it has no name.
    assert not [each for each in here.rglob("cache/*") if each.is_file()]


@pytest.mark.parametrize(
    ("images", "labels", "more"),
    [
        *(
            ("x_train", "y_train", 1),
            ("X_train", "y_train", 1),
            ("train_images", "train_labels", 1),
        ),
        *(("images", "labels", 0), ("x", "y", 0), ("X", "y", 0), ("arr_0", "arr_1", 0)),
    ],
)
def test_the_usual_names_of_arrays(here, images, labels, more):
    arrays = {images: IMAGES, labels: LABELS}
    if more:
        other = (name.replace("train", "test") for name in (images, labels))
        arrays |= dict(zip(other, (IMAGES[:5], LABELS[:5]), strict=True))
    np.savez(here / "data.npz", **arrays)
    same(read_dataset("data.npz"))
    assert has_splits("data.npz") == bool(more)
    count = 5 if more else COUNT
    same(read_dataset("data.npz", "test"), IMAGES[:count], LABELS[:count])


@pytest.mark.parametrize("header", ["label,{}", "{}", None, ",label,{}"])
def test_csv_with_and_without_a_header(here, header):
    if header == "{}":  # the label comes last
        write_csv(here / "a.csv", header=None)
        lines = [line.split(",", 1)[::-1] for line in (here / "a.csv").read_text().splitlines()]
        pixels = ",".join(f"p{place}" for place in range(784))
        text = "\n".join([f"{pixels},Class", *map(",".join, lines)])
        (here / "a.csv").write_text(text)
    elif header == ",label,{}":  # as pandas writes it, with its index
        write_csv(here / "a.csv", header=None)
        lines = (here / "a.csv").read_text().splitlines()
        pixels = ",".join(f"p{place}" for place in range(784))
        rows = [f"{place},{line}" for place, line in enumerate(lines)]
        (here / "a.csv").write_text("\n".join([f",label,{pixels}", *rows]))
    else:
        write_csv(here / "a.csv", header=header)
    same(read_dataset("a.csv"))
    (here / "b.csv.gz").write_bytes(gzip.compress((here / "a.csv").read_bytes()))
    same(read_dataset("b.csv.gz"))


def test_floats_and_words_in_csv(here):
    words = np.array(["ant", "bee", "cat", "dog", "elk", "fly", "gnu", "hen", "imp", "jay"])
    floats = (IMAGES / 255).astype(np.float32)
    write_csv(here / "a.csv", floats, labels=words[LABELS])
    found = read_dataset("a.csv")
    assert found.names == tuple(words) and found.images.dtype == np.float32
    np.testing.assert_array_equal(found.images, floats)
    np.testing.assert_array_equal(found.labels, LABELS)


def test_words_have_one_number_in_both_parts(here):
    (here / "two").mkdir()
    write_csv(here / "two" / "my_train.csv", IMAGES[:4], labels=["a", "b", "c", "a"])
    write_csv(here / "two" / "my_test.csv", IMAGES[4:6], labels=["c", "a"])
    found = {split: read_dataset("two", split) for split in ("train", "test")}
    assert found["train"].names == found["test"].names == ("a", "b", "c")
    assert found["train"].labels.tolist() == [0, 1, 2, 0]
    assert found["test"].labels.tolist() == [2, 0]


def test_a_class_of_a_tree_has_one_number_in_both_parts(here):
    write_tree(here / "tree" / "train", IMAGES[:40], LABELS[:40])
    write_tree(here / "tree" / "test", IMAGES[40:80], np.where(LABELS[40:80] < 3, 9, LABELS[40:80]))
    same(read_dataset("tree", "test"), IMAGES[40:80],
         np.where(LABELS[40:80] < 3, 9, LABELS[40:80]), ordered=False)  # fmt: skip


def test_parquet_as_hugging_face_has_it(here):
    names = [f"class {letter}" for letter in "abcdefghij"]
    (here / "set" / "data").mkdir(parents=True)
    rows = {"train-00000-of-00002": slice(0, 100), "train-00001-of-00002": slice(100, 280)}
    for name, some in {**rows, "test-00000-of-00001": slice(280, None)}.items():
        write_parquet(here / "set" / "data" / f"{name}.parquet", COLOURS[some], LABELS[some], names)
    same(read_dataset("set"), COLOURS[:280], LABELS[:280])
    same(read_dataset("set", "test"), COLOURS[280:], LABELS[280:])
    assert read_dataset("set", "test").names == tuple(names)


@pytest.mark.parametrize("kind", ["flat", "nested", "bytes", "words"])
def test_other_columns_of_parquet(here, kind):
    some, labels = IMAGES[:20], LABELS[:20]
    column = {
        "flat": some.reshape(20, -1).tolist(),
        "nested": some[..., 0].tolist(),
        "bytes": [png(image) for image in some],
    }
    words = [f"class {label}" for label in labels]
    table = {"img": column.get(kind, column["bytes"]), "y": words if kind == "words" else labels}
    parquet.write_table(pa.table(table), here / "a.parquet")
    found = read_dataset("a.parquet")
    same(found, some, labels)
    assert found.names[3] == ("class 3" if kind == "words" else "3")


def test_what_is_no_data_set_is_one_line(here):
    write_csv(here / "odd.csv", IMAGES[:2, :27], labels=LABELS[:2])
    write_csv(here / "loud.csv", IMAGES[:2].astype(int) * 2, labels=LABELS[:2])
    write_csv(here / "ragged.csv", IMAGES[:2], labels=LABELS[:2])
    with (here / "ragged.csv").open("a") as file:
        file.write("3,1,2\n")
    text = [",".join(row) for row in [["p"] * 784, *IMAGES[:2].reshape(2, -1).astype(str)]]
    (here / "unlabelled.csv").write_text("\n".join(text))
    (here / "empty.csv").write_text("")
    (here / "cut.parquet").write_bytes(b"PAR1 and nothing")
    parquet.write_table(pa.table({"text": ["a"], "label": [1]}), here / "text.parquet")
    missing = [{"bytes": None, "path": "a.png"}]
    parquet.write_table(pa.table({"image": missing, "label": [1]}), here / "missing.parquet")
    no_picture = pa.table({"image": [b"no picture"], "label": [1]})
    parquet.write_table(no_picture, here / "damaged.parquet")
    (here / "rest").mkdir()
    write_csv(here / "rest" / "test.csv", IMAGES[:2], labels=LABELS[:2])
    np.savez(here / "blank.npz", x=np.full((5, 28, 28), 7, np.uint8), y=np.arange(5))
    np.savez(here / "nan.npz", x=np.full((5, 28, 28), np.nan), y=np.arange(5))
    for name, message in (
        ("odd.csv", "756 pixels in a row are not 27 x 27, grey; say which shape they have"),
        ("loud.csv", "pixels are from 0 to 5.., not whole numbers from 0 to 255"),
        ("ragged.csv", "a row near line 4 has 3 cells, the first one 785"),
        ("unlabelled.csv", "783 pixels in a row are not 27 x 27"),
        ("empty.csv", "received none, expected at least one"),
        ("cut.parquet", "Cannot read .*cut.parquet"),
        ("text.parquet", "its columns are text, label, and none is called image or"),
        ("missing.parquet", "1 pictures of the column image have no bytes"),
        ("damaged.parquet", "Cannot read an image"),
        ("rest", "has no images for train; it has some for test"),
        ("blank.npz", "received 5 of which each is of one value"),
        ("nan.npz", "received NaN or infinity"),
    ):
        with pytest.raises(UserError, match=message) as caught:
            read_dataset(name)
        assert "\n" not in str(caught.value), name
        assert not [each for each in here.rglob("cache/*") if each.is_file()]


def test_blank_images_among_others_are_told(here, caplog):
    images = IMAGES.copy()
    images[[3, 5]] = 9
    found = labelled(images, LABELS)
    assert "2 of 300 images are of one value each" in caplog.text and found.images is not None


def test_a_disk_that_cannot_be_written_is_one_line(here, monkeypatch):
    (here / "file").write_text("")
    monkeypatch.setenv("MADVAE_TF_CACHE", str(here / "file"))
    write_csv(here / "a.csv", IMAGES[:2], labels=LABELS[:2])
    with pytest.raises(UserError, match="Cannot keep the images of .* on disk: .*MADVAE_TF_CACHE"):
        read_dataset("a.csv")
