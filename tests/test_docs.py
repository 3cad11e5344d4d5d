"""The pages of docs/: every symbol exists, every listing runs, every error is one that the code raises."""

import importlib
import importlib.util
import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

import madvae_tf
from madvae_tf.attacks import ATTACKS, Target, run_attack
from madvae_tf.config import Config
from madvae_tf.data import catalogue
from madvae_tf.data.folders import read_dataset
from madvae_tf.data.idx import FILE_NAMES
from madvae_tf.data.sources import DATASETS, fetch_idx
from madvae_tf.defenses import DEFENSES
from madvae_tf.defenses.files import load_keras
from madvae_tf.errors import UserError
from madvae_tf.images import check_any_images, check_images
from madvae_tf.models.classifiers import CLASSIFIERS
from madvae_tf.models.foreign import adapt
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.overrides import override
from madvae_tf.variants import VARIANTS

DOCS = Path(__file__).parents[1] / "docs"
IMAGES = np.random.default_rng(0).random((4, 28, 28, 1), dtype=np.float32)


def page(name):
    return (DOCS / name).read_text(encoding="utf-8")


def script(name):
    """The module of one of the programs in docs/."""
    spec = importlib.util.spec_from_file_location(name, DOCS / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SYMBOLS = re.findall(r"\| `(madvae_tf[\w.]+)` \|", page("equations.md"))


def test_the_table_of_equations_has_the_losses_and_the_attacks():
    assert len(SYMBOLS) >= 25 and len(set(SYMBOLS)) == len(SYMBOLS)
    assert {f"madvae_tf.losses.{name}" for name in ("reconstruction", "kl_divergence", "proximity")} <= set(
        SYMBOLS
    )


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


LISTINGS = re.findall(r"```python\n(.*?)```", page("extending.md"), re.DOTALL)


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
    result = run_attack(ATTACKS["noise"](epsilon=0.2), Target(logits), IMAGES, labels, (1, 2), batch_size=4)
    assert 0.15 < result.linf.max() <= 0.2 + 1e-6
    with pytest.raises(UserError, match="epsilon"):
        ATTACKS["noise"](epsilon=1.5)
    assert listings["weights"] == {"kl": 0.1, "classification": 0.1, "proximity": 0.01}
    defense = DEFENSES["steps"](levels=3)
    defense.train(None, tmp_path)
    system = DEFENSES["steps"]().load(tmp_path, logits)
    assert set(np.unique(system.purify(tf.constant(IMAGES)))) == {0.0, 0.5, 1.0}
    assert catalogue.sizes("mnist_corrupted/identity").test == 10_000


def nine_folders(folder):
    for name in "abcdefghi":
        (folder / name).mkdir()
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
    from madvae_tf.models.vae import DefenseVAE

    keras.utils.set_random_seed(0)
    defense = FittedDefense(DefenseVAE(2), None, {})
    for _ in range(2):
        defense.save(folder / "defense")


def unreachable(folder):
    kept, catalogue.reachable = catalogue.reachable, lambda url: False
    try:
        catalogue.prepare_from_tfds("cifar10", folder)
    finally:
        catalogue.reachable = kept


# What raises each error of the page, in its order; `folder` is empty.
MISTAKES = [
    lambda folder: read_dataset("my-data"),
    lambda folder: read_dataset(nine_folders(folder)),
    lambda folder: check_images(np.zeros((5, 30, 28, 1), np.float32)),
    lambda folder: check_images(np.zeros((5, 28, 28, 1), np.uint8)),
    lambda folder: check_any_images(np.linspace(0, 255, 784, dtype=np.float32).reshape(1, 28, 28, 1)),
    lambda folder: adapt(lambda x: tf.stop_gradient(tf.reshape(x, (-1, 784))[:, :10]), IMAGES),
    lambda folder: adapt(lambda x: tf.reshape(x, (-1, 784)), IMAGES),
    lambda folder: adapt(lambda x: tf.reshape(x, (-1, 784))[:, :10], IMAGES, "probabilities"),
    lambda folder: override(Config(), ["vae.gama=0.2"]),
    unreachable,
    lambda folder: fetch_idx(DATASETS["mnist"], other_checksum(folder)),
    saved_twice,
]
ERRORS = re.findall(r"^\*\*`(.+?)`", page("faq.md"), re.MULTILINE)


def test_every_error_of_the_faq_is_tried():
    assert len(ERRORS) == len(MISTAKES)


@pytest.mark.parametrize("number", range(len(MISTAKES)), ids=lambda number: ERRORS[number][:40])
def test_the_errors_of_the_faq_are_those_of_the_code(number, tmp_path):
    with pytest.raises(UserError) as caught:
        MISTAKES[number](tmp_path)
    assert ERRORS[number] in str(caught.value)


def test_the_api_page_has_no_fault(tmp_path):
    pytest.importorskip("pdoc")
    make_api = script("make_api")
    assert make_api.undocumented() == []
    assert set(madvae_tf.__all__) <= {name.rsplit(".", 1)[-1] for name in make_api.public()}


def test_the_notebook_is_the_one_of_its_cells():
    nbformat = pytest.importorskip("nbformat")
    make_notebook = script("make_notebook")
    assert page("tutorial.ipynb") == nbformat.writes(make_notebook.notebook()) + "\n"


def test_weights_are_rounded_as_float16_rounds_and_deflated(tmp_path):
    write = script("make_weights")
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    # Float16 keeps 11 bits of these, too; it rounds a tie to even, of which there is none here.
    np.testing.assert_array_equal(write.rounded(values), values.astype(np.float16).astype(np.float32))
    tiny = np.float32([1e-20, -3e-30, 0.0])
    np.testing.assert_allclose(write.rounded(tiny), tiny, rtol=2**-11)
    model = DefenseVAE(4)
    model.save(tmp_path / "purifier.keras")
    for _ in range(2):
        write.write_rounded(tmp_path / "purifier.keras", tmp_path / "small.keras")
    small = load_keras(tmp_path / "small.keras")
    for one, other in zip(model.get_weights(), small.get_weights(), strict=True):
        np.testing.assert_array_equal(write.rounded(one), other)
    before, after = ((tmp_path / f"{name}.keras").stat().st_size for name in ("purifier", "small"))
    assert after < 0.65 * before


def test_one_page_of_several_runs(tmp_path):
    make_page = script("make_page")
    common = {"dataset": "mnist", "parameters": {}, "defense": "pd", "seed": 0, "paper": None}
    rates = {"ci_low": 0.0, "ci_high": 1.0, "metric": "accuracy"}

    def row(table, attack, value, n=10, **more):
        model = "oblivious" if table == "table1" else "end_to_end"
        return {
            **common,
            **rates,
            "table": table,
            "attack": attack,
            "threat_model": model,
            "value": value,
            "n": n,
            **more,
        }

    def staged(name, rows, warnings=()):
        (tmp_path / "artifacts" / name).mkdir(parents=True)
        for file, content in (("rows", rows), ("warnings", list(warnings))):
            (tmp_path / "artifacts" / name / f"{file}.json").write_text(json.dumps(content))

    ball = {"norm": "linf", "epsilon": 0.3}
    clean, worst = (
        row("robustness", "none", 0.9, parameters=ball),
        row("robustness", "worst_case", 0.1, parameters=ball),
    )
    staged("one", [clean, row("robustness", "square", 0.2, parameters={**ball, "queries": 5})])
    # Of the same clean images again, and what follows from both.
    staged("two", [clean, worst], ["pd: a warning"])
    (tmp_path / "artifacts" / "three.partial").mkdir()
    files = []
    for name, rows in (
        ("a", [row("table1", "fgsm", 0.5), row("robustness", "square", 0.7)]),
        ("b", [row("table1", "pgd", 0.4)]),
    ):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(
            json.dumps({"run": {"dataset": "mnist", "name": name, "seed": 0, "command": name}, "rows": rows})
        )
    make_page.write_page(tmp_path / "page", files, [tmp_path / "artifacts"])
    results = json.loads((tmp_path / "page" / "results.json").read_text())
    # The robustness rows of a results.json are left out: stages have them.
    assert sorted((r["table"], r["attack"], r["value"]) for r in results["rows"]) == [
        *(("robustness", "none", 0.9), ("robustness", "square", 0.2), ("robustness", "worst_case", 0.1)),
        *(("table1", "fgsm", 0.5), ("table1", "pgd", 0.4)),
    ]
    assert results["run"]["warnings"] == ["pd: a warning"] and results["run"]["name"] == "a"
    assert [part.get("command", part.get("stage")) for part in results["run"]["joined"]] == [
        "a",
        "b",
        "one",
        "two",
    ]
    assert "pd: a warning" in (tmp_path / "page" / "index.html").read_text()
    assert "0.4000" in (tmp_path / "page" / "tables.md").read_text()
    staged("four", [{**clean, "value": 0.8}])
    with pytest.raises(UserError, match=r"none, pd, end_to_end: 0.8 and 0.9"):
        make_page.join(files, [tmp_path / "artifacts"])
    with pytest.raises(UserError, match="Nothing to join"):
        make_page.join([], [tmp_path / "artifacts"])


@pytest.mark.parametrize(
    ("weights", "classifier_of", "squash"),
    [
        ("mnist-robust", "mnist-robust", True),
        ("mnist-robust-l2", "mnist-robust", False),
        ("mnist-robust-both", "mnist-robust", True),
        ("fashion-robust", "fashion-robust", False),
    ],
)
def test_the_published_weights_are_rounded_models_of_this_project(weights, classifier_of, squash):
    folder, rounded = DOCS / "weights" / weights, script("make_weights").rounded
    purifier = load_keras(folder / "purifier.keras")
    classifier = load_keras(DOCS / "weights" / classifier_of / "classifier.keras")
    assert isinstance(purifier, DefenseVAE) and (purifier.squash is not None) == squash
    assert isinstance(classifier, CLASSIFIERS["table6"]) and (folder / "README.md").exists()
    for model in (purifier, classifier):
        assert all(np.array_equal(rounded(weights), weights) for weights in model.get_weights())
    assert all(path.stat().st_size < 10e6 for path in folder.iterdir())
    logits = classifier(purifier.purify(tf.constant(IMAGES))).numpy()
    assert logits.shape == (4, 10) and np.isfinite(logits).all()


def test_a_classifier_of_this_project_is_read_where_nothing_else_was_imported():
    """Its class must be known; in this process another test has seen to that."""
    program = (
        "import sys; from pathlib import Path; import numpy as np\n"
        "from madvae_tf.models.foreign import load_classifier_file\n"
        "read = load_classifier_file(Path(sys.argv[1]), np.zeros((2, 28, 28, 1), np.float32))\n"
        "print(read.outputs, type(read.source).__name__)"
    )
    path = DOCS / "weights" / "mnist-robust" / "classifier.keras"
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True)
    assert done.stdout.split() == ["logits", "Table6Classifier"], done.stderr[-500:]
