"""Models of one's own: a C++ struct built by a command, and Python functions that CasADi evaluates."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from giljabi import build_model
from giljabi.cli import main
from giljabi.python_model import PythonModel
from giljabi.solver import Ocp, Status
from giljabi.types import BadInputError

compiler = pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler on this machine")


def car(**changes: Any) -> PythonModel:
    """The kinematic bicycle again, by numpy's functions."""
    pytest.importorskip("casadi", reason="casadi is not installed")

    def dynamics(x: Any, u: Any, p: Any) -> Any:
        _, _, psi, v, steering, a = x
        return v * np.cos(psi), v * np.sin(psi), v * np.tan(steering) / p.wheelbase, a, u[0], u[1]

    def clear(x: Any, p: Any) -> Any:
        return [((x[0] - p.disc_1_x) ** 2 + (x[1] - p.disc_1_y) ** 2) / p.disc_1_radius**2 - 1]

    arguments: dict[str, Any] = {
        "name": "own", "states": ("x", "y", "psi", "v", "steering", "a"), "inputs": ("steering_rate", "jerk"),
        "dynamics": dynamics, "constraints": clear, "constraint_names": ("disc_1",),
        "parameters": {"wheelbase": 2.7, "disc_1_x": 12.0, "disc_1_y": -0.3, "disc_1_radius": 2.0},
    }  # fmt: skip
    return PythonModel(**(arguments | changes))


def fill(ocp: Ocp) -> np.ndarray:
    """A car that passes a disc; returns its state."""
    n = ocp.horizon
    ocp.set("state_weights", [1, 1, 5, 1, 1, 0.1])
    ocp.set("terminal_weights", [10, 10, 50, 10, 10, 1])
    ocp.set("input_weights", [1, 0.01])
    ocp.set("input_lower", [-0.8, -10])
    ocp.set("input_upper", [0.8, 10])
    ocp.set("state_upper.v", 15.0)
    for name, value in (("disc_1_x", 12.0), ("disc_1_y", -0.3), ("disc_1_radius", 2.0)):
        ocp.set(name, value)
    reference = np.zeros((n + 1, 6))
    reference[:, 0], reference[:, 3] = 0.5 * np.arange(n + 1), 10.0
    ocp.set_reference(reference)
    x = np.array([0, 0, 0, 8.0, 0, 0])
    ocp.set_guess(x)
    return x


def test_a_python_model_finds_what_the_built_in_one_finds() -> None:
    own, built_in = Ocp(car(), 40, 0.05), Ocp("bicycle_disc", 40, 0.05)
    for ocp in (own, built_in):
        result = ocp.solve(fill(ocp))
        assert result.status is Status.CONVERGED
    np.testing.assert_allclose(own.x, built_in.x, atol=1e-8)
    np.testing.assert_allclose(own.u, built_in.u, atol=1e-8)
    assert own.x.shape == (41, 6)
    for ocp in (own, built_in):  # each QP to the end, so that two ways to it end in one point
        ocp.set("barrier_tolerance", 1e-9)
        ocp.set("residual_tolerance", 1e-9)
        ocp.set("qp_iterations", 60)
    x = np.array([0, 0.2, 0, 8.0, 0, 0])
    for _ in range(5):
        steps = []
        for ocp in (own, built_in):
            ocp.prepare()
            steps.append(ocp.feedback(x))
            ocp.shift()
        np.testing.assert_allclose(steps[0].u0, steps[1].u0, atol=1e-6)
        x = built_in.simulate(x, steps[1].u0, 0.05)
    np.testing.assert_allclose(own.simulate(x, [0.1, 0.2], 0.3), built_in.simulate(x, [0.1, 0.2], 0.3), rtol=1e-12)
    np.testing.assert_allclose(own.constraint_values(x), built_in.constraint_values(x), rtol=1e-12)


