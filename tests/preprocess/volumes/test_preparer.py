"""Preparing and restoring: where things land, what they are worth, and what stays untouched."""

from dataclasses import replace

import nibabel
import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from nextscan.errors import CohortError, ImageError, SettingError
from nextscan.preprocess.volumes import VolumePreparer
from volume_samples import centred, head, image_cohort

OBLIQUE = Rotation.from_euler("xyz", [9, -6, 14], degrees=True).as_matrix()
LAS = np.diag([-1.0, 1.0, 1.0])


@pytest.fixture
def aligned(tmp_path):
    """Return a cohort of one subject with two visits of 32 x 40 x 32 voxels of 3 mm."""
    affine = centred(np.eye(3), (3, 3, 3), (32, 40, 32))
    images = [("sub-01", f"ses-{i}", head(affine, (32, 40, 32), seed=i), affine) for i in (1, 2)]
    (tmp_path / "aligned").mkdir()
    return image_cohort(tmp_path / "aligned", images)


@pytest.fixture
def oblique(tmp_path):
    """Return a cohort of one image stored LAS, tilted, with thick slices."""
    affine = centred(OBLIQUE @ LAS, (1.5, 1.7, 4.0), (60, 56, 26))
    affine[:3, 3] += [4.0, -11.0, 6.0]
    (tmp_path / "oblique").mkdir()
    return image_cohort(tmp_path / "oblique", [("sub-01", "ses-1", head(affine, (60, 56, 26)), affine)])


def native(cohort, row=0):
    image = nibabel.load(cohort.files["volume"][row])
    return image.get_fdata(dtype=np.float32), image.affine


def test_settings_come_from_the_headers(aligned, oblique):
    preparer = VolumePreparer.of(aligned)
    assert preparer == VolumePreparer((32, 40, 32), (3.0, 3.0, 3.0))
    assert VolumePreparer.of(aligned, spacing=(2, 2, 2)).shape == (48, 64, 48)
    assert VolumePreparer.of(oblique) == VolumePreparer((64, 56, 32), (1.5, 1.7, 4.0))
    assert VolumePreparer.from_state(preparer.state(), cache="x") == replace(preparer, cache="x")


def test_spacing_is_that_of_what_change_is_learned_from(tmp_path):
    """Finer images of people scanned once set no grid on which thick slices would be learned from."""
    thick, fine = (centred(np.eye(3), (3, 3, step), (32, 40, n)) for step, n in ((6, 16), (1.5, 64)))
    pair = [("a", visit, head(thick, (32, 40, 16)), thick) for visit in "12"]
    once = [(subject, "1", head(fine, (32, 40, 64)), fine) for subject in "bcdefg"]
    preparer = VolumePreparer.of(image_cohort(tmp_path, pair + once))
    assert preparer == VolumePreparer((32, 40, 24), (3.0, 3.0, 6.0))  # the shape holds all images
    (tmp_path / "singles").mkdir()
    assert VolumePreparer.of(image_cohort(tmp_path / "singles", once)).spacing == (3.0, 3.0, 1.5)


def test_prepared_values_are_scaled_copies_where_the_grid_is_the_images(aligned):
    preparer = VolumePreparer.of(aligned)
    prepared = preparer.prepare(aligned, 1)
    data, affine = native(aligned, 1)
    np.testing.assert_allclose(prepared.affine, affine, atol=1e-6)
    half = (prepared.high - prepared.low) / 2
    np.testing.assert_allclose(prepared.data, np.clip((data - prepared.low) / half - 1, -1, 1), atol=1e-5)
    assert prepared.clipped == (np.mean(data < prepared.low), np.mean(data > prepared.high))
    assert prepared.data.dtype == np.float32


