"""One beat: how the volumes of both chambers and the length of the left one move through the cycle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from nextscan.arrays import FloatArray

TRAITS = (
    "log_edv",
    "loss",
    "asymmetry",
    "ef",
    "log_wall",
    "log_length",
    "log_excursion",
    "log_rv_esv",
    "log_rv_ratio",
    "es_time",
    "log_power",
    "log_relaxation",
    "filling",
    "passive",
    "kick",
    "log_rv_delay",
)
"""What makes a heart and its beat: logs of mL and mm; logits of shares (loss, ef, filling, passive); times.
`loss` is how much less the ill sector contracts, `asymmetry` how much thicker the septum is than the mean wall,
`log_excursion` how far the base moves down, `log_rv_ratio` the stroke of the right chamber over that of the left,
`filling` how much of the time between relaxation and kick rapid filling takes, `passive` what share it fills. Times are
shares of the cycle."""
QUANTITIES = ("lv", "length", "rv")
"""What moves: volumes of the left and the right chamber in mL, length of the left one in mm."""
_AT = {name: position for position, name in enumerate(TRAITS)}


def trait(traits: FloatArray, name: str) -> FloatArray:
    """Return a trait, shape of `traits` without its last axis: exponentials of logs, shares of logits."""
    raw: FloatArray = traits[..., _AT[name]]
    if name.startswith("log_"):
        return np.asarray(np.exp(raw))
    return np.asarray(1 / (1 + np.exp(-raw))) if name in ("loss", "ef", "filling", "passive") else raw


@dataclass(frozen=True, eq=False)
class Beat:
    """Beats of some hearts at some times of the cycle.

    Attributes
    ----------
    traits : ndarray of float, shape (n_hearts, n_traits)
        See `TRAITS`.
    times : ndarray of float, shape (n_times,)
        Shares of the cycle; 0 is end-diastole. Time is a circle.
    lv, length, rv : ndarray of float, shape (n_hearts, n_times)
        See `QUANTITIES`.
    """

    traits: FloatArray
    times: FloatArray
    lv: FloatArray
    length: FloatArray
    rv: FloatArray

    @classmethod
    def of(cls, traits: FloatArray, times: ArrayLike) -> Beat:
        """Compute the beats of hearts with given traits, shape (n_hearts, n_traits)."""
        when = np.atleast_1d(np.asarray(times, float))
        of = {name: trait(traits, name)[:, None] for name in TRAITS}
        stroke = of["log_edv"] * of["ef"]
        left = emptied(when, of["es_time"], of)
        right = emptied(when, of["es_time"] * of["log_rv_delay"], of)
        rv_stroke = stroke * of["log_rv_ratio"]
        return cls(
            traits=traits,
            times=when,
            lv=of["log_edv"] - stroke * left,
            length=of["log_length"] - of["log_excursion"] * left,
            rv=of["log_rv_esv"] + rv_stroke * (1 - right),
        )

    @property
    def edv(self) -> FloatArray:
        """Volume of the left chamber at end-diastole in mL, shape (n_hearts,)."""
        return trait(self.traits, "log_edv")

    @property
    def ef(self) -> FloatArray:
        """Ejection fraction of the left chamber, 0 to 1, shape (n_hearts,)."""
        return trait(self.traits, "ef")

    def stacked(self) -> FloatArray:
        """Return all quantities, shape (n_hearts, n_times, n_quantities)."""
        return np.stack([self.lv, self.length, self.rv], axis=-1)


def emptied(times: FloatArray, es_time: FloatArray, of: dict[str, FloatArray]) -> FloatArray:
    """Return what share of the stroke is out of a chamber, 0 to 1, shape (n_hearts, n_times).

    Ejection; a pause while the muscle relaxes; rapid filling; a plateau; the kick of the atrium. Each is a cubic
    step, so that volumes and flows are continuous around the circle.
    """
    now = np.mod(times, 1.0)
    opens = es_time + of["log_relaxation"]
    filled = of["filling"] * (of["kick"] - opens)
    out = _step(np.clip(now / es_time, 0, 1) ** of["log_power"])
    early = of["passive"] * _step((now - opens) / filled)
    late = (1 - of["passive"]) * _step((now - of["kick"]) / (1 - of["kick"]))
    share: FloatArray = out - early - late
    return share


def _step(x: FloatArray) -> FloatArray:
    x = np.clip(x, 0, 1)
    stepped: FloatArray = x * x * (3 - 2 * x)
    return stepped
