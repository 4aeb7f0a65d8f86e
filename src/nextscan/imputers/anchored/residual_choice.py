"""Restraint: a stage is kept only where held-out subjects prove its gain."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.arrays import FloatArray
from nextscan.cohort import Calibration, Cohort, Targets
from nextscan.imputers.anchored.anchor import Anchor, HeldOut, is_forward
from nextscan.imputers.anchored.residual_model import Conditioning, ResidualModel
from nextscan.imputers.base import calibration_of
from nextscan.metrics import energy_score

_DRAWS = 40
_WORTH = 1e-3  # of the score: what is less is not worth a network, however certain


class Restraint:
    """Keeps the last model whose mean held-out energy score was lower by more than its standard errors.

    Models are offered one after the other and compared on the same subjects with the same random numbers; each
    held-out visit is drawn by the networks that never saw its subject.

    Attributes
    ----------
    kept : ResidualModel
    record : dict
        ``kept``: names of what was; ``gain``: of each offer, its standard error over subjects, and over what.
    """

    def __init__(
        self, anchor: Anchor, cases: Sequence[HeldOut], inputs: Sequence[tuple[Tensor, Tensor]], first: ResidualModel
    ) -> None:
        self.anchor, self.cases, self.inputs, self.kept = anchor, cases, inputs, first
        shown = [anchor.scaled(case.task.shown.features[case.task.targets.context]).numpy() for case in cases]
        sd = np.nanstd(np.concatenate(shown), axis=0)
        self.unit = torch.from_numpy(np.where(sd > 0, sd, 1.0))
        self.energy = self._energy(first)
        self.record: dict[str, Any] = {"kept": [], "gain": {}, "held_out_energy": {"anchor": float(self.energy.mean())}}

    def offer(self, name: str, model: ResidualModel, *, errors: float) -> None:
        """Keep the model if it gains more than this many standard errors, and 0.1 %, over what is kept."""
        energy = self._energy(model)
        told = mean_and_error(self.energy - energy)
        over = self.record["kept"][-1] if self.record["kept"] else "anchor"
        self.record["gain"][name] = {**told, "over": over}
        self.record["held_out_energy"][name] = float(energy.mean())
        if told["gain"] > max(errors * told["se"], _WORTH * self.energy.mean()):
            self.keep(name, model, energy)

    def keep(self, name: str, model: ResidualModel, energy: FloatArray | None = None) -> None:
        """Keep a model that is proven otherwise."""
        self.kept, self.energy = model, self._energy(model) if energy is None else energy
        self.record["kept"].append(name)
        self.record["held_out_energy"][name] = float(self.energy.mean())

    def calibration(self, nonnegative: NDArray[np.bool_]) -> Calibration:
        """Return the errors of what is kept on held-out visits, for conformal intervals without another fit.

        As in `Imputer.calibrate`, each subject counts once, with the last visit given those before: of cases that show
        it more and more visits, the last.
        """
        held_out, floor = [], np.where(nonnegative, 0.0, -np.inf)
        subjects = [case.task.targets.subject for case in self.cases]
        for i, (case, inputs) in enumerate(zip(self.cases, self.inputs, strict=True)):
            made = [self.anchor.native(drawn.numpy()) for drawn, _ in self._drawn(self.kept, case, inputs)]
            last = ~np.isin(subjects[i], np.concatenate([subjects[i][:0], *subjects[i + 1 :]]))
            draws = np.maximum(np.concatenate(made, axis=1), floor)[:, last]
            task = replace(case.task, targets=case.task.targets.select(last), truth=case.task.truth[last])
            held_out.append((task, draws.mean(axis=0), draws.std(axis=0, ddof=1)))
        return calibration_of(held_out, nonnegative=nonnegative, n_draws=_DRAWS)

    def _energy(self, model: ResidualModel) -> FloatArray:
        """Return the energy score of each held-out subject, the mean over its visits."""
        scores, subjects = [], []
        for case, inputs in zip(self.cases, self.inputs, strict=True):
            subjects.append(case.task.targets.subject)
            for drawn, truth in self._drawn(model, case, inputs):
                x, y = (torch.where(torch.isnan(truth), 0.0, part / self.unit).numpy() for part in (drawn, truth))
                scores.append(energy_score(y, x))
        who = np.unique(np.concatenate(subjects), return_inverse=True)[1]
        return by_subject(np.concatenate(scores), who)

    def _drawn(
        self, model: ResidualModel, case: HeldOut, inputs: tuple[Tensor, Tensor]
    ) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield draws and truths, in units of the anchor; the same chance for every model."""
        generator = torch.Generator().manual_seed(1000 + case.fold)
        turn = torch.from_numpy(model.turn())
        condition, reach = inputs
        for here, law, truth in case.laws(self.anchor):
            normal = torch.randn(_DRAWS, *truth.shape, generator=generator, dtype=torch.float64) @ turn
            lots = torch.rand(_DRAWS, len(truth), generator=generator).numpy()
            sizes = model.spread.sizes[(lots * len(model.spread.sizes)).astype(int)]
            known = model.known(condition[here], reach[here], case.fold)
            yield law.mean + law.colouring()(model.draw(known, normal, sizes)), truth


def by_subject(values: FloatArray, who: NDArray[np.intp]) -> FloatArray:
    """Return the mean over each subject's visits, shape (n_subjects,)."""
    means: FloatArray = np.bincount(who, values) / np.bincount(who)
    return means


def mean_and_error(gain: FloatArray) -> dict[str, float]:
    """Return the mean over subjects and its standard error."""
    return {"gain": float(gain.mean()), "se": float(gain.std(ddof=1) / np.sqrt(len(gain)))}


def inputs_of(
    anchor: Anchor, cohort: Cohort, wanted: Targets, gap: FloatArray, conditioning: Conditioning, *, alone: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the networks' inputs, and how far their location reaches: not at all before or between visits seen."""
    scores = anchor.model.scores(cohort, wanted)
    labels = anchor.model.standardised(cohort.labels_at(wanted.context))
    forward = torch.from_numpy(is_forward(cohort, wanted, gap)[:, None])
    return conditioning.inputs(scores, labels, gap, alone=alone), conditioning.reach(gap) * forward
