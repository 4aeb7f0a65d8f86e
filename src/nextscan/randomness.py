"""Counter-based random bits, so that noise is a function of names and not of order.

One integer hash serves NumPy and torch alike: it uses only ``+ * ^ & >>`` on 64-bit signed
integers, which wrap in both. A result keyed by (seed, subject, draw, step) does not depend on
which batch the subject is in, nor on who else is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray


def _signed(value: int) -> int:
    return value - (1 << 64) if value >= 1 << 63 else value


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_MULTIPLY_1 = _signed(0xBF58476D1CE4E5B9)
_MULTIPLY_2 = _signed(0x94D049BB133111EB)


def mix(z: Any) -> Any:
    """Scramble 64-bit integers: the output function of SplitMix64 (Steele, Lea & Flood 2014).

    Parameters
    ----------
    z : int64 ndarray or int64 tensor, any shape

    Returns
    -------
    Same type and shape; every output bit depends on every input bit.
    """
    # in place, on the shifted copies: new arrays would cost more than the arithmetic
    for shift, factor in ((30, _MULTIPLY_1), (27, _MULTIPLY_2)):
        shifted = z >> shift
        shifted &= (1 << (64 - shift)) - 1
        shifted ^= z
        shifted *= factor
        z = shifted
    return z ^ ((z >> 31) & ((1 << 33) - 1))


def bits(keys: Any, *counters: Any) -> Any:
    """Hash keys with counters, one after the other; all broadcast against each other.

    Parameters
    ----------
    keys : int64 ndarray or tensor
        Usually `subject_keys`.
    *counters : int, int64 ndarray or tensor
        Seed, draw, step, position in the event, ...

    Returns
    -------
    int64 ndarray or tensor of the broadcast shape.

    >>> keys = np.array([1, 2])
    >>> bool((bits(keys, 7, 0) != bits(keys, 7, 1)).all())
    True
    """
    z = mix(keys * _GOLDEN)
    for counter in counters:
        z = mix((z ^ counter) * _GOLDEN + _MULTIPLY_2)
    return z


def uniform(keys: NDArray[np.int64], *counters: Any) -> NDArray[np.float64]:
    """Return uniform numbers in (0, 1) for NumPy keys (53 random bits each)."""
    high = (bits(keys, *counters) >> 11) & ((1 << 53) - 1)
    numbers: NDArray[np.float64] = (high.astype(np.float64) + 0.5) * 2.0**-53
    return numbers


def normal(keys: NDArray[np.int64], *counters: Any, size: int) -> NDArray[np.float64]:
    """Return standard normal numbers for NumPy keys: both Box-Muller outputs of 32 random bits each.

    Parameters
    ----------
    keys : int64 ndarray, shape (n,)
    *counters : int or int64 ndarray of shape (n,)
    size : int
        Numbers per key.

    Returns
    -------
    ndarray of float64, shape (n, size)
        None is beyond 6.7.
    """
    hashed = bits(bits(keys, *counters)[:, None], np.arange((size + 1) // 2))
    radius = np.sqrt(-2 * np.log((((hashed >> 32) & 0xFFFFFFFF) + 0.5) * 2.0**-32))
    angle = (hashed & 0xFFFFFFFF) * (2 * np.pi * 2.0**-32)
    return np.concatenate([radius * np.cos(angle), radius * np.sin(angle)], axis=1)[:, :size]


def subject_keys(subjects: Iterable[str]) -> NDArray[np.int64]:
    """Return one 64-bit key per subject name, the same on every machine.

    >>> int(subject_keys(["sub-01"])[0]) == int(subject_keys(["sub-01", "sub-02"])[0])
    True
    """
    digests = b"".join(hashlib.blake2b(str(name).encode(), digest_size=8).digest() for name in subjects)
    return np.frombuffer(digests, dtype="<i8").astype(np.int64)