def test_both_visits_lie_on_the_grid_of_the_first(aligned, tmp_path):
    data, affine = native(aligned)
    turned = affine @ np.array([[0, 0, -1, 31], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 1.0]])
    stored = np.ascontiguousarray(np.flip(data, 0).transpose(1, 2, 0))  # as turned says: axes A, S, L
    cohort = image_cohort(tmp_path, [("sub-01", "a", data, affine), ("sub-01", "b", stored, turned)])
    first, second = (VolumePreparer.of(cohort).prepare(cohort, row) for row in (0, 1))
    np.testing.assert_array_equal(first.affine, second.affine)
    np.testing.assert_allclose(first.data, second.data, atol=0.02)  # scales from other samples of the same image
    assert np.corrcoef(first.data.ravel(), second.data.ravel())[0, 1] > 0.9999


def test_restored_is_the_prediction_itself_where_grids_coincide(aligned):
    preparer = VolumePreparer.of(aligned)
    prepared = preparer.prepare(aligned, 0)
    values = np.random.default_rng(0).uniform(-1, 1, (2, *preparer.shape)).astype(np.float32)
    got = preparer.restore(values, aligned, 0, prepared)
    source, _ = native(aligned)
    assert got.shape == (2, *source.shape)
    expected = prepared.low + (values + 1) * (prepared.high - prepared.low) / 2
    kept = (source >= prepared.low) & (source <= prepared.high)
    assert kept.mean() > 0.15  # the rest is air, at -1
    np.testing.assert_allclose(got[:, kept], expected[:, kept], atol=2e-3)


def test_no_change_returns_the_image_bit_for_bit(oblique):
    preparer = VolumePreparer.of(oblique, shape=(32, 32, 32), spacing=(3, 3, 3))
    prepared = preparer.prepare(oblique, 0)
    np.testing.assert_array_equal(preparer.restore(prepared.data[None], oblique, 0, prepared)[0], native(oblique)[0])


