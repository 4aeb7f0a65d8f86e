"""Learn the law of held-out residuals stage by stage, and keep the stages that held-out subjects prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nextscan.cohort import Cohort, Targets
from nextscan.imputers.anchor import Anchor, HeldOut
from nextscan.imputers.base import Progress
from nextscan.imputers.predictive import Predictive
from nextscan.imputers.residual_law import Spread, effect_of, n_located
from nextscan.imputers.residual_model import Conditioning, Parameters, ResidualModel
from nextscan.imputers.residual_training import LocationProblem, ShapeProblem, to_numpy
from nextscan.metrics import energy_score
from nextscan.networks import LocationScale, Shape
from nextscan.training import TrainingSettings, train

FloatArray = NDArray[np.float64]
_WEIGHT_DECAYS = (0.5, 1.0)
_DRAWS = 40
_EFFECT_FROM = 16  # laws averaged to order coordinates


SelfConditioning = Literal["auto", "flagged", "unflagged", "none"]


@dataclass(frozen=True)
class ResidualSettings:
    """What to try; see `nextscan.imputers.anchored.AnchoredSecondgram`."""

    network: bool
    diffusion: bool
    self_conditioning: SelfConditioning
    perturbation: Literal["measured"] | float
    n_folds: int
    epochs: int


@dataclass(frozen=True, eq=False)
class Residuals:
    """Whitened residuals with what was known of their subjects.

    Attributes
    ----------
    z : ndarray of float, shape (n, p)
    condition : Tensor, shape (n, n_condition)
    reach : Tensor, shape (n, 1)
    fold : Tensor of int, shape (n,)
        -1 for visits paired with themselves.
    """

    z: FloatArray
    condition: Tensor
    reach: Tensor
    fold: Tensor


def fit_residual(
    cohort: Cohort,
    anchor: Anchor,
    cases: Sequence[HeldOut],
    settings: ResidualSettings,
    *,
    seed: int,
    progress: Progress | None,
) -> tuple[ResidualModel, dict[str, Any]]:
    """Return the law of residuals, and what was kept and gained."""
    conditioning = Conditioning.of(anchor.model)
    data = _gather(anchor, cases, conditioning)
    effect = _effect(anchor, cases)
    p = len(effect)
    plain = ResidualModel(conditioning, Spread.none(p), None, None, None, _stable(anchor, effect))
    spread = Spread.fit(data.z, effect, correlated=anchor.correlated)
    models = {"anchor": plain, "spread": replace(plain, spread=spread, stable=_stable(anchor, effect @ spread.root))}
    record: dict[str, Any] = {}
    if settings.network:
        alone = _alone(cohort, anchor, conditioning, settings, len(data.z), seed)
        tried = {
            (paired_with_self, decay): _train_network(
                models["spread"], _together(data, alone if paired_with_self else None), decay, settings, seed, progress
            )
            for paired_with_self in ([False, True] if alone and settings.self_conditioning == "auto" else [bool(alone)])
            for decay in _WEIGHT_DECAYS
        }
        best = max(tried, key=lambda option: tried[option][1])
        record["network"] = {"self_conditioning": best[0], "weight_decay": best[1]}
        record["network"]["log_likelihood"] = {f"{name}": score for name, (_, score) in tried.items()}
        models["network"] = _with_network(models["spread"], tried[best][0], data, effect)
    if settings.diffusion:
        before = models.get("network", models["spread"])
        models["diffusion"] = _with_shape(before, data, settings, seed, progress)
    model, chosen = _choose(models, anchor, cases, seed)
    return model, chosen | record


def _gather(anchor: Anchor, cases: Sequence[HeldOut], conditioning: Conditioning) -> Residuals:
    z, condition, reach, fold = [], [], [], []
    for case in cases:
        shown, wanted = case.task.shown, case.task.targets
        generator = torch.Generator().manual_seed(case.fold)
        for _, law, truth in case.laws(anchor):
            whitened = law.whiten(_without_gaps(truth - law.mean, law, generator))
            z.append(whitened.numpy())
        inputs, far = inputs_of(anchor, shown, wanted, conditioning)
        condition.append(inputs)
        reach.append(far)
        fold.append(torch.full((len(wanted),), case.fold))
    return Residuals(np.concatenate(z), torch.cat(condition), torch.cat(reach), torch.cat(fold))


def inputs_of(
    anchor: Anchor, cohort: Cohort, wanted: Targets, conditioning: Conditioning, *, alone: bool = False
) -> tuple[Tensor, Tensor]:
    """Return the networks' inputs and reach of targets."""
    gaps = anchor.gaps(wanted)
    scores = anchor.model.scores(cohort, wanted)
    labels = anchor.model.standardised(cohort.labels_at(wanted.context))
    return conditioning.inputs(scores, labels, gaps, alone=alone), conditioning.reach(gaps)


