"""The cache: made once, keyed by content and settings, whole or not there, safe for many processes."""

import multiprocessing
import os
import time

import numpy as np
import pytest

from nextscan.errors import ImageError, OutputError
from nextscan.preprocess.volumes.cache import cache_key, kept


def made(value=1.0):
    return np.full((4, 5, 6), value, np.float32), {"low": 0.5}


def never():
    raise AssertionError("made again")


def test_an_entry_is_made_once_and_read_without_loading(tmp_path):
    data, record = kept(tmp_path / "new", "k", made)
    again, record_again = kept(tmp_path / "new", "k", never)
    assert isinstance(again, np.memmap)
    assert not again.flags.writeable
    np.testing.assert_array_equal(data, again)
    assert record == record_again == {"low": 0.5}
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["k.json", "k.npy"]


def test_another_file_or_setting_is_another_key(tmp_path):
    path = tmp_path / "a.nii"
    path.write_bytes(bytes(300_000))
    settings = {"shape": [1, 2, 3]}
    keys = {cache_key([str(path), ""], settings), cache_key(["", str(path)], settings), cache_key([str(path)], {})}
    assert len(keys) == 3
    assert cache_key([str(path), ""], settings) in keys
    before = path.stat()
    content = bytearray(300_000)
    content[150_000] = 1  # in the middle: neither size nor ends tell
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert cache_key([str(path), ""], settings) not in keys
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    content[0] = 1
    path.write_bytes(content)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert cache_key([str(path), ""], settings) not in keys


def test_a_missing_file_has_no_key(tmp_path):
    with pytest.raises(ImageError, match=r"gone\.nii: cannot be read"):
        cache_key([str(tmp_path / "gone.nii")], {})


@pytest.mark.parametrize("broken", ["k.npy", "k.json"])
def test_a_damaged_entry_is_made_again(tmp_path, broken):
    kept(tmp_path, "k", made)
    (tmp_path / broken).write_bytes(b"\x93NUMPY")
    data, record = kept(tmp_path, "k", lambda: made(2.0))
    assert (data == 2.0).all()
    assert record == {"low": 0.5}


def test_an_error_while_making_leaves_nothing(tmp_path):
    with pytest.raises(AssertionError):
        kept(tmp_path, "k", never)
    assert list(tmp_path.iterdir()) == []


def test_what_killed_writers_left_is_neither_read_nor_kept(tmp_path):
    old, fresh = tmp_path / ".0a0b0c0d-k.npy", tmp_path / ".0a0b0c0e-k.npy"
    for path in (old, fresh):
        path.write_bytes(b"half")
    os.utime(old, (time.time() - 7200,) * 2)
    kept(tmp_path, "k", made)
    assert not old.exists()
    assert fresh.exists()  # its writer may be at work


def test_a_cache_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file/cache: the cache cannot be written"):
        kept(tmp_path / "file" / "cache", "k", made)


def _race(folder, start, results):
    start.wait()
    for i in range(20):
        data, record = kept(folder, f"k{i}", lambda i=i: (np.full((32, 32, 32), i, np.float32), {"i": i}))
        results.put((i, float(data.min()), float(data.max()), record["i"]))


def test_processes_that_make_the_same_entries_at_once_all_read_whole_ones(tmp_path):
    context = multiprocessing.get_context("fork")
    start, results = context.Event(), context.Queue()
    workers = [context.Process(target=_race, args=(tmp_path, start, results)) for _ in range(4)]
    for worker in workers:
        worker.start()
    start.set()
    got = [results.get(timeout=30) for _ in range(80)]
    for worker in workers:
        worker.join(timeout=30)
    assert all(low == high == i == recorded for i, low, high, recorded in got)
    assert len(list(tmp_path.iterdir())) == 40


def _die_while_writing(folder):
    def slow():
        os.kill(os.getpid(), 9)

    original = os.replace

    def replace(source, target):
        if str(target).endswith(".npy"):
            slow()
        original(source, target)

    os.replace = replace
    kept(folder, "k", made)


def test_a_writer_killed_before_the_rename_leaves_no_entry(tmp_path):
    worker = multiprocessing.get_context("fork").Process(target=_die_while_writing, args=(tmp_path,))
    worker.start()
    worker.join(timeout=30)
    assert worker.exitcode == -9
    assert not (tmp_path / "k.npy").exists()
    data, _ = kept(tmp_path, "k", lambda: made(3.0))
    assert (data == 3.0).all()
