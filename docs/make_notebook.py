"""Writes docs/tutorial.ipynb from its cells below, and with --run executes it first: `make
notebook`.

The cells are kept here, as text that can be reviewed; the notebook is made from them without
outputs, so that it does not change by being run. The executed one, with its outputs and pictures,
goes to runs/tutorial.ipynb. With --page, docs/start/tutorial.md shows that one.
"""

import argparse
import base64
import json
import sys
import time
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
EXECUTED = DOCS.parent / "runs" / "tutorial.ipynb"

CELLS = (
    """# A purifier in ten minutes

An attack changes an image by a little, and the classifier errs. A purifier restores the image
before the classifier sees it. The purifier here is MAD-VAE, by Morlock and Wang. This tutorial
makes a data set of small colour pictures, trains a classifier, fools it and trains a purifier. It
ends with what the purifier does not protect against. Everything is small: the figures mean nothing,
the steps do.""",
    """>import keras
import matplotlib.pyplot as plt
import numpy as np
import tensorflow as tf

import madvae_tf
from madvae_tf.attacks import FGSM, PGD, DefendedModel, NoAttack, run_attack

keras.utils.set_random_seed(0)""",
    """## Data

Ten classes: a square, a disc and three bars, in red and in blue. Your images may be arrays, grey or
in colours. `madvae_tf.read_dataset` reads NPZ and IDX files and folders of pictures.""",
    """>def pictures(n, seed):
    generator = np.random.default_rng(seed)
    row, column = np.mgrid[:28, :28] - 13.5
    labels = np.arange(n) % 10
    images = generator.uniform(0, 0.2, (n, 28, 28, 3))
    for image, label in zip(images, labels):
        y, x = row - generator.integers(-2, 3), column - generator.integers(-2, 3)
        shapes = [np.maximum(abs(y), abs(x)) < 8, np.hypot(y, x) < 8, abs(y) < 3, abs(x) < 3, abs(y - x) < 4]
        image[shapes[label % 5], 0 if label < 5 else 2] += 0.7
    return images.astype(np.float32), labels

images, labels = pictures(600, seed=1)
test_images, test_labels = pictures(100, seed=4)""",  # noqa: E501
    """## A classifier to attack

Any Keras model, or TensorFlow function, that gives logits or probabilities.""",
    """>classifier = keras.Sequential([
    keras.Input((28, 28, 3)),
    keras.layers.Conv2D(16, 5, 2, activation="relu"),
    keras.layers.Conv2D(32, 3, 2, activation="relu"),
    keras.layers.Flatten(),
    keras.layers.Dense(10),
])
classifier.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
classifier.fit(images, labels, epochs=5, verbose=0)
clean = classifier.evaluate(test_images, test_labels, verbose=0)[1]
clean""",  # noqa: E501
    """## An attack

The threat model is *oblivious*: the attacker knows the classifier and nothing of a purifier.""",
    """>target = DefendedModel(logits=classifier)
attack = PGD(epsilon=0.15, iterations=10, step_size=0.03)
attacked = run_attack(attack, target, test_images, test_labels, seed=(0, 0), batch_size=100)
attacked_accuracy = float(1 - attacked.success.mean())
attacked_accuracy""",
    """## A purifier

`fit` attacks the training images itself and learns from the pairs of attacked and clean images.
`images_per_attack=0` means all of them. `NoAttack` teaches the purifier to leave clean images
alone. A tenth of the images is held out for validation, under stronger attacks than those of
training. Choose epochs and sizes by `defense.info["validation_accuracy"]`, never by the test
images. Real runs use the paper's attacks (the default), many thousand pairs and more epochs.""",
    """>defense = madvae_tf.fit(
    classifier, images, labels, variant="combined",
    attacks=[NoAttack(), FGSM(epsilon=0.15), PGD(epsilon=0.15, iterations=5, step_size=0.05)],
    images_per_attack=0, cw_iterations=2, epochs=4, batch_size=16, latent_size=32, attack_batch_size=120, verbose=0,
)
purified = defense.purify(attacked.x_adv)
behind = float((defense.predict(attacked.x_adv) == test_labels).mean())
clean_behind = float((defense.predict(test_images) == test_labels).mean())
behind, clean_behind""",  # noqa: E501
    """>figure, rows = plt.subplots(3, 8, figsize=(8, 3.2))
for row, (title, batch) in zip(rows, [("clean", test_images), ("attacked", attacked.x_adv), ("purified", purified)]):
    for axes, image in zip(row, batch):
        axes.imshow(image)
        axes.set_axis_off()
    row[0].set_title(title, loc="left")""",  # noqa: E501
    """## What it does not protect against

An attacker who *knows* of the purifier differentiates through both. Judge a defence by this threat
model. The paper's four variants fall to it; `madvae_tf.fit_robust` trains one that holds.""",
    """>end_to_end = DefendedModel(logits=lambda x: classifier(defense.purifier.purify(x)))
stronger = run_attack(attack, end_to_end, test_images, test_labels, seed=(0, 0), batch_size=100)
knowing = 1 - stronger.success.mean()
print(f"accuracy of the classifier alone: clean {clean:.2f}, attacked {attacked_accuracy:.2f}")
print(f"behind the purifier: clean {clean_behind:.2f}, attacked without knowing of it {behind:.2f}, knowing of it {knowing:.2f}")
# What this notebook shows; the project's tests run it.
assert min(clean, clean_behind, behind) > 0.8 and max(attacked_accuracy, knowing) < 0.4""",  # noqa: E501
    """## Further

`defense.save("my-defense")` and `madvae_tf.load("my-defense")` keep and load it.
`defense.export("folder")` writes a SavedModel. `madvae-run --config=demo` runs the whole study,
with a report.""",
)


