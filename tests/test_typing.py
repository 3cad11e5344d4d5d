"""Type checkers, strict, on what README, the guides and the docstrings call: pyright and mypy know
every type of the public interface.
"""

import importlib
import json
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import madvae_tf

ROOT = Path(__file__).parents[1]
GUIDES = ("README.md", "docs/protect/index.md", "docs/protect/colour.md", "docs/evaluate/index.md")
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
from madvae_tf.attacks import FGSM, DefendedModel, run_attack
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
    result = run_attack(FGSM(epsilon=0.1), DefendedModel(adapt(classifier, images)), images, labels, (0, 0))
    print(labelled.names, purified, layer, mine.rows(), text, kept.worst, result.x_adv, madvae_tf.UserError)
"""  # noqa: E501

# Keras has neither annotations nor stubs: what these programs use of it.
KERAS = """
from collections.abc import Sequence

class Model:
    def __call__(self, inputs: object, training: bool = False) -> object: ...

class Sequential(Model):
    def __init__(self, layers: Sequence[object]) -> None: ...

class layers:
    class Layer: ...

class saving:
    @staticmethod
    def load_model(filepath: str) -> Model: ...
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


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """A folder of `PROGRAM` and of the programs in `GUIDES` that use this project, one after the
    other in a function.
    """
    folder = tmp_path_factory.mktemp("programs")
    (folder / "program.py").write_text(PROGRAM)
    (folder / "keras.pyi").write_text(KERAS)
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in GUIDES]
    listed = [code for text in texts for code in re.findall(r"```python\n(.*?)```", text, re.S)]
    ours = [code for code in listed if "madvae_tf." in code and "def " not in code]
    assert len(ours) >= 5
    # What some suppose: a classifier of the reader's own.
    head = "import keras\n\n\ndef main(classifier: keras.Model) -> None:\n"
    for number, code in enumerate(ours):
        (folder / f"program_{number}.py").write_text(head + textwrap.indent(code, "    "))
    return folder


def test_pyright_strict_finds_nothing(programs):
    settings = {
        "include": ["*.py"],
        "extraPaths": [str(ROOT)],
        "venvPath": str(Path(sys.prefix).parent),
        "venv": Path(sys.prefix).name,
        "typeCheckingMode": "strict",
        # What a program makes, or imports for its effect, it does not always use.
        "reportUnusedImport": "none",
        "reportUnusedVariable": "none",
    }
    (programs / "pyrightconfig.json").write_text(json.dumps(settings))
    done = subprocess.run(
        [sys.executable, "-m", "pyright", "--outputjson", "-p", str(programs)],
        capture_output=True,
        text=True,
    )
    found = json.loads(done.stdout)
    assert found["summary"]["filesAnalyzed"] == len(list(programs.glob("*.py")))
    wrong = [
        (Path(each["file"]).name, each["range"]["start"]["line"], each["message"])
        for each in found["generalDiagnostics"]
    ]
    assert wrong == []


def test_mypy_strict_finds_nothing(programs):
    command = [
        sys.executable,
        "-m",
        "mypy",
        "--strict",
        "--follow-imports=silent",
        "--no-error-summary",
    ]
    done = subprocess.run(
        [*command, f"--cache-dir={programs / 'cache'}", *sorted(map(str, programs.glob("*.py")))],
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_mypy_sees_what_the_package_says(tmp_path):
    """A wrong type is found, so that silence says something."""
    (tmp_path / "wrong.py").write_text("import madvae_tf\n\nnumber: int = madvae_tf.load(3)\n")
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "mypy",
            "--strict",
            "--follow-imports=silent",
            "--cache-dir=cache",
            "wrong.py",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={**os.environ, "MYPYPATH": str(ROOT)},
    )
    assert 'variable has type "int"' in done.stdout and 'Argument 1 to "load"' in done.stdout
