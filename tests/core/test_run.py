"""The run command without ROS: arguments, environment, domains, and what it says of bad input."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

from giljabi import nodes, run
from giljabi.cli import main
from giljabi.fence import Fence
from giljabi.mission import Mission, load_mission, save_mission
from giljabi.nodes import RunSpec, find_nodes, processes
from giljabi.platform import load_platform
from giljabi.ros_env import ros_environment
from giljabi.rundir import RunDir
from giljabi.types import BadInputError, Origin, Route


@pytest.fixture
def spec(tmp_path: Path) -> RunSpec:
    return RunSpec(Path("/p/ship.yaml"), tmp_path, scenario=Path("/s/x.yaml"), devices={"bridge": "tcp:127.0.0.1:1"})


@pytest.fixture(autouse=True)
def own_dirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "runtime").mkdir()
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "runtime"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("ROS_DOMAIN_ID", raising=False)


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["nothing"], "known platforms are"),
        (["ship", "--scenario", "nothing.yaml"], "--scenario nothing.yaml: no such file"),
        (["ship", "--device", "bridge"], "NAME=URL is expected"),
        (["ship", "--device", "wing=tcp:127.0.0.1:1"], "its drivers are bridge, ais"),
        (["ship", "--timeout", "0"], "above 0 is expected"),
        (["ship", "--timeout", "nan"], "above 0 is expected"),
        (["ship", "--hardware", "--track", "setup.py"], "--track goes with a simulated run"),
        (["ship", "--video", "ship.mp4"], "--video does not go with 'ship'; a simulated walker is expected"),
        (["ship", "--hardware", "--video", "ship.mp4"], "--video does not go with --hardware"),
        ([], "required: P"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_code_2(
    argv: list[str], says: str, capsys: pytest.CaptureFixture[str], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("rclpy", reason="without rclpy the command refuses for that reason")
    monkeypatch.chdir(root)
    assert main(["run", *argv]) == 2
    captured = capsys.readouterr()
    assert says in captured.err
    assert captured.err.count("\n") == 1
    assert captured.out == ""


def test_without_ros_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(run, "find_spec", lambda name: None)
    assert main(["run", "ship"]) == 2
    assert "pip install 'giljabi[ros]'" in capsys.readouterr().err


def test_help_shows_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as e:
        main(["run", "--help"])
    assert e.value.code == 0
    assert "example: giljabi run ship" in capsys.readouterr().out


def test_the_scenario_is_found_by_file_and_by_name(tmp_path: Path) -> None:
    platform = load_platform("ship")
    own = tmp_path / "mine.yaml"
    own.write_text("x: 1")
    assert run.find_scenario(platform, str(own), False) == own
    assert run.find_scenario(platform, "", True) is None


# --- the process table ---


def test_each_process_has_an_executable_that_setup_installs(root: Path) -> None:
    setup = (root / "setup.py").read_text()
    for process in nodes.PROCESSES:
        assert f'"{process.executable} = {nodes.MODULES[process.executable]}:main"' in setup
    listed = setup.split("NODES = (", 1)[1].split(")", 1)[0]
    assert {n.strip(' "') for n in listed.split(",") if n.strip()} == {n.name for p in nodes.PROCESSES for n in p.nodes}


def test_what_runs_when() -> None:
    names = {key: [p.name for p in processes(*key)] for key in [(True, True, True), (False, False, False)]}
    core = ["drivers", "autonomy", "perception", "planning", "supervisor"]
    assert names[True, True, True] == ["simulation", *core, "operator", "conductor"]
    assert names[False, False, False] == core
    fast = [p.name for p in processes(True, False, True, fast_loop=True)]
    assert fast == ["simulation", *(p for p in core if p != "autonomy"), "conductor"]


def test_the_wire_ends_after_those_who_command_it_and_the_plant_last() -> None:
    stops = {p.name: p.stops for p in nodes.PROCESSES}
    assert (
        max(v for k, v in stops.items() if k not in ("drivers", "simulation")) < stops["drivers"] < stops["simulation"]
    )


def test_parts_that_hold_authority_end_the_run_and_others_start_again() -> None:
    assert {p.name for p in nodes.PROCESSES if p.restart == "never"} == {"simulation", "drivers", "conductor"}


def test_command_lines(spec: RunSpec) -> None:
    table = {p.name: run.command_line(p, spec)[1:] for p in processes(True, True)}
    assert table["planning"] == [
        "-m", "giljabi.ros.process", "planning", "--ros-args", "--params-file", f"{spec.run_dir}/parameters.yaml",
    ]  # fmt: skip
    assert table["simulation"] == [
        "-m", "giljabi_sim.realtime",
        "--platform", "/p/ship.yaml", "--run-dir", str(spec.run_dir), "--scenario", "/s/x.yaml",
    ]  # fmt: skip


def test_a_namespace_reaches_every_node(spec: RunSpec, tmp_path: Path) -> None:
    other = RunSpec(spec.platform_file, tmp_path, namespace="ship2")
    for process in processes(False, True):
        assert "__ns:=/ship2" in run.command_line(process, other)


def test_parameters_are_the_same_for_all_nodes(spec: RunSpec) -> None:
    import yaml

    run.write_parameters(spec)
    data = yaml.safe_load((spec.run_dir / "parameters.yaml").read_text())
    parameters = data["/**"]["ros__parameters"]
    assert parameters["platform_file"] == "/p/ship.yaml"
    assert parameters["devices"] == ["bridge=tcp:127.0.0.1:1"]
    assert parameters["mission_file"] == str(spec.run_dir / "mission.json")


def test_unknown_process_or_node() -> None:
    assert [n.name for n in find_nodes("autonomy")] == ["estimator", "controller"]
    assert [n.name for n in find_nodes("planner")] == ["planner"]
    with pytest.raises(BadInputError, match="known are drivers"):
        find_nodes("plan")


# --- environment, run directory, domain ---


def test_ros_stays_on_this_machine_unless_the_user_asks() -> None:
    own = ros_environment({})
    assert own["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"
    assert ros_environment(own | {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}).items() <= own.items()  # inherited
    profile = Path(own["FASTDDS_DEFAULT_PROFILES_FILE"]).read_text()
    assert "<interfaceWhiteList><address>127.0.0.1</address></interfaceWhiteList>" in profile
    assert "<useBuiltinTransports>false</useBuiltinTransports>" in profile
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE" not in ros_environment({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"})
    for other in ({"RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, {"FASTDDS_DEFAULT_PROFILES_FILE": "/mine.xml"}):
        assert ros_environment(other)["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_two_runs_never_share_a_domain() -> None:
    a, b = RunDir("ship"), RunDir("ship")
    try:
        assert a.domain != b.domain
        assert 1 <= a.domain <= 101
        assert a.path.is_dir()
    finally:
        a.close()
        b.close()
    assert not a.path.parent.exists()
    assert a.log_dir.is_dir()


def test_the_users_domain_is_taken_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "93")
    a = RunDir("ship")
    assert a.domain == 93
    with pytest.raises(BadInputError, match="another run uses ROS_DOMAIN_ID=93"):
        RunDir("ship")
    a.close()
    RunDir("ship").close()
    monkeypatch.setenv("ROS_DOMAIN_ID", "x")
    with pytest.raises(BadInputError, match="number from 0 to 232"):
        RunDir("ship")


def test_directories_of_killed_runs_are_swept_and_those_of_living_ones_stay() -> None:
    import os

    living = RunDir("ship")
    dead = living.path.parent / "dead"
    dead.mkdir()
    for path in (dead, living.path):
        os.utime(path, (1, 1))
    RunDir("ship").close()
    assert not dead.exists()
    assert living.path.exists()
    living.close()


# --- mission files ---


def test_a_mission_survives_its_file(tmp_path: Path) -> None:
    route = Route(np.array([[0, 0, 0], [5, 1, 0.0]]), np.array([1.0, 2.0]), np.array([[3.0, np.inf], [1, 1]]), False)
    fence = Fence(((0.0, 0.0), (9.0, 0.0), (9.0, 5.5)))
    tower = Fence(centre=(40.0, 2.0), radius=8.0, keep_out=True, height_max=30.0)
    save_mission(tmp_path / "m.json", Mission(Origin(35.1, 129.0, 2.0), route, (fence, tower)))
    back = load_mission(tmp_path / "m.json")
    assert back.origin == Origin(35.1, 129.0, 2.0)
    assert back.fences == (fence, tower)
    assert back.route is not None
    np.testing.assert_array_equal(back.route.points, route.points)
    np.testing.assert_array_equal(back.route.half_width, route.half_width)
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    ("change", "says"),
    [({"speed": [1.0]}, "1 values for 2 points"), ({"points": [[0, 0, 0]]}, "points"), ({"wide": 1}, "unknown key")],
)
def test_bad_missions_are_refused_with_their_line(tmp_path: Path, change: dict[str, object], says: str) -> None:
    route = {"points": [[0, 0, 0], [1, 0, 0]], "speed": [1, 1], "half_width": [[1, None], [None, 1]]} | change
    path = tmp_path / "m.json"
    path.write_text(json.dumps({"route": route}, indent=1))
    with pytest.raises(BadInputError, match=rf"m\.json:\d+: .*{says}"):
        load_mission(path)


def test_the_result_holds_finite_numbers_and_the_simulators_figures(spec: RunSpec) -> None:
    where = RunDir("ship")
    stage = run.Stage(spec, where, "ship", True, 10.0, None)
    stage._truth = {"outcome": "collision", "min_distance_m": 0.0, "seed": 3}
    stage._end(1, "collision")
    result = stage.result()
    assert result["outcome"] == "collision"
    assert result["seed"] == 3
    json.dumps(result, allow_nan=False)
    where.close()


def test_arguments_have_their_contract() -> None:
    parser = argparse.ArgumentParser()
    run.add_arguments(parser)
    words = "ship --scenario F --track T --hardware --device a=b --device c=d --until-done --timeout 3 --no-page"
    words += " --video V --json -"
    args = parser.parse_args(words.split())
    assert (args.device, args.timeout, args.json, args.video, args.no_page) == (["a=b", "c=d"], 3.0, "-", "V", True)