def test_a_casadi_function_is_taken_as_it_is_and_parameters_can_be_set() -> None:
    ca = pytest.importorskip("casadi", reason="casadi is not installed")
    x, u, p = ca.SX.sym("x", 2), ca.SX.sym("u"), ca.SX.sym("p")
    f = ca.Function("f", [x, u, p], [ca.vertcat(x[1], u - p * x[1])])
    model = PythonModel("mass", ("s", "v"), ("a",), f, parameters={"friction": 0.5})
    ocp = Ocp(model, 10, 0.1)
    assert ocp.names.parameters == ("friction",)
    assert ocp.names.constraints == ()
    after = ocp.simulate([0, 1], [0], 1.0, 100)
    assert after[1] == pytest.approx(np.exp(-0.5))
    ocp.set("friction", 2.0)
    assert ocp.simulate([0, 1], [0], 1.0, 100)[1] == pytest.approx(np.exp(-2.0))
    assert ocp.solve([1, 0]).status is Status.CONVERGED
    plain = PythonModel("plain", ("s", "v"), ("a",), ca.Function("g", [x, u], [ca.vertcat(x[1], u)]))
    assert Ocp(plain, 5, 0.1).simulate([0, 1], [1], 1.0)[0] == pytest.approx(1.5)


def test_a_python_model_that_breaks_gives_a_status_and_no_nan() -> None:
    def dynamics(x: Any, u: Any, p: Any) -> Any:
        return [np.sqrt(x[0]) + u[0]]

    pytest.importorskip("casadi", reason="casadi is not installed")
    ocp = Ocp(PythonModel("root", ("a",), ("b",), dynamics), 10, 0.1)
    ocp.set_guess([1.0])
    assert ocp.solve([1.0]).status.usable
    ocp.set_guess([-1.0])
    result = ocp.solve([-1.0])
    assert result.status is Status.BAD_INPUT
    assert np.all(np.isfinite(result.u0))


@pytest.mark.skipif(shutil.which("cc") is None, reason="no C compiler on this machine")
def test_a_compiled_model_is_the_same_model_and_leaves_no_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    problems = [Ocp(car(), 40, 0.05), Ocp(car(compiled=True), 40, 0.05)]
    results = [ocp.solve(fill(ocp)) for ocp in problems]
    assert [r.status for r in results] == [Status.CONVERGED] * 2
    np.testing.assert_allclose(problems[1].x, problems[0].x, atol=1e-9)
    np.testing.assert_allclose(problems[1].u, problems[0].u, atol=1e-9)
    x = np.array([0, 0.2, 0, 8.0, 0, 0])
    np.testing.assert_allclose(problems[1].feedback(x).u0, problems[0].feedback(x).u0, atol=1e-9)
    np.testing.assert_allclose(problems[1].constraint_values(x), problems[0].constraint_values(x), rtol=1e-12)
    assert list(tmp_path.iterdir()) == []
    other = Ocp(PythonModel("mass", ("s", "v"), ("a",), lambda x, u, p: (x[1], u[0]), compiled=True), 5, 0.1)
    assert other.simulate([0, 1], [1], 1.0)[0] == pytest.approx(1.5)  # models do not take each other's functions
    np.testing.assert_allclose(problems[1].simulate(x, [0, 0], 1.0), problems[0].simulate(x, [0, 0], 1.0), rtol=1e-12)


def test_a_compiled_model_without_a_compiler_that_works_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BadInputError, match="model own: compiled=True needs a C compiler called cc on PATH"):
        car(compiled=True)
    assert car().core == "_outside_medium"
    cc = tmp_path / "cc"
    cc.write_text("#!/bin/sh\necho no licence >&2\nexit 3\n")
    cc.chmod(0o755)
    with pytest.raises(BadInputError, match=r"model own: .*cc failed .no licence.; compiled=False needs no compiler"):
        car(compiled=True)


def masses(count: int) -> PythonModel:
    """Masses in a row, each pushed by an input of its own for the first eight."""
    pytest.importorskip("casadi", reason="casadi is not installed")

    def dynamics(x: Any, u: Any, p: Any) -> list[Any]:
        return [*x[count:], *((u[i] if i < 8 else 0) - x[i] - p.friction * x[count + i] for i in range(count))]

    states = [f"{kind}{i}" for kind in "sv" for i in range(count)]
    inputs = [f"a{i}" for i in range(min(count, 8))]
    return PythonModel("masses", states, inputs, dynamics, parameters={"friction": 0.5})