def _without_gaps(deviation: Tensor, law: Predictive, generator: torch.Generator) -> Tensor:
    """Fill missing cells with draws from the anchor's own law."""
    missing = torch.isnan(deviation)
    if not missing.any():
        return deviation
    drawn = law.colouring()(torch.randn(deviation.shape, generator=generator, dtype=deviation.dtype))
    return torch.where(missing, drawn, deviation)


def _effect(anchor: Anchor, cases: Sequence[HeldOut]) -> FloatArray:
    """Return the average map from whitened residuals to features."""
    task = cases[0].task
    few = task.targets.select(slice(0, _EFFECT_FROM))
    (_, law), *_ = anchor.predictive(task.shown, few, anchor.gaps(few))
    return effect_of(law.colouring(), task.shown.n_features)


def _stable(anchor: Anchor, effect: FloatArray) -> FloatArray:
    """Return the share of each coordinate's variance that is not measurement noise."""
    share: FloatArray = np.linalg.inv(effect) ** 2 @ anchor.model.model_.noise.numpy()
    return np.clip(1 - share, 0.0, 1.0)


def _alone(
    cohort: Cohort, anchor: Anchor, conditioning: Conditioning, settings: ResidualSettings, n: int, seed: int
) -> Residuals | None:
    """Pair single visits with themselves: at most as many as there are real residuals."""
    single = np.flatnonzero(~cohort.is_paired)
    if not len(single) or settings.self_conditioning == "none":
        return None
    generator = np.random.default_rng(seed)
    chosen = cohort.select_subjects(np.sort(generator.permutation(single)[:n]))
    truth = (chosen.features - anchor.model.mean_) / anchor.unit
    noise = anchor.model.model_.noise.numpy() if settings.perturbation == "measured" else settings.perturbation**2
    noised = chosen.features + anchor.unit * np.sqrt(noise) * generator.normal(size=truth.shape)
    shown = replace(chosen, features=noised)
    rows = np.arange(shown.n_visits)
    none = np.zeros(len(rows))
    wanted = Targets(shown.subject_names(rows), shown.visits, shown.years, rows, none, np.full(len(rows), -1))
    flagged = settings.self_conditioning != "unflagged"
    z = []
    for here, law in anchor.predictive(shown, wanted, none):
        deviation = torch.from_numpy(truth[here]) - law.mean
        z.append(law.whiten(_without_gaps(deviation, law, torch.Generator().manual_seed(seed))).numpy())
    condition, _ = inputs_of(anchor, shown, wanted, conditioning, alone=flagged)
    return Residuals(np.concatenate(z), condition, torch.ones(len(rows), 1), torch.full((len(rows),), -1))


def _together(data: Residuals, more: Residuals | None) -> Residuals:
    if more is None:
        return data
    parts = [torch.cat([getattr(data, name), getattr(more, name)]) for name in ("condition", "reach", "fold")]
    return Residuals(np.concatenate([data.z, more.z]), *parts)


def _train_network(
    before: ResidualModel,
    examples: Residuals,
    decay: float,
    settings: ResidualSettings,
    seed: int,
    progress: Progress | None,
) -> tuple[Parameters, float]:
    """Learn location and scale; return the parameters and the held-out log likelihood."""
    e = examples.z @ before.spread.inverse.T
    m = n_located(e.shape[1])
    network = LocationScale(examples.condition.shape[1], m, generators=_generators(settings, seed))
    with torch.no_grad():
        varies = np.log(before.spread.sizes).std(axis=0)
        network.log_spread.copy_(torch.from_numpy(np.log(np.maximum(varies, 0.05))))
    problem = LocationProblem(
        leading=torch.from_numpy(e[:, :m]).float(),
        others_square=torch.from_numpy((e[:, m:] ** 2).sum(axis=1)).float(),
        n_coordinates=e.shape[1],
        condition=examples.condition,
        reach=examples.reach,
        fold=examples.fold,
    )
    training = _training(settings, len(e), decay)
    found = train(network, problem, training, seeds=_seeds(settings, seed), progress=progress)
    return to_numpy(found.best), float(found.best_score.mean())


