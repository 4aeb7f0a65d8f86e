"""What surrounds a simulated heart: lungs, the wall of the chest, the liver, and texture. It does not move."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from nextscan.simulating.hearts.form import Form

_EDGE = 6.0  # mm over which tissues around the heart change
_WAVES = 5  # of the texture


def chest(form: Form, x: NDArray[np.float32], y: NDArray[np.float32], z: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the brightness around the heart.

    Parameters
    ----------
    form : Form
    x, y, z : ndarray of float32, shapes that broadcast
        Positions in mm: to the side of the left lung, to the breast-bone, to the base.
    """
    light, own = form.brightness, form.around

    def within(distance: NDArray[np.float32]) -> NDArray[np.float32]:
        share: NDArray[np.float32] = np.clip(0.5 - distance / _EDGE, 0, 1)
        return share

    left = np.hypot((x - 78 - 2 * own[0]) / 0.75, y + 22 + 3 * own[1]) - 52
    right = np.hypot((x + 92 + 2 * own[2]) / 0.7, y + 12 + 3 * own[3]) - 48
    liver = np.hypot((x + 40) / 1.6, y + 74 + 2 * own[4]) - 30 + 0.5 * (z + 30)
    wall = 62 + 2 * own[5] - y - 0.0015 * x * x
    image = np.broadcast_to(np.float32(light["fat"]), np.broadcast_shapes(x.shape, y.shape, z.shape)).copy()
    far = np.hypot(x - form.centre[0] + 22, (y - form.centre[1]) * 1.1) - 66
    for share, brightness in (
        (within(-far), light["body"]),
        (within(np.minimum(left, right)), light["lung"]),
        (within(liver), 1.1 * light["body"]),
        (within(wall), light["body"]),
        (within(wall + 9) * within(-wall - 15), 1.3 * light["fat"]),
    ):
        image += share * (np.float32(brightness) - image)
    waves = own[6 : 6 + 4 * _WAVES].reshape(_WAVES, 4)
    texture = sum(
        np.cos((0.11 * a) * x + (0.11 * b) * y + (0.05 * c) * z + 3 * phase)
        for a, b, c, phase in waves.astype(np.float32)
    )
    textured: NDArray[np.float32] = (image * (1 + np.float32(0.04) * texture)).astype(np.float32)
    return textured
