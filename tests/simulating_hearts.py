"""People with simulated hearts, drawn without images, and their grid."""

from nextscan.simulating.hearts.law import HeartLaw
from nextscan.simulating.hearts.people import draw_people, shares_of
from nextscan.simulating.hearts.render import FIELD_OF_VIEW

SHAPE = (32, 32, 8)


def people(
    n: int, *, shape: tuple[int, int, int] = SHAPE, n_frames: int = 12, seed: int = 4, **groups: float
) -> HeartLaw:
    x, y, z = (size / n for size, n in zip(FIELD_OF_VIEW, shape, strict=True))
    return draw_people(n, shape, (x, y, z), n_frames=n_frames, shares=shares_of(groups or None), seed=seed)
