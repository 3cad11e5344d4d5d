"""madvae-purify and madvae-attack on small exports: what they print and write, and one line for a
mistake.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from madvae_tf.attacks import ATTACKS
from madvae_tf.cli.attack import build
from madvae_tf.export.saved_model import export_classifier, export_purifier
from madvae_tf.models.vae import DefenseVAE
from madvae_tf.utils.errors import UserError
from tests import processes

ROOT = Path(__file__).parents[2]
WEIGHTS = 0.3 * np.random.default_rng(0).standard_normal((784, 10)).astype(np.float32)
ARRAYS = np.random.default_rng(2).integers(60, 190, (3, 28, 28), dtype=np.uint8)


def command(name, *arguments):
    """(exit status, standard output, standard error), called as pip's script calls it."""
    code = f"import sys; sys.argv[0] = 'madvae-{name}'; from madvae_tf.cli.{name} import run; run()"
    process = processes.run(["-c", code, *arguments])
    return process.returncode, process.stdout, process.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """(folder with three images and both exports, purifier)."""
    folder = tmp_path_factory.mktemp("world")
    classifier = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    classifier.set_weights([WEIGHTS, np.zeros(10, np.float32)])
    keras.utils.set_random_seed(0)
    purifier = DefenseVAE(4)
    purifier.set_weights(
        [3 * weight if weight.ndim > 1 else weight for weight in purifier.get_weights()]
    )
    export_classifier(folder / "export" / "classifier", classifier)
    export_purifier(folder / "export" / "combined", purifier, classifier)
    (folder / "in").mkdir()
    for number, array in enumerate(ARRAYS):
        Image.fromarray(array).save(folder / "in" / f"{number}.png")
    Image.fromarray(ARRAYS[0]).resize((56, 56), Image.Resampling.NEAREST).save(folder / "big.png")
    return folder, purifier


def softmax(pixels):
    """Of the linear classifier, by hand; float (n, 28, 28) in [0, 1]."""
    logits = pixels.reshape(-1, 784).astype(np.float64) @ WEIGHTS
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def test_purify_prints_and_writes_what_the_models_say(world, tmp_path):
    folder, purifier = world
    purified = purifier(ARRAYS[..., None] / np.float32(255)).numpy()[..., 0]
    status, output, errors = command(
        "purify",
        folder / "in",
        f"--export={folder / 'export' / 'combined'}",
        f"--out={tmp_path}",
        "--json",
        "--batch_size=2",
    )
    assert status == 0, errors
    document = json.loads(output)
    before, after = softmax(ARRAYS / 255), softmax(purified)
    assert len(document["images"]) == 3
    for place, record in enumerate(document["images"]):
        assert record["file"] == str(folder / "in" / f"{place}.png") and record["notes"] == []
        for found, expected in ((record["before"], before[place]), (record["after"], after[place])):
            assert found["label"] == expected.argmax()
            assert found["confidence"] == pytest.approx(expected.max(), abs=1e-4)
        written = np.asarray(Image.open(tmp_path / f"{place}.png")).astype(int)
        assert record["written"] == str(tmp_path / f"{place}.png")
        assert np.abs(written - 255 * purified[place]).max() < 0.51


def test_purify_notes_conversions_and_what_is_not_there(world, tmp_path):
    folder, _ = world
    alone = tmp_path / "alone"
    alone.symlink_to(folder / "export" / "combined")
    status, output, errors = command("purify", folder / "big.png", f"--export={alone}")
    lines = output.splitlines()
    assert status == 0 and len(lines) == 2, errors
    assert lines[0].startswith(f"{folder / 'big.png'}: ? -> ") and lines[0].endswith(
        "; 56 x 56 to 28 x 28"
    )
    assert "name one with --classifier" in lines[1]
    assert [path.name for path in tmp_path.iterdir()] == ["alone"]


def test_attack_writes_the_images_it_reports_on(world, tmp_path):
    folder, _ = world
    export = folder / "export" / "classifier"
    status, output, errors = command(
        "attack",
        folder / "in",
        f"--classifier={export}",
        "--set=epsilon=0.1",
        f"--out={tmp_path}",
        "--json",
    )
    assert status == 0, errors
    document = json.loads(output)
    assert (document["attack"], document["parameters"]) == ("fgsm", {"epsilon": 0.1})
    before = softmax(ARRAYS / 255)
    label = before.argmax(axis=1)
    gradient = (before - np.eye(10)[label]) @ WEIGHTS.T
    by_hand = np.clip(ARRAYS / 255 + 0.1 * np.sign(gradient).reshape(3, 28, 28), 0, 1)
    certain = np.abs(gradient.reshape(3, 28, 28)) > 1e-6
    assert certain.mean() > 0.9
    written = np.stack([np.asarray(Image.open(tmp_path / f"{place}.png")) for place in range(3)])
    assert np.abs(written - 255 * by_hand)[certain].max() < 0.52
    after = softmax(written / 255)
    for place, record in enumerate(document["images"]):
        assert record["label"] == label[place] == record["before"]["label"]
        assert record["after"]["label"] == after[place].argmax()
        assert record["success"] == (after[place].argmax() != label[place])
        difference = (written[place].astype(float) - ARRAYS[place]) / 255
        assert record["linf"] == pytest.approx(np.abs(difference).max(), abs=1e-5)
        assert record["l2"] == pytest.approx(np.linalg.norm(difference), abs=1e-4)
    assert any(record["success"] for record in document["images"])
    # What was attacked goes on to be purified.
    status, output, errors = command(
        "purify", tmp_path, f"--export={folder / 'export' / 'combined'}", "--json"
    )
    assert status == 0, errors
    again = json.loads(output)["images"]
    assert [record["before"]["label"] for record in again] == after.argmax(axis=1).tolist()


