"""What imputers of images that train a network have in common, around what the network learned."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextscan.cohort import Cohort
from nextscan.imputers.estimator import Progress
from nextscan.imputers.volumes.base import Draw, VolumeImputer

if TYPE_CHECKING:
    from nextscan.imputers.volumes.learning import Machine
    from nextscan.imputers.volumes.learning_settings import LearningSettings

_MACHINE = ("device", "precision", "accumulate", "checkpointing")


class LearnedVolumeImputer(VolumeImputer):
    """Base of imputers that train a network; torch is imported once one is fitted or loaded.

    A subclass has at least the settings of `nextscan.imputers.volumes.learning.Machine`, and implements
    ``settings`` and ``_kind()``.
    """

    @property
    def settings(self) -> LearningSettings:
        """The settings in full."""
        raise NotImplementedError

    @staticmethod
    def _kind() -> Any:
        """Return the class of what is learned, with ``fit``, ``drawing``, ``state`` and ``from_state``."""
        raise NotImplementedError

    def _given(self) -> dict[str, Any]:
        """Return the parameters that are settings of the method, None where its own holds."""
        others = ("preset", "shape", "spacing", "cache", *_MACHINE)
        return {name: value for name, value in self.get_params().items() if name not in others}

    def _machine(self) -> Machine:
        from nextscan.imputers.volumes.learning import Machine

        return Machine(**{name: getattr(self, name) for name in _MACHINE})

    def _fit(
        self,
        train: Cohort,
        validation: Cohort | None,
        seed: int,
        checkpoint: Path | None,
        progress: Progress | None,
    ) -> None:
        self.model_, record = self._kind().fit(
            self.settings,
            self._machine(),
            preparer=self.preparer_,
            train=train,
            validation=validation,
            seed=seed,
            checkpoint=checkpoint,
            progress=progress,
        )
        self.record_ |= record

    def _drawing(self) -> Draw:
        drawing: Draw = self.model_.drawing(self._machine())
        return drawing

    def _state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.model_.state()
        return state

    def _restore(self, state: dict[str, Any]) -> None:
        self.model_ = self._kind().from_state(self.settings, state)
