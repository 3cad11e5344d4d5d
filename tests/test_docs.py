"""The pages of docs/: every symbol exists, every listing runs, every error is one that the code
raises.
"""

import importlib
import importlib.util
import json
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.attacks import ATTACKS, DefendedModel, run_attack
from madvae_tf.config import Config
from madvae_tf.config.overrides import override
from madvae_tf.config.variants import VARIANTS
from madvae_tf.data import catalogue, tfds_sets
from madvae_tf.data.catalogue import DATASETS
from madvae_tf.data.idx import FILE_NAMES
from madvae_tf.data.readers import read_dataset
from madvae_tf.data.sources import fetch_idx
from madvae_tf.defenses import DEFENSES
from madvae_tf.models.external_classifier import adapt
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from madvae_tf.utils.images import check_any_images, check_images
from madvae_tf.utils.labels import check_labels
from tests.programs import DOCS, script

IMAGES = np.random.default_rng(0).random((4, 28, 28, 1), dtype=np.float32)


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


SYMBOLS = re.findall(r"\| `(madvae_tf[\w.]+)` \|", page("reference/equations.md"))


def test_the_table_of_equations_has_the_losses_and_the_attacks():
    assert len(SYMBOLS) >= 25 and len(set(SYMBOLS)) == len(SYMBOLS)
    assert {
        f"madvae_tf.losses.{name}" for name in ("reconstruction", "kl_divergence", "proximity")
    } <= set(SYMBOLS)


def _is_module(name):
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # its parent is no package
        return False


@pytest.mark.parametrize("symbol", SYMBOLS)
def test_every_symbol_of_the_table_exists_where_it_is_said_to_be(symbol):
    parts, depth = symbol.split("."), 1
    while depth < len(parts) and _is_module(".".join(parts[: depth + 1])):
        depth += 1
    value = importlib.import_module(".".join(parts[:depth]))
    for name in parts[depth:]:
        value = getattr(value, name)
    # Where it is defined, not where it was imported.
    home = getattr(value, "__module__", ".".join(parts[:depth]))
    assert home == ".".join(parts[:depth])


LISTINGS = re.findall(r"```python\n(.*?)```", page("project/extending.md"), re.DOTALL)


@pytest.fixture
def listings():
    """Runs the page's code; the registries are as before afterwards."""
    registries = (ATTACKS, VARIANTS, DEFENSES, catalogue.CATALOGUE)
    kept = [dict(registry) for registry in registries]
    found = {}
    for number, code in enumerate(LISTINGS):
        assert len(code.splitlines()) < 30
        name = f"listing_{number}"
        module = type(sys)(name)
        sys.modules[name] = module
        exec(compile(code, name, "exec"), module.__dict__)
        found |= vars(module)
    yield found
    for registry, before in zip(registries, kept, strict=True):
        registry.clear()
        registry.update(before)


def test_the_listings_add_what_they_say(listings, tmp_path):
    assert len(LISTINGS) == 4

    def logits(x):
        return tf.reshape(x, (-1, 784))[:, :10]

    labels = np.asarray(logits(IMAGES)).argmax(axis=1)
    result = run_attack(
        ATTACKS["noise"](epsilon=0.2), DefendedModel(logits), IMAGES, labels, (1, 2), batch_size=4
    )
    assert 0.15 < result.linf.max() <= 0.2 + 1e-6
    with pytest.raises(UserError, match="epsilon"):
        ATTACKS["noise"](epsilon=1.5)
    assert listings["weights"] == {"kl": 0.1, "classification": 0.1, "proximity": 0.01}
    defense = DEFENSES["steps"](levels=3)
    defense.train(None, tmp_path)
    system = DEFENSES["steps"]().load(tmp_path, logits)
    assert set(np.unique(system.purify(tf.constant(IMAGES)))) == {0.0, 0.5, 1.0}
    assert catalogue.sizes("mnist_corrupted/identity").test == 10_000


def example(name, text):
    """The first program of a page that has `text` in it."""
    programs = re.findall(r"```python\n(.*?)```", page(name), re.DOTALL)
    return next(code for code in programs if text in code)


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """Ten pictures as IDX files in the folder my-data, of the current folder."""
    monkeypatch.chdir(tmp_path)
    made = np.random.default_rng(0).integers(0, 256, (10, 28, 28), np.uint8)
    for name, array in (
        ("t10k-images-idx3-ubyte", made),
        ("t10k-labels-idx1-ubyte", np.arange(10, dtype=np.uint8)),
    ):
        head = bytes([0, 0, 8, array.ndim]) + b"".join(
            size.to_bytes(4, "big") for size in array.shape
        )
        (tmp_path / "my-data").mkdir(exist_ok=True)
        (tmp_path / "my-data" / name).write_bytes(head + array.tobytes())
    return made


@pytest.fixture
def asked(monkeypatch):
    """What `madvae_tf.evaluate` is asked for; its attacks, which have tests of their own, are left
    out.
    """
    evaluate, found = madvae_tf.evaluate, []

    def without_attacks(model, images, labels, folder=None, **budget):
        found.append(budget)
        return evaluate(model, images, labels, [], folder=folder, progress=False)

    monkeypatch.setattr(madvae_tf, "evaluate", without_attacks)
    return found


