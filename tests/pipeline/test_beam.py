"""Apache Beam's workers as processes: the local engine's bytes, one of them killed, and workers
that share only a store.

Needs the extra "beam", which the tests' own environment has not: protobuf below 7.
"""

import os
import signal
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from madvae_tf.utils.errors import UserError
from pipeline.engine.plan import Context
from pipeline.steps import engines
from pipeline.steps.data import generate_adversarial_set, set_work

pytest.importorskip("apache_beam")

SHARDS = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """Artifacts of data and classifier, as stages leave them, and the local engine's set."""
    import keras

    from madvae_tf.data.own import write_arrays
    from madvae_tf.data.prepare import Split
    from madvae_tf.defenses.files import save_float32
    from madvae_tf.models.classifiers import Table6Classifier

    folder = tmp_path_factory.mktemp("beam")
    generator = np.random.default_rng(0)
    splits = {
        name: Split(generator.integers(0, 256, (n, 28, 28, 1), dtype=np.uint8), np.arange(n) % 10)
        for name, n in (("train", 80), ("test", 20))
    }
    write_arrays(folder / "data" / "d" / "arrays", splits)
    (folder / "classifier" / "c").mkdir(parents=True)
    keras.utils.set_random_seed(0)
    save_float32(Table6Classifier(), folder / "classifier" / "c" / "classifier.keras")
    context = made(folder, "local")
    generate_adversarial_set(context)
    return folder, files(context.folder)


def made(world: Path, name: str) -> Context:
    """The context of a set named `name`, its folder made."""
    folder = world / "attack" / f"{name}.partial"
    folder.mkdir(parents=True)
    config = {
        **{
            "dataset": "own",
            "validation_images": 20,
            "split": "train",
            "draw": ["x"],
            "images": 5 * SHARDS,
        },
        **{
            "attack": "cw",
            "parameters": {"max_iterations": 30, "binary_search_steps": 2, "confidence": 50.0},
        },
        **{"precision": "float32", "seed": 3, "batch_size": 5, "shard_size": 5},
    }
    inputs = {"data": world / "data" / "d", "classifier": world / "classifier" / "c"}
    return Context(folder, folder / ".scratch", inputs, config)


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def worker_processes():
    """The processes below this one that are Beam's workers, without the shell that started each."""
    parents, workers = {}, []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parents[int(entry.name)] = int(
                (entry / "stat").read_text().rpartition(")")[2].split()[1]
            )
            command = (entry / "cmdline").read_bytes().split(b"\0")
        except (OSError, IndexError):
            continue
        if b"apache_beam.runners.worker.sdk_worker_main" in command:
            workers.append(int(entry.name))

    def ours(pid):
        while pid > 1:
            pid = parents.get(pid, 0)
            if pid == os.getpid():
                return True
        return False

    return sorted(pid for pid in workers if ours(pid))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_worker_that_is_killed_loses_nothing(world):
    folder, expected = world
    context, engine = made(folder, "killed"), engines.Beam("DirectRunner", 2)
    work, errors = set_work(context), []

    def run():
        try:
            engine.make(context, work, work.missing(), lambda images: None)
        except UserError as error:
            errors.append(str(error))

    thread = threading.Thread(target=run)
    thread.start()
    while thread.is_alive() and not list(context.folder.glob("shard-*-x_adv.npy")):
        time.sleep(0.01)
    os.kill(worker_processes()[-1], signal.SIGKILL)
    thread.join(600)
    assert not thread.is_alive(), "the run waits for a worker that is not there"
    (line,) = errors
    assert "a worker process was lost" in line and "run again" in line and "\n" not in line
    left = work.missing()
    assert 0 < len(left) < SHARDS and worker_processes() == []
    times = {path: path.stat().st_mtime_ns for path in context.folder.glob("shard-*.npy")}
    with engines.using(engine):
        generate_adversarial_set(context)
    assert files(context.folder) == expected
    again = [path for path, when in times.items() if path.stat().st_mtime_ns != when]
    assert {int(path.name.split("-")[1]) for path in again} <= set(left)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_that_share_only_a_store(world):
    """The second run finds every shard in the store, though the folder that it fills is empty."""
    folder, expected = world
    store, context = f"file://{folder}/store", made(folder, "stored")
    with engines.using(engines.Beam("DirectRunner", 2, store=store)):
        generate_adversarial_set(context)
    assert files(context.folder) == expected
    kept = {
        path: path.stat().st_mtime_ns for path in (folder / "store").rglob("*") if path.is_file()
    }
    assert {path.name for path in kept} >= {"manifest.json", "classifier.keras", "shard-00000.json"}
    for path in context.folder.iterdir():
        path.unlink()
    with engines.using(engines.Beam(store=store)):
        generate_adversarial_set(context)
    assert files(context.folder) == expected
    assert all(path.stat().st_mtime_ns == when for path, when in kept.items())


def test_a_store_that_is_none_is_one_line(world):
    context = made(world[0], "nowhere")
    with (
        pytest.raises(UserError, match="Cannot use the store nowhere://x"),
        engines.using(engines.Beam(store="nowhere://x")),
    ):
        generate_adversarial_set(context)
