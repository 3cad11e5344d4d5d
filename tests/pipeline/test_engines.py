"""Engines: the same shards, whoever makes them; a worker that fails loses none that are done."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from madvae_tf.attacks.gradient import FGSM
from madvae_tf.data.generate import SetWork, generate_set
from madvae_tf.data.prepare import Split
from madvae_tf.models.defended_model import DefendedModel
from madvae_tf.utils.errors import UserError
from pipeline.engine.plan import Context
from pipeline.steps import data as step
from pipeline.steps import engines

ROOT = Path(__file__).parents[2]
IMAGES = np.random.default_rng(0).integers(0, 256, (23, 28, 28, 1), dtype=np.uint8)


def work(folder, split=None):
    import tensorflow as tf

    weights = tf.constant(np.random.default_rng(1).standard_normal((784, 10)), tf.float32)
    return SetWork(
        folder=folder,
        attack=FGSM(epsilon=0.3),
        target=DefendedModel(lambda images: tf.reshape(images, (-1, 784)) @ weights),
        split=split or Split(IMAGES, np.arange(23) % 10),
        rows=np.arange(1, 23),
        seed=4,
        batch_size=2,
        shard_size=4,
        metadata={"dataset": "mnist", "split": "test"},
    )


def files(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_shards_in_any_order_are_those_of_the_whole_set(tmp_path):
    """22 images in shards of 4: six, made last first and by two 'processes', one of which makes
    some again.
    """
    one, two = tmp_path / "one", tmp_path / "two"
    whole = work(one)
    names = (
        "folder",
        "attack",
        "target",
        "split",
        "rows",
        "seed",
        "batch_size",
        "shard_size",
        "metadata",
    )
    done = []
    generate_set(*(getattr(whole, name) for name in names), progress=done.append)
    first, second = work(two), work(two)
    assert first.missing() == [0, 1, 2, 3, 4, 5] and first.images_in([0, 5]) == 6
    first.make([5, 3])
    second.make([4, 3])
    assert first.missing() == second.missing() == [0, 1, 2]
    with pytest.raises(UserError, match="Incomplete set"):
        first.finish()
    second.make([2, 1, 0])
    first.finish()
    assert files(one) == files(two) and len(files(one)) == 19 and sum(done) == 22


def test_the_engine_of_a_run():
    assert engines.current() == engines.Local()
    beam = engines.named("beam", "FlinkRunner", 2, ["flink_master=host:8081"])
    with engines.using(beam):
        assert engines.current() == engines.Beam("FlinkRunner", 2, ("flink_master=host:8081",))
    assert engines.current() == engines.named("local", "DirectRunner", 1, []) == engines.Local()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("beams", "DirectRunner", 1, []), "Unknown engine 'beams'. Did you mean 'beam'"),
        (("beam", "DirectRunner", 0, []), "Invalid --workers: received 0"),
        (
            ("local", "DirectRunner", 1, [], "gs://bucket/x"),
            "Invalid --store=gs://bucket/x: the local engine",
        ),
        (("beam", "DirectRunner", 1, ["flink_master"]), "Invalid --beam=flink_master"),
    ],
)
def test_wrong_flags(arguments, message):
    with pytest.raises(UserError, match=message):
        engines.named(*arguments)


def test_without_the_extra_the_way_out_is_named():
    code = """
import sys
sys.modules["apache_beam"] = None
from madvae_tf.utils.errors import UserError
try:
    import pipeline.steps.beam
except UserError as error:
    print(error)
"""
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert "install the extra" in process.stdout and "--engine=local" in process.stdout


def test_beam_makes_the_same_bytes_and_goes_on_after_a_failure(tmp_path, monkeypatch):
    pytest.importorskip("apache_beam")
    local, beam = tmp_path / "local", tmp_path / "beam"
    work(local).make(list(range(6)))
    work(local).finish()
    failing = [True]

    class Once(SetWork):
        def make(self, shards, progress=None):
            if shards == [3] and failing.pop():
                raise RuntimeError("the worker has gone")
            super().make(shards, progress)

    def made(context):
        inner = work(beam)
        return Once(**{name: getattr(inner, name) for name in inner.__dataclass_fields__})

    monkeypatch.setattr(step, "set_work", made)
    context, engine, told = Context(beam, beam / ".scratch", {}, {}), engines.Beam(), []
    with pytest.raises(UserError, match="gave up.*the worker has gone.*run again"):
        engine.make(context, work(beam), work(beam).missing(), told.append)
    left = work(beam).missing()
    assert 3 in left and told == []
    times = {path: path.stat().st_mtime_ns for path in beam.glob("shard-*")}
    failing.append(False)
    engine.make(context, work(beam), left, told.append)
    work(beam).finish()
    assert files(beam) == files(local) and told == [work(beam).images_in(left)]
    assert all(path.stat().st_mtime_ns == time for path, time in times.items())
