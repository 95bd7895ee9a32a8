"""Real-time optimal control: multiple shooting, Gauss-Newton, one QP per tick or a full solve.

The mathematics and an example are in docs/solver.md. Stages are k = 0 .. N (N = horizon); states have nx, inputs nu,
per-stage parameters np and soft constraints nh components, named in `Ocp.names`.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
import numpy.typing as npt

from giljabi import solver_variant
from giljabi._core import solver as _solver
from giljabi.python_model import PythonModel
from giljabi.types import Array, BadInputError

_BOUNDS = ("state_lower", "state_upper", "input_lower", "input_upper")
_WEIGHTS = ("state_weights", "terminal_weights", "input_weights", "penalty_l1", "penalty_l2")
_VARIANT = solver_variant.load()


def models() -> list[str]:
    """Names of the built-in models, and of those that were imported."""
    return _solver.models()


def add_models(models: object) -> None:
    """Takes in the models of a module made by `giljabi build-model`, which calls this when it is imported."""
    try:
        _solver.add(models)
    except ValueError as e:
        raise BadInputError(f"{e}; build it again: giljabi build-model FILE.hpp --name NAME") from None


def variant() -> str:
    """Instruction set that solves run with: "baseline", "avx2" or "avx512"; GILJABI_SIMD=... forces one."""
    return _VARIANT


class Status(str, Enum):
    """What a solve reached; the value is the plain word."""

    CONVERGED = "converged"  # first-order conditions (feedback: the step) below tolerance
    FEASIBLE = "feasible"  # hard constraints hold, the optimum is not reached yet
    INFEASIBLE = "infeasible"  # a hard constraint or `soft_limit` is violated: fall back
    BAD_INPUT = "bad_input"  # a number that came in was not finite; the trajectory was left as it was

    def __str__(self) -> str:
        return self.value

    @property
    def usable(self) -> bool:
        """Whether u0 and the trajectory may be used."""
        return self in (Status.CONVERGED, Status.FEASIBLE)


_STATUSES = {status.value: status for status in Status}


@dataclass(frozen=True, slots=True)
class Residuals:
    """First-order residuals, infinity norms in the problem's own units; zeros after feedback()."""

    stationarity: float
    dynamics: float
    inequality: float
    complementarity: float


class Result:
    """What a solve reports; the trajectory itself is in `Ocp.x` and `Ocp.u`.

    u0: (nu,) input of stage 0, always finite and inside its bounds. The rest is put into words when it is asked for: a
    real-time loop waits for none of it.
    """

    __slots__ = ("_core", "_report", "u0")

    def __init__(self, core: _solver.Solver, report: _solver.Report, u0: Array) -> None:
        self._core = core
        self._report = report
        self.u0 = u0

    @property
    def status(self) -> Status:
        """What was reached."""
        return _STATUSES[self._report.status]

    @property
    def iterations(self) -> int:
        """Linearizations."""
        return self._report.iterations

    @property
    def qp_iterations(self) -> int:
        """Factorizations."""
        return self._report.qp_iterations

    @property
    def limit(self) -> str:
        """What ended the work early: "time" or "iterations"; else empty."""
        return self._report.limit

    @property
    def cost(self) -> float:
        """Cost of the trajectory with penalties."""
        return self._report.cost

    @property
    def violation(self) -> float:
        """Largest violation, in the constraint's own unit."""
        return self._report.violation

    @property
    def worst(self) -> str:
        """Constraint and stage of the largest violation ("disc_1@stage 7"); empty when nothing is violated."""
        return self._core.worst(self._report)

    @property
    def residuals(self) -> Residuals:
        """First-order residuals."""
        return Residuals(*self._report.residuals)

    def __repr__(self) -> str:
        shown = ("u0", "status", "iterations", "qp_iterations", "limit", "cost", "violation", "worst", "residuals")
        return f"Result({', '.join(f'{name}={getattr(self, name)!r}' for name in shown)})"


