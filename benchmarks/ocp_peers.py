"""Peers of the solver's benchmark, all of them optional: CasADi's solvers, PIQP and acados.

`converged` peers solve the nonlinear programme to 1e-6 at every step. `one QP` peers do what ours does: linearize at
the guess, solve one quadratic programme, step; it is the same sequence of problems, so their closed loop is ours too.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
from ocp_base import Problem
from ocp_programme import Programme
from ocp_qp import CasadiQp, Piqp

from giljabi.types import Array

CONVERGED = ("fatrop", "ipopt")
ONE_QP = ("hpipm", "qrqp", "osqp")  # of CasADi
LINEAR = ("D16", "D100", "SRBD10", "SRBD20")


@dataclass(frozen=True)
class Horizon:
    """What a step of the closed loop knows: state (nx,), and arrays over the stages k = 0 .. N."""

    x: Array
    x_ref: Array
    u_ref: Array  # (N, nu)
    parameters: Array
    x_lower: Array
    x_upper: Array
    u_lower: Array  # (N, nu)
    u_upper: Array


class Peer:
    """A solver with its own guess and multipliers from step to step."""

    method: str
    cold_offered = True
    cost = 0.0
    feedback: float | None = None  # s, of the last step, where the peer tells preparation and feedback apart

    def guess(self, x: Array, u: Array) -> None:
        """The cold start's guess: state (nx,) and input (nu,) at every stage, no multipliers."""
        raise NotImplementedError

    def solve_cold(self, now: Horizon) -> tuple[float, bool]:
        """Converges from the guess; time [s] and whether it did."""
        raise NotImplementedError

    def warm(self, now: Horizon, iterations: int) -> None:
        """What a closed loop begins with."""
        raise NotImplementedError

    def solve(self, now: Horizon) -> tuple[float, bool]:
        """One step; time [s] and success."""
        raise NotImplementedError

    @property
    def u0(self) -> Array:
        """First input (nu,)."""
        raise NotImplementedError

    def shift(self) -> None:
        """Moves the guess one stage towards the present."""
        raise NotImplementedError


def installed(problem: str) -> list[str]:
    """Peers that this machine has for a problem."""
    out = []
    if find_spec("casadi") is not None:
        import casadi

        # One quadratic programme is the whole of a linear problem: nothing is left to converge.
        out += [n for n in CONVERGED if problem not in LINEAR and casadi.has_nlpsol(n)]
        # CasADi's interface of HPIPM knows no controls at the last stage, so no slacks of soft constraints there.
        out += [n for n in ONE_QP if casadi.has_conic(n) and not (n == "hpipm" and problem in ("A", "B"))]
        out += ["piqp"] if find_spec("piqp") is not None else []
        out += ["acados"] if find_spec("acados_template") is not None else []
    return out


def build(name: str, problem: Problem, jit: bool) -> Peer:
    """The named peer on a problem."""
    if name.partition(":")[0] == "acados":
        from ocp_acados import AcadosPeer

        return AcadosPeer(problem, name, problem.name in LINEAR)
    return ConvergedPeer(problem, name, jit) if name in CONVERGED else QpPeer(problem, name, jit)


def timed(call: Any) -> tuple[float, Any]:
    """Thread CPU time of a call [s], and what it returned."""
    begin = time.thread_time_ns()
    out = call()
    return (time.thread_time_ns() - begin) * 1e-9, out