def test_a_model_of_20_states_does_what_the_same_masses_do_one_by_one() -> None:
    large, small = Ocp(masses(10), 15, 0.1), Ocp(masses(1), 15, 0.1)
    x = np.linspace(-1, 1, 20)
    large.set_guess(x)
    assert large.solve(x).status is Status.CONVERGED
    for i in (0, 7):
        small.set_guess([x[i], x[10 + i]])
        assert small.solve([x[i], x[10 + i]]).status is Status.CONVERGED
        np.testing.assert_allclose(large.x[:, [i, 10 + i]], small.x, atol=1e-7)
        np.testing.assert_allclose(large.u[:, i], small.u[:, 0], atol=1e-7)
    np.testing.assert_array_equal(large.u.shape, (15, 8))


def rigid_body() -> PythonModel:
    """A body on two feet with friction pyramids, heading 0, the feet's places fixed."""
    pytest.importorskip("casadi", reason="casadi is not installed")
    mass, inertia = 43.0, (0.41, 2.1, 2.1)

    def dynamics(x: Any, u: Any, p: Any) -> list[Any]:
        force, torque = [0.0, 0.0, -9.81 * mass], [0.0, 0.0, 0.0]
        for i, (px, py, pz) in enumerate(PLACES):
            fx, fy, fz = u[3 * i : 3 * i + 3]
            force = [force[0] + fx, force[1] + fy, force[2] + fz]
            torque = [torque[0] + py * fz - pz * fy, torque[1] + pz * fx - px * fz, torque[2] + px * fy - py * fx]
        turns = [t / j for t, j in zip(torque, inertia, strict=True)]
        return [*x[6:9], *x[9:12], *turns, *(f / mass for f in force)]

    def pyramids(x: Any, u: Any, p: Any) -> list[Any]:
        out = []
        for i in range(2):
            fx, fy, fz = u[3 * i : 3 * i + 3]
            out += [p.friction * fz - fx, p.friction * fz + fx, p.friction * fz - fy, p.friction * fz + fy]
        return out

    states = ("roll", "pitch", "yaw", "x", "y", "z", "wx", "wy", "wz", "vx", "vy", "vz")
    inputs = [f"force_{i + 1}_{axis}" for i in range(2) for axis in "xyz"]
    names = [f"foot_{i + 1}_{side}" for i in range(2) for side in ("forward", "back", "port", "starboard")]
    return PythonModel("legged", states, inputs, dynamics, parameters={"friction": 0.6},
                       input_constraints=pyramids, input_constraint_names=names)  # fmt: skip


PLACES = [(0.2, 0.15, -0.3), (-0.2, -0.15, -0.3)]


