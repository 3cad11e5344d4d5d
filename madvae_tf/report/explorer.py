"""The gallery: one picks a digit, an attack and a variant, and sees the clean, the adversarial and the purified image with probabilities.

All pictures are tiles of one embedded PNG: a column is a test image, a row is a set of images.
"""

import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image

from madvae_tf.report.gallery import data_uri
from madvae_tf.report.markup import text
from madvae_tf.report.names import ATTACKS, DEFENSES

_SHOWN = {"clean": "Clean", "adversarial": "Adversarial", "purified": "Purified"}


def section(images: Mapping[str, np.ndarray], run: Mapping[str, Any]) -> str:
    """The gallery's HTML; nothing without clean, labelled and purified images. See `write_report` for `images`."""
    variants = [name for name in DEFENSES if any(key.startswith(f"purified/{name}/") for key in images)]
    if "clean" not in images or "label" not in images or not variants or not len(images["clean"]):
        return ""
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
    # What is worth a first look: an attack that fools the classifier, and the last of the paper's variants.
    first = {
        "attack": "pgd" if "pgd" in attacks else attacks[-1],
        "variant": "combined" if "combined" in variants else variants[-1],
        "digit": str(len(images["clean"]) // 2),
    }
    lists = "".join(_list(name, options, first[name]) for name, options in picks.items())
    figures = "".join(_figure(name, title, images["clean"].shape) for name, title in _SHOWN.items())
    data = json.dumps(_data(images, variants, attacks), separators=(",", ":")).replace("<", "\\u003c")
    caption = (
        "What the classifier makes of each image: its probability for every digit. The true digit’s line is marked with a dot. "
        f"Seed {text(run.get('seed', '–'))}, threat model: oblivious, so these pictures say nothing about an attacker who "
        "knows of the purifier."
    )
    heads = "".join(f'<th scope="col">{title}</th>' for title in _SHOWN.values())
    lines = "".join(
        f'<tr><th scope="row">{digit}</th>{"".join(f"<td data-of={json.dumps(name)}></td>" for name in _SHOWN)}</tr>'
        for digit in range(10)
    )
    return (
        "<noscript><p>This gallery needs JavaScript; the strips of the next section show the same images.</p></noscript>"
        f'<div id="explorer" hidden><div class="picks" role="group" aria-label="What to show">{lists}</div>'
        f'<p id="explorer-said" class="unseen" role="status"></p><div class="trio">{figures}</div>'
        f'<table id="explorer-probabilities"><caption>{caption}</caption><thead><tr><th scope="col">Digit</th>{heads}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
        f'<script type="application/json" id="explorer-data">{data}</script>'
    )


def _list(name: str, options: Mapping[str, Any], first: str) -> str:
    items = "".join(
        f'<option value="{text(value)}"{" selected" if value == first else ""}>{text(title)}</option>'
        for value, title in options.items()
    )
    return f'<label for="pick-{name}">{name.capitalize()} <select id="pick-{name}">{items}</select></label>'


def _figure(name: str, title: str, shape: tuple[int, ...]) -> str:
    _, height, width, _ = shape
    return (
        f'<figure><canvas id="picture-{name}" role="img" aria-label="{title} image" width="{width}" height="{height}">'
        f'</canvas><figcaption><b>{title}</b> <span class="answer"></span></figcaption></figure>'
    )


def _data(images: Mapping[str, np.ndarray], variants: list[str], attacks: list[str]) -> dict[str, Any]:
    """What the script reads: the sprite, what its rows are, and numbers (probabilities in ten-thousandths)."""
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
            name: np.round(np.asarray(images[f"probabilities/{name}"], np.float64) * 10_000)
            .astype(int)
            .tolist()
            for name in who
            if f"probabilities/{name}" in images
        },
        "sprite": data_uri(_sprite([images[name] for name in pictures])),
    }


def _sprite(sets: list[np.ndarray]) -> bytes:
    """Sets of images (k, height, width, channels) in [0, 1] as one PNG: a set a row, an image a column."""
    rows = np.concatenate([np.concatenate(list(images), axis=1) for images in sets], axis=0)
    pixels = np.clip(np.round(rows * 255), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
