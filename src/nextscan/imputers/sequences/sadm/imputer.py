"""SADM, sequence-aware diffusion (Yoon, Zhang, Suk, Guo, Li: IPMI 2023, arXiv 2212.08228), and a sound default.

The method, in the paper's order:

1. *Path.* Continuous in time: ``z_t = a_t x + s_t e``, λ the log of ``a² / s²`` (`nextscan.diffusion.ContinuousPath`).
2. *Reverse process.* ``q(z_s | z_t, x) = N(exp(λ_t - λ_s) (a_s / a_t) z_t + (1 - exp(λ_t - λ_s)) a_s x, sd²_{s|t})``
   with ``sd²_{s|t} = (1 - exp(λ_t - λ_s)) s_s²``; the sampler's variance is between this and
   ``sd²_{t|s} = (1 - exp(λ_t - λ_s)) s_t²``: ``(sd²_{s|t})^(1-v) (sd²_{t|s})^v``
   (`nextscan.diffusion.samplers.InterpolatedAncestral`).
3. *Guidance.* ``(1 + w) conditional - w unconditional`` (`nextscan.diffusion.guided`); the condition is hidden from a
   tenth of the training examples.
4. *Condition.* A factorised transformer, over time and then over space, turns the images seen, missing ones masked,
   into a volume of the image's resolution (`nextscan.networks.sequence_conditioner.SequenceConditioner`), with which a
   3-D U-Net denoises (`nextscan.networks.sequence_denoiser.SequenceDenoiser`).
5. *Training.* Targets by chance; the first image and the one before the target are given, those between perhaps.
6. *Sampling.* Autoregressive: what was made is given for what comes after.

``preset="paper"`` is this, with real times in place of positions. The three settings of its experiments (first image
alone; first image, the others filled; several given) are one call with other images given.

The default has the same conditions, and two parts more:

- *The expected film* (`nextscan.imputers.sequences.sadm.expected`) comes first: what is expected without learning, a
  copy of the nearest image or linear in time, whichever errs less, plus fields of the person's own, times curves. At
  first the fields are 0. All images of a film come from one pass. Each of a few networks is learned without one part
  of the people, and the prediction is their mean.
- *How people depart from it* is seen in those whom a network has not learned from: how far their images go along the
  directions in which they are expected to move, as whole curves over time
  (`nextscan.imputers.sequences.sadm.variation`). Draws of a film share one such curve. What is left then is diffused.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from nextscan.imputers.sequences.sadm.settings import PRESETS, SADMSettings
from nextscan.imputers.settings import resolve
from nextscan.imputers.volumes.base import Draw, Given
from nextscan.imputers.volumes.learned import LearnedVolumeImputer
from nextscan.imputers.volumes.memory import telling_memory

if TYPE_CHECKING:
    from nextscan.arrays import Volume
    from nextscan.imputers.sequences.sadm.trained import TrainedSADM
    from nextscan.preprocess import LabelEncoder


@dataclass(eq=False, repr=False, kw_only=True)
class SADM(LearnedVolumeImputer):
    """Impute images of a sequence from any others of it, before and after.

    Parameters
    ----------
    preset : "default" or "paper"
        Where the other settings come from when they are None;
        `nextscan.imputers.sequences.sadm.settings.SADMSettings` documents each.
    shape, spacing, cache
        Of the grid volumes are brought to, see `nextscan.preprocess.volumes.VolumePreparer`.
    device, precision, accumulate, checkpointing
        How to compute, see `nextscan.imputers.volumes.learning_settings.Machine`.
    """

    name: ClassVar[str] = "sadm"
    minimum_pairs: ClassVar[int] = 2
    predicts_backward: ClassVar[bool] = True

    preset: Literal["default", "paper"] = "default"
    attention: bool | None = None
    diffusion: bool | None = None
    time: bool | None = None
    expected: bool | None = None
    n_networks: int | None = None
    base: Literal["best", "nearest", "linear"] | None = None
    given: Literal["any", "published"] | None = None
    autoregressive: bool | None = None
    n_fields: int | None = None
    use_labels: bool | None = None
    guidance: float | None = None
    schedule: Literal["cosine", "log-snr"] | None = None
    parameterisation: Literal["velocity", "data", "noise"] | None = None
    sampler: str | None = None
    sampling_steps: int | None = None
    v: float | None = None
    token: tuple[int, int, int] | None = None
    width: int | None = None
    n_conditions: int | None = None
    mean_channels: tuple[int, ...] | None = None
    n_blocks: int | None = None
    channels: tuple[int, ...] | None = None
    unet_attention: tuple[bool, ...] | None = None
    n_residual: int | None = None
    patch: int | None = None
    draw_share: float | None = None
    flip: bool | None = None
    shift: int | None = None
    epochs: int | None = None
    examples_per_epoch: int | None = None
    batch_size: int | None = None
    learning_rate: float | None = None
    warmup_steps: int | None = None
    weight_decay: float | None = None
    average: float | None = None

    @property
    def settings(self) -> SADMSettings:  # type: ignore[override]
        """The settings in full: the preset with the changes given to the constructor."""
        return resolve(PRESETS, self.preset, self.get_params())

    @property
    def uses_time(self) -> bool:  # type: ignore[override]
        """Whether the time of the target changes the prediction."""
        return self.settings.time

    @staticmethod
    def _kind() -> type[TrainedSADM]:
        from nextscan.imputers.sequences.sadm.trained import TrainedSADM

        return TrainedSADM

    def _label_encoder(self) -> LabelEncoder | None:
        encoder: LabelEncoder | None = self.model_.labels
        return encoder

    def _drawing(self) -> Draw:
        from nextscan.imputers.sequences.sadm.drawing import Drawing

        drawing = Drawing(self.model_, self._machine)

        def draw(given: Given, n_draws: int, seed: int) -> tuple[Volume, Volume | None]:
            with telling_memory(None, self.preparer_.spacing, f"imputing {given.subject}"):
                return drawing(given, n_draws, seed)

        return draw
