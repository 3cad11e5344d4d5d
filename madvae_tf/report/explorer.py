"""The gallery: a reader picks digit, attack and variant, and sees three images and probabilities.

All pictures are tiles of one embedded PNG: a column is a test image, a row is a set of images.
"""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from madvae_tf.report.names import ATTACKS, DEFENSES
from madvae_tf.report.parts import Part
from madvae_tf.report.rendering import data_uri


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
    picks = {
        "digit": {str(place): int(label) for place, label in enumerate(images["label"])},
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
        "width": width,
        "height": height,
        "text": (
            "What the classifier makes of each image: its probability for every digit. The true"
            f" digit’s line is marked with a dot. Seed {run.get('seed', '–')}, threat model:"
            " oblivious, so these pictures say nothing about an attacker who knows of the"
            " purifier."
        ),
        "data": (
            json.dumps(_data(images, variants, attacks), separators=(",", ":")).replace(
                "<", "\\u003c"
            )
        ),
    }
    return [Part("explorer", values)]


def _data(
    images: Mapping[str, np.ndarray], variants: list[str], attacks: list[str]
) -> dict[str, Any]:
    """What the script reads: the sprite, its rows, predictions, probabilities in ten-thousandths."""  # noqa: E501
    pictures = ["clean", *(f"adversarial/{name}" for name in attacks if name != "none")]
    pictures += [f"purified/{variant}/{name}" for variant in variants for name in attacks]
    pictures = [name for name in pictures if name in images]
    who = [f"{defense}/{name}" for defense in ("none", *variants) for name in attacks]
    return {
        "size": [images["clean"].shape[2], images["clean"].shape[1]],
        "labels": np.asarray(images["label"]).tolist(),
        "pictures": pictures,
        "predictions": {
            name: np.asarray(images[f"prediction/{name}"]).tolist()
            for name in who
            if f"prediction/{name}" in images
        },
        "probabilities": {
            name: (
                np.round(np.asarray(images[f"probabilities/{name}"], np.float64) * 10_000)
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
