"""A small network that measures regions in images, learned from the label maps of training subjects."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from nextscan.arrays import FloatArray, IntArray, Volume, read_npz
from nextscan.atomic import atomic_path
from nextscan.cohort import Cohort
from nextscan.errors import CohortError
from nextscan.imputers.estimator import Progress
from nextscan.imputers.settings import Settings
from nextscan.networks.region_unet import RegionUNet
from nextscan.training import TrainingSettings, train

_QUANTILES = (0.01, 0.99)
_PRIOR = 4.0  # people held out: that many measured without bias are counted beside them
_SCALE = "calibration"
_AT_ONCE = 16  # images in memory
_SHIFT = 2.0  # voxels: how far images are moved in training
_SOME = 20.0  # voxels: of less than that an error is no share


@dataclass(frozen=True)
class SegmenterSettings(Settings):
    """How the network looks and learns.

    Attributes
    ----------
    channels
        Of a `nextscan.networks.region_unet.RegionUNet`.
    side : int
        Images with more voxels along an axis are learned and measured in blocks of voxels, so that there are fewer.
    n_examples : int
        Images to learn from in all, each seen as often as need be.
    batch_size : int
    learning_rate : float
    held_out : float
        Share of the people whose images calibrate the volumes.
    """

    channels: tuple[int, ...] = (8, 16, 32)
    side: int = 64
    n_examples: int = 8000
    batch_size: int = 4
    learning_rate: float = 1e-2
    held_out: float = 0.2


@dataclass(frozen=True, eq=False)
class Segmenter:
    """What was learned.

    Images are scaled by their own dark and bright, so that the unit of intensity does not matter. Volumes are sums of
    probabilities, which see shares of voxels, corrected by a line that was learned on people held out.

    Attributes
    ----------
    settings : SegmenterSettings
    regions : dict of name to int
        Labels of regions in label maps.
    network : dict of name to ndarray
    slope, intercept : ndarray, shape (n_regions,)
        True volume = intercept + slope * measured; mm³.
    """

    settings: SegmenterSettings
    regions: Mapping[str, int]
    network: Mapping[str, NDArray[np.floating]]
    slope: FloatArray
    intercept: FloatArray

    @classmethod
    def fit(
        cls,
        cohort: Cohort,
        *,
        regions: Mapping[str, int],
        seed: int = 0,
        settings: SegmenterSettings = SegmenterSettings(),
        progress: Progress | None = None,
    ) -> Self:
        """Learn from all images of a cohort that have a label map.

        Raises
        ------
        CohortError
            If fewer than two people have a label map.
        ImageError
            If an image or a map cannot be read, or they have not the same shape.
        """
        rows = np.flatnonzero(cohort.has_volume & (cohort.files_of("segmentation") != ""))
        people = np.unique(cohort.subject_of[rows])
        if len(people) < 2:
            raise CohortError(
                f"{cohort.source or cohort.name}: {len(people)} training subjects have label maps, and measuring "
                "volumes is learned from at least 2; give label maps, or a segmenter (--segmenter module:function)"
            )
        people = people[np.random.default_rng(seed).permutation(len(people))]
        held_out = people[: round(settings.held_out * len(people))]
        if len(people) - len(held_out) < 1:
            held_out = held_out[:0]
        calibrating = np.isin(cohort.subject_of[rows], held_out)
        examples = _Examples.of(cohort, rows[~calibrating], regions, settings)
        n_epochs = max(1, round(settings.n_examples / len(examples.images)))
        how = TrainingSettings(
            epochs=n_epochs,
            batch_size=min(settings.batch_size, len(examples.images)),
            learning_rate=settings.learning_rate,
            warmup_steps=10,
            decay="cosine",
            average=0.98,
            patience=None,
        )
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = _network(settings, len(regions))
        found = train(network, examples, how, seeds=[seed], replicas=False, progress=progress)
        learned = {name: value.cpu().numpy() for name, value in found.best.items()}
        one = np.ones(len(regions))
        raw = cls(settings, dict(regions), learned, one, 0 * one)
        return raw._calibrated(cohort, rows[calibrating]) if calibrating.any() else raw

    def _calibrated(self, cohort: Cohort, rows: IntArray) -> Self:
        """Learn the line from measured to true volumes, towards no correction where few images are there."""
        measured, true = [], []
        for row in rows:
            image, labels, affine = _read(cohort, row)
            measured.append(self.measure(image[None], affine)[0])
            voxel = abs(float(np.linalg.det(affine[:3, :3])))
            true.append([voxel * np.count_nonzero(labels == code) for code in self.regions.values()])
        x, y = np.array(measured), np.array(true, float)
        centre, off = x.mean(axis=0), y - x
        # what is wrong with one person's heart is wrong in all of its frames: people count, not frames
        doubt = _PRIOR * len(rows) / len(np.unique(cohort.subject_of[rows]))
        prior = doubt * x.var(axis=0)
        wrong = ((x - centre) * off).sum(axis=0) / np.maximum(((x - centre) ** 2).sum(axis=0) + prior, 1e-9)
        shift = off.sum(axis=0) / (len(x) + doubt)
        return type(self)(self.settings, self.regions, self.network, 1 + wrong, shift - wrong * centre)

    @cached_property
    def _model(self) -> nn.Module:
        network = _network(self.settings, len(self.regions))
        network.load_state_dict({name: torch.from_numpy(np.array(value)) for name, value in self.network.items()})
        return network.requires_grad_(False).eval()

    def measure(self, images: NDArray[np.floating], affine: FloatArray) -> FloatArray:
        """Return the volumes of regions in images of one grid, in mm³, shape (n, n_regions).

        Parameters
        ----------
        images : ndarray, shape (n, x, y, z)
        affine : ndarray, shape (4, 4)
        """
        voxel = abs(float(np.linalg.det(np.asarray(affine)[:3, :3])))
        blocks = _blocks(images.shape[1:], self.settings.side)
        sums = np.concatenate(
            [self._likely(part, blocks)[:, 1:].sum(axis=(2, 3, 4), dtype=np.float64) for part in _parts(images)]
        )
        measured: FloatArray = self.intercept + self.slope * sums * voxel * int(np.prod(blocks))
        return np.maximum(measured, 0.0)

    def label(self, images: NDArray[np.floating]) -> NDArray[np.int16]:
        """Return label maps of images of one grid, shape (n, x, y, z): of each voxel the likeliest region, or 0."""
        blocks = _blocks(images.shape[1:], self.settings.side)
        best = np.concatenate([self._likely(part, blocks).argmax(axis=1) for part in _parts(images)])
        for axis, block in enumerate(blocks, start=1):
            best = np.repeat(best, block, axis=axis)
        _, x, y, z = images.shape
        codes: NDArray[np.int16] = np.array([0, *self.regions.values()], np.int16)[best[:, :x, :y, :z]]
        return codes

    @torch.no_grad()
    def _likely(self, images: NDArray[np.floating], blocks: Sequence[int]) -> Volume:
        """Return the probabilities of background and regions in blocks of voxels, shape (n, 1 + n_regions, X, Y, Z)."""
        into = torch.from_numpy(np.stack([_scaled(image) for image in images]))[:, None]
        likely: Volume = self._model(_pooled(into, blocks)).softmax(1).numpy()
        return likely

    def save(self, path: Path) -> None:
        """Write a file that appears whole or not at all."""
        told = {"settings": asdict(self.settings), "regions": dict(self.regions)}
        flat: dict[str, Any] = {"told": np.asarray(json.dumps(told)), _SCALE: [self.slope, self.intercept]}
        with atomic_path(path) as beside:
            np.savez(beside, **flat | dict(self.network))

    @classmethod
    def load(cls, path: Path) -> Self | None:
        """Undo `save`; None where there is no such file, or it cannot be read."""
        try:
            flat = read_npz(path)
            told = json.loads(str(flat.pop("told")))
            slope, intercept = flat.pop(_SCALE)
            settings: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in told["settings"].items()}
            return cls(SegmenterSettings(**settings), told["regions"], flat, slope, intercept)
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            return None


@dataclass(frozen=True, eq=False)
class _Examples:
    """Images and shares of regions in their (blocks of) voxels; a problem for `nextscan.training`.

    Attributes
    ----------
    images : Tensor, shape (n, 1, X, Y, Z)
    shares : Tensor, shape (n, 1 + n_regions, X, Y, Z)
    """

    images: Tensor
    shares: Tensor

    @classmethod
    def of(cls, cohort: Cohort, rows: IntArray, regions: Mapping[str, int], settings: SegmenterSettings) -> Self:
        """Read images and their label maps; smaller ones are padded by background."""
        images, shares = [], []
        for row in rows:
            image, labels, _ = _read(cohort, row)
            blocks = _blocks(image.shape, settings.side)
            of_regions = np.stack([labels == code for code in regions.values()]).astype(np.float32)
            images.append(_pooled(torch.from_numpy(_scaled(image))[None, None], blocks)[0])
            shares.append(_pooled(torch.from_numpy(of_regions)[None], blocks)[0])
        shape = [max(image.shape[axis] for image in images) for axis in (1, 2, 3)]
        into = torch.stack([_padded(image, shape) for image in images])
        regional = torch.stack([_padded(part, shape) for part in shares])
        return cls(into, torch.cat([1 - regional.sum(1, keepdim=True), regional], dim=1))

    @property
    def n_examples(self) -> int:
        """Number of images."""
        return len(self.images)

    def loss(self, network: Any, examples: Tensor, generators: Sequence[torch.Generator]) -> Tensor:
        """Return cross-entropy, one minus soft Dice and the error of volumes of each image, shape (1, B)."""
        changed = [self._changed(int(i), generator) for i, generator in zip(examples[0], generators, strict=True)]
        images, shares = (torch.stack(parts) for parts in zip(*changed, strict=True))
        return self._misfit(network(images), shares)[None]

    def _misfit(self, logits: Tensor, shares: Tensor) -> Tensor:
        log = logits.log_softmax(1)
        entropy = -(shares * log).sum(1).mean((1, 2, 3))
        likely = log.exp()[:, 1:]
        regional = shares[:, 1:]
        both = (likely * regional).sum((2, 3, 4))
        # a few voxels' worth of agreement, so that a region that an image lacks is no division by zero
        dice = (2 * both + 1) / (likely.sum((2, 3, 4)) + regional.sum((2, 3, 4)) + 1)
        # what it is for: sums of probabilities are to be volumes, whatever happens at single voxels
        off = (likely.sum((2, 3, 4)) - regional.sum((2, 3, 4))).abs() / (regional.sum((2, 3, 4)) + _SOME)
        return entropy + 1 - dice.mean(1) + off.mean(1)

    def _changed(self, i: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return an image as another scanner, another patient's position or a prediction might have it."""
        gain, offset, blur, noise, *coins = torch.rand(6, generator=generator).tolist()
        both = _moved(torch.cat([self.images[i], self.shares[i]]), torch.rand(2, generator=generator).tolist())
        image, shares = both[:1], both[1:]
        if coins[0] < 0.25:
            # predicted means are blurred, as they average over what may come
            near = functional.avg_pool3d(image[None], (3, 3, 1), stride=1, padding=(1, 1, 0), count_include_pad=False)
            image = image + 0.7 * blur * (near[0] - image)
        if coins[1] < 0.5:
            image = image + 0.06 * noise * torch.randn(image.shape, generator=generator)
        return image * (0.9 + 0.2 * gain) + 0.1 * (offset - 0.5), shares

    def validation_score(self, network: Any) -> Tensor:
        """Return nothing to choose by: the last epoch is kept."""
        return torch.zeros(1)