@dataclass(frozen=True, slots=True)
class Names:
    """What can be named in a problem, in the order of the arrays."""

    states: tuple[str, ...]
    inputs: tuple[str, ...]
    parameters: tuple[str, ...]  # per stage
    constraints: tuple[str, ...]  # h >= 0; those on inputs first, which are hard at first
    constants: tuple[str, ...]  # of the model, one value each
    settings: tuple[str, ...]  # weights, bounds, penalties, tolerances


class Ocp:
    """An optimal-control problem of a built-in model and its solver.

    Not for use by two threads at once. After construction solves allocate no memory in C++ and never raise for
    numerical reasons: the result has a status.
    """

    def __init__(self, model: str | PythonModel, horizon: int, dt: float) -> None:
        """model: one of models(), or one's own; horizon: number of stages N (1 .. 10000); dt: stage length [s]."""
        known = models()
        if isinstance(model, str) and model not in known:
            raise BadInputError(f"no model '{model}'; known models are {', '.join(known)}{_near(str(model), known)}")
        try:
            self._core = _solver.Solver(model if isinstance(model, str) else model.core, horizon, dt)
        except (TypeError, ValueError, OverflowError) as e:
            reason = str(e).splitlines()[0]
            raise BadInputError(
                f"Ocp({model!r}, {horizon!r}, {dt!r}): {reason}; horizon is 1 to 10000 stages, dt a time in s above 0"
            ) from None
        self.model = model if isinstance(model, str) else model.name
        self.horizon = horizon
        self.dt = dt
        core = self._core
        if not isinstance(model, str):
            model.attach(core)
        numbers = tuple(n for n in core.settings if n not in core.constants)
        self.names = Names(
            states=tuple(core.states),
            inputs=tuple(core.inputs),
            parameters=tuple(core.parameters),
            constraints=tuple(core.constraints),
            constants=tuple(core.constants),
            settings=(*_WEIGHTS, *_BOUNDS, *numbers),
        )
        self._tables: dict[str, Array] = {name: core.table(name) for name in core.tables}
        self._components: dict[str, tuple[str, ...]] = {
            name: self.names.inputs
            if name.startswith("input")
            else self.names.constraints
            if name.startswith("penalty")
            else self.names.states
            for name in (*_WEIGHTS, *_BOUNDS)
        }
        self._bounds_checked = True
        self._guessed = True  # nothing was solved since the guess
        self._x: Array = self._tables["x"][:]
        self._u: Array = self._tables["u"][:]
        self._x.flags.writeable = False
        self._u.flags.writeable = False
        self._u0: Array = self._u[0]

    @property
    def x(self) -> Array:
        """States (N+1, nx) of the trajectory: a read-only view of the solver's memory, changed by every solve."""
        return self._x

    @property
    def u(self) -> Array:
        """Inputs (N, nu) of the trajectory: a read-only view of the solver's memory, changed by every solve."""
        return self._u

    # --- what the problem is --------------------------------------------------------------------

    def set(self, name: str, value: npt.ArrayLike) -> None:
        """Sets a number or an array by name; raises BadInputError with the expected shape.

        name: a constant or setting of `names`, a per-stage parameter (scalar or (N+1,)), or `<setting>.<component>`
        such as "state_upper.v". Weights are (nx,) or (nu,), penalties (nh,), bounds (nx,) or (nu,) for all stages or
        (N+1, nx) or (N, nu); bounds may be infinite.
        """
        core = self._core
        group, _, component = name.partition(".")
        if group in self._components:
            table = self._tables[group]
            if component:
                table = self._column(name, table, self._components[group], component)
            self._assign(name, table, value, infinite=group in _BOUNDS, non_negative=group in _WEIGHTS)
            self._bounds_checked = self._bounds_checked and group not in _BOUNDS
        elif name in self.names.parameters:
            column = self._tables["parameters"][:, self.names.parameters.index(name)]
            self._assign(name, column, value, non_negative=name in core.non_negative)
        elif name in core.settings:
            number = _array(name, value, ((),)) if name == "time_budget" else _finite(name, value, ((),))
            positive = name in core.positive or name not in self.names.constants
            if positive and not number > 0.0:
                raise BadInputError(f"{name} is {float(number)}; a number above 0 is expected")
            if name in ("qp_iterations", "line_search_steps") and not (number == np.floor(number) and number <= 10000):
                raise BadInputError(f"{name} is {float(number)}; a whole number from 1 to 10000 is expected")
            core.set(name, float(number))
        else:
            known = [*self.names.settings, *self.names.constants, *self.names.parameters]
            raise BadInputError(
                f"{self.model} has nothing named '{name}'{_near(name, known)}; known names are {', '.join(known)}"
            )
        core.changed()

    def get(self, name: str) -> Array | float:
        """Value of anything that set() takes: a float, or a copy of the array."""
        group, _, component = name.partition(".")
        if group in self._components:
            table = self._tables[group]
            out = self._column(name, table, self._components[group], component) if component else table
            return np.array(out[0] if group in _WEIGHTS else out)
        if name in self.names.parameters:
            return np.array(self._tables["parameters"][:, self.names.parameters.index(name)])
        if name in self._core.settings:
            return self._core.get(name)
        known = [*self.names.settings, *self.names.constants, *self.names.parameters]
        raise BadInputError(f"{self.model} has nothing named '{name}'{_near(name, known)}")

    def set_reference(self, x_ref: npt.ArrayLike, u_ref: npt.ArrayLike | None = None) -> None:
        """Reference states (N+1, nx) or (nx,), and inputs (N, nu) or (nu,), zero when not given.

        Angles are plain numbers: unwrap the reference so that it stays within pi of the state.
        """
        self._assign("x_ref", self._tables["x_ref"], x_ref)
        self._assign("u_ref", self._tables["u_ref"], np.zeros(len(self.names.inputs)) if u_ref is None else u_ref)
        self._core.changed()

    def set_parameters(self, p: npt.ArrayLike) -> None:
        """All per-stage parameters (N+1, np) or (np,), columns as in `names.parameters`."""
        table = self._tables["parameters"]
        values = _finite("parameters", p, (table.shape, table.shape[1:]))
        for name in self._core.non_negative:
            i = self.names.parameters.index(name)
            if np.any(values[..., i] < 0.0):
                raise BadInputError(f"parameter {name} is {float(values[..., i].min())}; 0 or more is expected")
        table[:] = values
        self._core.changed()

    def set_guess(self, x: npt.ArrayLike, u: npt.ArrayLike | None = None) -> None:
        """First guess of states (N+1, nx) or (nx,) and inputs (N, nu) or (nu,); forgets the multipliers."""
        self._assign("x guess", self._tables["x"], x)
        self._assign("u guess", self._tables["u"], np.zeros(len(self.names.inputs)) if u is None else u)
        self._core.forget()
        self._guessed = True

    # --- solving --------------------------------------------------------------------------------

    def shift(self) -> None:
        """Moves the trajectory one stage (dt) towards the present; the last stage is repeated."""
        self._core.shift()

    def prepare(self) -> None:
        """First phase of a real-time iteration, before the state is known: linearizes and factorizes."""
        if not self._bounds_checked:
            self._check_bounds()
        self._core.prepare()

    def feedback(self, x: npt.ArrayLike) -> Result:
        """Second phase: one QP for the measured state (nx,); prepares first when that was not done."""
        if not self._bounds_checked:
            self._check_bounds()
        self._guessed = False
        report = self._core.feedback(x)
        if report is None:  # not a plain array: converted, or refused
            report = self._core.feedback(self._state(x))
            assert report is not None
        return self._result(report)

    def solve(self, x: npt.ArrayLike, max_iterations: int = 500, starts: int | None = None) -> Result:
        """Full SQP for the state (nx,), until the residuals are below `tolerance`.

        starts: 1 is from the present trajectory alone, and stays on its side of what is in the way; 2 also from the
        reference, 3 also with soft constraints faded in, 4 also from a shaken reference; the cheapest result is kept.
        Not given: 4 where the model has constraints on states and is not linear (which leaves one minimum), nothing
        was solved since set_guess() and `time_budget` is infinite, else 1. max_iterations and time_budget are those of
        each start.
        """
        self._check_bounds()
        state, most = self._state(x), _count("max_iterations", max_iterations)
        if starts is None:
            several = self._guessed and self._core.several_minima and self._core.get("time_budget") == np.inf
            starts = 4 if several else 1
        elif _count("starts", starts) > 4:
            raise BadInputError(f"starts is {starts}; 1 to 4 is expected")
        self._guessed = False
        report = self._core.solve(state, most)
        if starts > 1 and report.status != Status.BAD_INPUT:
            report = self._solve_again(state, most, starts, report)
        return self._result(report)

    def simulate(self, x: npt.ArrayLike, u: npt.ArrayLike, duration: float, substeps: int = 10) -> Array:
        """State (nx,) after `duration` [s] under the model with constant input (nu,) and stage 0's parameters."""
        nx, nu = len(self.names.states), len(self.names.inputs)
        p = self._tables["parameters"][0]
        return self._core.simulate(
            _finite("x", x, ((nx,),)), _finite("u", u, ((nu,),)), p, float(duration), int(substeps)
        )

    def constraint_values(self, x: npt.ArrayLike, stage: int = 0, u: npt.ArrayLike | None = None) -> Array:
        """Constraints h (nh,) in a state (nx,) with a stage's parameters; negative is violated.

        u: (nu,) input, for models with constraints on inputs; zero when not given.
        """
        nx, nu = len(self.names.states), len(self.names.inputs)
        inputs = _finite("u", np.zeros(nu) if u is None else u, ((nu,),))
        return self._core.constraint_values(_finite("x", x, ((nx,),)), inputs, self._tables["parameters"][stage])

    # --- inside ---------------------------------------------------------------------------------

    def _solve_again(self, x: Array, most: int, starts: int, report: _solver.Report) -> _solver.Report:
        """Report of the best of a first solve and of `starts` - 1 further ones, whose trajectory is then in place."""
        core, tables = self._core, self._tables
        reference = tables["x_ref"]
        i = np.arange(1, reference.size + 1).reshape(reference.shape)
        shake = np.ptp(reference, axis=0) * (0.4 * (i * 0.6180339887498949 % 1.0) - 0.2)  # the same numbers every time
        best, kept = report, (self._x.copy(), self._u.copy())
        for start in range(1, starts):
            tables["x"][:] = reference + shake if start == 3 else reference
            tables["u"][:] = tables["u_ref"]
            core.forget()
            report = self._fade_in(x, most) if start == 2 else core.solve(x, most)
            if (not Status(report.status).usable, report.cost) < (not Status(best.status).usable, best.cost):
                best, kept = report, (self._x.copy(), self._u.copy())
        if best is report:
            return best
        tables["x"][:], tables["u"][:] = kept
        core.forget()
        again = core.solve(x, most)  # its multipliers, for what follows
        return best if again.status == best.status else again

    def _fade_in(self, x: Array, most: int) -> _solver.Report:
        """Report of a solve that meets soft constraints little by little."""
        penalties = [self._tables[name] for name in ("penalty_l1", "penalty_l2")]
        full = [table.copy() for table in penalties]
        for share in (1e-3, 3e-2, 1.0):
            for table, value in zip(penalties, full, strict=True):
                table[:] = share * value
            report = self._core.solve(x, most)
        return report

    def _state(self, x: npt.ArrayLike) -> Array:
        shape = (len(self.names.states),)
        a = _array("x", x, (shape,))
        return np.ascontiguousarray(a)  # not finite: the status says bad_input

    def _result(self, report: _solver.Report) -> Result:
        return Result(self._core, report, self._u0.copy())

    def _check_bounds(self) -> None:
        if self._bounds_checked:
            return
        crossed = self._core.crossed()
        if crossed is not None:
            kind, k, i = crossed
            name = (self.names.states if kind == "state" else self.names.inputs)[i]
            lower, upper = self._tables[f"{kind}_lower"][k, i], self._tables[f"{kind}_upper"][k, i]
            raise BadInputError(
                f"{kind}_lower.{name} is {lower} and {kind}_upper.{name} is {upper} at stage {k}; a lower bound below "
                "the upper bound is expected"
            )
        self._bounds_checked = True

    def _column(self, name: str, table: Array, components: Sequence[str], component: str) -> Array:
        if component not in components:
            raise BadInputError(
                f"'{name}' names no component{_near(component, components)}; known are {', '.join(components)}"
            )
        return table[:, components.index(component)]

    @staticmethod
    def _assign(
        name: str, into: Array, value: npt.ArrayLike, infinite: bool = False, non_negative: bool = False
    ) -> None:
        shapes: tuple[tuple[int, ...], ...] = (into.shape[1:],) if into.shape[0] == 1 else (into.shape[1:], into.shape)
        values = _array(name, value, shapes) if infinite else _finite(name, value, shapes)
        if np.any(np.isnan(values)):
            raise BadInputError(f"{name} holds a NaN; numbers are expected")
        if non_negative and np.any(values < 0.0):
            raise BadInputError(f"{name} holds {float(values.min())}; 0 or more is expected")
        into[...] = values


