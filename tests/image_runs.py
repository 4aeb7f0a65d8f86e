"""Made-up heads and run folders of image cohorts, for tests of the report."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd

NAMES = {
    "secondgram": "volume-diffusion",
    "carry-forward": "copy-source",
    "mean-change": "volume-mean-change",
}


def head(shape=(36, 44, 38), *, ventricles=1.0, spacing=4.5, thinner=0.0):
    """Return a head of ellipsoids with two ventricles, and its affine (left-posterior-inferior first voxel)."""
    centre = np.array(shape) / 2 - 0.5
    mm = np.moveaxis(np.indices(shape), 0, -1) - centre
    mm = mm * spacing

    def ellipsoid(axes, at=(0, 0, 0)):
        distance = np.sqrt((((mm - np.array(at)) / np.array(axes)) ** 2).sum(axis=-1))
        edge = spacing / np.mean(axes)
        return np.clip((1 - distance) / edge + 0.5, 0, 1)

    image = 900 * ellipsoid((74, 92, 80)) - 780 * ellipsoid((69, 87, 75)) + 60 * ellipsoid((66, 84, 72))
    folds = 1 + 0.12 * np.sin(mm[..., 0] / 5) * np.sin(mm[..., 1] / 6) * np.sin(mm[..., 2] / 5.5)
    image += 330 * ellipsoid(np.array((64, 82, 70)) - thinner) * folds + 270 * ellipsoid((52, 69, 57))
    for side in (-1, 1):
        size = ventricles ** (1 / 3)
        image -= 580 * ellipsoid(np.array((7, 26, 13)) * size, (side * 11, 2, 8))
        image -= 230 * ellipsoid((6, 12, 6), (side * 26, -10, -24))
    affine = np.diag([spacing, spacing, spacing, 1.0])
    affine[:3, 3] = -spacing * centre
    return image.astype(np.float32), affine


def as_stored(image, affine):
    """Return the image as a scanner might store it: first axis from right to left, last two swapped."""
    stored = image[::-1].transpose(0, 2, 1)
    turned = affine.copy()
    turned[:3, 3] += (image.shape[0] - 1) * affine[:3, 0]
    turned[:3, 0] *= -1
    return np.ascontiguousarray(stored), turned[:, [0, 2, 1, 3]]


def write_images(
    folder: Path,
    *,
    shape=(36, 44, 38),
    spacing=4.5,
    subjects=2,
    years=(0.0, 0.5, 1.0, 2.0, 5.0),
    noise_free=True,
    spread_over_time=False,
) -> Path:
    """Write `images/` of a run folder: subjects whose ventricles grow, and what was imputed for them."""
    out = folder / "images"
    rng = np.random.default_rng(0)
    low, high = 0.0, 900.0
    entries = []
    for k in range(subjects):
        here = out / f"{k:03d}"
        here.mkdir(parents=True, exist_ok=True)
        rate, gap = 0.2 + 0.12 * k, 2.03 + k
        base, affine = head(shape, spacing=spacing)

        def at(t, rate=rate):
            return head(shape, spacing=spacing, ventricles=1 + rate * t, thinner=0.4 * t)[0]

        noise = rng.normal(size=(2, *shape)) * 9
        source, truth = base + noise[0], at(gap) + noise[1]
        brain = base > 150
        edge = np.abs(at(5.0) - base)

        def sd(t, edge=edge, brain=brain):
            return (0.02 + 0.06 * t) * edge + 4 * brain

        def stored(image, affine=affine):
            return ((as_stored(image, affine)[0] - low) / (high - low)).astype(np.float16)

        def stored_sd(image, affine=affine):
            return (as_stored(image, affine)[0] / (high - low)).astype(np.float16)

        clean = {"noise_free": stored(at(gap)), "source_noise_free": stored(base)} if noise_free else {}
        mask, turned = as_stored(brain, affine)
        real = {"source": stored(source), "truth": stored(truth), "mask": mask.astype(np.uint8), **clean}
        np.savez_compressed(here / "real.npz", affine=turned, **real)
        means = {
            "volume-diffusion": source + 0.8 * (at(gap) - base),
            "copy-source": source,
            "volume-mean-change": source + (at(1.0) - base) * 1.2,
        }
        for method, mean in means.items():
            arrays = {"mean": stored(mean), "sd": stored_sd(sd(gap)), "draw": stored(mean)}
            if method == "volume-diffusion" and k == 0:
                arrays["series"] = np.stack([stored(source + 0.8 * (at(t) - base)) for t in years])
                arrays["series_gap"] = np.array(years)
                if spread_over_time:
                    arrays["series_sd"] = np.stack([stored_sd(sd(t)) for t in years])
            np.savez_compressed(here / f"{method}.npz", **arrays)
        told = {"subject": f"sub-{k + 1:02d}", "visit": "ses-02", "years": gap, "gap": gap, "fold": 0}
        told |= {"folder": f"images/{k:03d}", "window": [low, high], "unit_change": 0.05}
        moving = ["volume-diffusion"] if k == 0 else []
        entries.append({**told, "methods": list(NAMES.values()), "series": moving})
    (out / "index.json").write_text(json.dumps({"subjects": entries}))
    return folder


def into_images(folder: Path) -> Path:
    """Turn a run folder of features into one of images: its methods' names, image scores, and volumes."""
    for path in folder.iterdir():
        if path.suffix in (".csv", ".parquet"):
            csv = path.suffix == ".csv"
            frame = pd.read_csv(path, keep_default_na=False, na_values=[""]) if csv else pd.read_parquet(path)
            for column in {"method", "against"} & set(frame.columns):
                frame[column] = frame[column].replace(NAMES)
            if path.name == "scores.csv":
                frame = pd.concat([frame, pd.DataFrame(image_scores(frame["study"][0]))])
            frame.to_csv(path, index=False) if csv else frame.to_parquet(path)
    text = (folder / "run.json").read_text()
    for old, new in NAMES.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    record = json.loads(text)
    record["kind"] = "volumes"
    (folder / "run.json").write_text(json.dumps(record))
    return write_images(folder)


def image_scores(study: str) -> list[dict]:
    """Return pooled image scores of the three methods."""
    told = {
        "ssim": (0.951, 0.944, 0.938),
        "psnr": (31.2, 30.8, 30.1),
        "nrmse": (0.031, 0.033, 0.036),
        "voxel_change_correlation": (0.52, 0.0, 0.31),
        "roi_change_error": (1.2, 2.0, 1.6),
        "direction_auroc": (0.81, 0.5, 0.66),
        "voxel_coverage_80": (0.79, 0.55, np.nan),
        "ssim_mask": (0.981, 0.979, 0.977),
    }
    return [
        {
            "study": study,
            "cohort": "synthetic",
            "method": method,
            "seed": "all",
            "repeat": "all",
            "fold": "all",
            "group": "all",
            "metric": metric,
            "value": value,
            "low": value * 0.99,
            "high": value * 1.01,
            "n": 24,
        }
        for metric, values in told.items()
        for method, value in zip(NAMES.values(), values, strict=True)
    ]


def without_scripts(html):
    """Return a page without its scripts."""
    return re.sub(r"<script.*?</script>", "", html, flags=re.DOTALL)


def head_of(html):
    """Return what the viewer in a page is told."""
    return json.loads(re.search(r"<script type=\"application/json\" data-head>(\{\"images|\{.*?)</script>", html)[1])
