import errno
import os
from pathlib import Path

import pytest

from nextscan.atomic import atomic_folder, atomic_path
from nextscan.errors import OutputError


def _write_half(out: Path, error: Exception) -> None:
    with atomic_path(out) as beside:
        beside.write_text("half")
        raise error


def test_appears_whole_and_leaves_nothing_beside(tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    out.write_text("old")
    with atomic_path(out) as beside:
        assert beside.parent == tmp_path
        assert beside.suffix == ".csv"
        beside.write_text("new")
        assert out.read_text() == "old"
    assert out.read_text() == "new"
    assert os.listdir(tmp_path) == ["scores.csv"]


def test_error_in_the_block_keeps_the_old_file(tmp_path: Path) -> None:
    out = tmp_path / "scores.csv"
    out.write_text("old")
    with pytest.raises(ZeroDivisionError):
        _write_half(out, ZeroDivisionError())
    assert out.read_text() == "old"
    assert os.listdir(tmp_path) == ["scores.csv"]


def test_full_disk_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"scores\.csv: cannot be written: No space left"):
        _write_half(tmp_path / "scores.csv", OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    assert os.listdir(tmp_path) == []


def test_error_about_another_file_passes(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="input"), atomic_path(tmp_path / "scores.csv"):
        (tmp_path / "input.csv").read_text()
    assert os.listdir(tmp_path) == []


def test_refuses_folders_devices_and_missing_folders(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="is a folder"), atomic_path(tmp_path):
        pass
    with pytest.raises(OutputError, match="not a regular file"), atomic_path(os.devnull):
        pass
    nowhere = tmp_path / "nowhere" / "scores.csv"
    with pytest.raises(OutputError, match=r"there is no folder .*nowhere; create it"), atomic_path(nowhere):
        pass


def test_follows_links_and_respects_the_umask(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    target = tmp_path / "real" / "scores.csv"
    target.write_text("old")
    (tmp_path / "link.csv").symlink_to(target)
    with atomic_path(tmp_path / "link.csv") as beside:
        beside.write_text("new")
    assert (tmp_path / "link.csv").is_symlink()
    assert target.read_text() == "new"
    plain = tmp_path / "plain"
    plain.write_text("")
    assert target.stat().st_mode == plain.stat().st_mode


def test_a_folder_appears_whole_in_the_place_of_the_old_one(tmp_path: Path) -> None:
    out = tmp_path / "deep" / "model"
    for content in ("first", "second"):
        with atomic_folder(out, what="the model") as beside:
            (beside / "weights").write_text(content)
        assert (out / "weights").read_text() == content
        assert os.listdir(out.parent) == ["model"]


def test_an_error_keeps_the_old_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model"
    out.mkdir()
    (out / "weights").write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_folder(out, what="the model"):
        raise ZeroDivisionError
    moves = []

    def fails_in_between(source: Path, target: Path) -> None:
        moves.append(target)
        if len(moves) == 2:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        Path(source).rename(target)

    monkeypatch.setattr(os, "replace", fails_in_between)
    with pytest.raises(OutputError, match="model: cannot write the model: "), atomic_folder(out, what="the model"):
        pass
    assert (out / "weights").read_text() == "old"
    assert os.listdir(tmp_path) == ["model"]
