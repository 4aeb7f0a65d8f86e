"""nextscan imputes the follow-up scan that was never taken.

Everything public is importable from here and loads when it is first used, so that
``import nextscan`` stays quick and free of torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_PUBLIC = {
    "AnchoredSecondgram": "nextscan.imputers.anchored.imputer",
    "CarryForward": "nextscan.imputers.baselines.carry_forward",
    "Cohort": "nextscan.cohort",
    "CopyNearest": "nextscan.imputers.sequences.copy_nearest",
    "CopySource": "nextscan.imputers.volumes.copy_source",
    "Deformation": "nextscan.imputers.sequences.deformation",
    "FeatureRegression": "nextscan.imputers.baselines.feature_regression",
    "Imputation": "nextscan.cohort",
    "LinearInTime": "nextscan.imputers.sequences.linear_in_time",
    "LinearWithMeanResidual": "nextscan.imputers.sequences.linear_with_mean_residual",
    "MeanChange": "nextscan.imputers.baselines.mean_change",
    "MeanChangeInTime": "nextscan.imputers.sequences.mean_change_in_time",
    "MedDDPM": "nextscan.imputers.volumes.diffusion.med_ddpm",
    "MixedFactor": "nextscan.imputers.mixed_factor.imputer",
    "NextscanError": "nextscan.errors",
    "NextscanWarning": "nextscan.errors",
    "Oracle": "nextscan.imputers.baselines.oracle",
    "PredictedVolume": "nextscan.cohort",
    "Reliability": "nextscan.imputers.baselines.reliability",
    "Ridge": "nextscan.imputers.baselines.ridge",
    "SADM": "nextscan.imputers.sequences.sadm.imputer",
    "Secondgram": "nextscan.imputers.secondgram.imputer",
    "UNetGAN": "nextscan.imputers.sequences.unet_gan.imputer",
    "VolumeDiffusion": "nextscan.imputers.volumes.diffusion.imputer",
    "VolumeImputation": "nextscan.cohort",
    "VolumeMeanChange": "nextscan.imputers.volumes.mean_change",
    "VolumeVAE": "nextscan.imputers.volumes.vae.imputer",
    "VoxelRegression": "nextscan.imputers.sequences.voxel_regression",
    "check_imputer": "nextscan.imputers.contract.check",
    "describe": "nextscan.described",
    "evaluate": "nextscan.study",
    "folds": "nextscan.cohort",
    "hide": "nextscan.cohort",
    "load": "nextscan.imputers",
    "make_imputer": "nextscan.imputers",
    "read_cohort": "nextscan.reading",
    "shown_visits": "nextscan.cohort",
    "simulate": "nextscan.simulating",
    "split_validation": "nextscan.cohort",
}

__all__ = ["__version__", *_PUBLIC]

if TYPE_CHECKING:
    from nextscan.cohort import Cohort as Cohort


def __getattr__(name: str) -> Any:
    if name in _PUBLIC:
        return getattr(importlib.import_module(_PUBLIC[name]), name)
    raise AttributeError(f"module 'nextscan' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
