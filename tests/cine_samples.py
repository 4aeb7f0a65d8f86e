"""Small films of a beating cavity in its wall, and folders of them as data sets lay them out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nextscan.images.files import write_image

AFFINE = np.diag([2.0, 2.0, 8.0, 1.0])
SHAPE = (20, 22, 4)
PATHOLOGIES = ("NOR", "DCM", "HCM", "MINF", "RV")
CAVITY, WALL, RIGHT = 3, 2, 1
"""Values of label maps as ACDC has them."""


def phase(frame: int, n_frames: int, ed: int = 0) -> float:
    """Return how far a frame is contracted, 0 at ED and 1 at a third of the beat."""
    at = ((frame - ed) % n_frames) / n_frames
    return float(np.sin(np.pi * min(at / 0.34, (1 - at) / 0.66) / 2))


def labelled(contracted: float, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.uint8]:
    """Return the label map of a heart."""
    x, y, _ = np.meshgrid(*(np.arange(n) - (n - 1) / 2 for n in shape), indexing="ij")
    apart = np.hypot(x, y)
    inner = 5.5 - 2 * contracted
    outer = np.sqrt(inner**2 + 24)
    values = np.zeros(shape, np.uint8)
    values[(apart < outer + 2) & (x > outer - 1)] = RIGHT
    values[apart < outer] = WALL
    values[apart < inner] = CAVITY
    return values


def image(labels: NDArray[Any], seed: int) -> NDArray[np.float32]:
    """Return an image of a heart."""
    noise = np.random.default_rng(seed).normal(0, 3, labels.shape)
    return (np.array([40, 90, 30, 100.0])[labels] + noise + 20).astype(np.float32)


def film(n_frames: int, ed: int = 0, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return the frames of a beat and their label maps, frames last."""
    maps = [labelled(phase(k, n_frames, ed)) for k in range(n_frames)]
    return np.stack([image(each, 100 * seed + k) for k, each in enumerate(maps)], axis=-1), np.stack(maps, axis=-1)


def acdc_patient(
    folder: Path, number: int, n_frames: int = 10, ed: int = 1, es: int = 4, *, step: float | None = 1.0, **more: object
) -> Path:
    """Write a patient as ACDC does; frames count from 1, and more lines of Info.cfg replace the usual ones."""
    name = f"patient{number:03d}"
    place = folder / name
    place.mkdir(parents=True, exist_ok=True)
    data, maps = film(n_frames, ed - 1, number)
    write_image(place / f"{name}_4d.nii.gz", data, AFFINE, frame_seconds=step)
    for frame in (ed, es):
        write_image(place / f"{name}_frame{frame:02d}.nii.gz", data[..., frame - 1], AFFINE)
        write_image(place / f"{name}_frame{frame:02d}_gt.nii.gz", maps[..., frame - 1], AFFINE)
    said = {"ED": ed, "ES": es, "Group": PATHOLOGIES[number % 5], "Height": 170.0 + number, "NbFrame": n_frames,
            "Weight": 70.0 + number} | more  # fmt: skip
    lines = [f"{key}: {value}" for key, value in said.items() if value is not None]
    (place / "Info.cfg").write_text("\n".join(lines) + "\n")
    return place


def acdc(root: Path, patients: int = 3) -> Path:
    """Write a data set of ACDC: two thirds in training, the rest in testing."""
    for number in range(1, patients + 1):
        acdc_patient(root / ("training" if number % 3 else "testing"), number)
    return root


def of_mnms(maps: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Return label maps with the values of M&Ms: 1 left cavity, 2 muscle, 3 right cavity."""
    return np.array([0, 3, 2, 1], np.uint8)[maps]


def mnms(root: Path, codes: tuple[str, ...] = ("A0S9V9", "B1K2L3", "C4D5E6"), n_frames: int = 9) -> Path:
    """Write a data set of M&Ms; the last subject is without labels."""
    lines = [",External code,VendorName,Vendor,Centre,ED,ES,Age,Pathology,Sex,Height,Weight"]
    for i, code in enumerate(codes):
        part = "Training/Unlabeled" if i == len(codes) - 1 else ("Training/Labeled" if i % 2 == 0 else "Validation")
        place = root / part / code
        place.mkdir(parents=True)
        data, maps = film(n_frames, 0, i)
        shown = np.zeros_like(maps)
        for frame in (0, 3):
            shown[..., frame] = of_mnms(maps)[..., frame] * (i < len(codes) - 1)
        write_image(place / f"{code}_sa.nii.gz", data, AFFINE, frame_seconds=0.1)
        write_image(place / f"{code}_sa_gt.nii.gz", shown, AFFINE)
        lines.append(f"{i},{code},Siemens,A,{1 + i % 2},0,3,{40 + i},{PATHOLOGIES[i % 5]},{'FM'[i % 2]},,{70 + i}.0")
    (root / "211230_M&Ms_Dataset_information_diagnosis_opendataset.csv").write_text("\n".join(lines) + "\n")
    return root


def mnms2(root: Path, subjects: int = 3, n_frames: int = 8) -> Path:
    """Write a data set of M&Ms-2, with a view of the long axis, and empty rows in its table."""
    lines = ["SUBJECT_CODE,DISEASE,VENDOR,SCANNER,FIELD"]
    for i in range(1, subjects + 1):
        code = f"{i:03d}"
        place = root / "dataset" / code
        place.mkdir(parents=True)
        data, maps = film(n_frames, 0, i)
        write_image(place / f"{code}_SA_CINE.nii.gz", data, AFFINE)
        for name, frame in (("ED", 0), ("ES", 3)):
            write_image(place / f"{code}_SA_{name}.nii.gz", data[..., frame], AFFINE)
            write_image(place / f"{code}_SA_{name}_gt.nii.gz", of_mnms(maps)[..., frame], AFFINE)
        write_image(place / f"{code}_LA_CINE.nii.gz", data[:, :, :2], AFFINE)
        lines.append(f"{i},NOR,SIEMENS,Avanto,1.5")
    (root / "dataset_information.csv").write_text("\n".join([*lines, ",,,,", ",,,,"]) + "\n")
    return root


def plain(root: Path, frames: Mapping[str, int] = {"p1": 6, "p2": 8}, *, maps: bool = False) -> Path:
    """Write a folder of films, each called as its subject."""
    root.mkdir(parents=True, exist_ok=True)
    for i, (name, n_frames) in enumerate(frames.items()):
        data, labels = film(n_frames, 0, i)
        write_image(root / f"{name}.nii.gz", data, AFFINE)
        if maps:
            write_image(root / f"{name}_seg.nii.gz", labels, AFFINE)
    return root


def table(path: Path, *lines: str) -> Path:
    """Write a table."""
    path.write_text("\n".join(lines) + "\n")
    return path
