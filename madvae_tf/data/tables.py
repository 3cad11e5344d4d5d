"""Tables of images, a row each: CSV (label, pixels) and Parquet (label, picture or pixels)."""

import csv
import functools
import gzip
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from madvae_tf.data.disk import BATCH, gathered, unlike
from madvae_tf.data.image_io import is_hidden
from madvae_tf.data.parts import (
    IMAGES,
    LABELS,
    Parts,
    Raw,
    as_pixels,
    by_part,
    shape_of_row,
)
from madvae_tf.data.pictures import common_shape, decoded
from madvae_tf.utils.errors import UserError, cause_of
from madvae_tf.utils.images import Shape

_CSV, _PARQUET = (".csv", ".csv.gz"), (".parquet",)
_CELLS = 400_000  # of a CSV file that are parsed together
_Batches = Iterator[tuple[np.ndarray, np.ndarray]]


def is_csv(path: Path) -> bool:
    """Whether it is a CSV file, or a folder with CSV files and no folder."""
    folders = path.is_dir() and any(
        each.is_dir() and not is_hidden(each.name) for each in path.iterdir()
    )
    return not folders and bool(_files(path, _CSV))


def is_parquet(path: Path) -> bool:
    """Whether it is a Parquet file, or a folder with some in it or below."""
    return bool(_files(path, _PARQUET))


def _files(path: Path, suffixes: tuple[str, ...]) -> list[Path]:
    every = path.rglob("*") if path.is_dir() else [path]
    return [
        file
        for file in every
        if file.name.lower().endswith(suffixes)
        and file.is_file()
        and not any(map(is_hidden, file.relative_to(path).parts))
    ]


def open_csv(path: Path, shape: Shape) -> Parts:
    """The parts of CSV files: a row is an image's pixels, row by row, with its label in the column
    of that name (`LABELS`), or else in the first one; with a header or without.
    """
    return {
        part: functools.partial(_read_csv, files, shape)
        for part, files in by_part(_files(path, _CSV)).items()
    }


def _read_csv(files: Sequence[Path], shape: Shape) -> Raw:
    dtype = None

    def batches() -> _Batches:
        nonlocal dtype
        for file in files:
            for labels, values in _rows(file):
                try:
                    pixels = as_pixels(values.astype(np.float64), dtype)
                    sides = shape_of_row(pixels.shape[1], shape)
                except ValueError as error:
                    raise _unreadable(file, error, "a label and pixels in each row") from error
                dtype = pixels.dtype
                yield pixels.reshape(len(pixels), *sides), labels

    return (*gathered(batches(), f"images of {files[0].parent}"), None)


