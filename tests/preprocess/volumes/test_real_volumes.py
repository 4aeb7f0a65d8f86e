"""Two patients scanned twice with other settings (Lesjak et al. 2016, openMS, CC BY): plumbing, not quality."""

from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
import pytest

from nextscan.images.files import read_header, write_image
from nextscan.preprocess.volumes import VolumePreparer
from nextscan.preprocess.volumes.resampling import resample
from nextscan.reading import read_cohort

pytestmark = pytest.mark.minutes

PATIENTS = ("patient01", "patient12")
SHAPE, SPACING = (64, 72, 48), (3.0, 3.0, 3.0)


@pytest.fixture(scope="module")
def open_ms(shared_data):
    folder = shared_data / "volumes" / "open_ms"
    if not folder.is_dir():
        pytest.skip("real volumes are not here")
    return folder


def cohort_of(folder, place, *, transforms=True):
    """Read both patients from a table with columns of paths."""
    days = pd.read_csv(folder / "demographics.csv").set_index("patient_id")["days_between_studies"]
    rows = []
    for patient in PATIENTS:
        for study, gap in (("study1", 0), ("study2", days[int(patient[-2:])])):
            stem = folder / patient / f"{study}_FLAIR"
            row = {"subject": patient, "visit": study, "years": gap / 365.25, "volume": f"{stem}.nii.gz"}
            rows.append(row | ({"transform": f"{stem}_to_common_space.txt"} if transforms else {}))
    pd.DataFrame(rows).to_csv(place / "cohort.csv", index=False)
    return read_cohort(place / "cohort.csv")


def test_given_transforms_bring_the_visits_together(open_ms, tmp_path):
    preparer = VolumePreparer(SHAPE, SPACING)
    for subject, patient in enumerate(PATIENTS):
        found, shown = {}, {}
        for transforms in (False, True):
            cohort = cohort_of(open_ms, tmp_path, transforms=transforms)
            first, second = (preparer.prepare(cohort, 2 * subject + visit) for visit in (0, 1))
            place = nibabel.load(open_ms / "coregistered" / patient / "brainmask.nii.gz")  # in the common space
            mask = np.asarray(place.dataobj, np.float32)
            brain = resample(mask, np.linalg.inv(place.affine) @ first.affine, SHAPE, order=0) > 0
            if not transforms:
                grid = first.affine
            inside = [prepared.data[brain] for prepared in (first, second)]
            found[transforms] = np.corrcoef(*inside)[0, 1]
            shown[transforms] = [float(np.mean(values > -0.8)) for values in inside]  # what is brain is no air
            print(f"{patient} {transforms=}: correlation {found[transforms]:.3f}, in the mask {shown[transforms]}")
        assert not np.allclose(grid, first.affine)
        assert found[False] < 0.5
        assert found[True] > 0.9
        assert min(shown[True]) > 0.995
        assert np.mean(shown[True]) > np.mean(shown[False])


def test_settings_chosen_from_the_headers_hold_the_heads(open_ms, tmp_path):
    preparer = VolumePreparer.of(cohort_of(open_ms, tmp_path))
    np.testing.assert_allclose(preparer.spacing, (0.71875, 0.71875, 3.0), atol=1e-4)
    extents = np.array(preparer.shape) * preparer.spacing
    assert (extents > [230, 230, 145]).all()
    assert (extents < [300, 300, 220]).all()


@pytest.mark.parametrize("row", range(4))
def test_a_prediction_overlays_the_source_in_its_own_grid(open_ms, tmp_path, row):
    cohort = cohort_of(open_ms, tmp_path)
    preparer = VolumePreparer(SHAPE, SPACING, cache=str(tmp_path / "cache"))
    prepared = preparer.prepare(cohort, row)
    path = cohort.files["volume"][row]
    source = nibabel.load(path)
    data = source.get_fdata(dtype=np.float32)
    landmark = (34, 40, 26)
    values = np.stack([prepared.data + 0.1, prepared.data])
    values[1][landmark] += 2.0
    brighter, marked = preparer.restore(values, cohort, row, prepared)

    written = write_image(tmp_path / "imputed.nii.gz", brighter, source.affine, like=path)
    image, header = nibabel.load(written), read_header(path)
    assert image.shape == header.shape == source.shape
    np.testing.assert_array_equal(image.affine, source.affine)
    np.testing.assert_array_equal(image.header["pixdim"][:4], source.header["pixdim"][:4])
    for field in ("sform_code", "qform_code", "xyzt_units", "quatern_b", "qoffset_x", "srow_x", "srow_z"):
        np.testing.assert_array_equal(image.header[field], source.header[field], err_msg=field)

    # the change is one tenth of half the range wherever the grid reaches, and nothing elsewhere
    step = 0.1 * (prepared.high - prepared.low) / 2
    to_common = np.linalg.inv(transform_of(cohort, row))
    matrix = np.linalg.inv(prepared.affine) @ to_common @ source.affine
    x, y, z = np.ogrid[tuple(map(slice, data.shape))]
    at = [a * x + b * y + c * z + d for a, b, c, d in matrix[:3]]
    inside = np.logical_and.reduce([(each > 0.01) & (each < n - 1.01) for each, n in zip(at, SHAPE, strict=True)])
    outside = np.logical_or.reduce([(each < -0.01) | (each > n - 0.99) for each, n in zip(at, SHAPE, strict=True)])
    assert inside.sum() > 1e6
    assert outside.sum() > 1e4
    np.testing.assert_allclose((brighter - data)[inside], step, rtol=0.02)
    np.testing.assert_array_equal(brighter[outside], data[outside])

    change = (marked - data).astype(float)
    found = np.array([(axis * change).sum() for axis in (x, y, z)]) / change.sum()
    expected = np.linalg.inv(matrix) @ [*landmark, 1.0]
    print(f"row {row}: landmark expected at voxel {np.round(expected[:3], 2)}, found at {np.round(found, 2)}")
    assert (np.abs(found - expected[:3]) < 0.5).all()


def transform_of(cohort, row):
    """Read an ITK transform without the code under test: x -> A (x - c) + t + c in LPS."""
    content = Path(cohort.files["transform"][row]).read_text().splitlines()
    lines = dict(line.split(":", 1) for line in content if line[0] != "#")
    numbers = np.array(lines["Parameters"].split(), float)
    centre = np.array(lines["FixedParameters"].split(), float)
    turn = np.diag([-1.0, -1.0, 1.0])
    matrix = np.eye(4)
    matrix[:3, :3] = turn @ numbers[:9].reshape(3, 3) @ turn
    matrix[:3, 3] = turn @ (numbers[9:] + centre - numbers[:9].reshape(3, 3) @ centre)
    return matrix
