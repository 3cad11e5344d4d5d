"""A store without rename: what its manifest lists is there, and nothing else is; every refusal is
one line.
"""

import json

import pytest
import tensorflow as tf

from madvae_tf.utils.errors import UserError
from pipeline.engine.disk import check_workdir
from pipeline.engine.store import Store

URLS = ["ram://shards", "file://{folder}/store", "{folder}/store"]


def filled(folder):
    (folder / "deep").mkdir(parents=True)
    (folder / "one.npy").write_bytes(b"one")
    (folder / "deep" / "two").write_bytes(bytes(range(256)))
    return folder


@pytest.fixture
def store(tmp_path):
    return Store(f"ram://{tmp_path.name}")


def write(place, content):
    if tf.io.gfile.exists(place):
        tf.io.gfile.remove(place)
    with tf.io.gfile.GFile(place, "wb") as file:
        file.write(content)


@pytest.mark.parametrize("url", URLS)
def test_what_is_put_comes_back(tmp_path, url):
    store, here, there = (
        Store(url.format(folder=tmp_path)),
        filled(tmp_path / "here"),
        tmp_path / "there",
    )
    assert not store.has("all.json")
    store.put(here, ["one.npy", "deep/two"], "all.json")
    assert store.has("all.json")
    store.get(there, "all.json")
    assert (there / "one.npy").read_bytes() == b"one"
    assert (there / "deep" / "two").read_bytes() == bytes(range(256))
    assert sorted(path.name for path in there.iterdir()) == ["deep", "one.npy"]


def test_what_was_cut_short_is_not_there_and_is_written_over(tmp_path, store):
    """A worker that is killed leaves files, and half of one, but no manifest."""
    here = filled(tmp_path / "here")
    with pytest.raises(FileNotFoundError):
        store.put(here, ["one.npy", "absent"], "all.json")
    assert not store.has("all.json") and tf.io.gfile.exists(f"{store.url}/one.npy")
    write(f"{store.url}/one.npy", b"o")
    store.put(here, ["one.npy"], "all.json")
    store.get(tmp_path / "there", "all.json")
    assert (tmp_path / "there" / "one.npy").read_bytes() == b"one"


def test_damage_is_named(tmp_path, store):
    store.put(filled(tmp_path / "here"), ["one.npy"], "all.json")
    for content, message in (
        (b"two", "one.npy is not what its manifest says"),
        (None, "one.npy is missing"),
    ):
        if content is None:
            tf.io.gfile.remove(f"{store.url}/one.npy")
        else:
            write(f"{store.url}/one.npy", content)
        with pytest.raises(UserError, match=f"Damaged store: .*{message}; delete {store.url}"):
            store.get(tmp_path / "there", "all.json")
    assert not (tmp_path / "there" / "one.npy").exists()


@pytest.mark.parametrize("name", ["../outside", "/tmp/outside", "a/../../outside", ""])
def test_a_manifest_names_no_file_outside(tmp_path, store, name):
    listed = {"files": {name: {"sha256": "0", "bytes": 1}}}
    for text in (json.dumps(listed), "{", "[]", '{"files": {"a": 1}}'):
        write(f"{store.url}/all.json", text.encode())
        with pytest.raises(UserError, match="all.json is not a list of files"):
            store.get(tmp_path / "there", "all.json")
    assert not (tmp_path / "there").exists()


def test_a_store_that_is_none(tmp_path):
    with pytest.raises(
        UserError, match="Cannot use the store nowhere://x: .*choose another --store"
    ):
        Store("nowhere://x").put(filled(tmp_path / "here"), ["one.npy"], "all.json")
    with pytest.raises(UserError, match="Cannot use the store"):
        Store(str(tmp_path / "here" / "one.npy")).put(tmp_path / "here", ["one.npy"], "all.json")


def test_a_workdir_in_an_object_store_is_refused(tmp_path, monkeypatch):
    from pathlib import Path

    monkeypatch.chdir(tmp_path)
    for url in ("gs://bucket/x", "s3://bucket"):
        with pytest.raises(UserError, match=f"Cannot use workdir {url}: .*--store"):
            check_workdir(Path(url))
    check_workdir(Path("a:b/c"))
    check_workdir(tmp_path)
    assert list(tmp_path.iterdir()) == []
