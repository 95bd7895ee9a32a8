"""A model of one's own for the solver, written in Python. CasADi differentiates and evaluates it, without a compiler.

Larger or faster models are C++ structs: see `giljabi build-model` and docs/solver.md.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from giljabi.types import Array, BadInputError

if TYPE_CHECKING:
    from giljabi._core.solver import Solver

# What the solver was built for: name, most states, inputs, constraints.
_SIZES = (("_outside_small", 4, 2, 4), ("_outside_medium", 8, 4, 4), ("_outside_large", 16, 8, 8))
_MOST_PARAMETERS = 64
_STEP, _LINEARIZE, _CONSTRAINTS, _LINEARIZE_CONSTRAINTS = range(4)


class PythonModel:
    """Dynamics x' = f(x, u, p) and constraints h(x, p) >= 0 as Python functions or CasADi functions.

    A Python function gets x and u as tuples of scalars in the order of the names, and p as an object with the
    parameters as attributes; it returns a sequence, made with numpy's or CasADi's functions and without branches on
    values. A CasADi function takes (x, u, p) or (x, u), for constraints (x, p) or (x,), as vectors, and returns one.
    """

    def __init__(
        self,
        name: str,
        states: Sequence[str],
        inputs: Sequence[str],
        dynamics: Callable[..., Any],
        *,
        parameters: Mapping[str, float] | None = None,
        constraints: Callable[..., Any] | None = None,
        constraint_names: Sequence[str] = (),
        compiled: bool = False,
    ) -> None:
        """Traces the functions at once; `parameters` gives defaults; `compiled`: CasADi compiles them with cc."""
        self.name = name
        self.parameters = dict(parameters or {})
        self.names = (list(states), list(inputs), list(self.parameters), list(constraint_names))
        nx, nu, np_, nh = (len(n) for n in self.names)
        for kind, n in zip(("state", "input", "parameter", "constraint"), self.names, strict=True):
            if len(set(n)) < len(n) or not all(isinstance(w, str) and w for w in n):
                raise BadInputError(f"model {name}: {kind} names are {n}; different words are expected")
        if not np.all(np.isfinite(list(self.parameters.values()))):
            raise BadInputError(f"model {name}: a parameter's default is not finite; numbers are expected")
        fits = [s[0] for s in _SIZES if nx <= s[1] and nu <= s[2] and nh <= s[3]]
        if not fits or not nx or not nu or np_ > _MOST_PARAMETERS:
            raise BadInputError(
                f"model {name}: {nx} states, {nu} inputs, {nh} constraints, {np_} parameters; in Python 1 to "
                f"{_SIZES[-1][1]}, 1 to {_SIZES[-1][2]}, up to {_SIZES[-1][3]} and {_MOST_PARAMETERS} are possible; "
                f"write larger ones as a C++ struct (giljabi build-model)"
            )
        if (constraints is None) != (nh == 0):
            raise BadInputError(f"model {name}: `constraints` and `constraint_names` are expected together")
        self.core = fits[0]
        self._functions = self._trace(dynamics, constraints, compiled)

    def attach(self, core: Solver) -> None:
        """Lets a solver of `core` call this model; the parameters get their defaults."""
        nx, nu, np_, nh = (len(n) for n in self.names)
        x, u, p, dt, following, jacobian, h, h_jacobian = buffers = [
            np.zeros(n) for n in (nx, nu, np_, 1, nx, nx * (nu + nx), nh, nh * nx)
        ]
        arguments: dict[int, tuple[Array, ...]] = {_STEP: (x, u, p, dt), _LINEARIZE: (x, u, p, dt)}
        results: dict[int, tuple[Array, ...]] = {_STEP: (following,), _LINEARIZE: (following, jacobian)}
        if nh:
            arguments |= {_CONSTRAINTS: (x, p), _LINEARIZE_CONSTRAINTS: (x, p)}
            results |= {_CONSTRAINTS: (h,), _LINEARIZE_CONSTRAINTS: (h, h_jacobian)}
        calls: list[Callable[[], None]] = [lambda: None] * 4
        bound = []
        for i, function in self._functions.items():
            buffer, calls[i] = function.buffer()
            for k, a in enumerate(arguments[i]):
                if a.size:
                    buffer.set_arg(k, a.data)
            for k, a in enumerate(results[i]):
                buffer.set_res(k, a.data)
            bound.append(buffer)
        kept = (bound, self._functions)  # CasADi keeps neither

        def call(i: int, kept: object = kept) -> None:
            calls[i]()

        core.attach([list(n) for n in self.names], list(buffers), call)
        core.table("parameters")[:] = list(self.parameters.values())

    def _trace(
        self, dynamics: Callable[..., Any], constraints: Callable[..., Any] | None, compiled: bool
    ) -> dict[int, Any]:
        try:
            import casadi as ca
        except ImportError:
            raise BadInputError("models in Python need CasADi; pip install casadi") from None
        nx, nu, np_, nh = (len(n) for n in self.names)
        x, u, p, dt = ca.SX.sym("x", nx), ca.SX.sym("u", nu), ca.SX.sym("p", np_), ca.SX.sym("dt")
        k1 = self._apply("dynamics", dynamics, (x, u), p, nx)
        f = ca.Function("f", [x, u, p], [k1])
        k2 = f(x + dt / 2 * k1, u, p)
        k3 = f(x + dt / 2 * k2, u, p)
        k4 = f(x + dt * k3, u, p)
        following = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        options: dict[str, Any] = {"cse": True}
        if compiled:
            options |= {"jit": True, "compiler": "shell", "jit_options": {"flags": ["-O3"]}}

        def slopes(of: Any, by: Any) -> Any:  # CasADi stores columns first, the solver wants rows first
            return ca.densify(ca.jacobian(of, by).T)

        both = [ca.densify(following), slopes(following, ca.vertcat(u, x))]
        out = {
            _STEP: ca.Function("step", [x, u, p, dt], both[:1], options),
            _LINEARIZE: ca.Function("linearize", [x, u, p, dt], both, options),
        }
        if constraints is not None:
            h = ca.densify(self._apply("constraints", constraints, (x,), p, nh))
            out[_CONSTRAINTS] = ca.Function("constraints", [x, p], [h], options)
            out[_LINEARIZE_CONSTRAINTS] = ca.Function("linearize_constraints", [x, p], [h, slopes(h, x)], options)
        return out

    def _apply(self, what: str, function: Callable[..., Any], vectors: tuple[Any, ...], p: Any, size: int) -> Any:
        import casadi as ca

        where = f"model {self.name}: {what}"
        try:
            if isinstance(function, ca.Function):
                arguments = (*vectors, p)[: function.n_in()]
                value = function(*arguments)
            else:
                scalars = [tuple(ca.vertsplit(v)) if v.numel() else () for v in vectors]
                named = dict(zip(self.names[2], ca.vertsplit(p) if p.numel() else (), strict=True))
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", FutureWarning)  # CasADi's, about shapes; these are scalars
                    value = ca.vertcat(*list(function(*scalars, SimpleNamespace(**named))))
        except Exception as e:
            reason = " ".join(str(e).split())[:200]
            raise BadInputError(
                f"{where} cannot be traced ({type(e).__name__}: {reason}); numpy's or CasADi's functions, no `if` on "
                f"values, and a sequence of {size} as result are expected"
            ) from None
        if value.numel() != size:
            raise BadInputError(f"{where} returns {value.numel()} values; {size} are expected")
        return ca.SX(value)
