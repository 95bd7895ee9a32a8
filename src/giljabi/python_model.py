"""A model of one's own for the solver, written in Python. CasADi differentiates and evaluates it, without a compiler.

Larger or faster models are C++ structs: see `giljabi build-model` and docs/solver.md.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from giljabi.types import Array, BadInputError

if TYPE_CHECKING:
    from giljabi._core.solver import Solver

# What the solver was built for: name, most states, inputs, constraints on states, constraints on inputs.
_SIZES = (
    ("_outside_small", 4, 2, 4, 0),
    ("_outside_medium", 8, 4, 4, 0),
    ("_outside_mixed", 8, 4, 4, 8),
    ("_outside_large", 16, 8, 8, 0),
    ("_outside_huge", 20, 8, 8, 8),
)
_MOST_PARAMETERS = 64
_STEP, _LINEARIZE, _CONSTRAINTS, _LINEARIZE_CONSTRAINTS, _MIXED, _LINEARIZE_MIXED = range(6)


class PythonModel:
    """Dynamics x' = f(x, u, p) and constraints h(x, p) >= 0, g(x, u, p) >= 0 as Python or CasADi functions.

    A Python function gets x and u as tuples of scalars in the order of the names, and p as an object with the
    parameters as attributes; it returns a sequence, made with numpy's or CasADi's functions and without branches on
    values. A CasADi function takes (x, u, p) or (x, u), for `constraints` (x, p) or (x,), as vectors, and returns one.
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
        input_constraints: Callable[..., Any] | None = None,
        input_constraint_names: Sequence[str] = (),
        compiled: bool = False,
    ) -> None:
        """Traces the functions at once; `parameters` gives defaults; `compiled`: as C code, by the compiler `cc`.

        `constraints` hold at the stages 1 .. N, soft; `input_constraints` at 0 .. N-1, hard unless penalties are set.
        """
        self.name = name
        self.parameters = dict(parameters or {})
        self.names = (
            list(states), list(inputs), list(self.parameters), list(constraint_names), list(input_constraint_names)
        )  # fmt: skip
        self._check(constraints, input_constraints)
        nx, nu, _, nh, nm = (len(n) for n in self.names)
        self.core = next(s[0] for s in _SIZES if nx <= s[1] and nu <= s[2] and nh <= s[3] and nm <= s[4])
        self.several_minima = False
        self._functions = self._trace(dynamics, constraints, input_constraints)
        if compiled:
            self._functions = _compiled(f"model {name}", self._functions)

    def attach(self, core: Solver) -> None:
        """Lets a solver of `core` call this model; the parameters get their defaults."""
        nx, nu, np_, nh, nm = (len(n) for n in self.names)
        x, u, p, dt, following, jacobian, h, h_jacobian, g, g_jacobian = buffers = [
            np.zeros(n) for n in (nx, nu, np_, 1, nx, nx * (nu + nx), nh, nh * nx, nm, nm * (nu + nx))
        ]
        arguments: dict[int, tuple[Array, ...]] = {_STEP: (x, u, p, dt), _LINEARIZE: (x, u, p, dt)}
        results: dict[int, tuple[Array, ...]] = {_STEP: (following,), _LINEARIZE: (following, jacobian)}
        if nh:
            arguments |= {_CONSTRAINTS: (x, p), _LINEARIZE_CONSTRAINTS: (x, p)}
            results |= {_CONSTRAINTS: (h,), _LINEARIZE_CONSTRAINTS: (h, h_jacobian)}
        if nm:
            arguments |= {_MIXED: (x, u, p), _LINEARIZE_MIXED: (x, u, p)}
            results |= {_MIXED: (g,), _LINEARIZE_MIXED: (g, g_jacobian)}
        calls: list[Callable[[], None]] = [lambda: None] * 6
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

        core.attach([list(n) for n in self.names], list(buffers), call, self.several_minima)
        core.table("parameters")[:] = list(self.parameters.values())

    def _check(self, constraints: object, input_constraints: object) -> None:
        where = f"model {self.name}"
        for kind, n in zip(("state", "input", "parameter"), self.names[:3], strict=True):
            if len(set(n)) < len(n) or not all(isinstance(w, str) and w for w in n):
                raise BadInputError(f"{where}: {kind} names are {n}; different words are expected")
        n = self.names[4] + self.names[3]
        if len(set(n)) < len(n) or not all(isinstance(w, str) and w for w in n):
            raise BadInputError(f"{where}: constraint names are {n}; different words are expected")
        if not np.all(np.isfinite(list(self.parameters.values()))):
            raise BadInputError(f"{where}: a parameter's default is not finite; numbers are expected")
        kinds = ("states", "inputs", "parameters", "constraints", "input_constraints")
        most = dict(zip(kinds, (_SIZES[-1][1], _SIZES[-1][2], _MOST_PARAMETERS, *_SIZES[-1][3:]), strict=True))
        for kind, n in zip(kinds, self.names, strict=True):
            least = 1 if kind in ("states", "inputs") else 0
            if not least <= len(n) <= most[kind]:
                raise BadInputError(
                    f"{where}: {len(n)} {kind}; {least} to {most[kind]} are possible in Python, a C++ struct "
                    "(giljabi build-model) may have more"
                )
        for kind, function, n in (
            ("constraint", constraints, self.names[3]), ("input_constraint", input_constraints, self.names[4])
        ):  # fmt: skip
            if (function is None) != (not n):
                raise BadInputError(f"{where}: `{kind}s` and `{kind}_names` are expected together")

    def _trace(
        self,
        dynamics: Callable[..., Any],
        constraints: Callable[..., Any] | None,
        input_constraints: Callable[..., Any] | None,
    ) -> dict[int, Any]:
        try:
            import casadi as ca
        except ImportError:
            raise BadInputError("models in Python need CasADi; pip install casadi") from None
        nx, nu, np_, nh, nm = (len(n) for n in self.names)
        x, u, p, dt = ca.SX.sym("x", nx), ca.SX.sym("u", nu), ca.SX.sym("p", np_), ca.SX.sym("dt")
        k1 = self._apply("dynamics", dynamics, (x, u), p, nx)
        f = ca.Function("f", [x, u, p], [k1])
        k2 = f(x + dt / 2 * k1, u, p)
        k3 = f(x + dt / 2 * k2, u, p)
        k4 = f(x + dt * k3, u, p)
        following = x + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        options = {"cse": True}
        xu = ca.vertcat(x, u)
        curved = any(ca.which_depends(k1, xu, 2, True))

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
            curved = curved or any(ca.which_depends(h, xu, 2, True))
        if input_constraints is not None:
            g = ca.densify(self._apply("input_constraints", input_constraints, (x, u), p, nm))
            both = [g, slopes(g, ca.vertcat(u, x))]
            out[_MIXED] = ca.Function("mixed", [x, u, p], [g], options)
            out[_LINEARIZE_MIXED] = ca.Function("linearize_mixed", [x, u, p], both, options)
            curved = curved or any(ca.which_depends(g, xu, 2, True))
        self.several_minima = nh > 0 and curved
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


def _compiled(where: str, functions: dict[int, Any]) -> dict[int, Any]:
    """The same functions as machine code, made by the C compiler `cc`."""
    import casadi as ca

    compiler = shutil.which("cc")
    if compiler is None:
        raise BadInputError(f"{where}: compiled=True needs a C compiler called cc on PATH; compiled=False needs none")
    with tempfile.TemporaryDirectory(prefix="giljabi_model_") as folder:
        generator = ca.CodeGenerator("model.c")
        for function in functions.values():
            generator.add(function)
        generator.generate(folder + "/")
        library = Path(folder) / "model.so"
        command = [compiler, "-O3", "-fPIC", "-shared", "model.c", "-o", str(library), "-lm"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            reason = " ".join(done.stderr.split())[:200]
            raise BadInputError(f"{where}: {compiler} failed ({reason}); compiled=False needs no compiler")
        # Loaded at once: the file is not needed any more.
        return {i: ca.external(function.name(), str(library)) for i, function in functions.items()}
