"""The whole pipeline on real MNIST: killed in every kind of stage it ends with the same bytes, weights and rows."""

import json
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import keras
import numpy as np
import pytest

from madvae_tf.data import idx
from madvae_tf.data.prepare import load_splits
from madvae_tf.data.sources import default_cache_dir
from madvae_tf.models import classifiers, vae  # noqa: F401  # their classes are registered for loading
from madvae_tf.report.schema import FIELDS, validate_rows
from pipeline.artifacts import content_files

pytestmark = [pytest.mark.network, pytest.mark.slow, pytest.mark.timeout(600)]

ROOT = Path(__file__).parents[2]
CONFIG = "--config=tests/pipeline/tiny.py"

# Stage -> the file or folder, in its unfinished artifact, that says that it is in the middle of its work.
MIDDLE = {
    "data": "mnist-*.partial/tfds/mnist/incomplete.*",
    "classifier": "*.partial/.scratch/checkpoints/checkpoint",
    "attack": "test-cw-*.partial/shard-00000-label.npy",
    "vae": "combined-*.partial/.scratch/checkpoints/checkpoint",
    "evaluate": "combined-*.partial/.scratch",
    "report": "*.partial/.scratch",
    "export": "combined-*.partial/.scratch",
}


def start(workdir: Path, *arguments: str, module: str = "pipeline.run") -> subprocess.Popen:
    """The pipeline in a process of its own; what it says is added to a file beside the workdir."""
    with workdir.with_suffix(".log").open("a") as log:
        return subprocess.Popen(
            [sys.executable, "-m", module, CONFIG, f"--workdir={workdir}", *arguments],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )


def finish(process: subprocess.Popen, workdir: Path) -> str:
    """What it printed; it must end well."""
    output, _ = process.communicate()
    log = workdir.with_suffix(".log").read_text()
    assert process.returncode == 0 and "Traceback" not in log, log[-3000:]
    return output


def kill_in(stage: str, workdir: Path) -> Path:
    """Starts a run and kills it in the middle of `stage`; returns the unfinished artifact."""
    process = start(workdir)
    folder = workdir / "artifacts" / stage
    while not (found := sorted(folder.glob(MIDDLE[stage]))):
        assert process.poll() is None, f"ended before the middle of {stage}"
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    partial = folder / found[0].relative_to(folder).parts[0]
    assert partial.is_dir() and not partial.with_name(partial.name.removesuffix(".partial")).exists()
    return partial


def manifests(workdir: Path) -> dict[str, int]:
    return {str(path): path.stat().st_mtime_ns for path in workdir.glob("artifacts/*/*/manifest.json")}


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory) -> Path:
    """A workdir whose run was killed while it prepared the data, and never again."""
    workdir = tmp_path_factory.mktemp("unbroken") / "work"
    kill_in("data", workdir)
    finish(start(workdir), workdir)
    return workdir


@pytest.fixture(scope="module")
def broken(unbroken, tmp_path_factory) -> Path:
    """A workdir for the kills, which has the data already: preparing it takes long."""
    workdir = tmp_path_factory.mktemp("broken") / "work"
    shutil.copytree(unbroken / "artifacts" / "data", workdir / "artifacts" / "data")
    return workdir


def artifact(workdir: Path, pattern: str) -> Path:
    """The one finished artifact that fits."""
    (folder,) = (workdir / "artifacts").glob(pattern)
    return folder


def test_the_data_of_a_killed_preparation_is_mnist(unbroken):
    splits = load_splits("mnist", artifact(unbroken, "data/mnist-*") / "tfds", 500)
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [59_500, 500, 10_000]
    for prefix, names in (("train", ("train", "validation")), ("t10k", ("test",))):
        images, labels = idx.read_pair(default_cache_dir() / "mnist", prefix)
        expected = sorted(zip(labels.tolist(), map(bytes, images.reshape(len(images), -1)), strict=True))
        got = [
            pair
            for name in names
            for pair in zip(
                splits[name].labels.tolist(),
                map(bytes, splits[name].images.reshape(len(splits[name]), -1)),
                strict=True,
            )
        ]
        assert sorted(got) == expected