def _moved(part: Tensor, chance: Sequence[float]) -> Tensor:
    """Shift within slices by shares of voxels; what is moved in is the edge repeated.

    Parameters
    ----------
    part : Tensor, shape (channels, X, Y, Z)
    chance : sequence of two float
        Uniform in [0, 1).
    """
    by = [2 * _SHIFT * (2 * c - 1) / n for c, n in zip(chance, reversed(part.shape[1:3]), strict=True)]
    matrix = torch.tensor([[1.0, 0.0, by[0]], [0.0, 1.0, by[1]]])
    slices = part.permute(0, 3, 1, 2).flatten(0, 1)[None]
    grid = functional.affine_grid(matrix[None], list(slices.shape), align_corners=False)
    moved = functional.grid_sample(slices, grid, padding_mode="border", align_corners=False)
    return moved[0].unflatten(0, (len(part), -1)).permute(0, 2, 3, 1)


def _network(settings: SegmenterSettings, n_regions: int) -> RegionUNet:
    return RegionUNet(n_outputs=1 + n_regions, channels=settings.channels)


def _read(cohort: Cohort, row: int) -> tuple[Volume, IntArray, FloatArray]:
    """Return an image, its label map and its affine."""
    from nextscan.images.files import read_image

    where = f"{cohort.subject_names(np.array([row]))[0]} {cohort.visits[row]}"
    image = read_image(cohort.files_of("volume")[row], where=where)
    path = cohort.files_of("segmentation")[row]
    labels = read_image(path, where=where, allow_constant=True).data
    if labels.shape != image.data.shape:
        raise CohortError(
            f"{path} ({where}): the label map has shape {labels.shape}, its image {image.data.shape}; resample it"
        )
    return image.data, np.rint(labels).astype(np.intp), image.affine


