"""The segmenter: it learns to measure balls it has not seen, alike by seed, and comes back from its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from nextscan.cohort import Cohort
from nextscan.errors import CohortError
from nextscan.images.files import read_image
from nextscan.imputers.sequences.segmenter import Segmenter, SegmenterSettings
from study.film_world import AFFINE, make_films

pytest.importorskip("nibabel")

REGIONS = {"myo": 2, "lv": 3}
SMALL = SegmenterSettings(channels=(4, 8))
EMPTY = replace(SMALL, n_examples=8)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Cohort:
    return make_films(tmp_path_factory.mktemp("segmented"), 12, noise=8.0)


def images(cohort: Cohort, role: str = "volume") -> np.ndarray:
    return np.stack([read_image(path, allow_constant=True).data for path in cohort.files_of(role)])


@pytest.mark.minutes
def test_volumes_of_people_not_seen(films: Cohort):
    tested = np.isin(np.arange(12), (2, 5, 9))
    train, test = films.select_subjects(~tested), films.select_subjects(tested)
    learned = Segmenter.fit(train, regions=REGIONS, settings=replace(SMALL, n_examples=1200, batch_size=4))
    labels = images(test, "segmentation")
    true = np.stack([(labels == code).sum(axis=(1, 2, 3)) * 640.0 for code in REGIONS.values()], axis=1)
    measured = learned.measure(images(test), AFFINE)
    assert (np.abs(measured - true).mean(axis=0) < 0.15 * true.mean(axis=0)).all()
    assert np.corrcoef(measured[:, 1], true[:, 1])[0, 1] > 0.93
    found = learned.label(images(test))
    assert set(np.unique(found)) <= {0, 2, 3}
    both = ((found == 3) & (labels == 3)).sum()
    assert 2 * both / ((found == 3).sum() + (labels == 3).sum()) > 0.9


def test_it_is_the_same_by_seed_and_comes_back_from_its_file(films: Cohort, tmp_path):
    few = films.select_subjects(np.arange(3))
    first, second, other = (Segmenter.fit(few, regions=REGIONS, settings=EMPTY, seed=seed) for seed in (1, 1, 2))
    some = images(few)[:3]
    np.testing.assert_array_equal(first.measure(some, AFFINE), second.measure(some, AFFINE))
    assert (first.measure(some, AFFINE) != other.measure(some, AFFINE)).any()
    first.save(tmp_path / "segmenter.npz")
    loaded = Segmenter.load(tmp_path / "segmenter.npz")
    assert loaded is not None
    np.testing.assert_array_equal(loaded.measure(some, AFFINE), first.measure(some, AFFINE))
    assert Segmenter.load(tmp_path / "none.npz") is None
    (tmp_path / "damaged.npz").write_bytes(b"PK")
    assert Segmenter.load(tmp_path / "damaged.npz") is None


def test_the_unit_of_intensity_does_not_matter(films: Cohort):
    learned = Segmenter.fit(films.select_subjects(np.arange(3)), regions=REGIONS, settings=EMPTY)
    some = images(films)[:2]
    np.testing.assert_allclose(learned.measure(7 * some + 100, AFFINE), learned.measure(some, AFFINE), rtol=1e-3)


def test_large_images_are_measured_in_blocks(films: Cohort):
    learned = Segmenter.fit(films.select_subjects(np.arange(3)), regions=REGIONS, settings=replace(EMPTY, side=8))
    assert learned.measure(images(films)[:2], AFFINE).shape == (2, 2)
    assert learned.label(images(films)[:2, :15]).shape == (2, 15, 16, 8)


def test_calibration_takes_a_line_off_and_doubts_few_people(films: Cohort):
    """A network that knows nothing measures the same everywhere: the line brings that to the mean of others."""
    learned = Segmenter.fit(films, regions=REGIONS, settings=replace(EMPTY, held_out=0.5))
    plain = Segmenter(learned.settings, learned.regions, learned.network, np.ones(2), np.zeros(2))
    some, labels = images(films), images(films, "segmentation")
    true = np.stack([(labels == code).sum(axis=(1, 2, 3)) * 640.0 for code in REGIONS.values()], axis=1)
    off = [np.abs(one.measure(some, AFFINE).mean(axis=0) - true.mean(axis=0)) for one in (learned, plain)]
    assert (off[0] < off[1]).all()
    assert (off[0] > 0.2 * off[1]).all()  # six people against the four that are doubted


def test_nothing_to_learn_from_is_refused(films: Cohort):
    with pytest.raises(CohortError, match="0 training subjects have label maps"):
        Segmenter.fit(replace(films, files={"volume": films.files["volume"]}), regions=REGIONS)
