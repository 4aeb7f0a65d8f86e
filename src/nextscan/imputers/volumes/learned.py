"""What imputers of images that train a network have in common, around what the network learned."""

# Not `from __future__ import annotations`: the constructors of methods, elsewhere, have the types of these settings.

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nextscan.arrays import Volume
from nextscan.cohort import Cohort
from nextscan.errors import NextscanWarning
from nextscan.imputers.estimator import Progress
from nextscan.imputers.settings import torch_device
from nextscan.imputers.volumes.base import Draw, Given, VolumeImputer
from nextscan.imputers.volumes.learning_settings import LearningSettings, Machine
from nextscan.imputers.volumes.memory import Footprint, free_gib, plan, telling_memory
from nextscan.preprocess import LabelEncoder


@dataclass(eq=False, repr=False, kw_only=True)
class LearnedVolumeImputer(VolumeImputer):
    """Base of imputers that train a network; torch is imported once one is fitted or loaded.

    A subclass implements ``settings`` and ``_kind()``.

    Parameters
    ----------
    shape, spacing, cache
        Of the grid volumes are brought to, see `nextscan.preprocess.volumes.VolumePreparer`.
    device, precision, accumulate, checkpointing
        See `nextscan.imputers.volumes.learning_settings.Machine`.
    """

    shape: tuple[int, int, int] | None = None
    spacing: tuple[float, float, float] | None = None
    cache: str | None = None
    device: str = "auto"
    precision: Literal["float32", "bfloat16"] = "float32"
    accumulate: int = 1
    checkpointing: bool = False

    @property
    def settings(self) -> LearningSettings:
        """The settings in full."""
        raise NotImplementedError

    @staticmethod
    def _kind() -> Any:
        """Return the class of what is learned, with ``fit``, ``drawing``, ``state`` and ``from_state``."""
        raise NotImplementedError

    @property
    def _machine(self) -> Machine:
        return Machine().changed(self.get_params())

    def _fit(
        self, train: Cohort, validation: Cohort | None, seed: int, checkpoint: Path | None, progress: Progress | None
    ) -> None:
        need = Footprint.of(self.settings, self._machine, self.preparer_.shape)
        self._tell(need, progress)
        with telling_memory(need, self.preparer_.spacing, "training"):
            self.model_, record = self._kind().fit(
                self.settings,
                self._machine,
                preparer=self.preparer_,
                train=train,
                validation=validation,
                seed=seed,
                checkpoint=checkpoint,
                progress=progress,
            )
        self.record_ |= record | {"estimated_gib": need.gib}

    def _tell(self, need: Footprint, progress: Progress | None) -> None:
        """Say what training will take, and warn where that is more than there is."""
        said, cure = plan(need, self.preparer_.spacing, free_gib(str(torch_device(self.device))))
        if cure:
            warnings.warn(f"{said}; {cure}", NextscanWarning, stacklevel=2)
        elif progress is not None:
            progress({"phase": "plan", "says": f"{said}; how long it takes is told after the first epoch"})

    def _label_encoder(self) -> LabelEncoder | None:
        encoder: LabelEncoder | None = self.model_.conditions.labels
        return encoder

    def _drawing(self) -> Draw:
        drawing: Draw = self.model_.drawing(self._machine)

        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume | None]:
            with telling_memory(None, self.preparer_.spacing, f"imputing {given.subject}"):
                return drawing(given, n_draws, seed)

        return draw

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.model_.state()
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        self.model_ = self._kind().from_state(self.settings, state)
