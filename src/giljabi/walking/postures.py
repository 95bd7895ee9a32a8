"""Postures of a standing robot, by inverse kinematics."""

from __future__ import annotations

import numpy as np

from giljabi.types import Array
from giljabi.walking.kinematics import Kinematics
from giljabi.walking.walker_file import WalkerFile
from giljabi.walking.wholebody import Targets, WholeBody

ITERATIONS = 60
TOLERANCE = 1e-3  # m or rad


def posture_at(file: WalkerFile, height: float, key: str) -> Array:
    """Joints (n,) rad of a robot that stands on both feet, its centre of mass at a height [m] above the soles.

    key: of the gait, where the height stands; BadInputError at its line when the legs do not reach it.
    """
    k = Kinematics(file)
    body, g = WholeBody(k), file.walker.gait
    feet = [np.array([0.0, s * g.width / 2, 0.0]) for s in (1, -1)]
    level = np.eye(3)
    targets = Targets(np.array([0.0, 0.0, height]), feet, [level, level], level, k.nominal, np.zeros((2, 18)))
    error = body.solve(targets, ITERATIONS)
    if error > TOLERANCE:
        what = f"{key} {height} m cannot be reached ({1e3 * error:.1f} mm or mrad are left)"
        raise file.error(f"{what}; a height that the legs reach standing is expected", "gait", key)
    return np.asarray(np.clip(k.q, k.lower, k.upper))
