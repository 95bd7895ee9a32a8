"""The benchmark's optimal-control problems: every number in them is a setting.

A            a car on a sine road passes a disc that swings along the road past it (kinematic bicycle).
B            a model ship keeps its course among three moving discs (CyberShip II, Skjetne 2005).
C20, C50     a quadrotor flies a figure of eight at up to 10 m/s and is kicked (20 x 50 ms, 50 x 20 ms).
D16, D100    a walker's centre of mass and zero-moment point over given steps (Wieber 2006; 16 x 100 ms, 100 x 20 ms).
SRBD10, 20   a trotting quadruped as one rigid body: 12 contact forces in friction pyramids (Di Carlo 2018).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from ocp_base import Problem, Settings
from ocp_vehicles import CAR, QUADROTOR, SHIP, Car, Quadrotor, Ship
from ocp_walkers import BODY, STEPS, Body, Steps

from giljabi.types import BadInputError

DEFAULTS: dict[str, Settings] = {
    "A": CAR,
    "B": SHIP,
    "C20": {**QUADROTOR, "horizon": 20, "dt": 0.05},
    "C50": {**QUADROTOR, "horizon": 50, "dt": 0.02},
    "D16": {**STEPS, "horizon": 16, "dt": 0.1},
    "D100": {**STEPS, "horizon": 100, "dt": 0.02},
    "SRBD10": {**BODY, "horizon": 10},
    "SRBD20": {**BODY, "horizon": 20},
}
_KINDS: dict[str, Callable[[str, Settings], Problem]] = {
    "A": Car, "B": Ship, "C20": Quadrotor, "C50": Quadrotor,
    "D16": Steps, "D100": Steps, "SRBD10": Body, "SRBD20": Body,
}  # fmt: skip
_COUNTS = ("horizon", "steps", "warm_iterations", "plant_substeps", "kick_every", "kick_at", "polygon", "gait_stages")
_MAY_BE_ZERO = ("warm_iterations", "kick_every", "kick_at", "polygon")
_POSITIVE = ("dt", "mass", "inertia", "height", "gravity", "stride_time")


def load_problem(name: str, changes: list[str], file: str | None) -> Problem:
    """The named problem with the settings of a JSON file and of key=value changes; raises BadInputError."""
    if name not in DEFAULTS:
        raise BadInputError(f"--problem {name}: not known; {', '.join(DEFAULTS)} are")
    settings = dict(DEFAULTS[name])
    if file is not None:
        for key, value in _read(Path(file)).items():
            _change(settings, key, value, file)
    for change in changes:
        key, equals, text = change.partition("=")
        if not equals:
            raise BadInputError(f"--set {change}: no '='; key=value is expected")
        try:
            value = json.loads(text)
        except ValueError:
            raise BadInputError(f"--set {change}: '{text}' is not JSON; a number or [a, b, ...] is expected") from None
        _change(settings, key.strip(), value, f"--set {change}")
    for key in (k for k in _COUNTS if k in settings):
        least = 0 if key in _MAY_BE_ZERO else 1
        if settings[key] != int(settings[key]) or not least <= settings[key] <= 10**6:
            raise BadInputError(f"{key} is {settings[key]}; a whole number of {least} or more is expected")
        settings[key] = int(settings[key])
    for key, value in settings.items():
        small = key in _POSITIVE or key.endswith(("_period", "_length"))
        if small and np.any(np.array(value) <= 0):
            raise BadInputError(f"{key} is {value}; above 0 is expected")
    return _KINDS[name](name, settings)


def _read(path: Path) -> Settings:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise BadInputError(f"{path}:1: cannot be read ({e.strerror}); a JSON file is expected") from None
    except UnicodeDecodeError:
        raise BadInputError(f"{path}:1: not a text file; a JSON file is expected") from None
    except json.JSONDecodeError as e:
        raise BadInputError(f"{path}:{e.lineno}: {e.msg}; a JSON object is expected") from None
    except (ValueError, RecursionError):
        raise BadInputError(f"{path}:1: not JSON; a JSON object is expected") from None
    if not isinstance(data, dict):
        raise BadInputError(f"{path}:1: not an object; {{key: value}} is expected")
    return data


def _change(settings: Settings, key: str, value: Any, where: str) -> None:
    if key not in settings:
        raise BadInputError(f"{where}: no setting '{key}'; --list prints all")
    shape = np.shape(settings[key])
    expected = f"{' x '.join(map(str, shape))} numbers" if shape else "a number"
    try:
        array = np.asarray(value)
        good = array.dtype.kind in "if" and array.shape == shape and bool(np.all(np.isfinite(array)))
    except ValueError:
        good = False
    if not good:
        raise BadInputError(f"{where}: {key} is {value!r}; {expected} expected")
    settings[key] = array.astype(float).tolist()