class _ProgrammePeer(Peer):
    """A peer that works on the vector of all variables."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self.values: Array = np.zeros(programme.size)

    def guess(self, x: Array, u: Array) -> None:
        """Also forgets the multipliers."""
        self.values[:] = 0.0
        for at in self.programme.at_x:
            self.values[at : at + len(x)] = x
        for at in self.programme.at_u:
            self.values[at : at + len(u)] = u

    @property
    def u0(self) -> Array:
        """First input (nu,)."""
        at = self.programme.at_u[0]
        return self.values[at : at + self.programme.nu]

    def shift(self) -> None:
        """Moves states and inputs, not slacks."""
        p, old = self.programme, self.values.copy()
        for at, width in ((p.at_x, p.nx), (p.at_u, p.nu)):
            for k in range(len(at) - 1):
                self.values[at[k] : at[k] + width] = old[at[k + 1] : at[k + 1] + width]


def _jit(options: dict[str, Any], jit: bool) -> dict[str, Any]:
    if not jit:
        return options
    return options | {"jit": True, "compiler": "shell", "jit_options": {"flags": ["-O3", "-march=native"]}}


class ConvergedPeer(_ProgrammePeer):
    """One of CasADi's nonlinear solvers, warm-started and converged at every step."""

    method = "converged at every step"

    def __init__(self, problem: Problem, solver: str, jit: bool) -> None:
        import casadi as ca

        programme = Programme(problem, bound_start=False)
        super().__init__(programme)
        options = _jit({"print_time": False, "error_on_fail": False, "expand": True}, jit)
        if solver == "ipopt":
            options["ipopt"] = {"print_level": 0, "sb": "yes", "tol": 1e-6, "max_iter": 500}
        else:
            nx, nu, ng = programme.shape
            options |= {"structure_detection": "manual", "N": programme.horizon, "nx": nx, "nu": nu, "ng": ng}
            options |= {"equality": programme.equality, "fatrop": {"print_level": 0, "tol": 1e-6, "max_iter": 500}}
        self.solver = ca.nlpsol("peer", solver, programme.nonlinear, options)
        self.multipliers: dict[str, Any] = {}

    def guess(self, x: Array, u: Array) -> None:
        """Also forgets the multipliers."""
        super().guess(x, u)
        self.multipliers = {}

    def solve_cold(self, now: Horizon) -> tuple[float, bool]:
        """As any other step."""
        return self.solve(now)

    def warm(self, now: Horizon, iterations: int) -> None:
        """Converged at t = 0."""
        self.solve(now)

    def solve(self, now: Horizon) -> tuple[float, bool]:
        """One call of the solver."""
        arguments = {"x0": self.values, **self.programme.numbers(now), **self.multipliers}
        spent, out = timed(lambda: self.solver(**arguments))
        self.values = np.array(out["x"]).ravel()
        self.multipliers = {"lam_x0": out["lam_x"], "lam_g0": out["lam_g"]}
        self.cost = float(out["f"])
        return spent, bool(self.solver.stats()["success"])


class QpPeer(_ProgrammePeer):
    """CasADi linearizes, a QP solver does one quadratic programme a step."""

    method = "one QP a step"
    cold_offered = False

    def __init__(self, problem: Problem, solver: str, jit: bool) -> None:
        import casadi as ca

        programme = Programme(problem, bound_start=True)
        super().__init__(programme)
        program = programme.nonlinear
        x, p, g, f = (program[key] for key in ("x", "p", "g", "f"))
        # The cost is quadratic and separable, so its Hessian is constant, diagonal, and that of Gauss and Newton.
        slope = ca.gradient(f, x)
        of = ca.Function("of", [x, p], [ca.jtimes(slope, x, ca.MX.ones(x.numel()))])
        hessian = ca.diag(of(np.zeros(x.numel()), np.zeros(p.numel())))
        jacobian = ca.jacobian(g, x)
        self.linearize = ca.Function("linearize", [x, p], [slope, g, jacobian])
        if jit:
            self.linearize = ca.Function("linearize", [x, p], self.linearize(x, p), _jit({}, jit))
        else:
            self.linearize = self.linearize.expand()
        self.free_matrices = problem.name in LINEAR
        self.qp: CasadiQp | Piqp
        if solver == "piqp":
            self.qp = Piqp(programme.equality, hessian, jacobian.sparsity())
        else:
            self.qp = CasadiQp(solver, programme.shape, hessian, jacobian.sparsity())

    def guess(self, x: Array, u: Array) -> None:
        """Also forgets the multipliers."""
        super().guess(x, u)
        self.qp.forget()

    def warm(self, now: Horizon, iterations: int) -> None:
        """The same real-time iterations as ours."""
        for _ in range(iterations):
            self.solve(now)

    def solve(self, now: Horizon) -> tuple[float, bool]:
        """Linearizes, solves, steps; in linear problems the matrices cost the peer nothing."""
        numbers = self.programme.numbers(now)
        spent, (gradient, value, slope) = timed(lambda: self.linearize(self.values, numbers["p"]))
        value = np.asarray(value).ravel()
        rows = numbers["lbg"] - value, numbers["ubg"] - value
        box = numbers["lbx"] - self.values, numbers["ubx"] - self.values
        out = self.qp(np.asarray(gradient).ravel(), slope, rows, box)
        if out.good:
            self.values = self.values + out.step
        return out.seconds + (0.0 if self.free_matrices else spent), out.good
