"""Peers of the solver's benchmark: the same problem as a nonlinear programme in CasADi, converged at every step."""

from __future__ import annotations

from typing import Any

import numpy as np
from ocp_problems import Problem

from giljabi.types import Array

NAMES = ("fatrop", "ipopt")


def installed() -> list[str]:
    """Peers that this machine has."""
    try:
        import casadi
    except ImportError:
        return []
    return [name for name in NAMES if casadi.has_nlpsol(name)]


def _dynamics(problem: Problem, x: Any, u: Any) -> Any:
    """Time derivative of the state, written for CasADi from the equations (not from the solver's models)."""
    import casadi as ca

    s = problem.settings
    if problem.name == "A":
        heading, v, steering, a = x[2], x[3], x[4], x[5]
        return ca.vertcat(
            v * ca.cos(heading), v * ca.sin(heading), v / s["wheelbase"] * ca.tan(steering), a, u[0], u[1]
        )

    def size(a: Any) -> Any:
        return ca.sqrt(a**2 + 1e-4)

    nu = x[3:6]
    surge, sway, yaw = nu[0], nu[1], nu[2]
    mass = ca.DM([[s["m11"], 0, 0], [0, s["m22"], s["m23"]], [0, s["m23"], s["m33"]]])
    momentum = ca.mtimes(mass, nu)
    coriolis = ca.vertcat(-momentum[1] * yaw, momentum[0] * yaw, momentum[1] * surge - momentum[0] * sway)
    damping = ca.vertcat(
        (s["d11"] + s["d11_abs"] * size(surge) + s["d11_cub"] * surge**2) * surge,
        (s["d22"] + s["d22_abs"] * size(sway) + s["d22_r"] * size(yaw)) * sway
        + (s["d23"] + s["d23_abs"] * size(sway) + s["d23_r"] * size(yaw)) * yaw,
        (s["d32"] + s["d32_abs"] * size(sway) + s["d32_r"] * size(yaw)) * sway
        + (s["d33"] + s["d33_abs"] * size(sway) + s["d33_r"] * size(yaw)) * yaw,
    )
    force = ca.vertcat(x[6], 0, x[7])
    acceleration = ca.mtimes(ca.inv(mass), force - coriolis - damping)
    c, sn = ca.cos(x[2]), ca.sin(x[2])
    return ca.vertcat(surge * c - sway * sn, surge * sn + sway * c, yaw, acceleration, u[0], u[1])


def _options(solver: str, jit: bool, n: int, shape: tuple[list[int], ...], equality: list[bool]) -> dict[str, Any]:
    options: dict[str, Any] = {"print_time": False, "error_on_fail": False, "expand": True}
    if jit:
        options |= {"jit": True, "compiler": "shell", "jit_options": {"flags": ["-O3", "-march=native"]}}
    if solver == "ipopt":
        options["ipopt"] = {"print_level": 0, "sb": "yes", "tol": 1e-6, "max_iter": 500}
    else:
        nx, nu, ng = shape
        options |= {"structure_detection": "manual", "N": n, "nx": nx, "nu": nu, "ng": ng, "equality": equality}
        options["fatrop"] = {"print_level": 0, "tol": 1e-6, "max_iter": 500}
    return options


def _step(problem: Problem, nx: int, nu: int) -> Any:
    """CasADi function of one Runge-Kutta step."""
    import casadi as ca

    x, u = ca.SX.sym("x", nx), ca.SX.sym("u", nu)
    f = ca.Function("f", [x, u], [_dynamics(problem, x, u)])
    h, k1 = problem.dt, f(x, u)
    k2 = f(x + h / 2 * k1, u)
    k3 = f(x + h / 2 * k2, u)
    k4 = f(x + h * k3, u)
    return ca.Function("step", [x, u], [x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)])


def _room(nx: int, discs: int) -> Any:
    """CasADi function of the distances to the discs."""
    import casadi as ca

    x, disc = ca.SX.sym("x", nx), ca.SX.sym("disc", 3 * discs)
    parts = [(x[:2] - disc[3 * j : 3 * j + 2]) / disc[3 * j + 2] for j in range(discs)]
    return ca.Function("room", [x, disc], [ca.vertcat(*[ca.dot(part, part) - 1 for part in parts])])


