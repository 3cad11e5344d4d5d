"""Trees of pictures: one folder of PNG or JPEG files for each class."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
from absl import logging

from madvae_tf.data import image_io
from madvae_tf.data.disk import BATCH, gathered
from madvae_tf.data.parts import WHOLE, Parts, Raw, by_part, class_names, in_chunks, part_of
from madvae_tf.data.pictures import common_shape, decoded
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import Shape
from madvae_tf.utils.labels import LEAST_CLASSES, MOST_CLASSES
from madvae_tf.utils.progress import progress_bar


def open_tree(path: Path, shape: Shape) -> Parts:
    """The parts of a tree, each with a folder for each class, whose hidden entries
    (`image_io.is_hidden`) are skipped.

    Classes are those of all parts, in the order of their names (`class_names`); pictures become
    images of `shape`, see `pictures.common_shape`.
    """
    folders = _folders(path)
    in_parts = bool(folders) and all(part_of(each.name) != WHOLE for each in folders)
    parts = by_part(folders) if in_parts else {WHOLE: [path]}
    roots = {part: each[0] for part, each in parts.items()}
    names = class_names(each.name for root in roots.values() for each in _folders(root))
    if not LEAST_CLASSES <= len(names) <= MOST_CLASSES:
        raise UserError(
            f"{path} has {len(names)} folders ({', '.join(names[:12]) or 'none'}); expected"
            f" {LEAST_CLASSES} to {MOST_CLASSES}, one for each class, or IDX files."
        )
    known = functools.cache(
        lambda: common_shape(
            lambda: (file for file, _ in image_io.find([str(path)])), str(path), shape
        )
    )
    return {part: functools.partial(_read, root, names, known) for part, root in roots.items()}


def _folders(path: Path) -> list[Path]:
    """Those in it that are not hidden."""
    every = sorted(each for each in path.iterdir() if each.is_dir())
    if skipped := [each.name for each in every if image_io.is_hidden(each.name)]:
        logging.warning(
            "%s: hidden folders are no classes: %s are skipped.", path, ", ".join(skipped)
        )
    return [each for each in every if not image_io.is_hidden(each.name)]


def _read(folder: Path, names: tuple[str, ...], shape: Callable[[], Shape]) -> Raw:
    files = [
        (file, label)
        for label, name in enumerate(names)
        if (folder / name).is_dir()
        for file, _ in image_io.find([str(folder / name)])
    ]
    # Held-out images are the last ones: in the order of the classes they would all be of one.
    order = np.random.default_rng(0).permutation(len(files))
    with progress_bar(len(files), f"reading {folder.name}", "image") as bar:

        def pixels(file: Path) -> np.ndarray:
            bar.update()
            return decoded(file, shape())[0]

        batches = (
            (np.stack([pixels(files[row][0]) for row in rows]), [files[row][1] for row in rows])
            for rows in in_chunks(order, BATCH)
        )
        return (*gathered(batches, f"images of {folder}"), names)
