"""Learn the law of held-out residuals stage by stage, and keep the stages that held-out subjects prove."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from nextscan.arrays import FloatArray
from nextscan.cohort import Cohort, Targets
from nextscan.errors import SettingError
from nextscan.imputers.anchored.anchor import Anchor, HeldOut
from nextscan.imputers.anchored.residual_choice import Restraint, by_subject, inputs_of, mean_and_error
from nextscan.imputers.anchored.residual_law import Spread, effect_of, log_sizes, n_located
from nextscan.imputers.anchored.residual_model import Conditioning, Parameters, ResidualModel
from nextscan.imputers.anchored.residual_training import LocationProblem, ShapeProblem, to_numpy
from nextscan.imputers.mixed_factor.predictive import Predictive
from nextscan.imputers.settings import Settings, at_least
from nextscan.imputers.stages import Stages
from nextscan.networks import LocationScale, Shape
from nextscan.training import Problem, TrainingResult, TrainingSettings, train

_WEIGHT_DECAYS = (0.5, 1.0)
_RIDGES = tuple(10.0**power for power in range(-1, 5))
_PROOF = 2.0  # standard errors a network must gain: at one, chance would keep one in six that are worth nothing
_EFFECT_FROM = 16  # laws averaged to order coordinates


SelfConditioning = Literal["auto", "flagged", "unflagged", "none"]


@dataclass(frozen=True)
class ResidualSettings(Settings):
    """What to try; see `nextscan.imputers.anchored.imputer.AnchoredSecondgram`."""

    network: bool
    diffusion: bool
    self_conditioning: SelfConditioning
    perturbation: Literal["measured"] | float
    n_folds: int
    epochs: int

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(2, n_folds=self.n_folds)
        at_least(1, epochs=self.epochs)
        if self.perturbation != "measured" and (isinstance(self.perturbation, str) or self.perturbation < 0):
            raise SettingError(f"perturbation must be measured or a fraction of the spread, got {self.perturbation!r}")


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
    subject : ndarray of int, shape (n,)
        Which visits are of one subject.
    """

    z: FloatArray
    condition: Tensor
    reach: Tensor
    fold: Tensor
    subject: NDArray[np.intp]


def fit_residual(
    cohort: Cohort, anchor: Anchor, cases: Sequence[HeldOut], settings: ResidualSettings, stages: Stages, *, seed: int
) -> tuple[Restraint, dict[str, Any]]:
    """Return what was kept of the law of residuals and why, and how its network was trained."""
    conditioning = Conditioning.of(anchor.model)
    inputs = []
    for case in cases:
        shown, wanted = case.task.shown, case.task.targets
        inputs.append(inputs_of(anchor, shown, wanted, anchor.expected_gaps(shown, wanted), conditioning))
    data = _gather(anchor, cases, inputs)
    effect = _effect(anchor, cases)
    p = len(effect)
    plain = ResidualModel(conditioning, Spread.none(p), None, None, None, None, _stable(anchor, effect))
    spread = Spread.fit(data.z, effect, correlated=anchor.correlated)
    restraint = Restraint(anchor, cases, inputs, plain)
    calibrated = replace(plain, spread=spread, stable=_stable(anchor, effect @ spread.root))
    proven = _spread_gain(data, effect, correlated=anchor.correlated)
    record: dict[str, Any] = {"spread": proven}
    if proven["gain"] > _PROOF * proven["se"]:
        restraint.keep("spread", calibrated)
    else:
        restraint.offer("spread", calibrated, errors=1)
    scaled, proven = _with_scale(calibrated, data, effect, correlated=anchor.correlated)
    record["scale"] = proven
    if settings.network and proven["gain"] > _PROOF * proven["se"]:
        restraint.keep("scale", scaled)
        calibrated = replace(calibrated, scale=scaled.scale)
    if settings.network:
        alone = _alone(cohort, anchor, conditioning, settings, len(data.z), seed)
        both = alone is not None and settings.self_conditioning == "auto"
        examples = {False: data} if alone is None else {True: _together(data, alone)}
        examples |= {False: data} if both else {}

        def location() -> dict[str, Any]:
            tried = {
                (paired_with_self, decay): _train_network(calibrated, rows, decay, settings, stages, seed)
                for paired_with_self, rows in examples.items()
                for decay in _WEIGHT_DECAYS
            }
            paired_with_self, decay = best = max(tried, key=lambda option: tried[option][1])
            likelihood = {f"self-conditioning {s}, decay {d}": score for (s, d), (_, score) in tried.items()}
            told = {"self_conditioning": paired_with_self, "weight_decay": decay, "log_likelihood": likelihood}
            return {"parameters": tried[best][0], "record": told}

        found = stages("network", location)
        record["network"] = found["record"]
        restraint.offer(
            "network",
            _normalising(calibrated, data, effect, correlated=anchor.correlated, location=found["parameters"]),
            errors=_PROOF,
        )
    if settings.diffusion:
        before = restraint.kept
        shape = stages("diffusion", lambda: _train_shape(before, data, settings, stages, seed))
        restraint.offer("diffusion", replace(before, shape=shape), errors=_PROOF)
    return restraint, record


