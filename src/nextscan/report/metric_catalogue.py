"""Every score of `scores.csv`: its name in words, its direction, its table, and how to read it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

PROPER = "Main scores"
CALIBRATION = "Calibration and spread"
MEAN = "Predictive mean"
DRAW = "One draw"
DISTRIBUTION = "Distribution"
REGIONS = "Regional volumes"
IMAGES = "Images"
CURVES = "Volume curves"
FRAMES = "Frames"
OTHER = "Other scores"

_NOTES = {
    PROPER: (
        "Energy score, CRPS and RMSE are in units of the training subjects’ standard deviation at the first visit. "
        "Shrinking every first visit towards the average already yields a positive change correlation; what a method "
        "knows beyond that is its gain over the reliability row."
    ),
    CALIBRATION: "Best is nearest to the target; above it the draws are too cautious, below it too sure.",
    MEAN: "Compare these only with each other: a mean correlates better with the truth than an honest draw.",
    DRAW: (
        "Averaged over draws. A draw that has collapsed onto the mean looks better here than it is, so read "
        "these beside the spread ratio, and never against the table of means."
    ),
    DISTRIBUTION: "How like a real sample the imputed one is, whoever belongs to which scan.",
    REGIONS: (
        "In percent, of the predictive mean. Carrying the source scan forward has change correlation 0 by definition."
    ),
    IMAGES: (
        "Copying the source scan is hard to beat in likeness (SSIM, PSNR), because little changes; whether a method "
        "knows what changes is told by the correlation and the direction of change, where a copy has 0 and 0.5."
    ),
    CURVES: (
        "Of films: volumes of the heart at the hidden frames, as measured in predicted images, against the true ones. "
        "The row of the segmenter has what measuring alone costs: its volumes are those of the real frames."
    ),
    FRAMES: (
        "Of films: averages over the hidden frames, of the predictive mean, against images without noise where these "
        "are known, so that taking noise away is rewarded only as far as it is right."
    ),
    OTHER: "",
}


@dataclass(frozen=True)
class Metric:
    """How one score reads.

    Attributes
    ----------
    name : str
        As in `scores.csv`.
    title : str
    group : str
        The table it stands in.
    better : str
        "lower", "higher", "target", or "" where no order is known.
    target : float
        The value to hit, where `better` is "target".
    meaning : str
        One sentence for the glossary, caveat included.
    """

    name: str
    title: str
    group: str
    better: str
    meaning: str
    target: float = float("nan")

    @property
    def direction(self) -> str:
        """Return the sign that stands beside the title."""
        if self.better == "target":
            return f"→ {self.target:g}"
        return {"lower": "↓", "higher": "↑", "": ""}[self.better]

    def badness(self, value: float) -> float:
        """Return a number that is smaller the better the value is."""
        if self.better == "target":
            return abs(value - self.target)
        return -value if self.better == "higher" else value


def note(group: str) -> str:
    """Return the caveat that belongs below a group's table."""
    return _NOTES[group]


def groups(*, of_images: bool = True) -> tuple[str, ...]:
    """Return the tables of the section of scores; where there is a section of images, theirs stand there."""
    return tuple(name for name in _NOTES if name not in ((REGIONS, IMAGES) if of_images else (REGIONS,)))


def metric(name: str) -> Metric:
    """Return the entry of a score; an unknown score gets one without a direction.

    >>> metric("crps").direction, metric("coverage_80").direction, metric("new_score").direction
    ('↓', '→ 0.8', '')
    """
    return _CATALOGUE.get(name) or Metric(name, name.replace("_", " "), OTHER, "", "A score this page does not know.")


def ordered(names: set[str]) -> list[Metric]:
    """Return the entries of some scores in the order of the catalogue, unknown ones last."""
    known = [entry for name, entry in _CATALOGUE.items() if name in names]
    return known + [metric(name) for name in sorted(names - set(_CATALOGUE))]


def _coverage(level: int) -> Metric:
    return Metric(
        f"coverage_{level}",
        f"Coverage of {level}% intervals",
        CALIBRATION,
        "target",
        f"Share of real follow-up values inside the central {level}% interval of the draws; honest "
        f"uncertainty gives {level / 100:g}.",
        level / 100,
    )


