"""Cores, peak memory and the exchange of folders, where systems have a call for it and where they
have none.
"""

import errno
import os
import threading

import numpy as np
import pytest

from madvae_tf.utils import machine
from madvae_tf.utils.machine import PeakMemory, put_folder, usable_cores


def test_cores_are_those_of_this_process_or_of_the_machine(monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0, 3, 5}, raising=False)
    assert usable_cores() == 3
    monkeypatch.delattr(os, "sched_getaffinity")  # macOS
    monkeypatch.setattr(os, "cpu_count", lambda: 7)
    assert usable_cores() == 7
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert usable_cores() == 1


def _touch(megabytes: int) -> None:
    np.ones(megabytes << 20, np.uint8).sum()


@pytest.mark.skipif(
    not machine._restart_peak(), reason="the system keeps one mark for the process's life"
)
def test_a_peak_is_that_of_its_own_time():
    first = PeakMemory()
    _touch(300)
    high = first.bytes()
    second = PeakMemory()
    _touch(20)
    low = second.bytes()
    assert high is not None and low is not None
    assert 150 << 20 < high - low < 400 << 20


def test_without_a_mark_of_its_own_a_lower_peak_is_not_known(monkeypatch):
    lifetime = 1000
    monkeypatch.setattr(machine, "_restart_peak", lambda: False)
    monkeypatch.setattr(machine, "_lifetime_peak", lambda: lifetime)
    memory = PeakMemory()
    assert memory.bytes() is None
    lifetime = 1500
    assert memory.bytes() == 1500


def folder(path, text):
    path.mkdir()
    (path / "file").write_text(text)
    return path


def no_exchange(*_):
    raise OSError(errno.ENOSYS, "Function not implemented")


@pytest.mark.parametrize("exchange", [machine._exchange, no_exchange])
def test_the_new_folder_takes_the_place_and_the_old_one_the_name(tmp_path, monkeypatch, exchange):
    monkeypatch.setattr(machine, "_exchange", exchange)
    place = tmp_path / "place"
    put_folder(folder(tmp_path / "new", "first"), place)
    assert (place / "file").read_text() == "first" and not (tmp_path / "new").exists()
    put_folder(folder(tmp_path / "new", "second"), place)
    assert (place / "file").read_text() == "second"
    assert (tmp_path / "new" / "file").read_text() == "first"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["new", "place"]


def test_an_error_of_the_exchange_is_not_swallowed(tmp_path, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(machine, "_exchange", refuse)
    new, place = folder(tmp_path / "new", "new"), folder(tmp_path / "place", "old")
    with pytest.raises(PermissionError):
        put_folder(new, place)
    assert (place / "file").read_text() == "old"


def test_a_reader_never_finds_nothing(tmp_path):
    new, place = folder(tmp_path / "new", "x"), folder(tmp_path / "place", "x")
    try:
        machine._exchange(new, place)
    except OSError:
        pytest.skip("this file system cannot exchange two folders")
    missed, stop = [], threading.Event()

    def read():
        while not stop.is_set():
            if not os.path.exists(place / "file"):
                missed.append(1)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(2000):
        put_folder(new, place)
    stop.set()
    reader.join()
    assert not missed
