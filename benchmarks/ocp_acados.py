"""acados as a peer, where its Python template is importable: SQP_RTI in the closed loop, SQP from a cold start.

`acados` keeps every stage in the QP; `acados:N` condenses to N stages. Code is generated and compiled into a temporary
folder.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from ocp_base import Problem
from ocp_peers import Horizon, Peer, timed

from giljabi.types import Array, BadInputError


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Compilers and code generators write to standard output: it becomes standard error's log file."""
    sys.stdout.flush()
    kept = os.dup(1)
    with tempfile.TemporaryFile() as log:
        os.dup2(log.fileno(), 1)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                yield
        finally:
            sys.stdout.flush()
            os.dup2(kept, 1)
            os.close(kept)


def _cost(cost: Any, problem: Problem) -> None:
    """Weighted squares, as acados names them."""
    q, r, q_end = problem.weights
    nx, nu = len(q), len(r)
    cost.cost_type = cost.cost_type_0 = cost.cost_type_e = "LINEAR_LS"
    cost.W = cost.W_0 = np.diag(np.r_[q, r])
    cost.W_e = np.diag(q_end)
    cost.Vx = cost.Vx_0 = np.vstack([np.eye(nx), np.zeros((nu, nx))])
    cost.Vu = cost.Vu_0 = np.vstack([np.zeros((nx, nu)), np.eye(nu)])
    cost.Vx_e, cost.yref_e = np.eye(nx), np.zeros(nx)
    cost.yref = cost.yref_0 = np.zeros(nx + nu)