def _scaled(image: NDArray[np.floating]) -> Volume:
    """Return an image whose dark is 0 and whose bright is 1."""
    low, high = np.quantile(image, _QUANTILES)
    scaled: Volume = ((image - low) / max(high - low, 1e-12)).astype(np.float32)
    return np.ascontiguousarray(scaled.clip(-0.5, 2.0))


def _parts(images: NDArray[np.floating]) -> Iterator[NDArray[np.floating]]:
    return (images[start : start + _AT_ONCE] for start in range(0, len(images), _AT_ONCE))


def _blocks(shape: Sequence[int], side: int) -> tuple[int, ...]:
    """Return how many voxels along each axis are taken together."""
    return tuple(-(-n // side) for n in shape)


def _pooled(into: Tensor, blocks: Sequence[int]) -> Tensor:
    """Average over blocks of voxels; at the edge the last voxel is repeated as background would be: by zeros."""
    if max(blocks) == 1:
        return into
    more = [(-n) % block for n, block in zip(into.shape[2:], blocks, strict=True)]
    padded = functional.pad(into, [by for extra in reversed(more) for by in (0, extra)])
    return functional.avg_pool3d(padded, tuple(blocks), stride=tuple(blocks))


def _padded(part: Tensor, shape: Sequence[int]) -> Tensor:
    more = [want - have for have, want in zip(part.shape[1:], shape, strict=True)]
    return functional.pad(part, [by for extra in reversed(more) for by in (0, extra)])