def _rows(file: Path) -> _Batches:
    """Labels and pixels, as texts, some rows at a time."""
    try:
        with (
            gzip.open(file, "rt", newline="")
            if file.suffix == ".gz"
            else file.open(newline="", encoding="utf-8-sig") as stream
        ):
            rows = csv.reader(stream)
            first = next(rows, [])
            named = [cell.strip().lower() for cell in first]
            header = any(name in LABELS for name in named) or not any(map(_is_number, first))
            label = next((named.index(name) for name in LABELS if name in named), 0)
            # Pandas writes the numbers of the rows into a column without a name.
            kept = [
                place
                for place, name in enumerate(named)
                if place != label and not (header and not name)
            ]
            every = (row for row in (rows if header else itertools.chain([first], rows)) if row)
            size = max(1, min(BATCH, _CELLS // max(1, len(first))))
            while some := list(itertools.islice(every, size)):
                if wrong := [row for row in some if len(row) != len(first)]:
                    raise ValueError(
                        f"a row near line {rows.line_num} has {len(wrong[0])} cells, the first one"
                        f" {len(first)}"
                    )
                cells = np.array(some)
                yield cells[:, label], cells[:, kept]
    except UserError:
        raise
    except (OSError, EOFError, ValueError, csv.Error) as error:
        raise _unreadable(file, error, "a label and pixels in each row") from error


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def open_parquet(path: Path, shape: Shape) -> Parts:
    """The parts of Parquet files: a column of pictures (PNG or JPEG as bytes, or in a struct with
    the field `bytes`, as Hugging Face has them) or of lists of pixels, and one of labels; the names
    of classes are those of Hugging Face's metadata.
    """
    every = _files(path, _PARQUET)
    known = functools.cache(
        lambda: common_shape(
            lambda: (picture for file in every for some, _ in _columns(file) for picture in some),
            str(path),
            shape,
        )
    )
    return {
        part: functools.partial(_read_parquet, files, shape, known)
        for part, files in by_part(every).items()
    }


def _read_parquet(files: Sequence[Path], shape: Shape, known: Any) -> Raw:
    dtype = None

    def batches() -> _Batches:
        nonlocal dtype
        for file in files:
            for values, labels in _columns(file):
                if isinstance(values, list):
                    pixels = np.stack([decoded(picture, known())[0] for picture in values])
                else:
                    try:
                        pixels = as_pixels(values, dtype)
                        if pixels.ndim == 2:
                            sides = shape_of_row(pixels.shape[1], shape)
                            pixels = pixels.reshape(len(pixels), *sides)
                    except ValueError as error:
                        raise _unreadable(file, error, "images and labels") from error
                    pixels = pixels[..., np.newaxis] if pixels.ndim == 3 else pixels
                    dtype = pixels.dtype
                yield pixels, labels

    return (*gathered(batches(), f"images of {files[0].parent}"), _names(files[0]))


def _parquet(file: Path) -> tuple[Any, str, str, tuple[str, ...] | None]:
    """The open file, the columns of images and of labels, and the names of the classes."""
    try:
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(
            f"Cannot read {file} without pyarrow; install it: pip install 'madvae_tf[parquet]'."
        ) from error
    table = parquet.ParquetFile(file)
    columns = table.schema_arrow.names
    metadata = (table.schema_arrow.metadata or {}).get(b"huggingface", b"{}")
    features = json.loads(metadata).get("info", {}).get("features", {})

    def column(usual: tuple[str, ...], kind: str) -> str:
        typed = [name for name in columns if features.get(name, {}).get("_type") == kind]
        named = [name for name in usual if name in columns]
        both = [name for name in named if name in typed]
        if not (found := [*both, *typed, *named]):
            raise ValueError(
                f"its columns are {', '.join(columns)}, and none is called {' or '.join(usual)}"
            )
        return found[0]

    label = column(LABELS, "ClassLabel")
    names = features.get(label, {}).get("names")
    return table, column(IMAGES, "Image"), label, tuple(map(str, names)) if names else None


def _names(file: Path) -> tuple[str, ...] | None:
    return _parquet(file)[-1]


def _columns(file: Path) -> Iterator[tuple[list[bytes] | np.ndarray, np.ndarray]]:
    """Pictures, as bytes, or pixels, and labels, some rows at a time."""
    try:
        table, image, label, _ = _parquet(file)
        for rows in table.iter_batches(batch_size=BATCH, columns=[image, label]):
            labels = np.array(rows.column(label).to_pylist())
            yield _values(rows.column(image), image), labels
    except UserError:
        raise
    except (OSError, ValueError, KeyError, AttributeError, NotImplementedError) as error:
        raise _unreadable(file, error, "a column of images and one of labels") from error


def _values(column: Any, name: str) -> list[bytes] | np.ndarray:
    from pyarrow import types

    if types.is_struct(column.type):
        column = column.field("bytes")
    if any(is_(column.type) for is_ in (types.is_binary, types.is_large_binary, types.is_null)):
        if column.null_count:
            raise ValueError(f"{column.null_count} pictures of the column {name} have no bytes")
        return column.to_pylist()
    sizes = [len(column)]
    while types.is_list(column.type) or types.is_large_list(column.type):
        lengths = column.value_lengths().unique().to_pylist()
        if len(lengths) != 1:
            raise unlike(f"images of the column {name}", f"{lengths[0]}", f"{lengths[1]} values")
        sizes.append(lengths[0])
        column = column.flatten()
    if len(sizes) == 1:
        raise ValueError(f"the column {name} is of {column.type}, neither pictures nor lists")
    return column.to_numpy(zero_copy_only=False).reshape(sizes)


def _unreadable(file: Path, error: Exception, expected: str) -> UserError:
    return UserError(f"Cannot read {file}: {cause_of(error)}; expected {expected}.")