def test_constraints_on_inputs_hold_and_find_what_the_built_in_rigid_body_finds() -> None:
    own, built_in = Ocp(rigid_body(), 10, 0.05), Ocp("rigid_body", 10, 0.05)
    for i, place in enumerate(PLACES):
        for axis, value in zip("xyz", place, strict=True):
            built_in.set(f"foot_{i + 1}_{axis}", value)
    built_in.set("contact_3", 0.0)
    built_in.set("contact_4", 0.0)
    x = np.zeros(12)
    x[9] = -3.0  # far too fast for the friction there is
    for ocp in (own, built_in):
        nu = len(ocp.names.inputs)
        ocp.set("state_weights", [10, 10, 10, 50, 50, 50, 1, 1, 1, 5, 5, 5])
        ocp.set("terminal_weights", [10, 10, 10, 50, 50, 50, 1, 1, 1, 5, 5, 5])
        ocp.set("input_weights", [1e-4] * nu)
        ocp.set("input_lower", [-np.inf, -np.inf, 0.0] * (nu // 3))
        ocp.set("input_upper", [np.inf, np.inf, 320.0] * (nu // 3))
        ocp.set_guess(x)
        assert ocp.solve(x).status is Status.CONVERGED
    np.testing.assert_allclose(own.x, built_in.x, atol=1e-6)
    np.testing.assert_allclose(own.u, built_in.u[:, :6], atol=1e-3)
    slip = 0.6 * own.u[:, 2::3] - np.abs(own.u[:, ::3])
    assert abs(slip.min()) < 1e-5  # some foot is at its limit, and none beyond
    values = own.constraint_values(x, u=own.u[0])
    np.testing.assert_allclose(values, built_in.constraint_values(x, u=built_in.u[0])[:8], atol=1e-2)
    own.set("friction", 0.2)  # hard: less friction, less force
    own.set_guess(x)
    own.solve(x)
    assert np.all(np.abs(own.u[:, ::3]) <= 0.2 * own.u[:, 2::3] + 1e-4)


def test_constraints_on_states_and_on_inputs_together_are_named_in_order() -> None:
    pytest.importorskip("casadi", reason="casadi is not installed")
    model = PythonModel(
        "mass", ("s", "v"), ("a",), lambda x, u, p: (x[1], u[0]),
        constraints=lambda x, p: [p.fastest - x[1]], constraint_names=("speed",),
        input_constraints=lambda x, u, p: [p.power - x[1] * u[0], 3.0 - u[0]],
        input_constraint_names=("power", "push"), parameters={"fastest": 1.5, "power": 2.0},
    )  # fmt: skip
    ocp = Ocp(model, 30, 0.1)
    assert ocp.names.constraints == ("power", "push", "speed")
    assert ocp.get("penalty_l1").shape == (3,)  # type: ignore[union-attr]
    np.testing.assert_allclose(ocp.constraint_values([0, 1.0], u=[0.5]), [1.5, 2.5, 0.5])
    ocp.set("state_weights", [10, 0])
    ocp.set("input_weights", [1e-3])
    ocp.set_reference([4.0, 0.0])
    ocp.set("penalty_l1.speed", 1e4)
    result = ocp.solve([0, 0])
    assert result.status is Status.CONVERGED
    v, a = ocp.x[:-1, 1], ocp.u[:, 0]
    assert np.max(v * a) == pytest.approx(2.0, abs=1e-5)
    assert np.max(a) == pytest.approx(3.0, abs=1e-5)
    assert np.max(ocp.x[:, 1]) == pytest.approx(1.5, abs=1e-5)
    ocp.set("penalty_l1", [1e-3, 1e4, 1e4])  # now the first one is soft
    ocp.set("penalty_l2", [0, 0, 0])
    result = ocp.solve([0, 0])
    assert np.max(ocp.x[:-1, 1] * ocp.u[:, 0]) > 2.5
    assert result.worst.startswith("power@stage")
    ocp.set("penalty_l1", [1e5, 1e4, 1e-3])
    ocp.set_guess([0, 0])
    assert ocp.solve([0, 0]).worst.startswith("speed@stage")


def test_a_python_model_tells_whether_it_may_have_several_minima() -> None:
    assert car().several_minima
    assert not car(constraints=None, constraint_names=()).several_minima
    assert not masses(1).several_minima
    polygon: dict[str, Any] = {"constraints": lambda x, p: [p.k - x[0] * p.k], "constraint_names": ("edge",)}
    arguments = ("pendulum", ("s", "v"), ("a",))
    assert not PythonModel(
        *arguments, lambda x, u, p: (x[1], u[0] * p.k), parameters={"k": 2}, **polygon
    ).several_minima
    assert PythonModel(*arguments, lambda x, u, p: (x[1], u[0] * x[0]), parameters={"k": 2}, **polygon).several_minima


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dynamics": lambda x, u, p: [1.0]}, "returns 1 values; 6 are expected"),
        ({"dynamics": lambda x, u, p: 1 / 0}, "cannot be traced (ZeroDivisionError"),
        ({"dynamics": lambda x, u, p: [x[0] if x[0] > 0 else u[0]] * 6}, "no `if` on values"),
        ({"dynamics": lambda x, u, p: [p.mass] * 6}, "has no attribute 'mass'"),
        ({"states": ("x",) * 6}, "different words are expected"),
        ({"states": [f"s{i}" for i in range(21)]}, "21 states; 1 to 20 are possible in Python"),
        ({"states": []}, "0 states; 1 to 20"),
        ({"inputs": [f"u{i}" for i in range(9)]}, "9 inputs; 1 to 8"),
        ({"constraint_names": [f"h{i}" for i in range(9)]}, "9 constraints; 0 to 8"),
        ({"input_constraint_names": [f"g{i}" for i in range(9)]}, "9 input_constraints; 0 to 8"),
        ({"parameters": {f"p{i}": 0.0 for i in range(65)}}, "65 parameters; 0 to 64"),
        ({"states": [f"s{i}" for i in range(40)]}, "build-model"),
        ({"constraint_names": ()}, "`constraints` and `constraint_names` are expected together"),
        ({"input_constraint_names": ("g",)}, "`input_constraints` and `input_constraint_names` are expected together"),
        ({"input_constraints": lambda x, u, p: [u[0]], "input_constraint_names": ("disc_1",)}, "different words"),
        ({"input_constraints": lambda x, u, p: [], "input_constraint_names": ("g",)}, "returns 0 values; 1 are"),
        ({"parameters": {"wheelbase": float("nan")}}, "not finite"),
    ],
)
def test_a_wrong_python_model_says_what_is_wrong(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInputError) as e:
        car(**changes)
    assert message in str(e.value)
    assert str(e.value).startswith("model own")


@compiler
def test_the_examples_agree(root: Path, tmp_path: Path) -> None:
    pytest.importorskip("casadi", reason="casadi is not installed")
    assert main(["build-model", str(root / "examples/unicycle.hpp"), "--out", str(tmp_path)]) == 0
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    out = []
    for script in ("own_model_cpp.py", "own_model_python.py"):
        command = [sys.executable, str(root / "examples" / script)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        out.append(done.stdout)
    assert out[0].startswith("converged")
    assert out[0] == out[1]


def test_a_file_without_a_model_or_with_an_error_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "mine.hpp"
    for text, message in (
        ("struct A {};", "no struct with dynamics"),
        ("struct A { void dynamics(); }; struct B { void dynamics(); };", "several structs with dynamics: A, B"),
    ):
        file.write_text(text)
        assert main(["build-model", str(file)]) == 2
        assert message in capsys.readouterr().err
    assert main(["build-model", str(tmp_path / "none.hpp")]) == 2
    assert main(["build-model", str(file), "--struct", "A", "--name", "a-b"]) == 2
    assert main(["build-model", str(file), "--struct", "A", "--out", str(tmp_path / "no")]) == 2
    file.write_text("namespace deep {\n// struct C { dynamics( }\nstruct A { void dynamics(); };\n}\n")
    assert build_model.find_struct(file) == "deep::A"


@compiler
def test_a_compiler_error_names_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "mine.hpp"
    file.write_text("struct Mine {\n  void dynamics( { }\n};\n")
    assert main(["build-model", str(file), "--out", str(tmp_path)]) == 1
    err = capsys.readouterr().err
    assert f"{file}:2:" in err
    assert len(err.splitlines()) == 1


@compiler
def test_a_module_built_with_other_headers_is_refused(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(root / "cpp_ext/include", tmp_path / "cpp_ext/include")
    shutil.copytree(root / "cpp_ext/bindings", tmp_path / "cpp_ext/bindings")
    result = tmp_path / "cpp_ext/include/giljabi/solver/result.hpp"
    result.write_text(result.read_text().replace("iterations = 0;", "iterations = 1;", 1))  # no size changes
    monkeypatch.setattr(build_model, "share_dir", lambda: tmp_path)
    build_model.build(root / "examples/unicycle.hpp", "Unicycle", "unicycle_other", tmp_path)
    code = "import unicycle_other"
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "another giljabi" in done.stderr