@pytest.mark.parametrize("place", [(0.0, 0.0, 0.0), (14.0, -20.0, 9.0), (-11.5, 13.0, -16.0)])
@pytest.mark.parametrize("spacing", [(2.0, 2.0, 2.0), (3.0, 3.0, 3.0)])
def test_a_landmark_lands_within_half_a_voxel_of_the_images_own_grid(oblique, place, spacing):
    preparer = VolumePreparer.of(oblique, spacing=spacing)
    prepared = preparer.prepare(oblique, 0)
    source, affine = native(oblique)
    place = np.array(place) + affine[:3, :3] @ (np.array(source.shape) // 2) + affine[:3, 3]
    voxel = np.round(np.linalg.solve(prepared.affine, [*place, 1.0])[:3]).astype(int)
    place = (prepared.affine @ [*voxel, 1.0])[:3]  # the middle of a voxel of the grid
    values = prepared.data.copy()
    values[tuple(slice(v - 1, v + 2) for v in voxel)] += 2.0
    changed = preparer.restore(values[None], oblique, 0, prepared)[0] - source
    weights = np.maximum(changed, 0).ravel()
    found = (
        np.stack(np.meshgrid(*map(np.arange, source.shape), indexing="ij"), -1).reshape(-1, 3).T @ weights
    ) / weights.sum()
    expected = np.linalg.solve(affine, [*place, 1.0])[:3]
    assert (np.abs(found - expected) < 0.5).all(), (found, expected)
    peak = np.array(np.unravel_index(changed.argmax(), changed.shape))
    reach = 1.5 * np.array(spacing).max() / np.array([1.5, 1.7, 4.0]) + 0.5  # half the cube and half a voxel
    assert (np.abs(peak - expected) <= reach).all()


def test_outside_the_grid_the_image_stands_bit_for_bit(oblique):
    preparer = VolumePreparer.of(oblique, shape=(16, 16, 16), spacing=(2, 2, 2))
    prepared = preparer.prepare(oblique, 0)
    got = preparer.restore(np.zeros((1, 16, 16, 16), np.float32) + 0.9, oblique, 0, prepared)[0]
    source, affine = native(oblique)
    index = np.stack(np.meshgrid(*map(np.arange, source.shape), indexing="ij"), -1)
    matrix = np.linalg.solve(prepared.affine, affine)
    at = index @ matrix[:3, :3].T + matrix[:3, 3]
    outside = ((at < -0.01) | (at > 15.01)).any(axis=-1)
    inside = ((at > 0.1) & (at < 14.9)).all(axis=-1)
    assert outside.mean() > 0.5
    np.testing.assert_array_equal(got[outside], source[outside])
    assert np.mean(got[inside] != source[inside]) > 0.99


def test_transforms_bring_visits_together_and_predictions_back(tmp_path):
    affine = centred(np.eye(3), (2.5, 2.5, 2.5), (40, 44, 40))
    turn = Rotation.from_euler("xyz", [5, 8, -10], degrees=True).as_matrix()
    moved = np.eye(4)  # where points of the common space lie in the second image
    moved[:3, :3], moved[:3, 3] = turn, [6.0, -4.0, 5.0]
    second = np.eye(4)
    second[:3, :3], second[:3, 3] = turn.T, -turn.T @ moved[:3, 3]
    still, shifted = head(affine, (40, 44, 40)), head(second @ affine, (40, 44, 40))
    lps = np.diag([-1.0, -1, 1, 1]) @ moved @ np.diag([-1.0, -1, 1, 1])
    transform = tmp_path / "second.txt"
    transform.write_text(
        "#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {' '.join(map(str, [*lps[:3, :3].ravel(), *lps[:3, 3]]))}\nFixedParameters: 0 0 0\n"
    )
    visits = [("sub-01", "1", still, affine), ("sub-01", "2", shifted, affine)]
    given = image_cohort(tmp_path, visits, transform=["", str(transform)])
    without = image_cohort(tmp_path, visits)
    preparer = VolumePreparer.of(given, shape=(40, 44, 40))

    def correlation(cohort):
        first, second = (preparer.prepare(cohort, row).data.ravel() for row in (0, 1))
        return np.corrcoef(first, second)[0, 1]

    assert correlation(without) < 0.85
    assert correlation(given) > 0.95
    prepared = preparer.prepare(given, 1)
    place = (prepared.affine @ [24, 18, 22, 1])[:3]
    values = prepared.data.copy()
    values[23:26, 17:20, 21:24] += 1.0
    changed = preparer.restore(values[None], given, 1, prepared)[0] - shifted
    weights = np.maximum(changed, 0).ravel()
    index = np.stack(np.meshgrid(*map(np.arange, changed.shape), indexing="ij"), -1).reshape(-1, 3)
    expected = np.linalg.solve(affine, moved @ [*place, 1.0])[:3]
    np.testing.assert_allclose(index.T @ weights / weights.sum(), expected, atol=0.1)


def test_masks_blank_what_is_outside_and_leave_it_alone_on_the_way_back(tmp_path):
    affine = centred(np.eye(3), (3, 3, 3), (32, 40, 32))
    data = head(affine, (32, 40, 32))
    mask = np.zeros(data.shape, np.uint8)
    mask[8:24, 8:32, 8:24] = 1
    place = tmp_path / "mask.nii.gz"
    nibabel.save(nibabel.Nifti1Image(mask, affine), place)
    cohort = image_cohort(tmp_path, [("sub-01", "1", data, affine)], mask=[str(place)])
    preparer = VolumePreparer.of(cohort, masked=True)
    prepared = preparer.prepare(cohort, 0)
    assert (prepared.data[mask == 0] == -1).all()
    assert (prepared.low, prepared.high) == pytest.approx(tuple(np.quantile(data[mask == 1], (0.001, 0.999))))
    got = preparer.restore(np.full((1, *preparer.shape), 0.25, np.float32), cohort, 0, prepared)[0]
    np.testing.assert_array_equal(got[mask == 0], data[mask == 0])
    assert (got[mask == 1] != data[mask == 1]).mean() > 0.99
    with pytest.raises(ImageError, match="sub-01 1 has no mask"):
        preparer.prepare(replace(cohort, files={"volume": cohort.files["volume"]}), 0)


def test_intensities_do_not_fall_below_zero(aligned):
    preparer = VolumePreparer.of(aligned)
    prepared = preparer.prepare(aligned, 0)
    got = preparer.restore(np.full((1, *preparer.shape), -1.5, np.float32), aligned, 0, prepared)
    assert got.min() == 0.0


def test_the_cache_changes_nothing_but_time(aligned, tmp_path):
    plain = VolumePreparer.of(aligned)
    caching = replace(plain, cache=str(tmp_path / "cache"))
    expected = plain.prepare(aligned, 1)
    for _ in range(2):
        got = caching.prepare(aligned, 1)
        np.testing.assert_array_equal(got.data, expected.data)
        assert (got.low, got.high, got.clipped) == (expected.low, expected.high, expected.clipped)
        np.testing.assert_array_equal(
            caching.restore(got.data[None] + 0.1, aligned, 1, got),
            plain.restore(expected.data[None] + 0.1, aligned, 1, expected),
        )
    assert isinstance(got.data, np.memmap)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 1
    replace(caching, quantiles=(0.01, 0.99)).prepare(aligned, 1)
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 2


def test_what_cannot_be_done_is_said(aligned, cohort):
    preparer = VolumePreparer.of(aligned)
    prepared = preparer.prepare(aligned, 0)
    with pytest.raises(CohortError, match="no visit has a volume"):
        VolumePreparer.of(cohort)
    with pytest.raises(SettingError, match=r"expected values of shape \(n, 32, 40, 32\)"):
        preparer.restore(np.zeros((1, 8, 8, 8)), aligned, 0, prepared)
    with pytest.raises(ImageError, match=r"sub-01_ses-1_T1w\.nii\.gz \(sub-01 ses-1\): what was predicted"):
        preparer.restore(np.full((1, *preparer.shape), np.nan), aligned, 0, prepared)
    files = {"volume": np.array([aligned.files["volume"][0], ""])}
    with pytest.raises(CohortError, match="sub-01 ses-2 has no volume to prepare"):
        preparer.prepare(replace(aligned, files=files), 1)
    for bad in ({"shape": (0, 1, 1)}, {"spacing": (1, 1, -1)}, {"quantiles": (0.9, 0.1)}):
        with pytest.raises(SettingError, match=next(iter(bad))):
            replace(preparer, **bad)


def test_windows_of_frames_of_a_film_do_not_depend_on_what_looks_like_a_head(tmp_path):
    """Blood that fills more of a frame than before must not be taken for the head there, and muscle for it here."""
    axes = np.meshgrid(*(np.linspace(-1, 1, 24),) * 3, indexing="ij")
    far = np.sqrt(sum(axis**2 for axis in axes))
    body = np.where(far < 0.9, 250.0, 0.0) + np.random.default_rng(1).normal(0, 5, far.shape)
    frames = [body + np.where(far < radius, 600.0, 0.0) for radius in (0.2, 0.3, 0.4, 0.5)]
    cohort = image_cohort(tmp_path, [("a", str(i), np.abs(frame), np.eye(4)) for i, frame in enumerate(frames)])
    windows = {}
    for period in (None, 4.0):
        preparer = VolumePreparer.of(replace(cohort, period=period))
        assert VolumePreparer.from_state(preparer.state()) == preparer
        prepared = [preparer.prepare(cohort, row) for row in range(4)]
        windows[period] = np.array([(image.low, image.high) for image in prepared])
        assert period is None or max(max(image.clipped) for image in prepared) < 0.002
    assert np.ptp(windows[4.0], axis=0).max() < 20
    assert np.ptp(windows[None], axis=0).max() > 100
    old = {name: value for name, value in VolumePreparer((8, 8, 8), (1, 1, 1)).state().items() if name != "everywhere"}
    assert not VolumePreparer.from_state(old).everywhere
