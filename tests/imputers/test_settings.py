"""Settings of methods: what estimators take, and what is made of it."""

from __future__ import annotations

import typing
from dataclasses import dataclass

import pytest

from nextscan.errors import SettingError
from nextscan.imputers import imputer_names, make_imputer
from nextscan.imputers.settings import Settings, resolve, torch_device

Shape = typing.Literal["round", "square"]


@dataclass(frozen=True)
class Drawn(Settings):
    shape: Shape = "round"
    sizes: tuple[int, ...] = (1, 2)


PRESETS = {"plain": Drawn(), "large": Drawn(sizes=(9,))}


def test_presets_are_changed_by_the_parameters_that_are_settings_and_not_none():
    params = {"preset": "large", "shape": "square", "sizes": None, "device": "auto"}
    assert resolve(PRESETS, "large", params) == Drawn("square", (9,))
    assert PRESETS["large"].to_dict() == {"shape": "round", "sizes": [9]}


@pytest.mark.parametrize(
    ("preset", "params", "message"),
    [
        ("small", {}, "preset must be one of plain, large, got 'small'"),
        ("plain", {"shape": "oval"}, "shape must be one of round, square, got 'oval'"),
    ],
)
def test_what_is_not_allowed_is_refused(preset, params, message):
    with pytest.raises(SettingError, match=message):
        resolve(PRESETS, preset, params)


def test_a_device_that_is_not_here_is_refused():
    assert torch_device("cpu").type == "cpu"
    with pytest.raises(SettingError, match="device 'abacus' cannot be used here"):
        torch_device("abacus")


@pytest.mark.parametrize("name", imputer_names())
def test_the_types_of_all_settings_can_be_read(name):
    model = make_imputer(name)
    assert set(model.setting_names()) <= set(typing.get_type_hints(type(model).__init__))


def test_settings_that_methods_share_come_last():
    names = make_imputer("volume-vae").setting_names()
    assert names[:2] == ("latent", "channels")
    assert names[-7:] == ("shape", "spacing", "cache", "device", "precision", "accumulate", "checkpointing")
