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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"dynamics": lambda x, u, p: [1.0]}, "returns 1 values; 6 are expected"),
        ({"dynamics": lambda x, u, p: 1 / 0}, "cannot be traced (ZeroDivisionError"),
        ({"dynamics": lambda x, u, p: [x[0] if x[0] > 0 else u[0]] * 6}, "no `if` on values"),
        ({"dynamics": lambda x, u, p: [p.mass] * 6}, "has no attribute 'mass'"),
        ({"states": ("x",) * 6}, "different words are expected"),
        ({"states": [f"s{i}" for i in range(40)]}, "build-model"),
        ({"constraint_names": ()}, "expected together"),
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
