"""Made-up beating hearts and run folders of films, for tests of the report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd

NAMES = {
    "secondgram": "sadm",
    "carry-forward": "copy-nearest",
    "feature-regression": "voxel-regression",
    "ridge": "volume-ridge",
}
IMAGED = ("sadm", "copy-nearest", "voxel-regression")
QUANTILES = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
N, N_GIVEN = 10, 3
SHAPE = (20, 24, 4)
WINDOW = (50.0, 560.0)
AFFINE = np.diag([-2.0, 2.0, 9.0, 1.0])
TIMES = np.arange(N) / N
GIVEN = np.arange(N) < N_GIVEN
NEAREST = np.array([0, 1, 2, 2, 2, 2, 0, 0, 0, 0])
HORIZON = np.array([0, 0, 0, 1, 2, 3, 4, 3, 2, 1]) / N


def volume(subject: int) -> np.ndarray:
    """Return the true volume of a subject's cavity in each frame, mL."""
    return (110 + 5 * subject) * (1 - (0.35 + 0.004 * subject) * np.sin(np.pi * TIMES) ** 2)


def heart(share: float) -> np.ndarray:
    """Return a frame in 8 bits: a bright cavity whose radius follows its volume, in a grey wall."""
    x, y, _ = np.meshgrid(*[np.arange(n) - (n - 1) / 2 for n in SHAPE], indexing="ij")
    far = np.hypot(x, y)
    image = np.where(far < 6 * share ** (1 / 3), 220, np.where(far < 8, 120, 40))
    image[..., -1] = 40
    return image.astype(np.uint8)


def draws_of(method: str, subject: int, n: int = 40) -> np.ndarray:
    """Return draws of the whole curve of a subject, shape (n, n_frames): the frames given are those."""
    rng = np.random.default_rng([len(method), subject])
    true = volume(subject)
    mean = true[NEAREST] if method == "copy-nearest" else true + 4
    size = 0.0 if method == "copy-nearest" else 9.0
    draws = mean + size * rng.normal(size=(n, 1)) * np.sin(np.pi * TIMES) + 0.1 * size * rng.normal(size=(n, N))
    return np.where(GIVEN, true, draws)


def ejected(curves: np.ndarray) -> np.ndarray:
    return 100 * (1 - curves.min(axis=-1) / curves.max(axis=-1))


def curves_table(subjects: list[str], *, shown: int = 3) -> pd.DataFrame:
    """Return `curves.parquet`: ejection fractions of all, curves of the first few."""
    rows = []
    for method in NAMES.values():
        for k, subject in enumerate(subjects):
            draws = draws_of(method, k)
            ends = np.quantile(draws, QUANTILES, axis=0, method="weibull")
            of_ef = np.quantile(ejected(draws), QUANTILES, method="weibull")
            head = {"method": method, "subject": subject}
            told = {"frame": "ef", "time": np.nan, "given": False, "truth": float(ejected(volume(k)))}
            rows.append(head | told | {"value": of_ef[3]} | _quantiles(of_ef))
            for at in range(N if k < shown else 0):
                told = {"frame": f"frame-{at + 1:02d}", "time": TIMES[at], "given": bool(GIVEN[at])}
                told |= {"truth": volume(k)[at], "value": draws[:, at].mean()}
                rows.append(head | told | _quantiles(np.full(7, np.nan) if GIVEN[at] else ends[:, at]))
    return pd.DataFrame(rows)


def _quantiles(values: np.ndarray) -> dict[str, float]:
    return {f"q{level:g}": float(value) for level, value in zip(QUANTILES, values, strict=True)}


def frames_table() -> pd.DataFrame:
    """Return `frame_scores.csv`: errors that grow with the distance, and those of what measures."""
    rows = []
    for slope, method in zip((20.0, 50.0, 30.0, 25.0, 0.0), (*NAMES.values(), "segmenter"), strict=True):
        for score, unit in (("volume_error", 1.0), ("nrmse_heart", 0.01)):
            if score == "nrmse_heart" and method in ("volume-ridge", "segmenter"):
                continue
            for at in np.flatnonzero(~GIVEN):
                value = unit * (2 + slope * HORIZON[at] + 0.1 * (at % 2))
                told = {"method": method, "metric": score, "frame": f"frame-{at + 1:02d}", "time": TIMES[at]}
                told |= {"horizon": HORIZON[at], "n_before": at - 2, "value": value}
                rows.append(told | {"low": 0.9 * value, "high": 1.1 * value, "n": 40})
    return pd.DataFrame(rows)


def write_films(folder: Path, subjects: list[str], *, noise_free: bool = False) -> None:
    """Write `films/` of a run folder."""
    rng = np.random.default_rng(0)
    entries = []
    for k, subject in enumerate(subjects):
        here = folder / "films" / f"{k:03d}"
        here.mkdir(parents=True, exist_ok=True)
        clean = np.stack([heart(v / volume(k)[0]) for v in volume(k)])
        real = np.clip(clean + rng.normal(0, 6, clean.shape), 0, 255).astype(np.uint8)
        np.savez(here / "real.npz", real=real, affine=AFFINE, **({"noise_free": clean} if noise_free else {}))
        for method in IMAGED:
            draws = draws_of(method, k) / volume(k)[0]
            mean = np.stack([heart(share) for share in draws.mean(axis=0)[~GIVEN]])
            draw = np.stack([heart(share) for share in draws[0, ~GIVEN]])
            sd, high = np.where(mean > 100, 200, 10).astype(np.uint8), 30.0
            if method == "copy-nearest":
                mean = draw = real[NEAREST][~GIVEN]
                sd, high = np.zeros_like(mean), 0.0
            np.savez(here / f"{method}.npz", mean=mean, draw=draw, sd=sd, sd_high=high)
        told = {"subject": subject, "fold": 0, "folder": f"films/{k:03d}"}
        told |= {"frames": [f"frame-{at + 1:02d}" for at in range(N)], "times": TIMES.tolist()}
        told |= {"given": GIVEN.tolist(), "nearest": NEAREST.tolist(), "window": WINDOW, "methods": list(IMAGED)}
        entries.append(told)
    index = {"period": 1.0, "unit": "cycle", "subjects": entries}
    (folder / "films" / "index.json").write_text(json.dumps(index))


def into_films(folder: Path) -> Path:
    """Turn a run folder of features into one of films."""
    for path in folder.iterdir():
        if path.suffix in (".csv", ".parquet"):
            csv = path.suffix == ".csv"
            frame = pd.read_csv(path, keep_default_na=False, na_values=[""]) if csv else pd.read_parquet(path)
            for column in {"method", "against"} & set(frame.columns):
                frame[column] = frame[column].replace(NAMES)
            frame.to_csv(path, index=False) if csv else frame.to_parquet(path)
    text = (folder / "run.json").read_text()
    for old, new in NAMES.items():
        text = text.replace(f'"{old}"', f'"{new}"')
    (folder / "run.json").write_text(json.dumps(json.loads(text) | {"kind": "sequences", "period": 1.0}))
    subjects = list(pd.read_parquet(folder / "predictions.parquet")["subject"].unique())
    curves_table(subjects).to_parquet(folder / "curves.parquet")
    frames_table().to_csv(folder / "frame_scores.csv", index=False)
    write_films(folder, subjects[:3])
    return folder