@pytest.mark.parametrize(
    ("name", "arguments", "message"),
    [
        ("purify", [], "No images given"),
        ("purify", ["{in}", "--export=none"], "No SavedModel in --export=none"),
        ("purify", ["{in}", "--export={export}/classifier"], "has no signature purify"),
        ("purify", ["{in}", "--export={export}/combined", "--out={in}"], "one of the images given"),
        ("attack", ["{in}", "--classifier=none"], "No SavedModel in --classifier=none"),
        (
            "attack",
            ["{in}", "--classifier={export}/classifier", "--attack=fgms"],
            "Did you mean 'fgsm'",
        ),
        ("attack", ["{in}/7.png"], "No such image"),
    ],
)
def test_mistakes_are_one_line(world, name, arguments, message):
    places = {"in": world[0] / "in", "export": world[0] / "export"}
    status, output, errors = command(name, *(argument.format(**places) for argument in arguments))
    lines = [line for line in errors.splitlines() if line.startswith("error: ")]
    assert (status, output, len(lines)) == (2, "", 1) and message in lines[0], errors
    assert "Traceback" not in errors


@pytest.mark.parametrize("name", ["purify", "attack", "tflite"])
def test_help_names_every_flag_and_loads_no_tensorflow(name):
    code = (
        f"import sys; sys.argv[:] = ['madvae-{name}', '--help']\ntry:\n    from"
        f" madvae_tf.cli.{name} import run; run()\n"
    )
    code += "finally:\n    assert 'tensorflow' not in sys.modules"
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert "Error" not in process.stderr
    own = {
        "purify": "--batch_size --classifier --export",
        "attack": "--attack --batch_size --classifier --label --seed --set",
        "tflite": "--data --n --precision --signature",
    }[name]
    found = re.findall(r"^  (--[\w\[\]]+):", process.stdout, re.MULTILINE)
    assert sorted(found) == sorted(["--out", "--[no]json", "--[no]overwrite", *own.split()])
    assert f"\n    madvae-{name} " in process.stdout


def test_parameters_of_an_attack_are_parsed_by_their_types():
    assert build(
        ATTACKS["pgd"], ["epsilon=0.2", "iterations=7", "random_start=False"]
    ).parameters == {
        "epsilon": 0.2,
        "step_size": 0.01,
        "iterations": 7,
        "random_start": False,
    }
    for assignment, message in (
        ("epsilon", "expected name=value"),
        ("epsilom=0.2", "Did you mean 'epsilon'"),
        ("epsilon=much", "received 'much', expected a number"),
        ("iterations=1.5", "received '1.5', expected an integer"),
        ("epsilon=2", "expected a number >= 0 and <= 1"),
        ("random_start=perhaps", "expected True or False"),
    ):
        with pytest.raises(UserError, match=message):
            build(ATTACKS["pgd"], [assignment])


def test_one_bad_picture_is_named_and_the_good_ones_are_done(world, tmp_path):
    folder, _ = world
    for number in range(3):
        (tmp_path / f"{number}.png").write_bytes((folder / "in" / f"{number}.png").read_bytes())
    (tmp_path / "1.png").write_bytes(b"no picture")
    (tmp_path / ".hidden.png").write_bytes(b"no picture")
    export = f"--export={folder / 'export' / 'combined'}"
    status, output, errors = command(
        "purify", tmp_path, export, "--json", f"--out={tmp_path / 'out'}"
    )
    assert status == 0, errors
    document = json.loads(output)
    assert [Path(each["file"]).name for each in document["images"]] == ["0.png", "2.png"]
    assert [Path(each["file"]).name for each in document["skipped"]] == ["1.png"]
    assert "expected a PNG or JPEG file" in document["skipped"][0]["error"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["0.png", "2.png"]
    # One that is named itself is what was asked for.
    status, output, errors = command("purify", tmp_path / "1.png", tmp_path / "0.png", export)
    assert (status, output) == (2, "") and "Cannot read image" in errors


def test_a_very_sure_classifier_is_attacked_all_the_same(tmp_path):
    """Logits times 1000: its probabilities are 0 and 1 and have no gradient. FGSM moves every
    pixel, and fools it as it fools the classifier that is not sure.
    """
    sure = keras.Sequential(
        [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(10)]
    )
    sure.set_weights([1000 * WEIGHTS, np.zeros(10, np.float32)])
    export_classifier(tmp_path / "sure", sure)
    Image.fromarray(ARRAYS[0]).save(tmp_path / "0.png")
    arguments = (
        tmp_path / "0.png",
        f"--classifier={tmp_path / 'sure'}",
        "--set=epsilon=0.1",
        "--json",
    )
    status, output, errors = command("attack", *arguments)
    assert status == 0, errors
    (record,) = json.loads(output)["images"]
    assert record["linf"] == pytest.approx(25 / 255, abs=1e-6) and record["success"]


def test_a_file_keeps_the_budget_and_a_vanished_one_is_told(world):
    folder, _ = world
    classifier = f"--classifier={folder / 'export' / 'classifier'}"
    for epsilon, largest in ((0.3, 76 / 255), (0.003, 0.0)):
        status, output, errors = command(
            "attack", folder / "in", classifier, f"--set=epsilon={epsilon}", "--json"
        )
        assert status == 0, errors
        for record in json.loads(output)["images"]:
            assert record["linf"] == pytest.approx(largest, abs=1e-6) and record["linf"] <= epsilon
            assert any("nothing is left of the change" in note for note in record["notes"]) == (
                largest == 0
            )