def _with_network(before: ResidualModel, location: Parameters, data: Residuals, effect: FloatArray) -> ResidualModel:
    """Add a network, and estimate anew the spread of what it normalises."""
    model = replace(before, turned=before.spread, location=location)
    normalised = _normalised(model, data, data.z @ before.spread.inverse.T)
    inner = effect @ before.spread.root
    spread = Spread.fit(normalised, inner)
    return replace(model, spread=spread)


def _normalised(model: ResidualModel, data: Residuals, e: FloatArray) -> FloatArray:
    """Normalise every residual by the replica that never saw its fold."""
    result = np.empty_like(e)
    for fold in data.fold.unique().tolist():
        rows = (data.fold == fold).numpy()
        located = model.known(data.condition[rows], data.reach[rows], fold).located
        result[rows] = e[rows] if located is None else located.normalise(torch.from_numpy(e[rows])).numpy()
    return result


def _with_shape(
    before: ResidualModel, data: Residuals, settings: ResidualSettings, seed: int, progress: Progress | None
) -> ResidualModel:
    """Learn the shape of the leading coordinates by velocity prediction."""
    e = data.z if before.turned is None else _normalised(before, data, data.z @ before.turned.inverse.T)
    u = e @ before.spread.inverse.T
    m = n_located(u.shape[1])
    # The size of a visit is told by the other coordinates, as far as they are many.
    size = np.sqrt((1 + (u[:, m:] ** 2).sum(axis=1)) / (1 + u.shape[1] - m))
    network = Shape(
        m,
        data.condition.shape[1],
        generators=_generators(settings, seed),
    )
    problem = ShapeProblem(torch.from_numpy(u[:, :m] / size[:, None]).float(), data.condition, data.fold)
    found = train(network, problem, _training(settings, len(u), 1.0), seeds=_seeds(settings, seed), progress=progress)
    return replace(before, shape=to_numpy(found.best))


def _training(settings: ResidualSettings, n: int, decay: float) -> TrainingSettings:
    return TrainingSettings(
        epochs=settings.epochs,
        batch_size=int(np.clip(n // 16, 32, 256)),
        learning_rate=1e-3,
        weight_decay=decay,
        patience=40,
        average=0.98,
    )


def _seeds(settings: ResidualSettings, seed: int) -> list[int]:
    return [seed * 1000 + fold for fold in range(settings.n_folds)]


def _generators(settings: ResidualSettings, seed: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(of_fold) for of_fold in _seeds(settings, seed)]


def _choose(
    models: dict[str, ResidualModel], anchor: Anchor, cases: Sequence[HeldOut], seed: int
) -> tuple[ResidualModel, dict[str, Any]]:
    """Score all stages on held-out subjects; keep each that gains more than one standard error."""
    scores: dict[str, list[FloatArray]] = {name: [] for name in models}
    subjects = []
    for case in cases:
        shown, wanted = case.task.shown, case.task.targets
        spread_of_pairs = np.nanstd(case.task.shown.features[wanted.context], axis=0) / anchor.unit
        unit = torch.from_numpy(np.where(spread_of_pairs > 0, spread_of_pairs, 1.0))
        generator = torch.Generator().manual_seed(case.fold)
        subjects.append(wanted.subject)
        inputs, reach = inputs_of(anchor, shown, wanted, next(iter(models.values())).conditioning)
        for here, law, truth in case.laws(anchor):
            colour = law.colouring()
            normal = torch.randn(_DRAWS, *truth.shape, generator=generator, dtype=torch.float64)
            lots = torch.rand(_DRAWS, len(truth), generator=generator).numpy()
            gone = torch.isnan(truth)
            for name, model in models.items():
                known = model.known(inputs[here], reach[here], case.fold)
                sizes = model.spread.sizes[(lots * len(model.spread.sizes)).astype(int)]
                drawn = law.mean + colour(model.draw(known, normal, sizes))
                x, y = (torch.where(gone, 0.0, part / unit).numpy() for part in (drawn, truth))
                scores[name].append(energy_score(y, x))
    who = np.unique(np.concatenate(subjects), return_inverse=True)[1]
    of = {name: np.bincount(who, np.concatenate(part)) / np.bincount(who) for name, part in scores.items()}
    kept, gains, now = [], {}, next(iter(models))
    for name in list(models)[1:]:
        gain = of[now] - of[name]
        error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
        gains[name] = {"gain": float(gain.mean()), "se": error, "over": now}
        if gain.mean() > error:
            kept.append(name)
            now = name
    record = {"kept": kept, "gain": gains, "held_out_energy": {name: float(part.mean()) for name, part in of.items()}}
    return models[now], record