_TWICE = {
    "pearson_per_feature": (
        "Pearson per feature",
        "higher",
        "Correlation over subjects of imputed and real follow-up, averaged over features",
    ),
    "pearson_per_subject": (
        "Pearson per subject",
        "higher",
        "Correlation over features of imputed and real follow-up, averaged over subjects; near 1 for "
        "anybody’s scan, as features differ more than people do",
    ),
    "euclidean": (
        "Euclidean distance",
        "lower",
        "Distance of imputed and real follow-up in the [−1, 1] scale, averaged over subjects",
    ),
    "cosine_distance": (
        "Cosine distance",
        "lower",
        "One minus the cosine of imputed and real follow-up in the [−1, 1] scale, averaged over subjects",
    ),
}

_DISTRIBUTIONS = {
    "frechet_distance": (
        "Fréchet distance",
        "lower",
        "Distance between Gaussians fitted to imputed and real follow-ups; it grows with the number of "
        "features and shrinks with subjects, so compare it within one run only",
    ),
    "mean_correlation": (
        "Correlation of means",
        "higher",
        "Correlation over features of the mean imputed and the mean real follow-up",
    ),
    "covariate_correlation_gap": (
        "Correlation gap",
        "lower",
        "Mean absolute difference between real and imputed correlations over all pairs of features; a "
        "second real sample would not reach 0 either",
    ),
}

_OF_IMAGES = (
    Metric(
        "roi_volume_error",
        "Regional volume error",
        REGIONS,
        "lower",
        "Absolute error of predicted regional volumes in percent of the true ones, averaged over regions.",
    ),
    Metric(
        "roi_change_error",
        "Regional change error",
        REGIONS,
        "lower",
        "Absolute error of predicted regional change in percent of the source scan’s volume, averaged over regions.",
    ),
    Metric(
        "roi_change_correlation",
        "Regional change correlation",
        REGIONS,
        "higher",
        "Correlation over subjects of predicted and real relative change, averaged over regions; 0 where the same "
        "change is predicted for everybody.",
    ),
    Metric(
        "voxel_change_correlation",
        "Voxel change correlation",
        IMAGES,
        "higher",
        "Correlation over voxels of predicted and real change since the source scan, averaged over subjects; where "
        "the source is known without noise, given that noise, so that denoising counts for nothing; in real data it is "
        "in both, and denoising alone yields a positive value.",
    ),
    Metric(
        "direction_auroc",
        "Direction AUROC",
        IMAGES,
        "higher",
        "How well predicted change tells brightened from darkened voxels, among those that changed by more than 5% "
        "of the range of intensities, or from unchanged ones where all change is one way; 0.5 is chance.",
    ),
    Metric(
        "voxel_coverage_80",
        "Voxel coverage of 80% intervals",
        IMAGES,
        "target",
        "Share of voxels of the follow-up as measured inside the central 80% interval of the draws; honest "
        "uncertainty gives 0.8.",
        0.8,
    ),
    Metric(
        "fid",
        "Fréchet distance of images",
        IMAGES,
        "lower",
        "Distance between Gaussians fitted to descriptions of imputed and real images; not comparable with published "
        "FID values, whose descriptions come from a network, nor between runs.",
    ),
)

_LIKENESS = {
    "ssim": ("SSIM", "higher", "Structural similarity of the predictive mean and the real follow-up"),
    "psnr": ("PSNR", "higher", "Peak signal-to-noise ratio of the predictive mean in decibels"),
    "nrmse": (
        "NRMSE",
        "lower",
        "Root mean squared error of the predictive mean over voxels, as a share of the range of intensities",
    ),
}

