"""TensorBoard's files, read back by TensorBoard's own readers."""

import csv

import numpy as np
import pytest
import tensorflow as tf
from google.protobuf import text_format
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins import projector
from tensorboard.plugins.hparams import metadata

from madvae_tf.training import profiling, tensorboard
from madvae_tf.utils.confusions import confusion_matrix, most_confused


def read(folder, **sizes):
    found = EventAccumulator(str(folder), size_guidance=sizes)
    found.Reload()
    return found


def test_confusion_matrix_counts_each_pair():
    predicted, label = np.array([1, 1, 3, 9, 1]), np.array([1, 1, 5, 9, 0])
    expected = np.zeros((10, 10), int)
    for p, t in zip(predicted, label, strict=True):
        expected[p, t] += 1
    np.testing.assert_array_equal(confusion_matrix(predicted, label, 10), expected)


def test_confusion_images_are_in_one_event_file_and_differ(tmp_path):
    right = np.diag(np.full(10, 7))
    wrong = np.roll(right, 1, axis=0)
    tensorboard.write_confusions(tmp_path / "b", {"fgsm": right, "pgd": wrong})
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["events.out.tfevents.0"]
    events = read(tmp_path / "b", tensors=10)
    pictures = {}
    for name in ("fgsm", "pgd"):
        (event,) = events.Tensors(f"confusion/{name}")
        values = event.tensor_proto.string_val
        pictures[name] = tf.io.decode_png(values[2]).numpy().astype(int)
        assert (int(values[0]), int(values[1])) == pictures[name].shape[1::-1]
    # A full diagonal is dark where the other one is white: the cells' centres lie on the lines of a
    # ten by ten grid.
    difference = np.abs(pictures["fgsm"] - pictures["pgd"]).max(axis=2)
    assert (difference > 100).mean() > 0.1


def test_of_many_classes_the_most_frequent_confusions_are_a_table(tmp_path):
    """Class c is taken for c + 1 c times, and right 100 times."""
    counts = 100 * np.eye(30, dtype=int)
    for true in range(29):
        counts[true + 1, true] = true
    expected = [(true, true + 1, true) for true in range(28, 8, -1)]
    assert most_confused(counts) == expected
    names = [f"kind {label}" for label in range(30)]
    tensorboard.write_confusions(tmp_path / "b", {"pgd": counts}, names)
    (event,) = read(tmp_path / "b", tensors=10).Tensors("confusion/pgd")
    lines = event.tensor_proto.string_val[0].decode().splitlines()
    assert lines[2] == "| kind 28 | kind 29 | 28 | 128 |" and len(lines) == 22


def test_projector_has_codes_metadata_and_the_right_tile_for_each_point(tmp_path):
    draw = np.random.default_rng(0)
    latents = draw.normal(size=(5, 3)).astype(np.float32)
    images = draw.random((5, 28, 28, 1)).astype(np.float32)
    columns = {"label": np.arange(5), "attack": ["none", "none", "cw", "cw", "pgd"]}
    tensorboard.write_projector(tmp_path, latents, columns, images)
    config = projector.ProjectorConfig()
    text_format.Parse((tmp_path / "projector_config.pbtxt").read_text(), config)
    (embedding,) = config.embeddings
    np.testing.assert_allclose(
        np.loadtxt(tmp_path / embedding.tensor_path, delimiter="\t"), latents, rtol=1e-4
    )
    text = (tmp_path / embedding.metadata_path).read_text()
    lines = list(csv.reader(text.splitlines(), delimiter="\t"))
    assert lines[0] == ["label", "attack"] and lines[4] == ["3", "cw"] and len(lines) == 6
    sprite = np.asarray(Image.open(tmp_path / embedding.sprite.image_path), np.float32) / 255
    assert sprite.shape == (84, 84) and list(embedding.sprite.single_image_dim) == [28, 28]
    # Point 4 is the second tile of the second row of three.
    np.testing.assert_allclose(sprite[28:56, 28:56], images[4, ..., 0], atol=0.5 / 255 + 1e-6)


def test_trials_are_sessions_of_the_hyper_parameters_dashboard(tmp_path):
    trials = [
        {"weights": {"gamma": 0.2, "beta": 0.1}, "value": 0.75, "status": "completed"},
        {"weights": {"gamma": 0.4, "beta": 0.05}, "value": 0.875, "status": "completed"},
        {"weights": {"gamma": 0.8, "beta": 0.05}, "value": None, "status": "diverged"},
    ]
    tensorboard.write_trials(tmp_path, trials, "accuracy of something")

    experiment = metadata.parse_experiment_plugin_data(
        read(tmp_path).summary_metadata[metadata.EXPERIMENT_TAG].plugin_data.content
    )
    assert [info.name for info in experiment.hparam_infos] == ["gamma", "beta"]
    assert [info.display_name for info in experiment.metric_infos] == ["accuracy of something"]
    for number, trial in enumerate(trials):
        events = read(tmp_path / f"trial-{number:03d}", tensors=10)
        start = metadata.parse_session_start_info_plugin_data(
            events.summary_metadata[metadata.SESSION_START_INFO_TAG].plugin_data.content
        )
        assert {name: value.number_value for name, value in start.hparams.items()} == trial[
            "weights"
        ]
        if trial["value"] is None:
            assert "value" not in events.Tags()["tensors"]
            continue
        (event,) = events.Tensors("value")
        assert tf.make_ndarray(event.tensor_proto) == pytest.approx(trial["value"])


@pytest.mark.parametrize(("start", "total", "expected"), [(0, 30, 11), (4, 30, 15), (0, 3, 3)])
def test_profile_is_of_one_step_after_the_first_ones(tmp_path, monkeypatch, start, total, expected):
    calls, now = [], []
    monkeypatch.setattr(
        tf.profiler.experimental, "start", lambda folder, options: calls.append(["start", now[-1]])
    )
    monkeypatch.setattr(tf.profiler.experimental, "stop", lambda: calls.append(["stop", now[-1]]))
    profiling.request(tmp_path)
    try:
        (callback,) = profiling.callbacks()
    finally:
        profiling.request(None)
    assert not profiling.callbacks()
    callback.set_params({"steps": total, "epochs": 1})
    callback.on_train_begin({"step": start})
    for step in range(start, total):
        now.append(step + 1)
        callback.on_train_batch_end(step)
    callback.on_train_end()
    # It begins when the step before is done.
    assert calls == [["start", expected - 1], ["stop", expected]]


def test_profile_holds_the_operations_of_the_step(tmp_path):
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    callback = profiling.StepProfile(tmp_path)
    callback.set_params({"steps": 3, "epochs": 1})
    callback.on_train_begin({"step": 0})
    product = tf.function(lambda a: tf.linalg.matmul(a, a))
    for step in range(3):
        product(tf.eye(64))
        callback.on_train_batch_end(step)
    callback.on_train_end()
    (file,) = tmp_path.glob("plugins/profile/*/*.xplane.pb")
    space = vars(xplane_pb2)["XSpace"].FromString(file.read_bytes())
    names = {metadata.name for plane in space.planes for metadata in plane.event_metadata.values()}
    assert any("MatMul" in name for name in names)
