"""False discoveries are counted as Benjamini and Hochberg do."""

import numpy as np
from scipy.stats import false_discovery_control

from nextscan.metrics import benjamini_hochberg


def test_the_example_of_the_paper() -> None:
    # Benjamini & Hochberg 1995, section 3.2: at 5 % the first four of fifteen are discoveries.
    p = [
        0.0001,
        0.0004,
        0.0019,
        0.0095,
        0.0201,
        0.0278,
        0.0298,
        0.0344,
        0.0459,
        0.3240,
        0.4262,
        0.5719,
        0.6528,
        0.7590,
        1.0,
    ]
    assert (benjamini_hochberg(p) <= 0.05).tolist() == [True] * 4 + [False] * 11


def test_any_order_and_gaps() -> None:
    p = np.random.default_rng(0).random(40) ** 2
    q = benjamini_hochberg(np.insert(p, 7, np.nan))
    assert np.isnan(q[7])
    np.testing.assert_allclose(np.delete(q, 7), false_discovery_control(p))
    assert benjamini_hochberg([]).shape == (0,)
