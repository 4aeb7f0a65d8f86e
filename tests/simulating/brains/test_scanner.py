import numpy as np
import pytest

from nextscan.simulating.brains.cohort import head_of
from nextscan.simulating.brains.people import draw_people
from nextscan.simulating.brains.scanner import NOISE, scan

LAW = draw_people(1, (32, 40, 32), seed=0)


def test_a_scanner_adds_bias_and_noise_of_its_own_to_each_visit():
    image = head_of(LAW, "sub-001").image(LAW.states[0])
    one, again, other = (scan(image, "sub-001", number, seed=3) for number in (0, 0, 1))
    assert np.array_equal(one, again)
    assert not np.array_equal(one, scan(image, "sub-001", 0, seed=4))
    air = image == 0
    assert one[air].mean() == pytest.approx(NOISE * np.sqrt(np.pi / 2), rel=0.03)  # Rayleigh
    white = image > 0.98
    ratio = one[white] / other[white]
    assert ratio.std() == pytest.approx(np.sqrt(2) * NOISE, rel=0.4)
    assert abs(np.log(ratio)).mean() < 0.12
