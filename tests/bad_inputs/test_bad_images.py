"""Bad images end in one helpful line, in bounded memory; what only misleads is a finding of `describe`."""

import os
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest

from bad_inputs.image_cases import ERROR, FINDING, IMAGE_CASES, NOTE, SECOND, ImageCase, good
from image_samples import patched, with_header
from nextscan.cli.main import run
from nextscan.describing.images.check import check_images, require_usable
from nextscan.errors import ImageError
from nextscan.images.files import read_header, read_image
from nextscan.reading import read_cohort

pytest.importorskip("nibabel")


@pytest.mark.parametrize("case", IMAGE_CASES, ids=[case.name.replace(" ", "-") for case in IMAGE_CASES])
def test_a_bad_image_is_one_line(case: ImageCase, tmp_path: Path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    case.make(tmp_path)
    before = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()}
    code = run(case.command.split())
    shown = capsys.readouterr()
    lines = [line for line in shown.err.splitlines() if not line.startswith("note: ") or case.kind == NOTE]
    said = " ".join(shown.out.split()) if case.kind == FINDING else " ".join(lines)
    assert case.says in said, shown.out + shown.err
    assert (code, len(lines)) == {ERROR: (2, 1), FINDING: (0, 0), NOTE: (0, 1)}[case.kind], shown.err
    assert case.kind == FINDING or lines[0].startswith("error: " if case.kind == ERROR else "note: ")
    assert "Traceback" not in shown.err
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*") if path.is_file()} == before


def test_the_good_folder_has_no_fault(tmp_path: Path) -> None:
    good(tmp_path)
    cohort = read_cohort(tmp_path / "heads")
    assert (cohort.n_subjects, cohort.n_visits, cohort.is_paired.sum()) == (3, 5, 2)
    findings = check_images(cohort)
    assert findings == []
    require_usable(findings)


def test_the_corpus_is_large() -> None:
    assert len({case.name for case in IMAGE_CASES}) == len(IMAGE_CASES) >= 25


@pytest.mark.parametrize("reader", [read_header, read_image])
def test_a_header_of_a_terabyte_costs_nothing(tmp_path: Path, reader) -> None:
    good(tmp_path)
    path = patched(tmp_path / SECOND, with_header("dim", 3, 10_000, 10_000, 10_000, at=40, form="h"))
    reader(tmp_path / SECOND.replace("ses-2", "ses-1"))  # modules are loaded
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match="claims 4 TB"):
            reader(path)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_reading_stays_within_the_header_s_size(tmp_path: Path) -> None:
    import numpy as np

    from nextscan.images.files import write_image

    data = np.random.default_rng(0).normal(size=(128, 160, 128)).astype(np.float32)
    path = write_image(tmp_path / "large.nii.gz", data, np.diag([1.2, 1.2, 1.2, 1]))
    read_header(path)
    tracemalloc.start()
    try:
        image = read_image(path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(image.data, data)
    assert peak < 1.6 * data.nbytes, peak / data.nbytes


def test_the_executable_bounds_its_memory(tmp_path: Path) -> None:
    """A header within the limit of voxels that its file cannot hold is refused with an address space far below it."""
    good(tmp_path)
    patched(tmp_path / SECOND, with_header("dim", 3, 800, 800, 800, at=40, form="h"))
    code = (
        "import numpy, scipy.ndimage, pandas, pyarrow, nibabel, pydantic\n"
        "import sys, resource\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 600_000_000,) * 2)\n"
        "from nextscan.cli.main import run; sys.exit(run(['describe', 'heads']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False, env=os.environ
    )
    assert done.returncode == 2, done.stderr
    assert done.stderr.count("\n") == 1
    assert "claims 2.05 GB of data, a file of this size cannot hold them" in done.stderr
