"""Type checkers, strict, on what README and the docstrings call: pyright finds nothing unknown in the public interface."""

import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import madvae_tf

ROOT = Path(__file__).parents[1]
PUBLIC = (
    "madvae_tf",
    "madvae_tf.api",
    "madvae_tf.attacks",
    "madvae_tf.config",
    "madvae_tf.defenses",
    "madvae_tf.evaluation",
)
PROGRAM = """
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import madvae_tf
from madvae_tf.attacks import FGSM, Target, run_attack
from madvae_tf.models.external_classifier import adapt, load_saved_model
from madvae_tf.evaluation import Evaluation, auto_attack, evaluate, gradient_suite

Images = NDArray[np.float32]


def classifier(images: Images) -> Images:
    return images


def main(images: Images, labels: NDArray[np.int64]) -> None:
    own, classes = madvae_tf.read_dataset("my-data")
    labelled = madvae_tf.read_dataset("my-data", split="test")
    defense = madvae_tf.fit(classifier, own, classes, variant="combined", outputs="logits")
    robust = madvae_tf.fit_robust(classifier, images, labels, epochs=1)
    purified, classes = defense.purify(images), robust.predict(images)
    defense.save("my-defense", overwrite=True)
    defense.export("exported")
    again = madvae_tf.load("my-defense", classifier)
    layer = madvae_tf.Purifier(again)
    found = madvae_tf.evaluate(defense, images, labels, threat="linf:0.3", preset="fast")
    mine: Evaluation = defense.evaluate(images, labels)
    text: str = found.summary() + found.to_json() + found.to_csv() + found.to_latex()
    model = load_saved_model(Path("runs/quick/export/robust"), images[:8])
    suites = [gradient_suite("linf", 0.3), auto_attack("linf", 0.3)]
    kept = evaluate(model, images, labels, suites, folder="trials", draws=20, repeats=10)
    result = run_attack(FGSM(epsilon=0.1), Target(adapt(classifier, images)), images, labels, (0, 0))
    print(labelled.names, purified, layer, mine.rows(), text, kept.worst, result.x_adv, madvae_tf.UserError)
"""


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_package_says_what_it_offers(name):
    module = importlib.import_module(name)
    offered = module.__all__
    assert len(set(offered)) == len(offered) > 0
    for each in offered:
        assert getattr(module, each) is not None


def test_every_public_name_that_readme_uses_is_offered():
    used = set(re.findall(r"madvae_tf\.([a-z_]+|[A-Z]\w+)\(", (ROOT / "README.md").read_text()))
    assert used and used <= set(madvae_tf.__all__)


def test_a_strict_type_checker_finds_nothing(tmp_path):
    (tmp_path / "program.py").write_text(PROGRAM)
    settings = {
        "include": ["program.py"],
        "extraPaths": [str(ROOT)],
        "venvPath": str(Path(sys.prefix).parent),
        "venv": Path(sys.prefix).name,
        "typeCheckingMode": "strict",
    }
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "-p", str(tmp_path)], capture_output=True, text=True
    )
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == 1
    assert [(each["range"]["start"]["line"], each["message"]) for each in found["generalDiagnostics"]] == []
