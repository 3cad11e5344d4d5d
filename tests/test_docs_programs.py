"""The programs of docs/ that make the published weights and pages, and what they made."""

import json

import numpy as np
import pytest
import tensorflow as tf

from madvae_tf.defenses.files import load_keras
from madvae_tf.models.classifiers import CLASSIFIERS
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from tests import processes
from tests.programs import DOCS, script

IMAGES = np.random.default_rng(0).random((4, 28, 28, 1), dtype=np.float32)


def test_weights_are_rounded_as_float16_rounds_and_deflated(tmp_path):
    write = script("make_weights")
    values = np.random.default_rng(0).standard_normal(1000).astype(np.float32)
    # Float16 keeps 11 bits of these, too; it rounds a tie to even, of which there is none here.
    np.testing.assert_array_equal(
        write.rounded(values), values.astype(np.float16).astype(np.float32)
    )
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

    stages = tmp_path / "long" / "artifacts" / "robustness"

    def staged(name, rows, warnings=()):
        (stages / name).mkdir(parents=True)
        for file, content in (("rows", rows), ("warnings", list(warnings))):
            (stages / name / f"{file}.json").write_text(json.dumps(content))

    ball = {"norm": "linf", "epsilon": 0.3}
    clean, worst = (
        row("robustness", "none", 0.9, parameters=ball),
        row("robustness", "worst_case", 0.1, parameters=ball),
    )
    staged("one", [clean, row("robustness", "square", 0.2, parameters={**ball, "queries": 5})])
    # Of the same clean images again, and what follows from both.
    staged("two", [clean, worst], ["pd: a warning"])
    (stages / "three.partial").mkdir()
    (tmp_path / "long" / "README.md").write_text("Commands.")
    (tmp_path / "long" / "notes.json").write_text(
        json.dumps({"pd": "Half as long.", "cls": "Not here."})
    )
    files = []
    for name, rows in (
        ("a", [row("table1", "fgsm", 0.5), row("robustness", "square", 0.7)]),
        ("b", [row("table1", "pgd", 0.4)]),
    ):
        files.append(tmp_path / f"{name}.json")
        files[-1].write_text(
            json.dumps(
                {
                    "run": {"dataset": "mnist", "name": name, "seed": 0, "command": name},
                    "rows": rows,
                }
            )
        )
    make_page.write_page(tmp_path / "page", files, [stages])
    results = json.loads((tmp_path / "page" / "results.json").read_text())
    # The robustness rows of a results.json are left out: stages have them.
    assert sorted((r["table"], r["attack"], r["value"]) for r in results["rows"]) == [
        *(
            ("robustness", "none", 0.9),
            ("robustness", "square", 0.2),
            ("robustness", "worst_case", 0.1),
        ),
        *(("table1", "fgsm", 0.5), ("table1", "pgd", 0.4)),
    ]
    assert results["run"]["warnings"] == ["pd: a warning"] and results["run"]["name"] == "a"
    assert [part.get("command", part.get("stage")) for part in results["run"]["joined"]] == [
        "a",
        "b",
        "one",
        "two",
    ]
    assert {part["told_in"] for part in results["run"]["joined"] if "stage" in part} == {
        str(tmp_path / "long" / "README.md")
    }
    page = (tmp_path / "page" / "index.html").read_text()
    assert "pd: a warning" in page and "Half as long." in page and "Not here." not in page
    assert "0.400" in (tmp_path / "page" / "tables.md").read_text()
    staged("four", [{**clean, "value": 0.8}])
    with pytest.raises(UserError, match=r"none, pd, end_to_end: 0.8 and 0.9"):
        make_page.join(files, [stages])
    with pytest.raises(UserError, match="Nothing to join"):
        make_page.join([], [stages])


@pytest.mark.parametrize(
    ("weights", "classifier_of", "squash"),
    [
        ("mnist-robust", "mnist-robust", True),
        ("mnist-robust-wider", "mnist-robust", True),
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
        "from madvae_tf.models.external_classifier import load_classifier_file\n"
        "read = load_classifier_file(Path(sys.argv[1]), np.zeros((2, 28, 28, 1), np.float32))\n"
        "print(read.outputs, type(read.source).__name__)"
    )
    path = DOCS / "weights" / "mnist-robust" / "classifier.keras"
    done = processes.run(["-c", program, path])
    assert done.stdout.split() == ["logits", "Table6Classifier"], done.stderr[-500:]
