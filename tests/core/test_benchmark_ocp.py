"""The solver's benchmark as a command: keys, settings, errors, and closed-loop costs that were published."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest


def run(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs benchmarks/ocp.py."""
    command = [sys.executable, str(root / "benchmarks/ocp.py"), *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)


def test_car_closed_loop_costs_what_converged_solvers_find(root: Path) -> None:
    done = run(root, "--problem", "A", "--peers", "none", "--repeats", "1", "--json")
    assert done.returncode == 0, done.stderr
    ours = json.loads(done.stdout)["ours"]
    assert ours["cost"] == pytest.approx(207.4828, rel=1e-4)
    assert ours["violation"] < 1e-6
    assert ours["cold_status"] == "converged"
    assert ours["cold_cost"] == pytest.approx(65.5665, rel=1e-5)
    assert ours["unusable"] == 0


def test_ship_closed_loop_is_no_worse_than_published(root: Path) -> None:
    done = run(root, "--problem", "B", "--peers", "none", "--repeats", "1", "--json")
    assert done.returncode == 0, done.stderr
    ours = json.loads(done.stdout)["ours"]
    assert ours["cost"] < 931 * 1.02
    assert ours["cold_status"] == "converged"
    assert ours["cold_cost"] < 74.86 * 1.02


@pytest.mark.parametrize(("name", "cost", "cold"), [("C20", 9885.2418, 6822.29), ("C50", 21102.09, 16183.42)])
def test_quadrotor_closed_loop_costs_what_was_published(root: Path, name: str, cost: float, cold: float) -> None:
    done = run(root, "--problem", name, "--peers", "none", "--repeats", "1", "--json")
    assert done.returncode == 0, done.stderr
    ours = json.loads(done.stdout)["ours"]
    assert ours["cost"] == pytest.approx(cost, rel=1e-6)
    assert ours["cold_cost"] == pytest.approx(cold, rel=1e-5)
    assert ours["cold_status"] == "converged"


@pytest.mark.parametrize("name", ["C20", "D16", "SRBD10"])
def test_a_peer_that_does_the_same_work_walks_the_same_way(root: Path, name: str) -> None:
    pytest.importorskip("casadi", reason="casadi is not installed")
    words = ["--problem", name, "--peers", "hpipm", "--repeats", "1", "--set", "steps=60", "--json"]
    done = run(root, *words)
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    peer = out["peers"]["hpipm"]
    assert peer["method"] == "one QP a step"
    assert peer["same"], out
    assert peer["failed"] == 0
    assert out["ours"]["violation"] < 1e-6


def test_acados_walks_the_same_way(root: Path) -> None:
    pytest.importorskip("acados_template", reason="acados is not installed beside")
    done = run(root, "--problem", "A", "--peers", "acados,acados:5", "--repeats", "1", "--set", "steps=60", "--json")
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    for peer in out["peers"].values():
        assert peer["same"], out
        assert peer["failed"] == 0
        assert peer["cold_cost"] == pytest.approx(65.5665, rel=1e-5)
        assert peer["ratio_feedback_p50"] > 0


def test_a_support_polygon_does_what_bounds_do(root: Path) -> None:
    small = ("--set", "steps=80", "--set", "foot_half=[0.05,0.05]")
    short = ("--problem", "D16", "--peers", "none", "--repeats", "1", *small, "--json")
    box = json.loads(run(root, *short).stdout)["ours"]
    polygon = json.loads(run(root, *short, "--set", "polygon=1").stdout)["ours"]
    assert polygon["cost"] == pytest.approx(box["cost"], rel=1e-4)
    assert polygon["violation"] < 1e-5
    wide = json.loads(run(root, *short, "--set", "polygon=1", "--set", "foot_half=[1,1]").stdout)["ours"]
    assert wide["cost"] < 0.99 * polygon["cost"]  # the edges did hold something back


def test_a_peer_with_its_own_equations_agrees(root: Path) -> None:
    pytest.importorskip("casadi", reason="casadi is not installed")
    done = run(root, "--problem", "A", "--peers", "fatrop", "--repeats", "1", "--set", "steps=30", "--json")
    assert done.returncode == 0, done.stderr
    out = json.loads(done.stdout)
    assert out["problem"] == "A"
    assert set(out["ours"]) >= {"p50_us", "p99_us", "max_us", "prepare_p50_us", "feedback_p50_us", "cold_ms"}
    peer = out["peers"]["fatrop"]
    assert isinstance(peer["same"], bool)
    assert out["ours"]["cold_cost"] == pytest.approx(peer["cold_cost"], rel=1e-6)  # both are converged there
    assert out["ours"]["cost"] == pytest.approx(peer["cost"], rel=1e-3)  # real-time iterations against convergence
    assert peer["failed"] == 0
    assert peer["ratio_p50"] > 0
    assert peer["ratio_p99"] > 0


