"""The settings of SECONDGRAM: what the text says, what the released code does, and a sound choice.

Each field says what the three presets make of it. Where text and code agree there is one value.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from nextscan.errors import SettingError
from nextscan.imputers.settings import Settings, at_least

Schedule = Literal["linear", "zero-terminal", "cosine"]
Target = Literal["follow-up", "residual"]
GradientRule = Literal["preliminary", "fixed", "none"]
SelfConditioning = Literal["none", "steps", "measured"]
Selection = Literal["pearson", "energy"]
Pool = Literal["auto", "use", "ignore"]


@dataclass(frozen=True)
class SecondgramSettings(Settings):
    """Every choice in SECONDGRAM.

    Attributes
    ----------
    target : "follow-up" or "residual"
        What is diffused. The paper: the follow-up features. Ours: what each feature's regression on
        its first value leaves, whitened, so that the untrained network *is* that regression with
        correlated Gaussian residuals and training only adds to it.
    schedule : "linear", "zero-terminal" or "cosine"
        Paper and code: β linear from 0.0015 to 0.02, at which ᾱ ends at 0.34, far from noise, although
        sampling starts from N(0, I). Ours ends at noise.
    steps : int
        Diffusion steps of the discrete schedules: 100.
    parameterisation : "noise", "data" or "velocity"
        Paper and code: noise. Ours: velocity, which stays well defined where only noise is left.
    sampler : str
        Paper and code: ancestral, over all steps; the released sampler's misplaced noise is not reproduced.
    sampling_steps : int
    clamp : bool
        Paper and code: the result is clamped to [-1, 1]. Ours: no clamp in whitened units.
    per_visit_scale : bool
        Paper and code scale each visit by its own range, which destroys absolute change; the released
        leak of test subjects into the scale is not reproduced.
    use_years : bool
        Paper and code never see the interval. Ours does where it is known; `years_dropout` of the pairs
        hide it, so that it may be unknown.
    self_conditioning : "none", "steps" or "measured"
        Pair a visit with itself: target x1, condition x1 or a noised x1. Paper: noised by 5 diffusion
        steps for half the cases; code: 6. Ours: always by noise with the covariance of the change
        between two real visits, and a flag tells the network which kind of pair it sees.
    self_conditioning_steps : int
    self_condition_paired : bool
        Code: first visits of paired subjects are self-conditioned examples too.
    self_condition_validation : bool
        Code: so are validation subjects without a follow-up.
    unpaired : "auto", "use" or "ignore"
        Whether subjects without a follow-up are trained on; "auto" trains both ways and keeps what
        scores better on validation subjects.
    gradient_rule : "preliminary", "fixed" or "none"
        Paper: τ_clip = mean and τ_skip = 3 · max of a preliminary pass; code: 0.3 and 1.8 fixed. Ours:
        1 and 10 fixed, as norms before the first step say little about a network that starts at zero.
    clip, skip : float
        The fixed thresholds.
    attention : bool
        The text names attention layers, the code has none.
    widths, embedding, n_residual
        512-256-128, 256, 2 in paper and code.
    level_scale : float
        Highest frequency of the encoding of the level, which is the step divided by the steps.
    epochs, patience, batch_size, learning_rate
        Up to 1000, 50, 256 and 1e-3 in paper and code.
    average : float or None
        Decay of a moving average of the weights; none in paper and code.
    selection : "pearson" or "energy"
        Score of generated validation follow-ups by which the best epoch is kept: mean per-feature
        Pearson correlation of one draw in paper and code; energy score in ours, as a draw that collapses
        onto the mean wins on correlation.
    validation_draws, validation_pairs : int
        Draws per validation pair, and the largest number of pairs generated after each epoch.
    """

    target: Target = "residual"
    schedule: Schedule = "cosine"
    steps: int = 100
    parameterisation: Literal["noise", "data", "velocity"] = "velocity"
    sampler: str = "dpm-solver++"
    sampling_steps: int = 12
    clamp: bool = False
    per_visit_scale: bool = False
    use_years: bool = True
    years_dropout: float = 0.1
    self_conditioning: SelfConditioning = "measured"
    self_conditioning_steps: int = 5
    self_condition_paired: bool = False
    self_condition_validation: bool = False
    unpaired: Pool = "auto"
    gradient_rule: GradientRule = "fixed"
    clip: float = 1.0
    skip: float = 10.0
    attention: bool = False
    widths: tuple[int, ...] = (512, 256, 128)
    embedding: int = 256
    n_residual: int = 2
    level_scale: float = 100.0
    epochs: int = 100
    patience: int = 10
    batch_size: int = 256
    learning_rate: float = 1e-3
    average: float | None = 0.99
    selection: Selection = "energy"
    validation_draws: int = 8
    validation_pairs: int = 256

    def __post_init__(self) -> None:
        super().__post_init__()
        at_least(1, steps=self.steps, sampling_steps=self.sampling_steps, embedding=self.embedding)
        at_least(1, validation_draws=self.validation_draws, validation_pairs=self.validation_pairs)
        if self.selection == "energy" and self.validation_draws < 2:
            raise SettingError("selection by energy score needs validation_draws of at least 2")
        if self.schedule != "cosine" and self.sampling_steps > self.steps:
            raise SettingError(f"sampling_steps {self.sampling_steps} exceeds the {self.steps} steps of the schedule")
        if not 0 <= self.years_dropout < 1:
            raise SettingError(f"years_dropout must be in [0, 1), got {self.years_dropout:g}")


_PAPER = SecondgramSettings(
    target="follow-up",
    schedule="linear",
    parameterisation="noise",
    sampler="ancestral",
    sampling_steps=100,
    clamp=True,
    per_visit_scale=True,
    use_years=False,
    years_dropout=0.0,
    self_conditioning="steps",
    self_conditioning_steps=5,
    unpaired="use",
    gradient_rule="preliminary",
    clip=0.3,
    skip=1.8,
    attention=True,
    level_scale=1.0,
    epochs=1000,
    patience=50,
    learning_rate=1e-3,
    average=None,
    selection="pearson",
    validation_draws=1,
    validation_pairs=1_000_000,
)

PRESETS: dict[str, SecondgramSettings] = {
    "default": SecondgramSettings(),
    "paper": _PAPER,
    "released": replace(
        _PAPER,
        attention=False,
        self_conditioning_steps=6,
        self_condition_paired=True,
        self_condition_validation=True,
        gradient_rule="fixed",
    ),
}
