"""Small images and folders of them for tests: smooth heads that hardly change between visits."""

import gzip
import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from nextscan.images.files import write_image

SHAPE = (24, 28, 22)
AFFINE = np.array([[6.0, 0, 0, -70], [0, 6.0, 0, -80], [0, 0, 6.0, -60], [0, 0, 0, 1]])


def head(subject: int = 0, visit: int = 0, shape: tuple[int, int, int] = SHAPE) -> NDArray[np.float32]:
    """Return a head: an uneven ellipsoid with blobs of its own, some change and some noise."""
    own, noise = np.random.default_rng(subject), np.random.default_rng([subject, visit, 1])
    x, y, z = np.meshgrid(*(np.linspace(-1.2, 1.2, n) for n in shape), indexing="ij")
    image = 400 * (x**2 + (y - 0.1) ** 2 + (z * 1.1 + 0.2 * y) ** 2 < 1) * (1 + 0.3 * y + 0.2 * z)
    for _ in range(6):
        at = own.uniform(-0.6, 0.6, 3)
        image += 250 * np.exp(-((x - at[0]) ** 2 + (y - at[1]) ** 2 + (z - at[2]) ** 2) / 0.03)
    image -= 60 * (visit + 1) * np.exp(-(x**2 + y**2 + z**2) / 0.02)
    return (image + noise.normal(0, 8, shape)).astype(np.float32)


def bids(
    root: Path,
    visits: Mapping[str, tuple[str, ...]] = {"01": ("1", "2"), "02": ("1", "2"), "03": ("1",)},
    *,
    suffix: str = "T1w",
    sessions: bool = True,
) -> Path:
    """Write a BIDS folder of heads, with ages in sessions.tsv and sex in participants.tsv."""
    for i, (subject, names) in enumerate(visits.items()):
        for k, session in enumerate(names):
            folder = root / f"sub-{subject}" / f"ses-{session}" / "anat"
            folder.mkdir(parents=True, exist_ok=True)
            write_image(folder / f"sub-{subject}_ses-{session}_{suffix}.nii.gz", head(i, k), AFFINE)
        if sessions:
            lines = [f"ses-{session}\t{60 + i + 1.5 * k}" for k, session in enumerate(names)]
            text = "\n".join(["session_id\tage", *lines]) + "\n"
            (root / f"sub-{subject}" / f"sub-{subject}_sessions.tsv").write_text(text)
    people = [f"sub-{subject}\t{'FM'[i % 2]}" for i, subject in enumerate(visits)]
    (root / "participants.tsv").write_text("\n".join(["participant_id\tsex", *people]) + "\n")
    (root / "dataset_description.json").write_text(json.dumps({"Name": "heads", "BIDSVersion": "1.10.0"}))
    return root


def patched(path: Path, change: Callable[[bytearray], object]) -> Path:
    """Change the bytes of a compressed file as they are unpacked."""
    content = bytearray(gzip.decompress(path.read_bytes()))
    change(content)
    path.write_bytes(gzip.compress(bytes(content), mtime=0))
    return path


def with_header(field: str, *values: float, at: int, form: str = "f") -> Callable[[bytearray], object]:
    """Return a change of a header field (named for the reader only) at its offset."""
    assert field
    return lambda content: struct.pack_into(f"<{len(values)}{form}", content, at, *values)


def transform(path: Path, matrix: object = np.eye(3), offset: object = (0, 0, 0)) -> Path:
    """Write an affine transform as ITK does."""
    numbers = " ".join(str(float(v)) for v in [*np.ravel(np.asarray(matrix)), *np.ravel(np.asarray(offset))])
    path.write_text(
        "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
        f"Parameters: {numbers}\nFixedParameters: 0 0 0\n"
    )
    return path
