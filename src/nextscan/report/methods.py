"""What the methods are called on a page, which part they play, and how they are drawn."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence

from nextscan.report.figures.style import LOOKS, Look

ORACLE = "oracle"
CARRY_FORWARD = "carry-forward"
REGRESSION = "feature-regression"
RELIABILITY = "reliability"
COPY_SOURCE, VOLUME_MEAN_CHANGE = "copy-source", "volume-mean-change"
VOLUME_BASELINES = (COPY_SOURCE, VOLUME_MEAN_CHANGE)
BASELINES = (CARRY_FORWARD, "mean-change", REGRESSION, "ridge", RELIABILITY)
COPY_NEAREST, MEAN_CHANGE_IN_TIME = "copy-nearest", "mean-change-in-time"
SEQUENCE_BASELINES = (
    *(COPY_NEAREST, "linear-in-time", MEAN_CHANGE_IN_TIME),
    *("linear-with-mean-residual", "voxel-regression", "volume-ridge"),
)
ALL_BASELINES = frozenset((*BASELINES, *VOLUME_BASELINES, *SEQUENCE_BASELINES))
SEGMENTER = "segmenter"
"""No method: what measuring volumes in the real frames of films costs."""

_TITLES = {
    "anchored": "anchored SECONDGRAM",
    "secondgram": "SECONDGRAM",
    "secondgram-paper": "SECONDGRAM, paper preset",
    "secondgram-released": "SECONDGRAM, released preset",
    "mixed-factor": "mixed-factor model",
    CARRY_FORWARD: "carry forward",
    "mean-change": "mean change",
    REGRESSION: "per-feature regression",
    "ridge": "ridge",
    RELIABILITY: "reliability shrinkage",
    ORACLE: "oracle",
    "volume-diffusion": "volume diffusion",
    "volume-vae": "volume VAE",
    "med-ddpm": "Med-DDPM",
    COPY_SOURCE: "copy of the source",
    VOLUME_MEAN_CHANGE: "mean change of volumes",
    COPY_NEAREST: "copy of the nearest frame",
    "linear-in-time": "line in time",
    MEAN_CHANGE_IN_TIME: "mean change in time",
    "linear-with-mean-residual": "line with mean residual",
    "voxel-regression": "voxel regression",
    "volume-ridge": "ridge of volumes",
    SEGMENTER: "segmenter in real frames",
}

# No marker nor dashes of `LOOKS`, which the other methods have: greyscale tells them apart as well.
_LOOKS = {
    CARRY_FORWARD: Look("#4b5563", (0, (1.2, 1.2)), "s"),
    "mean-change": Look("#9ca3af", (0, (5, 1.5, 1.2, 1.5)), "<"),
    REGRESSION: Look("#00795a", (0, (4, 1.5, 1, 1.5)), "^"),
    "ridge": Look("#b8860b", (0, (8, 2, 1.5, 2, 1.5, 2)), "P"),
    RELIABILITY: Look("#56b4e9", (0, (3, 1.5)), "v"),
    COPY_SOURCE: Look("#4b5563", (0, (1.2, 1.2)), "s"),
    VOLUME_MEAN_CHANGE: Look("#9ca3af", (0, (5, 1.5, 1.2, 1.5)), "<"),
    COPY_NEAREST: Look("#4b5563", (0, (1.2, 1.2)), "s"),
    MEAN_CHANGE_IN_TIME: Look("#9ca3af", (0, (5, 1.5, 1.2, 1.5)), "<"),
    ORACLE: Look("#111111", (0, (1, 2.2)), "*"),
}


def title(method: str) -> str:
    """Return the name of a method in running text; unknown methods keep their own.

    >>> title("feature-regression"), title("my-network")
    ('per-feature regression', 'my-network')
    """
    return _TITLES.get(method, method)


def part(method: str) -> str:
    """Return which part a method plays: "baseline", "best possible", "measuring" or "method"."""
    parts = {ORACLE: "best possible", SEGMENTER: "measuring"}
    return parts.get(method) or ("baseline" if method in ALL_BASELINES else "method")


def candidates(methods: Iterable[str]) -> list[str]:
    """Return the methods that are neither baseline nor oracle, in their order."""
    return [method for method in methods if part(method) == "method"]


def baselines(methods: Iterable[str]) -> list[str]:
    """Return the baselines among methods, in their order."""
    return [method for method in methods if part(method) == "baseline"]


def method_looks(methods: Sequence[str]) -> dict[str, Look]:
    """Return each method's look; baselines and the oracle always have the same one."""
    free = itertools.cycle(LOOKS)
    return {method: _LOOKS.get(method) or next(free) for method in methods}


def titled_looks(methods: Sequence[str]) -> dict[str, Look]:
    """Return each method's look by its title."""
    return {title(method): look for method, look in method_looks(methods).items()}