def test_everything_that_was_promised_is_there(unbroken):
    for name in ("report/index.html", "export/classifier/saved_model.pb", "export/combined/saved_model.pb"):
        assert (unbroken / name).stat().st_size > 0
    results = json.loads((unbroken / "report/results.json").read_text())
    assert results["schema"] == 1
    validate_rows(results["rows"])
    assert all(set(row) == set(FIELDS) for row in results["rows"])
    table1 = {(r["attack"], r["defense"], r["metric"]): r for r in results["rows"] if r["table"] == "table1"}
    attacks = ("none", "fgsm", "rand_fgsm", "cw", "mi_fgsm", "pgd", "single_pixel")
    assert {key[:2] for key in table1} == {
        (attack, name) for attack in attacks for name in ("none", "combined")
    }
    assert all(row["n"] == (100 if attack == "none" else 60) for (attack, *_), row in table1.items())
    cells = [row for row in results["rows"] if row["table"] == "table10"]
    assert len(cells) == 100 and sum(row["value"] for row in cells) == 180
    assert results["run"]["source"]["kind"] in ("canonical", "npm")
    labels = {f"{stage['stage']} {stage['instance']}".strip() for stage in results["run"]["stages"]}
    assert {"data mnist", "classifier", "vae combined", "attack test-cw-10"} <= labels


@pytest.mark.parametrize("stage", [stage for stage in MIDDLE if stage != "data"])
def test_kill_in_the_middle_of(broken, stage):
    partial = kill_in(stage, broken)
    if stage in ("evaluate", "report", "export"):
        (partial / "torn.tmp").write_bytes(b"half-written")


def test_the_broken_run_ends_as_the_unbroken_one(broken, unbroken):
    finish(start(broken), broken)
    log = broken.with_suffix(".log").read_text()
    assert log.count("Resuming at step") == 2 and not list(broken.glob("artifacts/*/*.partial"))
    folders = sorted(path.relative_to(unbroken) for path in unbroken.glob("artifacts/*/*"))
    assert folders == sorted(path.relative_to(broken) for path in broken.glob("artifacts/*/*"))
    shards = 0
    for folder in folders:
        one, other = unbroken / folder, broken / folder
        if folder.parts[1] in ("attack", "evaluate", "report", "export"):
            assert content_files(one) == content_files(other)
        for name in content_files(one):
            exact = folder.parts[1] == "attack" or name in ("log.csv", "centers.npy", "rows.json")
            if exact:
                assert (one / name).read_bytes() == (other / name).read_bytes(), folder / name
                shards += name.endswith("x_adv.npy")
    assert shards == 40
    for pattern in ("classifier/*/classifier.keras", "vae/*/purifier.keras"):
        models = [keras.saving.load_model(artifact(w, pattern), compile=False) for w in (unbroken, broken)]
        weights = [model.get_weights() for model in models]
        assert len(weights[0]) > 10
        for a, b in zip(*weights, strict=True):
            assert a.tobytes() == b.tobytes()
        images = np.random.default_rng(0).random((4, 28, 28, 1), dtype=np.float32)
        np.testing.assert_array_equal(models[0](images), models[1](images))
    results = [json.loads((w / "report/results.json").read_text()) for w in (unbroken, broken)]
    assert results[0]["rows"] == results[1]["rows"]
    assert results[0]["run"]["training"] == results[1]["run"]["training"]


def test_a_second_run_executes_nothing(broken):
    before = manifests(broken)
    broken.with_suffix(".log").write_text("")
    finish(start(broken), broken)
    log = broken.with_suffix(".log").read_text()
    assert "0 of 27 stages executed" in log and "All 27 stages are done already." in log
    assert manifests(broken) == before and len(before) == 27


def states(output: str) -> dict[str, str]:
    """Stage -> what the plan says will be done with it."""
    lines = [line.split("] ", 1)[1] for line in output.splitlines() if line.startswith("[")]
    return {line.split(" (")[0]: line.rsplit(": ", 1)[1].split(",")[0] for line in lines}


def test_changing_gamma_reruns_what_depends_on_it(unbroken):
    before = {str(path): path.stat().st_mtime_ns for path in unbroken.rglob("*")}
    plan = states(finish(start(unbroken, "--set=vae.gamma=0.3", "--dry_run"), unbroken))
    assert len(plan) == 27
    rerun = {label for label, state in plan.items() if state == "run"}
    assert rerun == {"purifier combined", "evaluation of combined", "report", "export of combined"}
    assert {state for label, state in plan.items() if label not in rerun} == {"reuse"}
    assert {str(path): path.stat().st_mtime_ns for path in unbroken.rglob("*")} == before


def test_the_door_to_one_purifier_finds_it_done(unbroken):
    before = manifests(unbroken)
    unbroken.with_suffix(".log").write_text("")
    finish(start(unbroken, "--loss=combined", module="madvae_tf.train"), unbroken)
    log = unbroken.with_suffix(".log").read_text()
    # What one purifier needs, without test sets and evaluation: fewer than 27.
    assert (found := re.search(r"All (\d+) stages are done already", log)) and int(found[1]) < 20
    assert manifests(unbroken) == before
