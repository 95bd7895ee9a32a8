"""A benchmark problem as one sparse programme in CasADi, stage by stage in the order that structured solvers want."""

from __future__ import annotations

from typing import Any

import numpy as np
from ocp_base import Problem

from giljabi.types import Array


def runge_kutta(problem: Problem, np_: int) -> Any:
    """CasADi function (x, u, p) of one classical Runge-Kutta step of length dt."""
    import casadi as ca

    nx, nu = len(problem.weights[0]), len(problem.weights[1])
    x, u, p = ca.SX.sym("x", nx), ca.SX.sym("u", nu), ca.SX.sym("p", np_)
    f = ca.Function("f", [x, u, p], [problem.dynamics(x, u, p)])
    h, k1 = problem.dt, f(x, u, p)
    k2 = f(x + h / 2 * k1, u, p)
    k3 = f(x + h / 2 * k2, u, p)
    k4 = f(x + h * k3, u, p)
    return ca.Function("step", [x, u, p], [x + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)])


class Programme:
    """Variables x_0, u_0, [s_k, x_k, u_k] ...; constraints: dynamics of the stage, then its others.

    bound_start: x_0 is given by bounds, else by a constraint.
    """

    def __init__(self, problem: Problem, bound_start: bool) -> None:
        import casadi as ca

        n, (q, r, q_end) = problem.horizon, problem.weights
        soft, hard = problem.soft_count, problem.hard_count
        np_ = problem.parameters(np.zeros(1)).shape[1]
        self.problem, self.horizon, self.nx, self.nu = problem, n, len(q), len(r)
        self.bound_start = bound_start
        step = runge_kutta(problem, np_)
        z, zz = problem.settings["penalty_l1"], problem.settings["penalty_l2"]
        start, x_ref = ca.MX.sym("start", self.nx), ca.MX.sym("x_ref", self.nx, n + 1)
        u_ref, parameters = ca.MX.sym("u_ref", self.nu, n), ca.MX.sym("parameters", np_, n + 1)
        xs = [ca.MX.sym(f"x{k}", self.nx) for k in range(n + 1)]
        us = [ca.MX.sym(f"u{k}", self.nu) for k in range(n)]
        self.at_x: list[int] = []
        self.at_u: list[int] = []
        self.at_s: list[int] = []
        self.equality: list[bool] = []
        variables, constraints, cost = [], [], ca.MX(0)
        self.size = 0

        def add(symbol: Any, at: list[int]) -> None:
            at.append(self.size)
            variables.append(symbol)
            self.size += int(symbol.numel())

        def demand(value: Any, equal: bool) -> None:
            constraints.append(value)
            self.equality += [equal] * int(value.numel())

        for k, x in enumerate(xs):
            add(x, self.at_x)
            e = x - x_ref[:, k]
            cost += 0.5 * ca.dot(ca.DM(q if k < n else q_end) * e, e)
            if k < n:
                add(us[k], self.at_u)
                e = us[k] - u_ref[:, k]
                cost += 0.5 * ca.dot(ca.DM(r) * e, e)
                gap = step(x, us[k], parameters[:, k]) - xs[k + 1]
                demand(gap if bound_start else -gap, True)  # HPIPM wants -1 before the next state, fatrop 1
            if k == 0 and not bound_start:
                demand(x - start, True)
            if k < n and hard:
                demand(problem.hard(us[k], parameters[:, k]), False)
            if k > 0 and soft:
                s = ca.MX.sym(f"s{k}", soft)
                add(s, self.at_s)
                cost += z * ca.sum1(s) + 0.5 * zz * ca.dot(s, s)
                demand(problem.soft(x, parameters[:, k]) + s, False)
        first = hard if bound_start else self.nx + hard
        # states, controls with slacks, and constraints beside the dynamics at each stage
        self.shape = (
            [self.nx] * (n + 1),
            [self.nu] + [self.nu + soft] * (n - 1) + [soft],
            [first] + [hard + soft] * (n - 1) + [soft],
        )
        self.nonlinear = {
            "x": ca.vertcat(*variables),
            "p": ca.vertcat(start, ca.vec(x_ref), ca.vec(u_ref), ca.vec(parameters)),
            "f": cost,
            "g": ca.vertcat(*constraints),
        }
        self._lower = np.full(self.size, -np.inf)
        self._upper = np.full(self.size, np.inf)
        for at in self.at_s:
            self._lower[at : at + soft] = 0.0

    def numbers(self, now: Any) -> dict[str, Array]:
        """Bounds and parameters of a step, named as CasADi's solvers want them; now: a Horizon."""
        lower, upper = self._lower.copy(), self._upper.copy()
        for k, at in enumerate(self.at_x):
            if k > 0:
                lower[at : at + self.nx], upper[at : at + self.nx] = now.x_lower[k], now.x_upper[k]
            elif self.bound_start:
                lower[at : at + self.nx] = upper[at : at + self.nx] = now.x
        for k, at in enumerate(self.at_u):
            lower[at : at + self.nu], upper[at : at + self.nu] = now.u_lower[k], now.u_upper[k]
        return {
            "p": np.concatenate([now.x, now.x_ref.ravel(), now.u_ref.ravel(), now.parameters.ravel()]),
            "lbx": lower,
            "ubx": upper,
            "lbg": np.zeros(len(self.equality)),
            "ubg": np.where(self.equality, 0.0, np.inf),
        }