def test_the_example_of_an_evaluation_runs(tmp_path, pictures, asked):
    """On a SavedModel that gives probabilities."""
    model = tf.Module()
    answer = tf.function(
        lambda images: {"probabilities": tf.nn.softmax(20 * tf.reshape(images, (-1, 784))[:, :10])},
        input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32, name="images")],
    )
    tf.saved_model.save(model, "runs/quick/export/robust", signatures={"classify": answer})
    found = {}
    exec(example("evaluate/index.md", "madvae_tf.evaluate("), found)
    assert asked == [{"threat": "linf:0.3", "preset": "fast"}]
    right = pictures.reshape(10, 784)[:, :10].argmax(axis=1) == np.arange(10)
    np.testing.assert_array_equal(found["found"].worst, right)
    assert (
        json.loads((tmp_path / "found.json").read_text())["worst_case"]["accuracy"] == right.mean()
    )


def test_readmes_evaluation_runs_and_its_output_has_the_form_of_the_programs(
    tmp_path, pictures, asked, capsys
):
    """On the published weights."""
    (tmp_path / "docs").symlink_to(DOCS)
    found = {}
    exec(example("../README.md", "madvae_tf.evaluate("), found)
    assert asked == [{"threat": "linf:0.3", "preset": "fast"}]
    right = found["model"].predict(pictures) == np.arange(10)
    np.testing.assert_array_equal(found["found"].worst, right)
    told = re.findall(r"```text\n(purifier, .*?)```", page("../README.md"), re.DOTALL)[
        0
    ].splitlines()
    said = capsys.readouterr().out.splitlines()
    assert [told[1].split()[:2], told[-1].split()[:2]] == [["no", "attack"], ["worst", "case"]]
    assert re.sub(r"[\d.]+", "0", said[1]) == re.sub(r"[\d.]+", "0", told[1])


def one_folder(folder):
    (folder / "a").mkdir()
    return folder


def other_checksum(folder):
    for name in FILE_NAMES:
        images = "images" in name
        head = bytes([0, 0, 8, 3 if images else 1, 0, 0, 0, 1]) + (
            bytes([0, 0, 0, 28] * 2) if images else b""
        )
        (folder / name).write_bytes(head + bytes(784 if images else 1))
    return str(folder)


def saved_twice(folder):
    import keras

    from madvae_tf.api import FittedDefense

    keras.utils.set_random_seed(0)
    defense = FittedDefense(DefenseVAE(2), None, {})
    for _ in range(2):
        defense.save(folder / "defense")


def unreachable(folder):
    kept, tfds_sets.reachable = tfds_sets.reachable, lambda url: False
    try:
        tfds_sets.prepare_from_tfds("cifar10", folder)
    finally:
        tfds_sets.reachable = kept


# What raises each error of the page, in its order; `folder` is empty.
MISTAKES = [
    lambda folder: read_dataset("my-data"),
    lambda folder: read_dataset(one_folder(folder)),
    lambda folder: check_images(np.zeros((5, 300, 28, 1), np.float32)),
    lambda folder: check_images(np.zeros((5, 28, 28, 1), np.uint8)),
    lambda folder: check_any_images(
        np.linspace(0, 255, 784, dtype=np.float32).reshape(1, 28, 28, 1)
    ),
    lambda folder: adapt(lambda x: tf.stop_gradient(tf.reshape(x, (-1, 784))[:, :10]), IMAGES),
    lambda folder: adapt(lambda x: x, IMAGES),
    lambda folder: check_labels([1, 10], 2, classes=10),
    lambda folder: adapt(lambda x: tf.reshape(x, (-1, 784))[:, :10], IMAGES, "probabilities"),
    lambda folder: override(Config(), ["vae.gama=0.2"]),
    unreachable,
    lambda folder: fetch_idx(DATASETS["mnist"], other_checksum(folder)),
    saved_twice,
]
ERRORS = re.findall(r"^\*\*`(.+?)`", page("project/faq.md"), re.MULTILINE)


def test_every_error_of_the_faq_is_tried():
    assert len(ERRORS) == len(MISTAKES)


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda number: ERRORS[number][:40])
def test_the_errors_of_the_faq_are_those_of_the_code(number, tmp_path):
    with pytest.raises(UserError) as caught:
        MISTAKES[number](tmp_path)
    assert ERRORS[number] in str(caught.value)


API = re.findall(r"^::: (madvae_tf[\w.]+)$", page("reference/api.md"), re.MULTILINE)


def test_the_api_page_has_every_public_name():
    homes = set()
    for name in madvae_tf.__all__:
        value = getattr(madvae_tf, name)
        homes.add(f"{value.__module__}.{value.__name__}")
    assert homes - set(API) == {"madvae_tf.utils.errors.UserError"}
    assert "madvae_tf.utils.errors" in API


@pytest.mark.parametrize("name", API)
def test_what_the_api_page_names_is_there(name):
    home, _, last = name.rpartition(".")
    assert _is_module(name) or getattr(importlib.import_module(home), last).__module__ == home


def test_the_tutorial_shows_the_cells_of_the_notebook():
    shown, place = page("start/tutorial.md"), 0
    for cell in script("make_notebook").CELLS:
        text = f"```python\n{cell[1:]}\n```" if cell.startswith(">") else cell
        place = shown.index(text, place)
    assert "accuracy of the classifier alone: clean " in shown[place - 500 :]


def test_the_notebook_is_the_one_of_its_cells():
    nbformat = pytest.importorskip("nbformat")
    make_notebook = script("make_notebook")
    assert page("tutorial.ipynb") == nbformat.writes(make_notebook.notebook()) + "\n"
