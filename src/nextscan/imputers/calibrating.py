"""Errors of held-out pairs: refit an imputer on folds, impute what each left out, standardise."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from nextscan.cohort import Calibration, Cohort, folds, hide, merge
from nextscan.errors import SettingError

if TYPE_CHECKING:
    from nextscan.imputers.base import Imputer, Progress

Visits = Literal["last", "later"]


def calibrate(
    imputer: Imputer,
    train: Cohort,
    validation: Cohort | None,
    *,
    n_folds: int,
    draws: int,
    seed: int,
    visits: Visits,
    checkpoint: Path | None,
    progress: Progress | None,
) -> Calibration:
    """Return the errors of visits held out of `n_folds` fits; see `Imputer.calibrate`."""
    if draws < 2:
        raise SettingError(f"a calibration needs the spread of at least 2 draws, got draws={draws}")
    if visits not in ("last", "later"):
        raise SettingError(f"visits must be last or later, got {visits!r}")
    cohort = merge(train, validation)
    n_validation = 0 if validation is None else int(validation.is_paired.sum())
    fraction = n_validation / max(int(cohort.is_paired.sum()), 1)
    truth, mean, sd, subject, labels, gap = [], [], [], [], [], []
    for split in folds(cohort, n_folds, seed=seed, validation_fraction=fraction):
        if progress is not None:
            progress({"phase": "calibrating", "done": split.fold, "total": n_folds})
        task = hide(split.test, 1 if visits == "later" else None)
        model = imputer.clone().fit(
            split.train,
            split.validation if split.validation.n_subjects else None,
            seed=imputer.record_["seed"],
            checkpoint=None if checkpoint is None else checkpoint / f"calibration-{split.fold}",
            progress=progress,
        )
        made = model.impute(task.shown, draws, seed=seed)
        truth.append(task.truth)
        mean.append(made.mean())
        sd.append(made.sd())
        subject.append(task.targets.subject)
        labels.append(task.shown.labels_at(task.targets.context))
        gap.append(task.targets.gap)
    if progress is not None:
        progress({"phase": "calibrating", "done": n_folds, "total": n_folds})
    return Calibration.of(
        np.concatenate(truth),
        np.concatenate(mean),
        np.concatenate(sd),
        subject=np.concatenate(subject),
        labels=pd.concat(labels, ignore_index=True),
        gap=np.concatenate(gap),
        nonnegative=imputer.nonnegative_,
        n_draws=draws,
    )