def notebook() -> Any:
    """The notebook without outputs; a cell that begins with ">" is code."""
    import nbformat

    made = nbformat.v4.new_notebook()
    for number, text in enumerate(CELLS):
        code = text.startswith(">")
        cell = nbformat.v4.new_code_cell(text[1:]) if code else nbformat.v4.new_markdown_cell(text)
        cell.id = f"cell-{number}"
        made.cells.append(cell)
    made.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    return made


def page(executed: dict[str, Any], images: Path) -> str:
    """The executed notebook as Markdown; its pictures go to `images`."""
    parts = []
    for cell in executed["cells"]:
        source = "".join(cell["source"])
        code = cell["cell_type"] == "code"
        parts.append(f"```python\n{source}\n```" if code else source)
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            text = "".join(output.get("text", data.get("text/plain", "")))
            if output.get("name") == "stderr":
                continue
            if "image/png" in data:
                picture = images / f"tutorial-{cell['id']}.png"
                picture.write_bytes(base64.b64decode("".join(data["image/png"])))
                parts.append(f"![What the cell draws](../images/{picture.name})")
            else:
                parts.append(f"```text\n{text.rstrip()}\n```")
    return "\n\n".join(parts) + "\n"


def _run() -> None:
    from nbclient import NotebookClient

    started, executed = time.monotonic(), notebook()
    NotebookClient(executed, timeout=1800).execute()
    EXECUTED.parent.mkdir(exist_ok=True)
    EXECUTED.write_text(_text(executed), encoding="utf-8")
    said = [output for cell in executed.cells for output in cell.get("outputs", ())]
    sys.stdout.write("".join(output.text for output in said if output.get("name") == "stdout"))
    sys.stdout.write(
        f"The tutorial took {time.monotonic() - started:.0f} s; its outputs: {EXECUTED}\n"
    )


def _text(made: Any) -> str:
    import nbformat

    return nbformat.writes(made) + "\n"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--run", action="store_true", help="execute it, into runs/tutorial.ipynb")
    parser.add_argument(
        "--page", action="store_true", help="write docs/start/tutorial.md from runs/tutorial.ipynb"
    )
    given = parser.parse_args()
    if given.run:
        _run()
    if given.page:
        text = page(json.loads(EXECUTED.read_text(encoding="utf-8")), DOCS / "images")
        (DOCS / "start" / "tutorial.md").write_text(text, encoding="utf-8")
    (DOCS / "tutorial.ipynb").write_text(_text(notebook()), encoding="utf-8")
