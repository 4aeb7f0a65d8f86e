"""Images of a few subjects beside what was imputed for them, their regions' change, and the image scores."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from nextscan.report.figures.style import INK, WIDTH, Look, to_svg
from nextscan.report.figures.volumes import CHANGE, IMAGE, SD, Tile, planes_figure, region_changes, scales_of
from nextscan.report.methods import VOLUME_BASELINES, baselines, candidates, part, title, titled_looks
from nextscan.report.metric_catalogue import IMAGES, REGIONS, Metric, ordered
from nextscan.report.page import Block, Cell, Fold, Notice, Picture, Section, Table
from nextscan.report.people import ASK
from nextscan.report.run_folder import OVERALL, Predictions, Run
from nextscan.report.sections.scores import score_table
from nextscan.report.volumes.examples import VolumeExample
from nextscan.report.volumes.grid import inside_head
from nextscan.report.volumes.viewer import viewer
from nextscan.wording import NONE, capital, count, listed, number

_LEAD = (
    "The source image was shown to the method; the real follow-up was hidden. Differences are follow-up less source: "
    "orange where a voxel grew brighter, blue where it grew darker. A mean over draws is smoother than any real image. "
    "The people shown are of the half whose regions really changed most, the largest change first."
)
_EXAMPLES, _REGIONS, _METHODS = 3, 12, 5
_REAL = "real"
_NOISE_FREE = (
    " The cohort is simulated, so the true difference is known without the noise of either image; the predicted one "
    "has the noise of the source in it where a method takes that away."
)


def volumes(run: Run) -> Section | None:
    """Return the section on images, or None where the cohort has none."""
    if not run.of_images:
        return None
    blocks: list[Block] = []
    if not run.individuals:
        blocks.append(Notice(f"Images are those of single people. {ASK}", "missing"))
    elif not run.examples:
        blocks.append(Notice("Example images are missing: images/index.json lists none in the run folder.", "missing"))
    else:
        blocks += _pictures(run, run.examples[:_EXAMPLES])
    blocks += [_regions(run), *_tables(run)]
    return Section("volumes", "The images", blocks, lead=_LEAD if run.individuals else "")


def _pictures(run: Run, examples: tuple[VolumeExample, ...]) -> list[Block]:
    method = _foremost(run, examples)
    if method is None:
        return [Notice("No method has an imputed image among the examples.", "missing")]
    first, *others = [example for example in examples if method in example.predicted]
    blocks: list[Block] = [planes(first, method, name="planes-0")]
    if shown := viewer([first, *others], method, name=title(method)):
        blocks.append(shown)
    if compared := _by_method(run, first):
        blocks.append(compared)
    for k, example in enumerate(others, start=1):
        blocks.append(Fold(f"The same for {_whose(example)}", [planes(example, method, name=f"planes-{k}")]))
    return blocks


def _foremost(run: Run, examples: tuple[VolumeExample, ...]) -> str | None:
    """Return the best method under test that has images; a baseline if there is no other."""
    there = {method for example in examples for method in example.predicted}
    ranked = [*candidates(run.methods), *baselines(run.methods)]
    return next((method for method in [*ranked, *sorted(there)] if method in there), None)


def planes(example: VolumeExample, method: str, *, name: str) -> Picture:
    """Return three planes of an example: source, real follow-up, imputed mean, spread and differences.

    Parameters
    ----------
    example : VolumeExample
    method : str
        One that has predicted it.
    name : str
        Distinct within the page.
    """
    series, grid = example.predicted[method], example.grid
    spread = series.sd[example.at_gap(method)]
    source, mean = grid.apply(example.source), grid.apply(series.mean[example.at_gap(method)])
    real, real_change, sd = (
        None if image is None else grid.apply(image) for image in (example.real, example.real_change, spread)
    )
    change = mean - source
    images = [source, mean] if real is None else [source, real, mean]
    changes = [change] if real_change is None else [real_change, change]
    scales = scales_of(images, changes, [] if sd is None else [sd])
    tiles = [Tile("source", source, IMAGE)]
    if real is not None:
        tiles.append(Tile("real follow-up", real, IMAGE))
    tiles.append(Tile("imputed mean", mean, IMAGE))
    if sd is not None:
        tiles.append(Tile("uncertainty", sd, SD))
    if real_change is not None:
        tiles.append(Tile(_difference(example), real_change, CHANGE))
    tiles.append(Tile("predicted difference", change, CHANGE))
    point = example.point(method)
    drawn = [
        planes_figure(
            tiles, grid=grid, point=point, scales=scales, width=width, upright=upright, outline=inside_head(source)
        )
        for width, upright in ((WIDTH, False), (4.0, True))
    ]
    place = ", ".join(f"{axis} {number(mm, 0)}" for axis, mm in zip("xyz", grid.world(point), strict=True))
    foremost, kind = (change, "predicted") if real_change is None else (real_change, "real")
    through = (
        f"the place where the {kind} change is largest after smoothing ({place} mm)"
        if foremost.any()
        else f"the middle ({place} mm), as nothing changes"
    )
    told = f"the predicted difference is {number(float(change[point]))}"
    if real_change is not None:
        told = f"the real difference is {number(float(real_change[point]))}, {told[4:]}"
    return Picture(
        to_svg(drawn[0], name, smooth=True),
        narrow=to_svg(drawn[1], f"{name}-narrow", smooth=True),
        alt=(
            f"Axial, coronal and sagittal slices of {example.subject} at {place} mm: "
            f"{listed([tile.title for tile in tiles])}. There {told}."
        ),
        caption=(
            f"{capital(_whose(example))}{_after(example, method)}, imputed by {title(method)}. The slices go through "
            f"{through}. All images share one grey scale, differences another."
            f"{_NOISE_FREE if example.noise_free_change is not None else ''}"
        ),
    )


def _difference(example: VolumeExample) -> str:
    return "real difference" if example.noise_free_change is None else "true difference"


def _whose(example: VolumeExample) -> str:
    return f"{example.subject}, {example.visit}" if example.visit else example.subject


def _after(example: VolumeExample, method: str) -> str:
    years = example.gap if np.isfinite(example.gap) else example.predicted[method].years[example.at_gap(method)]
    return f", {number(float(years), 2)} {example.unit} later" if np.isfinite(years) else ""


def _by_method(run: Run, example: VolumeExample) -> Block | None:
    """Return one plane of the differences that each method predicts, beside the real one."""
    methods = [m for m in run.methods if m in example.predicted]
    if example.real_change is None or len(methods) < 2:
        return None
    ours = [m for m in methods if part(m) != "baseline"]
    methods = [*ours[: _METHODS - len(VOLUME_BASELINES)], *baselines(methods)][:_METHODS]
    grid = example.grid
    source = grid.apply(example.source)
    real = grid.apply(example.real_change)
    changes = {title(m): grid.apply(example.change(m)) for m in methods}
    scales = scales_of([source], [real, *changes.values()], [])
    tiles = [Tile(_difference(example), real, CHANGE)]
    tiles += [Tile(name, change, CHANGE) for name, change in changes.items()]
    drawn = planes_figure(
        tiles,
        grid=grid,
        point=example.point(methods[0]),
        scales=scales,
        planes=("axial", "coronal"),
        lines=False,
        outline=inside_head(source),
    )
    return Picture(
        to_svg(drawn, "differences", smooth=True),
        alt=f"Axial and coronal slice of {example.subject}: {_difference(example)}, and of {listed(list(changes))}.",
        caption=(
            f"What each method changes in {example.subject}: imputed mean less source, all on the scale of the real "
            "difference. A copy of the source changes nothing; the mean change is that of other people."
        ),
    )


def _regions(run: Run) -> Block:
    if run.predictions is None:
        return Notice("Regional change is missing: predictions.parquet is not in the run folder.", "missing")
    predictions = run.predictions
    columns = predictions.most_changing(_REGIONS)
    methods = [m for m in run.methods if predictions.of("mean", m) is not None]
    kept = [*[m for m in methods if part(m) != "baseline"][:3], *[m for m in methods if m in VOLUME_BASELINES]]
    if not columns or not kept:
        return Notice("Regional change is missing: no region changes, or no method has a predictive mean.", "missing")
    looks = titled_looks(run.methods) | {_REAL: Look(INK, "-", "o")}
    change = {_REAL: _relative(predictions, predictions.truth, columns)}
    for method in kept:
        mean = predictions.of("mean", method)
        assert mean is not None
        change[title(method)] = _relative(predictions, mean, columns)
    names = [predictions.feature_names[column] for column in columns]
    drawn = [
        region_changes(names, change, looks=looks, label="mean change, % of the first volume", width=width)
        for width in (WIDTH, 4.0)
    ]
    told = [f"{name} {number(value, 1)}%" for name, value in zip(names, change[_REAL][0], strict=True)]
    return Picture(
        to_svg(drawn[0], "regions"),
        narrow=to_svg(drawn[1], "regions-narrow"),
        alt=f"Mean change of regions, real and imputed. Real: {', '.join(told)}.",
        caption=(
            f"Mean change of {count(len(predictions.targets))} test subjects in the regions that change most "
            "consistently, in percent of the volume at the source: real (dark bars) and of each method’s imputed mean, "
            "with 95% intervals over subjects. This tells whether a method is right on average; whether it knows who "
            "changes more is told by the scores of change."
        ),
    )


def _relative(predictions: Predictions, values: np.ndarray, columns: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Return mean change in percent of the context, and the half width of its 95% interval, per column."""
    before = predictions.context[:, columns].astype(float)
    with np.errstate(invalid="ignore", divide="ignore"):
        share = 100 * (values[:, columns] - before) / before
    known = np.isfinite(share)
    n = known.sum(axis=0)
    filled = np.where(known, share, 0.0)
    mean = filled.sum(axis=0) / np.maximum(n, 1)
    variance = np.where(known, (share - mean) ** 2, 0.0).sum(axis=0) / np.maximum(n - 1, 1)
    return np.where(n > 0, mean, np.nan), np.where(n > 1, 1.96 * np.sqrt(variance / np.maximum(n, 1)), np.nan)


def _tables(run: Run) -> list[Block]:
    """Return scores of images and regions; copy-source and mean-change have a row even where they were not run."""
    names = set(run.scores.loc[run.scores["group"] == OVERALL, "metric"])
    shown = ordered(names)
    tables: list[Block] = []
    for group, anchor in ((IMAGES, "scores-images"), (REGIONS, "scores-regions")):
        if metrics := [entry for entry in shown if entry.group == group]:
            tables.append(_table(run, group, metrics, anchor))
    return tables or [Notice("Image scores are missing: scores.csv holds none of them.", "missing")]


def _table(run: Run, group: str, metrics: list[Metric], anchor: str) -> Table:
    table = score_table(run, group, metrics, name=anchor)
    there = {row[0].text for row in table.rows}
    lacking = [method for method in VOLUME_BASELINES if capital(title(method)) not in there]
    rows = [[Cell(capital(title(method)), detail="not run"), *(Cell(NONE) for _ in metrics)] for method in lacking]
    return replace(table, rows=[*table.rows, *rows])
