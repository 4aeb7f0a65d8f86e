"""Pure functions of truth, draws and mask: how good an imputation is, and how sure that is."""

from nextscan.metrics.across_subjects import GroupScore, change_correlation, pearson_per_feature, rmse, sd_ratio
from nextscan.metrics.distribution import (
    correlation_matrix,
    covariate_correlation_gap,
    frechet_distance,
    known_mean,
    mean_correlation,
)
from nextscan.metrics.films import dice, ejection_fraction, roughness
from nextscan.metrics.intervals import (
    bootstrap_interval,
    jackknife_interval,
    percentile_interval,
    resampled_means,
    standard_error_interval,
)
from nextscan.metrics.multiplicity import benjamini_hochberg
from nextscan.metrics.proper import central_level, coverage, covered, crps, energy_score, highest_level
from nextscan.metrics.regions import REGIONS, segment
from nextscan.metrics.similarity import cosine_distance, euclidean, pearson_per_subject
from nextscan.metrics.volume_descriptor import descriptor_grid, volume_descriptor
from nextscan.metrics.volumes import change_correlation_map, direction_auroc, nrmse, psnr, ssim, voxel_coverage

__all__ = [
    "REGIONS",
    "GroupScore",
    "benjamini_hochberg",
    "bootstrap_interval",
    "central_level",
    "change_correlation",
    "change_correlation_map",
    "correlation_matrix",
    "cosine_distance",
    "covariate_correlation_gap",
    "coverage",
    "covered",
    "crps",
    "descriptor_grid",
    "dice",
    "direction_auroc",
    "ejection_fraction",
    "energy_score",
    "euclidean",
    "frechet_distance",
    "highest_level",
    "jackknife_interval",
    "known_mean",
    "mean_correlation",
    "nrmse",
    "pearson_per_feature",
    "pearson_per_subject",
    "percentile_interval",
    "psnr",
    "resampled_means",
    "rmse",
    "roughness",
    "sd_ratio",
    "segment",
    "ssim",
    "standard_error_interval",
    "volume_descriptor",
    "voxel_coverage",
]
