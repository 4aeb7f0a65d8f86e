"""Every score of `scores.csv`: its name in words, its direction, its table, and how to read it."""

from __future__ import annotations

from dataclasses import dataclass

PROPER = "Main scores"
CALIBRATION = "Calibration and spread"
MEAN = "Predictive mean"
DRAW = "One draw"
DISTRIBUTION = "Distribution"
IMAGES = "Image scores"
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
    IMAGES: (
        "Copying the source already has a high SSIM and PSNR, because a head changes little: read these beside that "
        "row. Its change correlation is 0 by definition."
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


def groups() -> tuple[str, ...]:
    """Return the tables of scores in the order of the page; image scores have a section of their own."""
    return tuple(name for name in _NOTES if name != IMAGES)


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


_IMAGE_SCORES = {
    "ssim": ("SSIM", "higher", "Structural similarity of imputed mean and real follow-up"),
    "psnr": ("PSNR, dB", "higher", "Peak signal-to-noise ratio of the imputed mean: squared error on a log scale"),
    "nrmse": ("NRMSE", "lower", "Root mean squared error of the imputed mean, relative to the range of intensities"),
}


def _image_entries() -> tuple[Metric, ...]:
    entries = [
        Metric(name + suffix, title + words, IMAGES, better, f"{meaning}, {where}.")
        for suffix, words, where in (
            ("", "", "inside the head"),
            ("_whole", ", whole image", "over the whole image, background included"),
        )
        for name, (title, better, meaning) in _IMAGE_SCORES.items()
    ]
    change = Metric(
        "change_correlation_map",
        "Change correlation of voxels",
        IMAGES,
        "higher",
        "Correlation over voxels of predicted and real difference to the source, averaged over subjects; 0 for a copy "
        "of the source by definition.",
    )
    direction = Metric(
        "direction_auroc",
        "Direction AUROC",
        IMAGES,
        "higher",
        "How well the predicted difference tells voxels that grow brighter from those that grow darker; 0.5 is chance.",
    )
    distance = Metric(
        "frechet_distance_3d",
        "Fréchet distance of images",
        IMAGES,
        "lower",
        "Distance between Gaussians fitted to descriptors of imputed and real volumes; compare it within one run only.",
    )
    coverage = [
        Metric(
            f"voxel_coverage_{level}",
            f"Voxel coverage of {level}%",
            IMAGES,
            "target",
            f"Share of real voxels inside the central {level}% interval of the draws.",
            level / 100,
        )
        for level in (80, 95)
    ]
    return (*entries[:3], change, direction, *coverage, distance, *entries[3:])


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

_CATALOGUE = {entry.name: entry for entry in (*_ENTRIES, *_image_entries())}
for _suffix, _words, _group in (
    ("_of_mean", "of the predictive mean", MEAN),
    ("", "of one draw, averaged over draws", DRAW),
):
    for _name, (_title, _better, _meaning) in _TWICE.items():
        _CATALOGUE[_name + _suffix] = Metric(_name + _suffix, _title, _group, _better, f"{_meaning}; {_words}.")
for _suffix, _words in (("", "against the test set"), ("_train", "against the training set, as published")):
    for _name, (_title, _better, _meaning) in _DISTRIBUTIONS.items():
        _name += _suffix
        _title += ", to training" if _suffix else ""
        _CATALOGUE[_name] = Metric(_name, _title, DISTRIBUTION, _better, f"{_meaning}; {_words}.")
