"""How wide draws are, by held-out people."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from linear_world import linear_examples
from nextscan.imputers.volumes.diffusion.expected_change import Change
from nextscan.imputers.volumes.diffusion.held_out import calibrated
from nextscan.imputers.volumes.diffusion.rate_variation import RateVariation
from nextscan.imputers.volumes.diffusion.settings import VolumeDiffusionSettings
from nextscan.imputers.volumes.diffusion.trained import make_process

DEFAULT = VolumeDiffusionSettings()


def no_change(given):
    return Change(torch.zeros_like(given.source), torch.zeros_like(given.source))


def silent(x, level, source, numbers):
    return torch.zeros_like(x)


@pytest.mark.parametrize("n", [1, 8, 64])
def test_the_unit_goes_from_that_of_training_to_that_of_held_out_people(n):
    examples, _ = linear_examples(DEFAULT, n)
    examples.data.volumes = [(source, source + np.float32(0.2)) for source, _ in examples.data.volumes]
    process = make_process(DEFAULT, np.full(4, 0.1, np.float32))
    unit, variation = calibrated(process, silent, no_change, examples)
    np.testing.assert_allclose(unit, 0.1 * np.sqrt((2 + 4 * n) / (2 + n)), rtol=1e-5)  # 0.1 counts as two people
    assert variation == RateVariation(0.0, 0.0)  # nothing grows, so nothing is known of rates


def test_a_person_counts_once_however_many_pairs_there_are():
    examples, _ = linear_examples(DEFAULT, 8)
    shifts = [0.2] * 6 + [0.1, 0.1]
    examples.data.volumes = [
        (source, source + np.float32(shift)) for (source, _), shift in zip(examples.data.volumes, shifts, strict=True)
    ]
    cohort = examples.data.cohort
    of = np.concatenate([np.zeros(12, int), [1, 1, 2, 2]])  # the first six pairs are of one person
    merged = replace(
        cohort,
        subjects=cohort.subjects[:3],
        subject_of=of,
        labels=cohort.labels.iloc[:3],
        visits=np.arange(16).astype(str),
    )
    examples = replace(examples, data=replace(examples.data, cohort=merged))
    process = make_process(DEFAULT, np.full(4, 0.1, np.float32))
    unit, _ = calibrated(process, silent, no_change, examples)
    np.testing.assert_allclose(unit, 0.1 * np.sqrt((2 + 4 + 1 + 1) / 5), rtol=1e-5)