def _gather(anchor: Anchor, cases: Sequence[HeldOut], inputs: Sequence[tuple[Tensor, Tensor]]) -> Residuals:
    z = []
    for case in cases:
        generator = torch.Generator().manual_seed(case.fold)
        for _, law, truth in case.laws(anchor):
            z.append(_whitened(truth, law, generator))
    subject = np.concatenate([case.task.targets.subject for case in cases])
    return Residuals(
        z=np.concatenate(z),
        condition=torch.cat([condition for condition, _ in inputs]),
        reach=torch.cat([reach for _, reach in inputs]),
        fold=torch.cat([torch.full((len(case.task.targets),), case.fold) for case in cases]),
        subject=np.unique(subject, return_inverse=True)[1],
    )


def _whitened(truth: Tensor, law: Predictive, generator: torch.Generator) -> FloatArray:
    """Whiten residuals, missing cells drawn from the anchor's law given the cells that were seen (Matheron's rule)."""
    deviation = truth - law.mean
    missing = torch.isnan(deviation)
    if missing.any():
        drawn = law.colouring()(torch.randn(deviation.shape, generator=generator, dtype=deviation.dtype))
        filled = drawn + law.given(torch.where(missing, 0.0, deviation - drawn), ~missing)
        deviation = torch.where(missing, filled, deviation)
    whitened: FloatArray = law.whiten(deviation).numpy()
    return whitened


def _effect(anchor: Anchor, cases: Sequence[HeldOut]) -> FloatArray:
    """Return the average map from whitened residuals to features."""
    task = cases[0].task
    few = task.targets.select(slice(0, _EFFECT_FROM))
    (_, law), *_ = anchor.predictive(task.shown, few, anchor.expected_gaps(task.shown, few))
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
    truth = anchor.scaled(chosen.features)
    noise = anchor.model.model_.noise.numpy() if settings.perturbation == "measured" else settings.perturbation**2
    noised = anchor.native(truth.numpy() + np.sqrt(noise) * generator.normal(size=truth.shape))
    shown = replace(chosen, features=noised)
    rows = np.arange(shown.n_visits)
    none = np.zeros(len(rows))
    wanted = Targets(shown.subject_names(rows), shown.visits, shown.years, rows, none, np.full(len(rows), -1))
    flagged = settings.self_conditioning != "unflagged"
    z, fills = [], torch.Generator().manual_seed(seed)
    for here, law in anchor.predictive(shown, wanted, none):
        z.append(_whitened(truth[here], law, fills))
    condition, _ = inputs_of(anchor, shown, wanted, none, conditioning, alone=flagged)
    return Residuals(np.concatenate(z), condition, torch.ones(len(rows), 1), torch.full((len(rows),), -1), -rows)


def _together(data: Residuals, more: Residuals) -> Residuals:
    return Residuals(
        z=np.concatenate([data.z, more.z]),
        condition=torch.cat([data.condition, more.condition]),
        reach=torch.cat([data.reach, more.reach]),
        fold=torch.cat([data.fold, more.fold]),
        subject=np.concatenate([data.subject, more.subject]),
    )


def _train_network(
    before: ResidualModel, examples: Residuals, decay: float, settings: ResidualSettings, stages: Stages, seed: int
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
        log_scale=before.log_scales(examples.condition).expand(settings.n_folds, -1, -1),
        fold=examples.fold,
    )
    found = _trained(network, problem, decay, settings, stages, seed)
    return to_numpy(found.best), float(found.best_score.mean())