_OF_FILMS = (
    Metric(
        "volume_error",
        "Cavity volume error",
        CURVES,
        "lower",
        "Absolute error of the volume of the left chamber in mL, of the predictive mean, averaged over hidden frames.",
    ),
    Metric(
        "muscle_error",
        "Muscle volume error",
        CURVES,
        "lower",
        "Absolute error of the volume of the muscle in mL, of the predictive mean, averaged over hidden frames.",
    ),
    Metric(
        "curve_change_error",
        "Curve change error",
        CURVES,
        "lower",
        "Absolute error of the change of the left chamber since the nearest frame shown, as a share of the real "
        "change: copying that frame has 1, by definition.",
    ),
    Metric(
        "ef_error",
        "Ejection fraction error",
        CURVES,
        "lower",
        "Absolute error of the ejection fraction in points; predicted is the median over draws, each with the fraction "
        "of its own whole curve.",
    ),
    Metric(
        "ef_bias",
        "Ejection fraction bias",
        CURVES,
        "target",
        "Predicted less true ejection fraction in points, averaged over subjects.",
        0.0,
    ),
    Metric(
        "ef_correlation",
        "Ejection fraction correlation",
        CURVES,
        "higher",
        "Correlation over subjects of predicted and true ejection fraction.",
    ),
    Metric(
        "ef_coverage_80",
        "Ejection fraction in 80% intervals",
        CURVES,
        "target",
        "Share of subjects whose true ejection fraction lies inside the central 80% interval of the draws; honest "
        "uncertainty gives 0.8.",
        0.8,
    ),
    Metric(
        "dice_cavity",
        "Dice of the cavity",
        CURVES,
        "higher",
        "Overlap of the left chamber, as the segmenter sees it in predicted frames, with its label map; 1 is all of "
        "it.",
    ),
    Metric(
        "roughness_ratio",
        "Roughness of the film",
        FRAMES,
        "target",
        "Mean absolute second difference in time of one drawn film over that of the real one as measured, inside the "
        "heart; above 1 it flickers, below it is too smooth or without noise.",
        1.0,
    ),
)

_ENTRIES = (
    Metric(
        "energy_score",
        "Energy score",
        PROPER,
        "lower",
        "Distance of the draws to the real follow-up over all features at once, less their own spread: a "
        "proper score, lowest in expectation for the true predictive distribution. This page ranks by it.",
    ),
    Metric(
        "excess_energy_score",
        "Excess energy score",
        PROPER,
        "lower",
        "Energy score divided by the oracle’s, less one: by how much a method misses the best possible.",
    ),
    Metric(
        "crps",
        "CRPS",
        PROPER,
        "lower",
        "Continuous ranked probability score, the energy score of one feature, averaged over features; blind "
        "to how features go together.",
    ),
    Metric(
        "rmse",
        "RMSE of the mean",
        PROPER,
        "lower",
        "Root mean squared error of the predictive mean; it says nothing about the uncertainty.",
    ),
    Metric(
        "change_correlation",
        "Change correlation",
        PROPER,
        "higher",
        "Correlation of predicted and real change since the first visit, averaged over features; above 0 by "
        "shrinkage alone, because a high first value tends to fall back, and undefined for carry forward.",
    ),
    _coverage(80),
    _coverage(95),
    Metric(
        "sd_ratio",
        "Spread ratio",
        CALIBRATION,
        "target",
        "Standard deviation over subjects of one draw divided by that of the real follow-ups; below 1 the "
        "imputed people are too alike.",
        1.0,
    ),
)


def _variants(entries: dict[str, tuple[str, str, str]], *kinds: tuple[str, str, str, str]) -> Iterator[Metric]:
    """Yield every entry as each kind: what follows its name, its group, what follows its title and its meaning."""
    for suffix, group, more, words in kinds:
        for name, (title, better, meaning) in entries.items():
            yield Metric(name + suffix, title + more, group, better, f"{meaning}; {words}.")


_CATALOGUE = {
    entry.name: entry
    for entry in (
        *_ENTRIES,
        *_variants(
            _TWICE,
            ("_of_mean", MEAN, "", "of the predictive mean"),
            ("", DRAW, "", "of one draw, averaged over draws"),
        ),
        *_variants(
            _DISTRIBUTIONS,
            ("", DISTRIBUTION, "", "against the test set"),
            ("_train", DISTRIBUTION, ", to training", "against the training set, as published"),
        ),
        *_OF_IMAGES,
        *_OF_FILMS,
        *_variants(
            _LIKENESS,
            ("", IMAGES, "", "over the whole image"),
            ("_mask", IMAGES, ", inside the mask", "inside the mask"),
            ("_heart", FRAMES, ", inside the heart", "inside the heart"),
        ),
    )
}
