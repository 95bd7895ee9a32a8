"""A walker in a platform file: its robot file says which joints, servos and limits there are, and nothing twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from giljabi.platform import Robot
from giljabi.types import BadInputError
from giljabi.yaml_file import YamlFile

if TYPE_CHECKING:
    from giljabi.walking.kinematics import Kinematics
    from giljabi.walking.walker_file import WalkerFile

Parts = dict[str, dict[str, Any]]


def robot_file(file: YamlFile, robot: Robot) -> WalkerFile:
    """The robot file that a platform file names: a name in config/robots, or a path beside it; raises BadInputError."""
    from giljabi.walking.walker_file import load_walker

    beside = file.path.parent / robot.file
    try:
        return load_walker(beside if beside.suffix in (".yaml", ".yml") else robot.file)
    except BadInputError as e:
        raise BadInputError(str(e)) if beside.is_file() else file.error(("robot", "file"), str(e)) from None


def fill_in_robot(file: YamlFile, robot: Robot) -> None:
    """Actuators, the driver's joints, the servos' speed and the loop's rate, into the data of a platform file.

    What the file says itself stays as it is. Raises BadInputError with file:line, also where MuJoCo is not there.
    """
    try:
        from giljabi.walking.kinematics import Kinematics
    except ImportError:
        raise file.error(("robot",), "MuJoCo cannot be imported; pip install 'giljabi[humanoid]'") from None
    walker = robot_file(file, robot)
    k = Kinematics(walker)
    if k.joint_names and robot.driver not in (file.data.get("drivers") or {}):
        raise file.error(("robot", "driver"), f"no driver is called '{robot.driver}'; one under drivers is expected")
    actuators = file.data.setdefault("actuators", {})
    if isinstance(actuators, dict):
        for name, part in _actuators(walker, k, robot).items():
            if actuators.setdefault(name, part) is not part:
                raise file.error(
                    ("actuators", name), f"'{name}' is a joint of the robot's file; one of the two is expected"
                )
    _servos(file, walker, robot)
    loop = file.data.get("fast_loop")
    if isinstance(loop, dict):
        loop.setdefault("rate_hz", walker.walker.rate_hz)


def _actuators(walker: WalkerFile, k: Kinematics, robot: Robot) -> Parts:
    """One actuator a joint; safe: down to the posture in which the robot sits, all joints there at the same time."""
    from giljabi.walking.postures import posture_at

    s = walker.walker.servos
    gait = walker.walker.gait
    stands, sits = posture_at(walker, gait.height, "height"), posture_at(walker, gait.height_low, "height_low")
    out: Parts = {}
    for i, name in enumerate(k.joint_names):
        rate = min(max(abs(float(sits[i] - stands[i])) / robot.sit_s, s.rate_max / 20.0), s.rate_max)
        safe: dict[str, Any] = {"action": "ramp", "value": round(float(sits[i]), 4), "rate": rate}
        if robot.release_s is not None:
            safe = {**safe, "action": "release", "hold_s": robot.release_s}
        low, high = round(float(k.lower[i]), 6), round(float(k.upper[i]), 6)
        out[name] = {
            "unit": "rad",
            "min": low,
            "max": high,
            "rate_max": s.rate_max,
            "driver": robot.driver,
            "safe": safe,
        }
    return out


def _servos(file: YamlFile, walker: WalkerFile, robot: Robot) -> None:
    """Ids from 1 in the order of the joints; model and speed of all, for the driver and for a simulated chain."""
    w = walker.walker
    device = file.data["drivers"][robot.driver]
    options = device.setdefault("options", {}) if isinstance(device, dict) else None
    if not isinstance(options, dict):
        return
    own = options.setdefault("joints", {})
    if isinstance(own, dict):
        for i, name in enumerate(w.joints):
            joint = own.setdefault(name, {})
            if isinstance(joint, dict):
                joint.setdefault("id", i + 1)
    options.setdefault("model", w.servos.model)
    options.setdefault("baud", round(w.servos.baud))
    simulation = file.data.get("simulation") or {}
    peer = (simulation.get("peers") or {}).get(robot.driver) if isinstance(simulation, dict) else None
    if isinstance(peer, dict) and isinstance(peer.setdefault("options", {}), dict):
        peer["options"].setdefault("baud", w.servos.baud)
