"""What to make of many p-values at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def benjamini_hochberg(p: ArrayLike) -> NDArray[np.float64]:
    """Return q-values: the share of false discoveries expected among all that are at least as striking.

    Those with q <= 0.05 are the discoveries at a false discovery rate of 5 % (Benjamini & Hochberg 1995);
    the guarantee holds for independent and for positively dependent tests.

    Parameters
    ----------
    p : array of float, shape (n,)
        NaN where nothing was tested: it stays NaN and does not count.

    >>> benjamini_hochberg([0.01, 0.04, 0.03, 0.5]).round(4).tolist()
    [0.04, 0.0533, 0.0533, 0.5]
    """
    values = np.asarray(p, np.float64)
    q = np.full(values.shape, np.nan)
    tested = np.flatnonzero(~np.isnan(values))
    order = tested[np.argsort(values[tested], kind="stable")]
    raw = values[order] * len(order) / np.arange(1, len(order) + 1)
    q[order] = np.minimum(np.minimum.accumulate(raw[::-1])[::-1], 1.0)
    return q
