from typing import Literal

import pytest

from nextscan.cli import settings
from nextscan.errors import SettingError


class Method:
    def __init__(
        self,
        *,
        epochs: int | None = None,
        rate: float = 1e-3,
        paired: bool = False,
        widths: tuple[int, ...] | None = None,
        pool: Literal["auto", "use"] = "auto",
    ) -> None:
        self.given = {"epochs": epochs, "rate": rate, "paired": paired, "widths": widths, "pool": pool}


@pytest.fixture(autouse=True)
def _registry(monkeypatch):
    monkeypatch.setattr("nextscan.imputers.make_imputer", lambda name, **given: Method(**given))


def test_values_become_what_the_constructor_declares():
    texts = ["epochs=100", "rate=1e-2", "paired=true", "widths=64,32", "pool=use"]
    assert settings.build_method("method", texts).given == {
        "epochs": 100,
        "rate": 0.01,
        "paired": True,
        "widths": (64, 32),
        "pool": "use",
    }


def test_an_empty_tuple_can_be_given():
    for text in ("widths=", "widths=()"):
        assert settings.build_method("method", [text]).given["widths"] == ()


def test_none_is_none_where_it_is_allowed():
    assert settings.build_method("method", ["epochs=none"]).given["epochs"] is None
    with pytest.raises(SettingError, match="--set rate=none: input should be a valid number"):
        settings.build_method("method", ["rate=none"])


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["epochs"], "give it as name=value"),
        (["epochs=1", "epochs=2"], "--set epochs: given twice"),
        (["epochs=many"], "--set epochs=many: input should be a valid integer"),
        (["pool=never"], "--set pool=never: input should be 'auto' or 'use'"),
    ],
)
def test_what_is_wrong_is_named(texts, message):
    with pytest.raises(SettingError, match=message):
        settings.build_method("method", texts)