def test_settings_change_the_problem(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    file.write_text('{"disc_radius": 2.5, "steps": 10}')
    done = run(root, "--problem", "A", "--params", str(file), "--set", "horizon=20", "--list")
    assert done.returncode == 0
    settings = json.loads(done.stdout)
    assert (settings["disc_radius"], settings["steps"], settings["horizon"]) == (2.5, 10, 20)
    short = ("--problem", "A", "--peers", "none", "--repeats", "1", "--json", "--set", "steps=20")
    plain = json.loads(run(root, *short).stdout)
    changed = json.loads(run(root, *short, "--set", "speed=8").stdout)
    assert changed["changed"] == {"steps": 20, "speed": 8.0}
    assert changed["ours"]["cost"] != plain["ours"]["cost"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "disc_radius"], "key=value is expected"),
        (["--set", "disc_radius=[1,2]"], "a number expected"),
        (["--set", "kick=1"], "6 numbers expected"),
        (["--set", "dt=0"], "above 0"),
        (["--set", "steps=1e400"], "a number expected"),
        (["--set", "colour=1"], "no setting 'colour'"),
        (["--params", "/nowhere.json"], "/nowhere.json:1: cannot be read"),
        (["--peers", "gurobi"], "not installed"),
    ],
)
def test_bad_input_is_one_line_and_exit_2(root: Path, words: list[str], message: str) -> None:
    done = run(root, "--problem", "A", *words)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_broken_settings_file_names_the_line(root: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.json"
    for content in (b"", b'{"dt": 0.1,\n]', b"\xff\xfe\x00", b"[1]", b"[" * 100000):
        file.write_bytes(content)
        done = run(root, "--problem", "A", "--params", str(file))
        assert done.returncode == 2
        assert f"{file}:" in done.stderr
        assert len(done.stderr.splitlines()) == 1


def test_the_picture_is_drawn_from_results(root: Path, tmp_path: Path) -> None:
    row = {"p50_us": 100.0, "p99_us": 200.0, "failed": 0, "same": True, "method": "one QP a step"}
    result = {"problem": "A", "ours": row, "peers": {"acados": row, "broken": {**row, "failed": 3}}}
    file, out = tmp_path / "a.json", tmp_path / "a.png"
    command = [sys.executable, str(root / "scripts/ocp_picture.py"), str(file), "--out", str(out)]
    file.write_text("{}")
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2
    assert f"{file}:1: not a result" in done.stderr
    file.write_text(json.dumps(result))
    assert subprocess.run(command, capture_output=True, timeout=100, check=False).returncode == 0
    assert out.read_bytes().startswith(b"\x89PNG")


NOISY = """
import ctypes, sys
sys.path.insert(0, sys.argv.pop(1))
import ocp, ocp_peers
build = ocp_peers.build
def noisy(*arguments):
    ctypes.CDLL(None).puts(b"QP solver returned error status 3")
    print("of Python")
    return build(*arguments)
ocp_peers.build = noisy
sys.exit(ocp.main())
"""


def test_what_a_peers_library_writes_to_standard_output_does_not_spoil_the_json(root: Path) -> None:
    pytest.importorskip("casadi", reason="casadi is not installed")
    words = ["--problem", "D16", "--peers", "qrqp", "--repeats", "1", "--set", "steps=5", "--json"]
    command = [sys.executable, "-c", NOISY, str(root / "benchmarks"), *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert list(json.loads(done.stdout)["peers"]) == ["qrqp"]
    assert "error status 3" in done.stderr
    assert "of Python" in done.stderr


@pytest.mark.skipif(shutil.which("c++") is None, reason="no C++ compiler on this machine")
@pytest.mark.parametrize(("problem", "file"), [("A", "car.hpp"), ("C20", "quadrotor.hpp")])
def test_a_users_model_walks_the_way_of_the_built_in_one(root: Path, problem: str, file: str) -> None:
    words = ["--problem", problem, "--peers", "none", "--repeats", "1", "--set", "steps=120", "--json"]
    built_in, own = (
        json.loads(run(root, *words, *more).stdout)["ours"]
        for more in ([], ["--own", str(root / "benchmarks/models" / file)])
    )
    assert own["cost"] == pytest.approx(built_in["cost"], rel=1e-9)
    assert own["cold_cost"] == pytest.approx(built_in["cold_cost"], rel=1e-9)


def test_an_own_model_that_is_none_is_one_line(root: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.hpp").write_text("struct Mine {};")
    done = run(root, "--problem", "A", "--own", str(tmp_path / "mine.hpp"))
    assert (done.returncode, done.stdout) == (2, "")
    assert "no struct with dynamics" in done.stderr
    assert len(done.stderr.splitlines()) == 1
