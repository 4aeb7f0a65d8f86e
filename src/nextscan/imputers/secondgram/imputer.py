"""SECONDGRAM: self-conditioned diffusion with gradient manipulation (Theodorou et al., Patterns 2025).

The method, in the paper's order:

1. *Diffusion.* ``x_t = √ᾱ_t x0 + √(1 - ᾱ_t) ε``; a network predicts ε from x_t, t and the condition
   (`nextscan.diffusion`).
2. *Network.* A U-Net on feature vectors, conditioned on first-visit features and labels
   (`nextscan.networks.FeatureUNet`).
3. *Self-conditioning.* A subject with a follow-up: target x2, condition (x1, y). Without one: target x1,
   condition (x̃1, y), x̃1 being x1 itself or x1 with a little noise (`secondgram_training.PairProblem`).
4. *Gradient manipulation.* Clip to τ_clip, skip above τ_skip (`nextscan.training.ClipAndSkip`).
5. *Selection.* After each epoch the validation follow-ups are generated and the best epoch is kept.

Its ablations are the same class with other switches: ``gradient_rule="none"`` is "w/o grad",
``self_conditioning="none"`` is "w/o self", both together vanilla diffusion.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

import numpy as np
from numpy.typing import NDArray

from nextscan.cohort import Cohort, Targets, merge, pairs, split_validation
from nextscan.errors import TooFewPairsError
from nextscan.imputers.base import Imputer, Progress
from nextscan.imputers.secondgram.encoding import Encoding
from nextscan.imputers.secondgram.presets import (
    PRESETS,
    GradientRule,
    Pool,
    Schedule,
    SecondgramSettings,
    Selection,
    SelfConditioning,
    Target,
)
from nextscan.imputers.settings import one_of, resolve, torch_device
from nextscan.preprocess import LabelEncoder
from nextscan.randomness import subject_keys

if TYPE_CHECKING:
    import torch

    from nextscan.diffusion import Path as NoisePath
    from nextscan.imputers.secondgram.training import Process
    from nextscan.networks import FeatureUNet
    from nextscan.training import GradientPolicy, TrainingResult

_ROWS_AT_ONCE = 2048  # (subject, draw) pairs in one call of the network: large enough for full speed


@dataclass(eq=False, repr=False, kw_only=True)
class Secondgram(Imputer):
    """Impute follow-up features by SECONDGRAM.

    Parameters
    ----------
    preset : "default", "paper" or "released"
        Where the other settings come from when they are None;
        `nextscan.imputers.secondgram.presets.SecondgramSettings` documents each, and what the paper and
        the released code make of it.
    device : "auto" or a torch device
        "auto" takes a GPU if there is one.
    replicas_at_once : int
        How many seeds train side by side in ``fit(seeds=...)``.

    Notes
    -----
    Cost: about 6 · parameters · examples floating-point operations per epoch, 4.7 million parameters at
    769 features, and 2 · parameters · steps per draw.
    """

    name: ClassVar[str] = "secondgram"
    uses_unpaired: ClassVar[bool] = True
    minimum_pairs: ClassVar[int] = 10
    _LEARNED: ClassVar[tuple[str, ...]] = ("encoding", "network")
    _PARTS: ClassVar[dict[str, Any]] = {"encoding": Encoding}

    preset: Literal["default", "paper", "released"] = "default"
    target: Target | None = None
    schedule: Schedule | None = None
    steps: int | None = None
    parameterisation: Literal["noise", "data", "velocity"] | None = None
    sampler: str | None = None
    sampling_steps: int | None = None
    per_visit_scale: bool | None = None
    use_years: bool | None = None
    self_conditioning: SelfConditioning | None = None
    self_conditioning_steps: int | None = None
    unpaired: Pool | None = None
    gradient_rule: GradientRule | None = None
    attention: bool | None = None
    widths: tuple[int, ...] | None = None
    embedding: int | None = None
    epochs: int | None = None
    patience: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    average: float | None = None
    selection: Selection | None = None
    validation_draws: int | None = None
    device: str = "auto"
    replicas_at_once: int = 10

    @property
    def uses_time(self) -> bool:  # type: ignore[override]
        """Whether the time of the target changes the prediction."""
        return self.settings.use_years

    @property
    def settings(self) -> SecondgramSettings:
        """The settings in full: the preset with the changes given to the constructor."""
        return resolve(PRESETS, self.preset, self.get_params())

    # -- learning ---------------------------------------------------------------------------------

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        train, validation = _validation_pairs(train, validation, seed)
        self._accept(self._train(train, validation, [seed], checkpoint, progress)[0])

    def _fit_each(
        self,
        train: Cohort,
        validation: Cohort | None,
        seeds: list[int],
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> list[Self]:
        models = []
        train, validation = _validation_pairs(train, validation, seeds[0])
        for start in range(0, len(seeds), self.replicas_at_once):
            group = seeds[start : start + self.replicas_at_once]
            folder = None if checkpoint is None else checkpoint / f"seeds-{group[0]}-{group[-1]}"
            for seed, learned in zip(group, self._train(train, validation, group, folder, progress), strict=True):
                model = self.clone()
                model._begin(train, validation, seed)
                model._accept(learned)
                models.append(model)
        return models

    def _train(
        self, train: Cohort, validation: Cohort, seeds: list[int], checkpoint: Path | None, progress: Progress | None
    ) -> list[dict[str, Any]]:
        """Train one replica per seed, with or without the unpaired subjects; return what each learned."""
        settings = self.settings
        encoding = Encoding.fit(train, settings)
        has_pool = settings.self_conditioning != "none" and bool((~train.is_paired).any())
        choices = {"auto": (False, True), "use": (True,), "ignore": (False,)}[settings.unpaired]
        runs = {
            use: self._train_once(train, validation, encoding, use, seeds, checkpoint, progress)
            for use in (choices if has_pool else (False,))
        }
        learned = []
        for replica in range(len(seeds)):
            use = max(runs, key=lambda choice: runs[choice].best_score[replica])
            result = runs[use]
            learned.append(
                {
                    "encoding": encoding,
                    "network": {
                        name: value[replica : replica + 1].cpu().numpy() for name, value in result.best.items()
                    },
                    "record": {
                        "pool": {
                            "available": int((~train.is_paired).sum()),
                            "used": use,
                            "validation_score": {
                                "with" if choice else "without": float(run.best_score[replica])
                                for choice, run in runs.items()
                            },
                        },
                        "best_epoch": int(result.best_epoch[replica]),
                        "best_score": float(result.best_score[replica]),
                        "thresholds": [float(value) for value in result.thresholds[:, replica]],
                        "skipped_fraction": result.skipped_fraction(replica),
                        "learning": result.learning(replica),
                        "settings": settings.to_dict(),
                    },
                }
            )
        return learned

    def _train_once(
        self,
        train: Cohort,
        validation: Cohort,
        encoding: Encoding,
        use_unpaired: bool,
        seeds: Sequence[int],
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> TrainingResult:
        import torch

        from nextscan.imputers.secondgram.training import PairProblem
        from nextscan.training import ClipAndSkip, Plain, TrainingSettings
        from nextscan.training import train as run_training

        settings, device = self.settings, torch_device(self.device)
        problem = PairProblem.make(
            self._process(), encoding, train, validation, use_unpaired=use_unpaired, device=device
        )
        network = self._network(encoding, [torch.Generator().manual_seed(seed) for seed in seeds]).to(device)
        policies: dict[str, GradientPolicy] = {
            "preliminary": ClipAndSkip(),
            "fixed": ClipAndSkip(settings.clip, settings.skip),
            "none": Plain(),
        }
        file = None
        if checkpoint is not None:
            checkpoint.mkdir(parents=True, exist_ok=True)
            file = checkpoint / ("training-with-unpaired.ckpt" if use_unpaired else "training.ckpt")
        return run_training(
            network,
            problem,
            TrainingSettings(
                epochs=settings.epochs,
                batch_size=settings.batch_size,
                learning_rate=settings.learning_rate,
                patience=settings.patience,
                average=settings.average,
                policy=policies[settings.gradient_rule],
            ),
            seeds=seeds,
            fingerprint=_fingerprint(settings, train, validation, seeds),
            checkpoint=file,
            progress=progress,
        )

    def _accept(self, learned: dict[str, Any]) -> None:
        self.encoding_: Encoding = learned["encoding"]
        self.network_: dict[str, NDArray[np.floating]] = learned["network"]
        self.record_ |= learned["record"]

    # -- drawing ----------------------------------------------------------------------------------

    def _draw(
        self, cohort: Cohort, wanted: Targets, n_draws: int, seed: int, progress: Progress | None
    ) -> tuple[NDArray[np.floating], None]:
        import torch

        device, process = torch_device(self.device), self._process()
        network = self._network(self.encoding_, [torch.Generator()])
        network.load_state_dict({name: torch.from_numpy(value) for name, value in self.network_.items()})
        network.to(device).requires_grad_(False)
        context = self.encoding_.scaled(cohort.features[wanted.context], 0)
        extra = self.encoding_.extra(cohort.labels_at(wanted.context), wanted.gap)
        condition = torch.from_numpy(np.concatenate([context, extra], axis=1))
        keys = torch.from_numpy(subject_keys(wanted.subject))
        draws = np.empty((n_draws, len(wanted), cohort.n_features), np.float32)
        at_once = max(1, _ROWS_AT_ONCE // n_draws)
        for start in range(0, len(wanted), at_once):
            part = slice(start, start + at_once)
            n = len(keys[part])
            which = torch.arange(n_draws).repeat_interleave(n)
            made = process.draw(
                network,
                condition[part].repeat(n_draws, 1)[None].to(device),
                keys[part].repeat(n_draws).to(device),
                which.to(device),
                seed,
            )
            target = made[0].unflatten(0, (n_draws, n)).cpu().numpy()
            draws[:, part] = self.encoding_.native(target, context[part])
            if progress is not None:
                progress({"phase": "imputing", "done": start + n, "total": len(wanted)})
        return draws, None

    # -- parts ------------------------------------------------------------------------------------

    def _network(self, encoding: Encoding, generators: Sequence[torch.Generator]) -> FeatureUNet:
        from nextscan.networks import FeatureUNet

        settings, n_features = self.settings, encoding.offset.shape[1]
        return FeatureUNet(
            n_features,
            n_features + encoding.n_extra,
            generators=generators,
            widths=settings.widths,
            embedding=settings.embedding,
            n_residual=settings.n_residual,
            attention=settings.attention,
            level_scale=settings.level_scale,
            zero_head=settings.target == "residual",
        )

    def _process(self) -> Process:
        from nextscan.diffusion import SAMPLERS, ContinuousPath, linear_betas, zero_terminal_snr
        from nextscan.imputers.secondgram.training import Process

        settings = self.settings
        one_of(SAMPLERS, sampler=settings.sampler)
        discrete = linear_betas(steps=settings.steps)
        paths: dict[str, NoisePath] = {
            "linear": discrete,
            "zero-terminal": zero_terminal_snr(discrete),
            "cosine": ContinuousPath("cosine", log_snr_min=-np.inf),
        }
        return Process(paths[settings.schedule], SAMPLERS[settings.sampler], settings)

    def _label_encoder(self) -> LabelEncoder:
        return self.encoding_.labels


def _validation_pairs(train: Cohort, validation: Cohort | None, seed: int) -> tuple[Cohort, Cohort]:
    """Make sure that there are at least two pairs to choose the epoch by, from training if need be."""
    if validation is not None and len(pairs(validation)) >= 2:
        return train, validation
    together = merge(train, validation)
    fraction = max(0.1, 2.0 / max(2, int(together.is_paired.sum())))
    train, validation = split_validation(together, fraction=fraction, seed=seed)
    if len(pairs(train)) < 2 or len(pairs(validation)) < 2:
        raise TooFewPairsError(
            f"{together.source or together.name}: too few pairs of visits to train on some and choose by others"
        )
    return train, validation


def _fingerprint(settings: SecondgramSettings, train: Cohort, validation: Cohort, seeds: Sequence[int]) -> str:
    parts = [settings.to_dict(), train.fingerprint(), validation.fingerprint(), list(seeds)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
