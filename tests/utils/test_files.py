"""Files and folders that appear whole or not at all."""

import json
import os

import pytest

from madvae_tf.utils.files import write_json, written, written_folder


def test_a_file_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / "a" / "file.npy"
    with written(path) as partial:
        partial.write_text("first")
        assert partial.suffix == ".npy" and not path.exists()
    with written(path, durable=True) as partial:
        partial.write_text("second")
        assert path.read_text() == "first"
    assert path.read_text() == "second" and os.listdir(path.parent) == ["file.npy"]


def test_a_failure_leaves_what_was_there_and_nothing_else(tmp_path):
    path = tmp_path / "file"
    path.write_text("before")
    with pytest.raises(RuntimeError, match="half"), written(path) as partial:
        partial.write_text("ha")
        raise RuntimeError("half")
    assert path.read_text() == "before" and os.listdir(tmp_path) == ["file"]


def test_a_leftover_of_a_kill_is_no_obstacle(tmp_path):
    with written(tmp_path / "file") as partial:
        pass_on = partial
        partial.write_text("x")
    pass_on.write_text("left by a kill")
    with written(tmp_path / "file") as partial:
        partial.write_text("whole")
    assert (tmp_path / "file").read_text() == "whole" and os.listdir(tmp_path) == ["file"]


def test_a_folder_is_the_old_one_until_the_new_one_is_whole(tmp_path):
    folder = tmp_path / "folder"
    for text in ("first", "second"):
        with written_folder(folder) as partial:
            (partial / text).write_text(text)
            assert not (folder / text).exists()
        assert os.listdir(folder) == [text]
    with pytest.raises(RuntimeError), written_folder(folder) as partial:
        (partial / "third").write_text("third")
        raise RuntimeError
    assert os.listdir(folder) == ["second"] and os.listdir(tmp_path) == ["folder"]


def test_json_is_sorted_and_has_no_nan(tmp_path):
    write_json(tmp_path / "a.json", {"b": 1, "a": [0.5]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text) == {"a": [0.5], "b": 1} and text.index('"a"') < text.index('"b"')
    with pytest.raises(ValueError, match="JSON compliant"):
        write_json(tmp_path / "a.json", {"a": float("nan")})
    assert (tmp_path / "a.json").read_text() == text
