"""What the benchmark's problems have in common."""

from __future__ import annotations

from typing import Any

import numpy as np

from giljabi.solver import Ocp
from giljabi.types import Array

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


class Problem:
    """One problem with its numbers, as plain arrays; times t are (n,) seconds, stages k = 0 .. horizon.

    Soft constraints h(x, p) >= 0 hold at k >= 1 and cost penalties; hard ones g(u, p) >= 0 at k < horizon.
    """

    model: str  # of giljabi.solver
    same_cost = 1e-4  # relative difference of closed-loop costs below which two solvers did the same
    soft_count = 0
    hard_count = 0

    def __init__(self, name: str, settings: Settings) -> None:
        self.name = name
        self.settings = settings
        self.horizon = int(settings["horizon"])
        self.dt = float(settings["dt"])
        q = np.array(settings["state_weights"])
        self.weights: tuple[Array, Array, Array] = (
            q, np.array(settings["input_weights"]), settings["terminal_factor"] * q,
        )  # Q (nx,), R (nu,), Q_N (nx,)  # fmt: skip

    @property
    def start(self) -> Array:
        """State (nx,) at t = 0; also the guess at every stage."""
        raise NotImplementedError

    @property
    def start_input(self) -> Array:
        """Input (nu,) of the guess."""
        return np.zeros(len(self.weights[1]))

    def reference(self, t: Array) -> Array:
        """Reference states (n, nx)."""
        raise NotImplementedError

    def input_reference(self, t: Array) -> Array:
        """Reference inputs (n, nu)."""
        return np.zeros((len(t), len(self.weights[1])))

    def parameters(self, t: Array) -> Array:
        """Parameters (n, np) of the stages, in the order of our model."""
        return np.zeros((len(t), 0))

    def state_bounds(self, t: Array) -> tuple[Array, Array]:
        """Lower and upper bounds (n, nx) of the states; infinite where there is none."""
        free = np.full((len(t), len(self.weights[0])), np.inf)
        return -free, free

    def input_bounds(self, t: Array) -> tuple[Array, Array]:
        """Lower and upper bounds (n, nu) of the inputs."""
        ones = np.ones((len(t), 1))
        return ones * np.array(self.settings["input_lower"]), ones * np.array(self.settings["input_upper"])

    def kick(self, i: int, x: Array) -> Array:
        """State after what disturbs the plant at step i."""
        s = self.settings
        hit = s["kick_every"] and i % s["kick_every"] == s["kick_at"]
        return np.asarray(x + np.array(s["kick"])) if hit else x

    def settle(self, x: Array) -> Array:
        """State with what the plant keeps exactly, such as the length of a quaternion."""
        return x

    # The same in CasADi's symbols, written from the equations and not from the solver's models.

    def dynamics(self, x: Any, u: Any, p: Any) -> Any:
        """Time derivative of the state."""
        raise NotImplementedError

    def soft(self, x: Any, p: Any) -> Any:
        """Soft constraints, (soft_count, 1)."""
        raise NotImplementedError

    def hard(self, u: Any, p: Any) -> Any:
        """Hard constraints, (hard_count, 1)."""
        raise NotImplementedError

    # What our solver takes.

    def constants(self) -> Settings:
        """Constants of our model that settings change."""
        return {}

    def build(self) -> Ocp:
        """The problem in our solver."""
        ocp = Ocp(self.model, self.horizon, self.dt)
        q, r, q_end = self.weights
        values = {**self.constants(), "state_weights": q, "input_weights": r, "terminal_weights": q_end}
        if self.soft_count:
            n = len(ocp.names.constraints)
            values["penalty_l1"] = np.full(n, self.settings["penalty_l1"])
            values["penalty_l2"] = np.full(n, self.settings["penalty_l2"])
        for name, value in values.items():
            ocp.set(name, value)
        return ocp
