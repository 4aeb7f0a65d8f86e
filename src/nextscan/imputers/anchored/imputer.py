"""Anchored SECONDGRAM: diffusion of what the best closed-form prediction leaves, kept only where it is proven.

The method, in order:

1. *Anchor.* A mixed-effects factor model of all visits of everybody gives mean and covariance C of a target; simple
   regressions share in the mean, by weights that held-out subjects choose (`nextscan.imputers.anchored.anchor`).
2. *Residuals.* Every paired subject's visits are predicted by anchors that never saw the subject. Truth less mean,
   whitened by C, is standard normal if the anchor is right (`nextscan.imputers.mixed_factor.predictive`).
3. *Diffusion.* What is not standard normal about residuals is learned given what is known of a subject, c. The
   denoiser is preconditioned: with all networks at zero it is the exact denoiser of a Gaussian, and the model is its
   anchor. Covariance and size of residuals, their location and scale given c, and their shape given c come one after
   the other (`nextscan.imputers.anchored.residual_law`).
4. *Self-conditioning.* People scanned once train the anchor and, as visits paired with themselves, the networks: the
   visit is the target, the same visit with measured between-visit noise the context, and a flag says so.
5. *Restraint.* Networks are an ensemble of one per fold, each stopped early by the fold it never saw. Each stage is
   kept only where held-out subjects prove it by two standard errors: networks by their energy score, and by at least
   0.1 % of it; covariance and size by their likelihood (or score, then by one standard error), and that size depends
   on c by how it predicts sizes, as scores of a few hundred subjects hardly tell a spread that is a fifth too small.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets, merge
from nextscan.diffusion import counter_normal
from nextscan.errors import TooFewPairsError
from nextscan.imputers.anchored.anchor import COMPANIONS, Anchor, held_out, weigh
from nextscan.imputers.anchored.residual_choice import inputs_of
from nextscan.imputers.anchored.residual_fit import ResidualSettings, SelfConditioning, fit_residual
from nextscan.imputers.anchored.residual_model import ResidualModel
from nextscan.imputers.base import Imputer, Progress
from nextscan.imputers.baselines.paired_visits import donors
from nextscan.imputers.mixed_factor.imputer import MixedFactor, check_follow_ups
from nextscan.imputers.settings import one_of
from nextscan.imputers.stages import Stages, fingerprint
from nextscan.preprocess import LabelEncoder
from nextscan.randomness import subject_keys

_STAGES = 13  # about ten fits to choose ranks by, the anchor, two networks
_SHARED, _OWN = range(2)  # what a stream of random numbers is for


@dataclass(eq=False, repr=False, kw_only=True)
class AnchoredSecondgram(Imputer):
    """Predict by the best closed-form law, and leave it only where held-out subjects prove the gain.

    Parameters
    ----------
    n_factors, n_slopes : int, optional
        Ranks of the mixed-factor model; by default what scores best on held-out pairs.
    unpaired : "auto", "use" or "ignore"
        Whether subjects with a single visit inform the anchor; "auto" decides by held-out pairs.
    companions : bool
        Whether regressions share in the anchor's mean.
    network, diffusion : bool
        Whether to try location and scale given what is known, and then the shape; without both, and without
        anything to calibrate, the model is its anchor.
    self_conditioning : "auto", "flagged", "unflagged" or "none"
        Whether visits paired with themselves train the networks, and whether a flag tells them from real pairs;
        "auto" decides between "flagged" and "none" by held-out pairs.
    perturbation : "measured" or float
        Noise of their context: the measured between-visit noise of each feature, or this fraction of its spread.
    out_of_fold : bool
        False takes residuals of subjects the anchor was fitted to: an ablation, which overfits.
    whiten : bool
        False leaves residuals correlated, each feature by its own spread only: an ablation.
    n_folds : int
    epochs : int
        At most.

    Notes
    -----
    Where nobody has more than two visits, conformal intervals need no `calibrate`: what was held out calibrates them.

    The networks were taught and proven by visits after the last one seen. Before and between visits, as companions,
    they have no say in where a prediction lies.

    Cost: `n_folds` + 1 fits of the mixed-factor model and its companions, beside those that choose ranks; the
    networks are small. Memory: laws are made for 256 targets at a time, (rank + draws) x features numbers each.
    """

    name: ClassVar[str] = "anchored"
    uses_unpaired: ClassVar[bool] = True
    uses_time: ClassVar[bool] = True
    predicts_backward: ClassVar[bool] = True
    minimum_pairs: ClassVar[int] = 10
    _LEARNED: ClassVar[tuple[str, ...]] = ("anchor", "residual")
    _PARTS: ClassVar[dict[str, Any]] = {"anchor": Anchor, "residual": ResidualModel}

    n_factors: int | None = None
    n_slopes: int | None = None
    unpaired: str = "auto"
    companions: bool = True
    network: bool = True
    diffusion: bool = True
    self_conditioning: SelfConditioning = "auto"
    perturbation: Literal["measured"] | float = "measured"
    out_of_fold: bool = True
    whiten: bool = True
    n_folds: int = 5
    epochs: int = 300

    # -- learning ---------------------------------------------------------------------------------

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        settings = ResidualSettings(**{spec.name: getattr(self, spec.name) for spec in fields(ResidualSettings)})
        one_of(("auto", "use", "ignore"), unpaired=self.unpaired)
        cohort = merge(train, validation)
        cohort = cohort.select_visits(~cohort.is_request)
        n_paired = int(cohort.is_paired.sum())
        if n_paired < self.minimum_pairs:
            raise TooFewPairsError(
                f"{cohort.source or cohort.name}: {self.name} needs at least {self.minimum_pairs} subjects with two "
                f"visits, there are {n_paired}; use another method or a larger cohort"
            )
        check_follow_ups(cohort, MixedFactor.minimum_pairs)
        companions = COMPANIONS if self.companions else ()
        stages = Stages(checkpoint, fingerprint(cohort, self.get_params(), seed), self.n_folds + _STAGES, progress)
        model = MixedFactor(n_factors=self.n_factors, n_slopes=self.n_slopes, unpaired=self.unpaired)
        chosen, tried = model.choose(cohort, stages.number)
        fit = partial(Anchor.fit, settings=chosen, use=companions, correlated=self.whiten)
        whole = Anchor.from_state(stages("anchor", lambda: fit(cohort).state()))
        whole, cases = held_out(cohort, whole, fit if self.out_of_fold else lambda _: whole, self.n_folds, stages)
        self.anchor_ = weigh(whole, cases)
        restraint, record = fit_residual(cohort, self.anchor_, cases, settings, stages, seed=seed)
        self.residual_ = restraint.kept
        if self.out_of_fold:
            self.calibration_ = restraint.calibration(self.nonnegative_)
        self.record_ |= {f"chosen_{name}": value for name, value in chosen.items()} | restraint.record | record
        self.record_["held_out_energy_score"] = tried
        self.record_["weights"] = self.anchor_.weights_by_name()

    # -- drawing ----------------------------------------------------------------------------------

    @torch.no_grad()
    def _draw(
        self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int, progress: Progress | None
    ) -> tuple[NDArray[np.floating], FloatArray | None]:
        drawn_gap, gap = self.anchor_.gaps(cohort, wanted, n_draws, seed)
        draws = np.empty((n_draws, len(wanted), cohort.n_features), np.float32)
        mean = np.empty((len(wanted), cohort.n_features))
        every = np.arange(n_draws)
        drawn_at_once = (drawn_gap == gap).all(axis=0)
        for alike, which in ((drawn_at_once, every), (~drawn_at_once, every[:0])):  # the others: only their mean
            rows = np.flatnonzero(alike)
            found = self._draw_at(cohort, wanted.select(rows), gap[rows], which, n_draws, seed)
            draws[np.ix_(which, rows)], mean[rows] = found
        unknown = np.flatnonzero(~drawn_at_once)
        part = wanted.select(unknown)
        for draw in every if len(unknown) else ():  # each draw has a time of its own
            at = drawn_gap[draw, unknown]
            draws[draw, unknown] = self._draw_at(cohort, part, at, every[draw : draw + 1], n_draws, seed)[0][0]
        # A learned shape has a mean of its own, and a curve bends it: only draws know these.
        exact = self.residual_.shape is None and not self.anchor_.model.curved_.any()
        return self.anchor_.native(draws), self.anchor_.native(mean) if exact else None

    def _draw_at(
        self, cohort: Cohort, wanted: Targets, gap: FloatArray, which: NDArray[np.intp], n_draws: int, seed: int
    ) -> tuple[NDArray[np.float32], FloatArray]:
        """Return some of the draws, shape (len(which), n_targets, p), and the mean, in units of the model."""
        draws = np.empty((len(which), len(wanted), cohort.n_features), np.float32)
        mean = np.empty((len(wanted), cohort.n_features))
        inputs, reach = inputs_of(self.anchor_, cohort, wanted, gap, self.residual_.conditioning)
        sizes = self.residual_.spread.sizes[donors(len(self.residual_.spread.sizes), wanted.subject, n_draws, seed)]
        for here, law in self.anchor_.predictive(cohort, wanted, gap):
            known, colour = self.residual_.known(inputs[here], reach[here]), law.colouring()
            mean[here] = (law.mean + colour(self.residual_.mean(known))).numpy()
            if len(which):
                z = self.residual_.draw(known, self._normal(wanted.select(here), which, seed), sizes[which, here])
                draws[:, here] = (law.mean + colour(z)).numpy()
        return draws, mean

    def _normal(self, part: Targets, which: NDArray[np.intp], seed: int) -> Tensor:
        """Return standard normal numbers, of which visits of a subject share what is not measurement noise."""
        names = [f"{subject}\n{visit}" for subject, visit in zip(part.subject, part.visit, strict=True)]
        stable = torch.from_numpy(self.residual_.stable)
        total = torch.zeros(len(which), len(part), len(stable), dtype=torch.float64)
        for keys, share, purpose in ((part.subject, stable, _SHARED), (names, 1 - stable, _OWN)):
            of = torch.from_numpy(subject_keys(keys)).repeat(len(which))
            draw = torch.from_numpy(which).repeat_interleave(len(part))
            normal = counter_normal(of, seed, draw, purpose, (len(stable),), dtype=torch.float64)
            total += share.sqrt() * normal.view(total.shape)
        return total

    # -- names ------------------------------------------------------------------------------------

    def _label_encoder(self) -> LabelEncoder:
        return self.anchor_.model.labels_