class AcadosPeer(Peer):
    """acados on a problem."""

    method = "one QP a step"

    def __init__(self, problem: Problem, name: str, linear: bool) -> None:
        _, _, stages = name.partition(":")
        if stages and not (stages.isdigit() and 1 <= int(stages) <= problem.horizon):
            raise BadInputError(f"--peers {name}: a number of stages from 1 to {problem.horizon} is expected after ':'")
        self.problem = problem
        self.linear = linear
        lower, upper = problem.state_bounds(problem.dt * np.arange(1, 3))
        self.bounded = np.flatnonzero(np.isfinite(lower[0]) | np.isfinite(upper[0]))
        self.folder = tempfile.mkdtemp(prefix="giljabi_acados_")
        atexit.register(shutil.rmtree, self.folder, ignore_errors=True)
        self.fast = self._make("SQP_RTI", int(stages) if stages else None)
        self.full = None if linear else self._make("SQP", None)
        self.cold_offered = not linear
        self.solver = self.fast

    def _make(self, kind: str, condensed: int | None) -> Any:
        import casadi as ca
        from acados_template import AcadosModel, AcadosOcp, AcadosOcpSolver

        problem = self.problem
        nx, nu, np_ = len(problem.weights[0]), len(problem.weights[1]), problem.parameters(np.zeros(1)).shape[1]
        ocp, model = AcadosOcp(), AcadosModel()
        model.name = f"{problem.name}_{kind}"
        model.x, model.u, model.p = ca.SX.sym("x", nx), ca.SX.sym("u", nu), ca.SX.sym("p", np_)
        model.f_expl_expr = problem.dynamics(model.x, model.u, model.p)
        ocp.model = model
        ocp.code_gen_options.code_export_directory = str(Path(self.folder) / kind)
        ocp.code_gen_options.ext_fun_compile_flags = "-O3 -march=native -ffast-math"
        _cost(ocp.cost, problem)
        self._limits(ocp, model)
        options = ocp.solver_options
        if np_:
            ocp.parameter_values = problem.parameters(np.zeros(1))[0]
        options.N_horizon, options.tf = problem.horizon, problem.horizon * problem.dt
        options.cost_scaling = np.ones(problem.horizon + 1)
        options.integrator_type, options.sim_method_num_stages, options.sim_method_num_steps = "ERK", 4, 1
        options.hessian_approx, options.qp_solver = "GAUSS_NEWTON", "PARTIAL_CONDENSING_HPIPM"
        options.hpipm_mode, options.qp_solver_iter_max, options.print_level = "SPEED", 100, 0
        if condensed is not None:
            options.qp_solver_cond_N = condensed
        options.nlp_solver_type = kind
        if kind == "SQP_RTI":
            options.qp_tol, options.qp_solver_warm_start = 1e-6, 1
            options.nlp_solver_warm_start_first_qp = True
        else:
            options.nlp_solver_max_iter, options.tol, options.qp_tol = 300, 1e-6, 1e-8
            options.globalization = "MERIT_BACKTRACKING"
        with _quiet():
            return AcadosOcpSolver(ocp, json_file=f"{kind}.json", verbose=False)

    def _limits(self, ocp: Any, model: Any) -> None:
        problem, limits, cost = self.problem, ocp.constraints, ocp.cost
        nu = len(problem.weights[1])
        limits.x0 = problem.start
        limits.lbu, limits.ubu, limits.idxbu = np.full(nu, -1e3), np.full(nu, 1e3), np.arange(nu)
        n = len(self.bounded)
        if n:
            limits.lbx, limits.ubx, limits.idxbx = np.full(n, -1e3), np.full(n, 1e3), self.bounded
            limits.lbx_e, limits.ubx_e, limits.idxbx_e = limits.lbx, limits.ubx, self.bounded
        if problem.soft_count:
            n = problem.soft_count
            model.con_h_expr = model.con_h_expr_e = problem.soft(model.x, model.p)
            limits.lh, limits.uh, limits.lh_e, limits.uh_e = (
                np.zeros(n),
                np.full(n, 1e10),
                np.zeros(n),
                np.full(n, 1e10),
            )
            limits.idxsh = limits.idxsh_e = np.arange(n)
            z, zz = np.full(n, problem.settings["penalty_l1"]), np.full(n, problem.settings["penalty_l2"])
            cost.zl = cost.zu = cost.zl_e = cost.zu_e = z
            cost.Zl = cost.Zu = cost.Zl_e = cost.Zu_e = zz
        if problem.hard_count:
            n = problem.hard_count
            model.con_h_expr = model.con_h_expr_0 = problem.hard(model.u, model.p)
            limits.lh, limits.uh, limits.lh_0, limits.uh_0 = (
                np.zeros(n),
                np.full(n, 1e10),
                np.zeros(n),
                np.full(n, 1e10),
            )

    def guess(self, x: Array, u: Array) -> None:
        """Also forgets the multipliers."""
        self.start = x, u

    def _begin(self, solver: Any) -> None:
        self.solver = solver
        solver.reset()
        x, u = self.start
        for k in range(self.problem.horizon + 1):
            solver.set(k, "x", x)
        for k in range(self.problem.horizon):
            solver.set(k, "u", u)

    def _set(self, now: Horizon) -> None:
        solver, n = self.solver, self.problem.horizon
        for k in range(n):
            solver.cost_set(k, "yref", np.r_[now.x_ref[k], now.u_ref[k]])
        solver.cost_set(n, "yref", now.x_ref[n])
        if now.parameters.shape[1]:
            for k in range(n + 1):
                solver.set(k, "p", now.parameters[k])
        for k in range(n):
            solver.constraints_set(k, "lbu", now.u_lower[k])
            solver.constraints_set(k, "ubu", now.u_upper[k])
        for k in range(1, n + 1):
            if len(self.bounded):
                solver.constraints_set(k, "lbx", now.x_lower[k][self.bounded])
                solver.constraints_set(k, "ubx", now.x_upper[k][self.bounded])

    def _measure(self, x: Array) -> None:
        self.solver.set(0, "lbx", x)
        self.solver.set(0, "ubx", x)

    def solve_cold(self, now: Horizon) -> tuple[float, bool]:
        """Full SQP with a merit function."""
        assert self.full is not None
        self._begin(self.full)
        self._set(now)
        self._measure(now.x)
        with _quiet():
            spent, status = timed(self.full.solve)
        self.cost = float(self.full.get_cost())
        return spent, status == 0

    def warm(self, now: Horizon, iterations: int) -> None:
        """The same real-time iterations as ours."""
        self._begin(self.fast)
        for _ in range(iterations):
            self.solve(now)

    def solve(self, now: Horizon) -> tuple[float, bool]:
        """Preparation and feedback; in linear problems the QP alone."""
        solver = self.solver
        self._set(now)
        solver.options_set("rti_phase", 1)
        prepare, _ = timed(solver.solve)
        if self.linear:
            prepare = max(prepare - float(solver.get_stats("time_lin")), 0.0)
        self._measure(now.x)
        solver.options_set("rti_phase", 2)
        self.feedback, status = timed(solver.solve)
        return prepare + self.feedback, status == 0

    @property
    def u0(self) -> Array:
        """First input (nu,)."""
        return np.asarray(self.solver.get(0, "u"))

    def shift(self) -> None:
        """The last stage is repeated."""
        nx, nu = len(self.problem.weights[0]), len(self.problem.weights[1])
        x, u = self.solver.get_flat("x"), self.solver.get_flat("u")
        self.solver.set_flat("x", np.r_[x[nx:], x[-nx:]])
        self.solver.set_flat("u", np.r_[u[nu:], u[-nu:]])
