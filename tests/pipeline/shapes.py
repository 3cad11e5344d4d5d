"""Ten classes of small colour pictures, made here: five shapes in two colours, on a dark ground
with noise.
"""

from pathlib import Path

import numpy as np
from PIL import Image

SIDE = 32


def shapes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Images uint8 (n, 32, 32, 3) and labels int64 (n,): label % 5 is the shape, label // 5 whether
    it is red or blue.
    """
    generator = np.random.default_rng(seed)
    row, column = np.mgrid[:SIDE, :SIDE] - SIDE / 2 + 0.5
    labels = np.arange(n) % 10
    images = np.empty((n, SIDE, SIDE, 3), np.uint8)
    for place, label in enumerate(labels):
        down, right = generator.integers(-3, 4, 2)
        y, x, r = row - down, column - right, generator.uniform(7, 10)
        mask = [
            np.maximum(abs(y), abs(x)) < r,
            np.hypot(y, x) < r,
            (np.minimum(abs(y), abs(x)) < 2.5) & (np.maximum(abs(y), abs(x)) < r),
            (np.hypot(y, x) < r) & (np.hypot(y, x) > r - 3.5),
            abs(y) < 3,
        ][label % 5]
        image = generator.integers(0, 60, (SIDE, SIDE, 3))
        image[mask, 0 if label < 5 else 2] += 170
        images[place] = image
    return images, labels


def write_tree(folder: Path, n: int, seed: int = 0) -> Path:
    """The same as PNG files, in a folder for each class."""
    for place, (image, label) in enumerate(zip(*shapes(n, seed), strict=True)):
        (folder / f"{label}").mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(folder / f"{label}" / f"{place:04d}.png")
    return folder