def _normalising(
    before: ResidualModel, data: Residuals, effect: FloatArray, *, correlated: bool, **learned: Any
) -> ResidualModel:
    """Add what locates or scales residuals, and estimate anew the spread of what it normalises."""
    model = replace(before, turned=before.spread, **learned)
    normalised = _normalised(model, data, data.z @ before.spread.inverse.T)
    return replace(model, spread=Spread.fit(normalised, effect @ before.spread.root, correlated=correlated))


def _with_scale(
    before: ResidualModel, data: Residuals, effect: FloatArray, *, correlated: bool
) -> tuple[ResidualModel, dict[str, float]]:
    """Let the log of sizes be linear in the condition; return what that explains of the sizes of held-out visits.

    Scores of a few hundred visits hardly tell sizes apart; the sizes themselves, each of many features, do.
    """
    from sklearn.linear_model import RidgeCV

    sizes = log_sizes(data.z @ before.spread.inverse.T)
    x, fold = data.condition.numpy(), data.fold.numpy()
    scale, gain = [], np.zeros(len(x))
    for f in range(fold.max() + 1):
        train, test = fold != f, fold == f
        found = RidgeCV(alphas=_RIDGES).fit(x[train], sizes[train])
        scale.append(np.vstack([found.coef_.T, found.intercept_ - sizes[train].mean(axis=0)]))
        away = sizes[test] - sizes[train].mean(axis=0)
        gain[test] = (away**2 - (sizes[test] - found.predict(x[test])) ** 2).sum(axis=1)
    model = _normalising(before, data, effect, correlated=correlated, scale=np.array(scale))
    return model, mean_and_error(by_subject(gain, data.subject))


def _spread_gain(data: Residuals, effect: FloatArray, *, correlated: bool) -> dict[str, float]:
    """Return by how much a spread raises the log likelihood of residuals it was not estimated from."""
    gain, fold = np.zeros(len(data.z)), data.fold.numpy()
    for f in range(fold.max() + 1):
        held_out = fold == f
        spread = Spread.fit(data.z[~held_out], effect, correlated=correlated)
        z, e = data.z[held_out], data.z[held_out] @ spread.inverse.T
        gain[held_out] = np.linalg.slogdet(spread.inverse)[1] + (z**2 - e**2).sum(axis=1) / 2
    return mean_and_error(by_subject(gain, data.subject))


def _normalised(model: ResidualModel, data: Residuals, e: FloatArray) -> FloatArray:
    """Normalise every residual by the replica that never saw its fold."""
    result = np.empty_like(e)
    for fold in data.fold.unique().tolist():
        rows = (data.fold == fold).numpy()
        located = model.known(data.condition[rows], data.reach[rows], fold).located
        result[rows] = e[rows] if located is None else located.normalise(torch.from_numpy(e[rows])).numpy()
    return result


def _train_shape(
    before: ResidualModel, data: Residuals, settings: ResidualSettings, stages: Stages, seed: int
) -> Parameters:
    """Learn the shape of the leading coordinates by velocity prediction."""
    e = data.z if before.turned is None else _normalised(before, data, data.z @ before.turned.inverse.T)
    u = e @ before.spread.inverse.T
    m = n_located(u.shape[1])
    # The size of a visit is told by the other coordinates, as far as they are many.
    size = np.sqrt((1 + (u[:, m:] ** 2).sum(axis=1)) / (1 + u.shape[1] - m))
    network = Shape(m, data.condition.shape[1], generators=_generators(settings, seed))
    problem = ShapeProblem(torch.from_numpy(u[:, :m] / size[:, None]).float(), data.condition, data.fold)
    return to_numpy(_trained(network, problem, 1.0, settings, stages, seed).best)


def _trained(
    network: nn.Module, problem: Problem, decay: float, settings: ResidualSettings, stages: Stages, seed: int
) -> TrainingResult:
    how = TrainingSettings(
        epochs=settings.epochs,
        batch_size=int(np.clip(problem.n_examples // 16, 32, 256)),
        learning_rate=1e-3,
        weight_decay=decay,
        patience=40,
        average=0.98,
    )
    return train(network, problem, how, seeds=_seeds(settings, seed), progress=stages.progress)


def _seeds(settings: ResidualSettings, seed: int) -> list[int]:
    return [seed * 1000 + fold for fold in range(settings.n_folds)]


def _generators(settings: ResidualSettings, seed: int) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(of_fold) for of_fold in _seeds(settings, seed)]