class _Programme:
    """Variables and constraints of a nonlinear programme, stage by stage, in the order fatrop wants."""

    def __init__(self) -> None:
        self.variables: list[Any] = []
        self.lower: list[Any] = []
        self.upper: list[Any] = []
        self.constraints: list[Any] = []
        self.equality: list[bool] = []
        self.size = 0

    def add(self, symbol: Any, lower: Any, upper: Any) -> int:
        """A block of variables with its bounds; returns where it begins."""
        self.variables.append(symbol)
        self.lower.append(lower)
        self.upper.append(upper)
        self.size += symbol.numel()
        return self.size - int(symbol.numel())

    def demand(self, value: Any, equality: bool) -> None:
        """value = 0 or value >= 0."""
        self.constraints.append(value)
        self.equality += [equality] * value.numel()

    def bounds(self) -> dict[str, Any]:
        """Bounds as CasADi's solvers take them."""
        return {
            "lbx": np.concatenate(self.lower),
            "ubx": np.concatenate(self.upper),
            "lbg": np.zeros(len(self.equality)),
            "ubg": np.where(self.equality, 0.0, np.inf),
        }


class CasadiPeer:
    """One of CasADi's solvers on the problem; keeps its own guess and multipliers from step to step."""

    def __init__(self, problem: Problem, solver: str, states: tuple[str, ...], jit: bool) -> None:
        import casadi as ca

        n, q, r, q_end = problem.horizon, *problem.weights()
        nx, nu, discs = len(q), len(r), problem.discs(np.zeros(1)).shape[1] // 3
        self.nx, self.nu = nx, nu
        step, room = _step(problem, nx, nu), _room(nx, discs)
        free, (lower, upper) = np.full(nx, np.inf), problem.state_bounds(states)
        z, zz = problem.settings["penalty_l1"], problem.settings["penalty_l2"]
        start, x_ref = ca.MX.sym("start", nx), ca.MX.sym("x_ref", nx, n + 1)
        places = ca.MX.sym("places", 3 * discs, n + 1)
        xs = [ca.MX.sym(f"x{k}", nx) for k in range(n + 1)]
        programme, cost = _Programme(), ca.MX(0)
        self.at_x, self.at_u = [], []
        for k, x in enumerate(xs):
            self.at_x.append(programme.add(x, lower if k else -free, upper if k else free))
            e = x - x_ref[:, k]
            cost += 0.5 * ca.dot(ca.DM(q if k < n else q_end) * e, e)
            if k < n:
                u = ca.MX.sym(f"u{k}", nu)
                self.at_u.append(programme.add(u, problem.settings["input_lower"], problem.settings["input_upper"]))
                cost += 0.5 * ca.dot(ca.DM(r) * u, u)
                programme.demand(xs[k + 1] - step(x, u), True)
            if k == 0:
                programme.demand(x - start, True)
            else:
                s = ca.MX.sym(f"s{k}", discs)
                programme.add(s, np.zeros(discs), np.full(discs, np.inf))
                cost += z * ca.sum1(s) + 0.5 * zz * ca.dot(s, s)
                programme.demand(room(x, places[:, k]) + s, False)
        shape = [nx] * (n + 1), [nu] + [nu + discs] * (n - 1) + [discs], [nx] + [discs] * n
        program = {
            "x": ca.vertcat(*programme.variables),
            "p": ca.vertcat(start, ca.vec(x_ref), ca.vec(places)),
            "f": cost,
            "g": ca.vertcat(*programme.constraints),
        }
        self.solver = ca.nlpsol("peer", solver, program, _options(solver, jit, n, shape, programme.equality))
        self.bounds = programme.bounds()
        self.multipliers: dict[str, Any] = {}
        self.values: Array = np.zeros(programme.size)
        self.cost = 0.0

    def guess(self, start: Array) -> None:
        """The cold start's guess: the start state at every stage, no input, no multipliers."""
        self.values[:] = 0.0
        for at in self.at_x:
            self.values[at : at + self.nx] = start
        self.multipliers = {}

    def solve(self, p: Array) -> bool:
        """Solves from the present guess; p as parameters() gives it; returns whether it converged."""
        out: Any = self.solver(**{"x0": self.values, "p": p, **self.bounds, **self.multipliers})
        self.values = np.array(out["x"]).ravel()
        self.multipliers = {"lam_x0": out["lam_x"], "lam_g0": out["lam_g"]}
        self.cost = float(out["f"])
        return bool(self.solver.stats()["success"])

    @staticmethod
    def parameters(x: Array, x_ref: Array, places: Array) -> Array:
        """State (nx,), references (N+1, nx) and discs (N+1, ...) in one vector."""
        return np.concatenate([x, x_ref.ravel(), places.ravel()])

    @property
    def u0(self) -> Array:
        """First input (nu,)."""
        return self.values[self.at_u[0] : self.at_u[0] + self.nu]

    def shift(self) -> None:
        """Moves states and inputs one stage towards the present."""
        old = self.values.copy()
        for at, width in ((self.at_x, self.nx), (self.at_u, self.nu)):
            for k in range(len(at) - 1):
                self.values[at[k] : at[k] + width] = old[at[k + 1] : at[k + 1] + width]
