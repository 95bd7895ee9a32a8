"""The benchmark's optimal-control problems: every number in them is a setting.

A  a car on a sine road passes a disc that swings along the road past it (kinematic bicycle).
B  a model ship keeps its course among three moving discs (CyberShip II, Skjetne 2005).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from giljabi.solver import Ocp
from giljabi.types import Array, BadInputError

Settings = dict[str, Any]

COMMON: Settings = {
    "steps": 600,
    "warm_iterations": 15,
    "plant_substeps": 10,
    "penalty_l1": 100.0,
    "penalty_l2": 1000.0,
    "terminal_factor": 10.0,
    "kick_every": 0,  # steps; 0: never
    "kick_at": 50,
}

CAR: Settings = {
    **COMMON,
    "horizon": 40,
    "dt": 0.05,
    "wheelbase": 2.7,
    "state_weights": [1.0, 1.0, 5.0, 1.0, 1.0, 0.1],
    "input_weights": [1.0, 0.01],
    "input_lower": [-0.8, -10.0],
    "input_upper": [0.8, 10.0],
    "v_lower": 0.0,
    "v_upper": 15.0,
    "steering_lower": -0.5,
    "steering_upper": 0.5,
    "a_lower": -6.0,
    "a_upper": 3.0,
    "start_v": 8.0,
    "start_offset": [0.0] * 6,  # added to the start state
    "kick": [0.0] * 6,
    "speed": 10.0,
    "road_amplitude": 4.0,
    "road_length": 80.0,
    "disc_radius": 2.0,
    "disc_swing": 15.0,
    "disc_period": 10.0,
    "disc_side": 0.5,
}

HULL: Settings = {
    "m11": 25.8, "m22": 33.8, "m23": 1.0948, "m33": 2.76,
    "d11": 0.72253, "d11_abs": 1.32742, "d11_cub": 5.86643,
    "d22": 0.88965, "d22_abs": 36.47287, "d22_r": 0.805,
    "d23": 7.25, "d23_abs": 0.845, "d23_r": 3.45,
    "d32": -0.0313, "d32_abs": -3.95645, "d32_r": -0.13,
    "d33": 1.9, "d33_abs": -0.08, "d33_r": 0.75,
}  # fmt: skip

SHIP: Settings = {
    **COMMON,
    **HULL,
    "horizon": 60,
    "dt": 1.0,
    "state_weights": [1.0, 1.0, 1.0, 10.0, 1.0, 1.0, 0.1, 0.1],
    "input_weights": [1.0, 1.0],
    "input_lower": [-0.3, -0.2],
    "input_upper": [0.3, 0.2],
    "u_lower": -0.1,
    "u_upper": 0.6,
    "X_lower": -1.0,
    "X_upper": 2.0,
    "N_lower": -0.5,
    "N_upper": 0.5,
    "start": [0.0, 0.0, 0.0, 0.2, 0.0, 0.0, 0.3, 0.0],
    "start_offset": [0.0] * 8,
    "kick": [0.0] * 8,
    "speed": 0.3,
    "thrust": 0.494,
    "disc_radius": [1.2, 1.0, 1.5],
    "disc_swing": [6.0, 8.0, 5.0],
    "disc_period": [120.0, 150.0, 100.0],
    "disc_phase": [0.0, 2.0, 4.0],
    "disc_side_swing": [0.5, 2.0, 1.5],
    "disc_side_period": [200.0, 90.0, 130.0],
    "disc_side_phase": [0.0, 1.0, 2.0],
}

DEFAULTS: dict[str, Settings] = {"A": CAR, "B": SHIP}
SAME_COST: dict[str, float] = {"A": 1e-4, "B": 0.02}  # B has several local minima: which side to pass


@dataclass(frozen=True)
class Problem:
    """One problem with its numbers, as plain arrays."""

    name: str
    settings: Settings
    model: str
    bounded: tuple[str, ...]  # states that have bounds

    @property
    def horizon(self) -> int:
        """Stages N."""
        return int(self.settings["horizon"])

    @property
    def dt(self) -> float:
        """Stage length [s]."""
        return float(self.settings["dt"])

    @property
    def start(self) -> Array:
        """State (nx,) at t = 0; also the guess at every stage."""
        s = self.settings
        if self.name == "A":
            slope = s["road_amplitude"] * 2 * np.pi / s["road_length"]
            x = np.array([0, 0, np.arctan(slope), s["start_v"], 0, 0])
        else:
            x = np.array(s["start"])
        return np.asarray(x + np.array(s["start_offset"]))

    def reference(self, t: Array) -> Array:
        """Reference states (n, nx) at times t (n,)."""
        s = self.settings
        zero = np.zeros_like(t)
        if self.name == "A":
            k = 2 * np.pi / s["road_length"]
            along = s["speed"] * t
            slope = s["road_amplitude"] * k * np.cos(k * along)
            side = s["road_amplitude"] * np.sin(k * along)
            return np.stack([along, side, np.arctan(slope), s["speed"] * np.sqrt(1 + slope**2), zero, zero], axis=1)
        out = np.zeros((len(t), 8))
        out[:, 0], out[:, 3], out[:, 6] = s["speed"] * t, s["speed"], s["thrust"]
        return out

    def discs(self, t: Array) -> Array:
        """Discs (n, 3 discs): x, y, radius of each at times t (n,)."""
        s = self.settings
        if self.name == "A":
            x = s["speed"] * t + s["disc_swing"] * np.cos(2 * np.pi * t / s["disc_period"])
            y = s["road_amplitude"] * np.sin(2 * np.pi / s["road_length"] * x) + s["disc_side"]
            return np.stack([x, y, np.full_like(t, s["disc_radius"])], axis=1)
        columns = []
        for j in range(3):
            phase = 2 * np.pi * t / s["disc_period"][j] + s["disc_phase"][j]
            side = 2 * np.pi * t / s["disc_side_period"][j] + s["disc_side_phase"][j]
            columns.append(s["speed"] * t + s["disc_swing"][j] * np.cos(phase))
            columns.append(s["disc_side_swing"][j] * np.sin(side))
            columns.append(np.full_like(t, s["disc_radius"][j]))
        return np.stack(columns, axis=1)

    def weights(self) -> tuple[Array, Array, Array]:
        """Q (nx,), R (nu,), Q_N (nx,)."""
        q = np.array(self.settings["state_weights"])
        return q, np.array(self.settings["input_weights"]), self.settings["terminal_factor"] * q

    def state_bounds(self, names: tuple[str, ...]) -> tuple[Array, Array]:
        """Lower and upper bounds (nx,); infinite where there is none."""
        lower = [self.settings[f"{n}_lower"] if n in self.bounded else -np.inf for n in names]
        upper = [self.settings[f"{n}_upper"] if n in self.bounded else np.inf for n in names]
        return np.array(lower), np.array(upper)

    def build(self) -> Ocp:
        """The problem as our solver takes it."""
        s = self.settings
        ocp = Ocp(self.model, self.horizon, self.dt)
        q, r, q_end = self.weights()
        lower, upper = self.state_bounds(ocp.names.states)
        values = {
            **{name: s[name] for name in ocp.names.constants if name in s},
            "state_weights": q, "input_weights": r, "terminal_weights": q_end,
            "state_lower": lower, "state_upper": upper,
            "input_lower": s["input_lower"], "input_upper": s["input_upper"],
            "penalty_l1": np.full(len(ocp.names.constraints), s["penalty_l1"]),
            "penalty_l2": np.full(len(ocp.names.constraints), s["penalty_l2"]),
        }  # fmt: skip
        for name, value in values.items():
            ocp.set(name, value)
        return ocp


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
    for key in ("horizon", "steps", "warm_iterations", "plant_substeps", "kick_every", "kick_at"):
        least = 0 if key.startswith(("kick", "warm")) else 1
        if settings[key] != int(settings[key]) or not least <= settings[key] <= 10**6:
            raise BadInputError(f"{key} is {settings[key]}; a whole number of {least} or more is expected")
        settings[key] = int(settings[key])
    for key, value in settings.items():
        small = key == "dt" or key.endswith(("_period", "_length"))
        if small and np.any(np.array(value) <= 0):
            raise BadInputError(f"{key} is {value}; above 0 is expected")
    if name == "A":
        return Problem("A", settings, "bicycle_disc", ("v", "steering", "a"))
    return Problem("B", settings, "vessel", ("u", "X", "N"))


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
    expected = f"{len(settings[key])} numbers" if shape else "a number"
    try:
        array = np.asarray(value)
        good = array.dtype.kind in "if" and array.shape == shape and bool(np.all(np.isfinite(array)))
    except ValueError:
        good = False
    if not good:
        raise BadInputError(f"{where}: {key} is {value!r}; {expected} expected")
    settings[key] = array.astype(float).tolist()