def solve_batch(
    problems: Sequence[Ocp], states: Sequence[npt.ArrayLike], max_iterations: int = 500, threads: int | None = None
) -> list[Result]:
    """Ocp.solve of every problem, each for its own state (nx,), on all cores; other Python threads run meanwhile.

    threads: how many; all cores that this process may use when not given. Results do not depend on it. Problems may
    differ in everything but must be different objects. Raises BadInputError.
    """
    if len(states) != len(problems):
        raise BadInputError(f"{len(states)} states for {len(problems)} problems; one state a problem is expected")
    if len({id(ocp) for ocp in problems}) != len(problems):
        raise BadInputError("a problem is in the batch twice; different Ocp objects are expected")
    if threads is None:
        threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = _count("threads", threads)
    for ocp in problems:
        ocp._check_bounds()
        ocp._guessed = False
    reports = _solver.solve_all(
        [ocp._core for ocp in problems],
        [ocp._state(x) for ocp, x in zip(problems, states, strict=True)],
        _count("max_iterations", max_iterations),
        count,
    )
    return [ocp._result(report) for ocp, report in zip(problems, reports, strict=True)]


def _count(name: str, value: int) -> int:
    if not isinstance(value, (int, np.integer)) or not 1 <= value <= 100000:
        raise BadInputError(f"{name} is {value!r}; a whole number from 1 to 100000 is expected")
    return int(value)


def _array(name: str, value: npt.ArrayLike, shapes: tuple[tuple[int, ...], ...]) -> Array:
    try:
        a = np.asarray(value)
        if a.dtype.kind not in "fiub":
            raise ValueError
        a = a.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        raise BadInputError(f"{name} is not an array of real numbers; shape {_shapes(shapes)} is expected") from None
    if a.shape not in shapes:
        raise BadInputError(f"{name} has shape {a.shape}; {_shapes(shapes)} is expected")
    return a


def _finite(name: str, value: npt.ArrayLike, shapes: tuple[tuple[int, ...], ...]) -> Array:
    a = _array(name, value, shapes)
    if not np.all(np.isfinite(a)):
        raise BadInputError(f"{name} holds a number that is not finite; finite numbers are expected")
    return a


def _shapes(shapes: tuple[tuple[int, ...], ...]) -> str:
    return " or ".join("a single number" if s == () else str(s) for s in shapes)


def _near(name: str, known: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1)
    return f" (did you mean '{near[0]}'?)" if near else ""
