"""What held-out pairs say of draws: how wide they must be, and how people's own rates vary."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.arrays import Volume
from nextscan.imputers.volumes.diffusion.expected_change import Change, unit_of
from nextscan.imputers.volumes.diffusion.problem import VolumeProcess
from nextscan.imputers.volumes.diffusion.rate_variation import Evidence, RateVariation
from nextscan.imputers.volumes.examples import Condition, PairExamples
from nextscan.imputers.volumes.pairs import spread_by_brightness

Mean = Callable[[Condition], Change]

_SPREAD_PAIRS = 256
_VARIATION_PAIRS, _DRAWS = 128, 8  # few pairs have many draws, so that these add no doubt
_SEED = 20_250_103
_WORTH = 2.0  # people as whom it is known beforehand that held-out change is left as training change is


def spread_left(mean: Mean, pairs: PairExamples) -> NDArray[np.float32]:
    """Return the spread of what the mean leaves of the change of pairs, see `spread_by_brightness`."""

    def left() -> Iterator[tuple[Volume, Volume]]:
        for i in _some(pairs, _SPREAD_PAIRS):
            given, target = pairs.plain(i)
            rest = target - given.around(mean(given).total).middle
            yield given.source[0, 0].cpu().numpy(), rest[0, 0].cpu().numpy()

    return spread_by_brightness(left())


def calibrated(
    process: VolumeProcess, network: Any, mean: Mean, held_out: PairExamples
) -> tuple[NDArray[np.float32], RateVariation]:
    """Learn from held-out pairs the unit of draws, and how people's rates spread beyond how draws spread already.

    The unit keeps its shape over brightness, of which training pairs know more. Its height is that of held-out
    pairs, every person counted once, and towards that of training pairs, as if `_WORTH` people had shown it. It
    holds what rates that vary add to a voxel as well: where much grows, voxels of draws are rather too wide.

    Parameters
    ----------
    process : VolumeProcess
        With the unit the network was trained with.
    network, mean
    held_out : PairExamples
    """
    ratios: dict[int, list[float]] = {}
    for i in _some(held_out, _SPREAD_PAIRS):
        given, target = held_out.plain(i)
        rest = process.data(target, given.around(mean(given).total))
        ratios.setdefault(_person(held_out, i), []).append(float(rest.square().mean()))
    each = [np.mean(of_person) for of_person in ratios.values()]
    process = replace(process, spread=process.spread * float(np.sqrt((_WORTH + sum(each)) / (_WORTH + len(each)))))
    return process.spread.numpy(), _variation(process, network, mean, held_out)


def _variation(process: VolumeProcess, network: Any, mean: Mean, held_out: PairExamples) -> RateVariation:
    real, drawn, people = [], [], []
    for i in _some(held_out, _VARIATION_PAIRS):
        given, target = held_out.plain(i)
        change = mean(given)
        given = given.around(change.total)
        growth, error, unit = (
            part[0, 0].cpu().numpy()
            for part in (change.grown, target - given.middle, unit_of(given.source, process.spread))
        )
        if not growth.any():
            continue  # it tells nothing of rates
        draws = process.draw(network, given, i, _DRAWS, _SEED).cpu().numpy()
        real.append(Evidence.of(growth, error, unit))
        drawn += Evidence.among_draws(growth, draws, unit)
        people.append(str(_person(held_out, i)))
    if not people:
        return RateVariation(0.0, 0.0)
    of_draws = np.repeat(people, _DRAWS).tolist()
    return RateVariation.fit(real, people).less(RateVariation.fit(drawn, of_draws, worth=0.0))


def _some(pairs: PairExamples, at_most: int) -> list[int]:
    """Return places of pairs, spread over all of them."""
    places: list[int] = np.unique(np.linspace(0, len(pairs) - 1, min(len(pairs), at_most)).astype(int)).tolist()
    return places


def _person(pairs: PairExamples, i: int) -> int:
    return int(pairs.data.cohort.subject_of[pairs.data.pairs.context[i]])
