"""The gallery: a reader picks digit, attack and variant, and sees three images and probabilities.

All pictures are tiles of one embedded PNG: a column is a test image, a row is a set of images.
"""

import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from madvae_tf.report.names import ATTACKS, DEFENSES, class_names, class_word
from madvae_tf.report.parts import Part
from madvae_tf.report.rendering import data_uri
from madvae_tf.utils.confusions import WHOLE


def section(images: Mapping[str, np.ndarray], run: Mapping[str, Any]) -> list[Part]:
    """The gallery; nothing without clean, labelled and purified images (see `write_report`)."""
    variants = [
        name for name in DEFENSES if any(key.startswith(f"purified/{name}/") for key in images)
    ]
    if "clean" not in images or "label" not in images or not variants or not len(images["clean"]):
        return []
    attacks = [
        name
        for name in ATTACKS
        if any(f"purified/{variant}/{name}" in images for variant in variants)
        or f"adversarial/{name}" in images
    ]
    classes, names = _classes(images, run)
    word = class_word(names)
    picks = {
        "digit": {str(place): names[int(label)] for place, label in enumerate(images["label"])},
        "attack": {name: ATTACKS[name] for name in attacks},
        "variant": {name: DEFENSES[name] for name in variants},
    }
    # What is worth a first look: an attack that fools the classifier, and the last of the paper's
    # variants.
    first = {
        "attack": "pgd" if "pgd" in attacks else attacks[-1],
        "variant": "combined" if "combined" in variants else variants[-1],
        "digit": str(len(images["clean"]) // 2),
    }
    _, height, width, _ = images["clean"].shape
    values = {
        "picks": picks,
        "first": first,
        "shown": {"clean": "Clean", "adversarial": "Adversarial", "purified": "Purified"},
        "word": word,
        "classes": [names[label] for label in classes],
        "width": width,
        "height": height,
        "text": (
            f"What the classifier makes of each image: its probability for every {word}. The true"
            f" {word}’s line is marked with a dot. Seed {run.get('seed', '–')}, threat model:"
            " oblivious, so these pictures say nothing about an attacker who knows of the"
            " purifier."
        ),
        "data": (
            json.dumps(
                _data(images, variants, attacks, classes, names, word), separators=(",", ":")
            ).replace("<", "\\u003c")
        ),
    }
    return [Part("explorer", values)]


def _classes(
    images: Mapping[str, np.ndarray], run: Mapping[str, Any]
) -> tuple[list[int], tuple[str, ...]]:
    """The classes whose probabilities are shown, and the names of all: of more than twenty, those
    that an image has or is taken for.
    """
    widths = [np.shape(images[key])[1] for key in images if key.startswith("probabilities/")]
    found = {
        int(label)
        for key, values in images.items()
        if key == "label" or key.startswith("prediction/")
        for label in values
    }
    count = max([*widths, *(label + 1 for label in found)])
    return list(range(count)) if count <= WHOLE else sorted(found), class_names(run, count)


def _data(
    images: Mapping[str, np.ndarray],
    variants: list[str],
    attacks: list[str],
    classes: list[int],
    names: Sequence[str],
    word: str,
) -> dict[str, Any]:
    """What the script reads: the sprite, its rows, predictions, probabilities of `classes` in
    ten-thousandths.
    """
    pictures = ["clean", *(f"adversarial/{name}" for name in attacks if name != "none")]
    pictures += [f"purified/{variant}/{name}" for variant in variants for name in attacks]
    pictures = [name for name in pictures if name in images]
    who = [f"{defense}/{name}" for defense in ("none", *variants) for name in attacks]
    return {
        "size": [images["clean"].shape[2], images["clean"].shape[1]],
        "labels": np.asarray(images["label"]).tolist(),
        "word": word.capitalize(),
        "classes": classes,
        "names": list(names),
        "pictures": pictures,
        "predictions": {
            name: np.asarray(images[f"prediction/{name}"]).tolist()
            for name in who
            if f"prediction/{name}" in images
        },
        "probabilities": {
            name: (
                np.round(np.asarray(images[f"probabilities/{name}"], float)[:, classes] * 10_000)
                .astype(int)
                .tolist()
            )
            for name in who
            if f"probabilities/{name}" in images
        },
        "sprite": data_uri(png(_sprite([images[name] for name in pictures])), "image/png"),
    }


def _sprite(sets: list[np.ndarray]) -> np.ndarray:
    """Sets of images (k, height, width, channels) as one: a set a row, an image a column."""
    return np.concatenate([np.concatenate(list(images), axis=1) for images in sets], axis=0)


def png(image: np.ndarray) -> bytes:
    """An image (height, width, channels) in [0, 1] as a PNG of its own size in pixels."""
    pixels = np.clip(np.round(image * 255), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(
        buffer, "PNG", optimize=True
    )
    return buffer.getvalue()
