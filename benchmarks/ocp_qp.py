"""QP solvers of other projects behind one call: min 1/2 d'Hd + g'd, lower <= A d <= upper, low <= d <= high."""

from __future__ import annotations

import time
from typing import Any

import numpy as np

from giljabi.types import Array

Box = tuple[Array, Array]  # lower, upper


class Outcome:
    """What a QP solver returned: seconds it took, whether it converged, the step."""

    def __init__(self, seconds: float, good: bool, step: Array) -> None:
        self.seconds = seconds
        self.good = good and bool(np.all(np.isfinite(step)))
        self.step = step


class CasadiQp:
    """HPIPM, qrqp or OSQP through CasADi's interface, warm-started where they can be."""

    def __init__(self, solver: str, shape: tuple[list[int], ...], hessian: Any, pattern: Any) -> None:
        import casadi as ca

        options: dict[str, Any] = {"print_time": False, "error_on_fail": False}
        if solver == "hpipm":
            nx, nu, ng = shape
            options |= {"N": len(nx) - 1, "nx": nx, "nu": nu, "ng": ng, "hpipm": {"mode": "balance"}}
        elif solver == "qrqp":
            options |= {"print_iter": False, "print_header": False, "print_info": False}
        else:
            options["osqp"] = {"verbose": False, "eps_abs": 1e-6, "eps_rel": 1e-6, "max_iter": 20000}
        self.reach = 1e6 if solver == "hpipm" else np.inf  # with its own 1e8 for infinity HPIPM does not converge
        self.hessian = hessian
        self.solver = ca.conic("peer", solver, {"h": hessian.sparsity(), "a": pattern}, options)
        self.known: dict[str, Any] = {}

    def forget(self) -> None:
        """The next call starts cold."""
        self.known = {}

    def __call__(self, gradient: Array, slope: Any, rows: Box, box: Box) -> Outcome:
        low, high = np.maximum(box[0], -self.reach), np.minimum(box[1], self.reach)
        data = {"h": self.hessian, "g": gradient, "a": slope, "lbx": low, "ubx": high, **self.known}
        data |= {"lba": rows[0], "uba": np.minimum(rows[1], self.reach)}
        begin = time.thread_time_ns()
        try:
            out = self.solver(**data)
        except RuntimeError:  # bounds that left the solver's range, after earlier failures
            return Outcome(0.0, False, np.full(len(gradient), np.nan))
        seconds = (time.thread_time_ns() - begin) * 1e-9
        good = bool(self.solver.stats()["success"])
        if good:
            self.known = {"x0": out["x"], "lam_x0": out["lam_x"], "lam_a0": out["lam_a"]}
        return Outcome(seconds, good, np.array(out["x"]).ravel())


class Piqp:
    """PIQP with its sparse backend."""

    def __init__(self, equality: list[bool], hessian: Any, pattern: Any) -> None:
        import piqp
        import scipy.sparse as sp

        self.equal = np.array(equality)
        self.row, self.start = np.array(pattern.row()), np.array(pattern.colind())
        self.shape = pattern.shape
        self.reach = 1e6  # what is farther away is no bound
        self.hessian = sp.csc_matrix(np.diag(np.diag(np.array(hessian.full()))))
        self.solver = piqp.SparseSolver()
        self.solver.settings.eps_abs = self.solver.settings.eps_rel = 1e-6
        self.solved = piqp.PIQP_SOLVED
        self.fresh = True

    def forget(self) -> None:
        """PIQP always starts cold."""

    def __call__(self, gradient: Array, slope: Any, rows: Box, box: Box) -> Outcome:
        import scipy.sparse as sp

        matrix = sp.csc_matrix((np.array(slope.nonzeros()), self.row, self.start), shape=self.shape)
        a, g = sp.csc_matrix(matrix[self.equal]), sp.csc_matrix(matrix[~self.equal])
        lower, upper = rows
        box = (np.where(box[0] > -self.reach, box[0], -np.inf), np.where(box[1] < self.reach, box[1], np.inf))
        data = (self.hessian, gradient, a, lower[self.equal], g, lower[~self.equal], upper[~self.equal], *box)
        begin = time.thread_time_ns()
        if self.fresh:
            self.solver.setup(*data)
        else:
            self.solver.update(*data)
        status = self.solver.solve()
        seconds = (time.thread_time_ns() - begin) * 1e-9
        self.fresh = False
        return Outcome(seconds, status == self.solved, np.array(self.solver.result.x))
