"""Our flight controller inside RotorPy, an independent simulator, beside RotorPy's own controller.

usage: python benchmarks/rotorpy_track.py [--vehicle hummingbird] [--path lemniscate] [--radius 5] [--speed 5]
           [--wind 0] [--turbulence] [--rate 100] [--laps 3] [--json]

Needs `pip install rotorpy`. Both controllers get RotorPy's state (no noise), fly the same path from the same start (on
the path, at its speed) and are held for a period, as RotorPy does. Ours is told the vehicle's parameter dictionary, as
RotorPy's is. `solve` is the time of one control tick's optimisation: references, linearization, factorization and
feedback, in thread CPU time; `solve_wall_p99_us` is by the clock on the wall, where other processes on the core count.
Paths of RotorPy's own are sampled before the flight. The wind blows towards +x unless --wind-direction says otherwise;
--turbulence adds our own Dryden gusts, since RotorPy's need PyTorch.
"""

from __future__ import annotations

import argparse
import importlib
import json
import math
import sys
import time
from typing import Any

import numpy as np

from giljabi.control.airframe import Airframe
from giljabi.control.flight import FlightController, FlightOptions
from giljabi.control.flight_observer import FlightState
from giljabi.control.flight_paths import Circle, FlatPath, Hover, Lemniscate, through
from giljabi.types import Array
from giljabi_sim.dryden import Dryden

PATHS = ("lemniscate", "circle", "square", "hover")


def airframe(p: dict[str, Any]) -> Airframe:
    """What RotorPy's parameter dictionary says, in our words; drag of the rotors at hover speed."""
    rotors = list(p["rotor_pos"].values())
    hover = math.sqrt(p["mass"] * 9.81 / (len(rotors) * p["k_eta"]))
    return Airframe(
        mass=p["mass"],
        inertia=(p["Ixx"], p["Iyy"], p["Izz"]),
        rotor_x=tuple(float(r[0]) for r in rotors),
        rotor_y=tuple(float(r[1]) for r in rotors),
        spin=tuple(float(s) for s in p["rotor_directions"]),
        torque_ratio=p["k_m"] / p["k_eta"],
        thrust_max=p["k_eta"] * p["rotor_speed_max"] ** 2,
        thrust_min=p["k_eta"] * p["rotor_speed_min"] ** 2,
        drag=tuple(len(rotors) * hover * p.get(k, 0.0) for k in ("k_d", "k_d", "k_z")),  # type: ignore[arg-type]
        motor_lag=p["tau_m"],
    )


class Follower:
    """RotorPy's trajectory interface over one of our paths."""

    def __init__(self, path: FlatPath) -> None:
        self.path = path

    def update(self, t: float) -> dict[str, Any]:
        """Flat outputs at t [s]."""
        at = np.array([t])
        names = ("x", "x_dot", "x_ddot", "x_dddot", "x_ddddot")
        out: dict[str, Any] = {name: self.path.derivative(at, k)[0] for k, name in enumerate(names)}
        step = 1e-4
        yaw = self.path.yaw(np.array([t - step, t, t + step]))
        rate, bend = (yaw[2] - yaw[0]) / (2 * step), (yaw[2] - 2 * yaw[1] + yaw[0]) / step**2
        return {**out, "yaw": float(yaw[1]), "yaw_dot": float(rate), "yaw_ddot": float(bend)}


class TheirPath:
    """A RotorPy trajectory as a flat path: sampled, and continued from the nearest sample by its derivatives."""

    _STEP = 0.005  # s

    def __init__(self, trajectory: Any, duration: float) -> None:
        names = ("x", "x_dot", "x_ddot", "x_dddot", "x_ddddot")
        rows = [trajectory.update(k * self._STEP) for k in range(math.ceil((duration + 5.0) / self._STEP))]
        self._rows = np.array([[row[name] for name in names] for row in rows], dtype=np.float64)
        self._yaw = np.unwrap([float(row["yaw"]) for row in rows])

    def derivative(self, t: Array, order: int) -> Array:
        """Derivative (n, 3) at times (n,)."""
        i = np.clip(np.round(t / self._STEP).astype(int), 0, len(self._rows) - 1)
        d = np.clip(t, 0.0, None) - i * self._STEP
        terms = [self._rows[i, k] * (d ** (k - order) / math.factorial(k - order))[:, None] for k in range(order, 5)]
        return np.asarray(sum(terms))

    def yaw(self, t: Array) -> Array:
        """Yaw (n,)."""
        return np.asarray(np.interp(t, self._STEP * np.arange(len(self._yaw)), self._yaw))


class Gusts:
    """RotorPy's wind interface over our Dryden gusts about a mean wind."""

    def __init__(self, mean: Array) -> None:
        towards = math.atan2(mean[1], mean[0])
        self._mean, self._speed = mean, float(np.linalg.norm(mean))
        self._gusts = Dryden(np.random.default_rng(0), self._speed, towards)

    def update(self, t: float, position: Array) -> Array:
        """Wind (3,) [m/s] at t [s]."""
        return self._mean + self._gusts.at(t, float(position[2]), self._speed + 3.0)


class Ours:
    """RotorPy's controller interface over our controller."""

    def __init__(self, p: dict[str, Any], path: FlatPath, rate: float, options: FlightOptions) -> None:
        self._k, self._path = p["k_eta"], path
        self._controller = FlightController(airframe(p), 1.0 / rate, options)
        self.times: list[float] = []  # s of the thread, one a tick
        self.wall: list[float] = []  # s on the wall
        self.statuses: dict[str, int] = {}

    def update(self, t: float, state: dict[str, Any], flat_output: dict[str, Any]) -> dict[str, Any]:
        """Motor speeds for the state."""
        i, j, k, w = state["q"]
        now = FlightState(t, state["x"], np.array([w, i, j, k]), state["v"], state["w"])
        begin, wall = time.thread_time(), time.perf_counter()
        self._controller.observe(now, thrust=self._k * np.square(state["rotor_speeds"]))
        self._controller.prepare(self._path, t, now.quaternion)
        command = self._controller.step(now)
        self.times.append(time.thread_time() - begin)
        self.wall.append(time.perf_counter() - wall)
        self.statuses[str(command.status)] = self.statuses.get(str(command.status), 0) + 1
        speeds = np.sqrt(np.maximum(command.thrust, 0.0) / self._k)
        return {"cmd_motor_speeds": speeds, "cmd_motor_thrusts": command.thrust, "cmd_thrust": command.total,
                "cmd_moment": np.zeros(3), "cmd_q": state["q"], "cmd_w": command.rates, "cmd_v": state["v"],
                "cmd_acc": np.zeros(3)}  # fmt: skip


def build_path(args: argparse.Namespace) -> tuple[FlatPath, float]:
    """The path and how long it takes [s]."""
    if args.path == "lemniscate":
        return Lemniscate(args.radius, args.speed), args.laps * 2.0 * math.pi * args.radius * math.sqrt(2) / args.speed
    if args.path == "circle":
        return Circle(args.radius, args.speed), args.laps * 2.0 * math.pi * args.radius / args.speed
    if args.path == "square":
        r = args.radius
        corners = [(r, -r), (r, r), (-r, r), (-r, -r), (r, -r)]
        path = through(np.array([(x, y, 2.0) for x, y in corners]), args.speed, 1.5 * args.speed**2 / r)
        return path, path.end
    if args.path == "hover":
        return Hover((0.0, 0.0, 2.0)), 10.0
    module, _, name = args.path.partition(":")
    try:
        made = getattr(importlib.import_module(f"rotorpy.trajectories.{module}"), name)(**json.loads(args.path_options))
    except (ImportError, AttributeError, TypeError, ValueError) as e:
        raise SystemExit(f"--path {args.path}: {e}; one of {', '.join(PATHS)} or MODULE:CLASS is expected") from None
    return TheirPath(made, args.duration), args.duration


def fly(args: argparse.Namespace, p: dict[str, Any], controller: Any, path: FlatPath, duration: float) -> Array:
    """Distances (n,) [m] between vehicle and path at every step of one run."""
    from rotorpy.environments import Environment
    from rotorpy.vehicles.multirotor import Multirotor
    from rotorpy.wind.default_winds import ConstantWind, NoWind

    at = np.zeros(1)
    hover = math.sqrt(p["mass"] * 9.81 / (p["num_rotors"] * p["k_eta"]))
    start = {"x": path.derivative(at, 0)[0], "v": path.derivative(at, 1)[0], "q": np.array([0, 0, 0, 1.0]),
             "w": np.zeros(3), "wind": np.zeros(3), "rotor_speeds": np.full(p["num_rotors"], hover)}  # fmt: skip
    towards = math.radians(args.wind_direction)
    mean = args.wind * np.array([math.cos(towards), math.sin(towards), 0.0])
    wind: Any = Gusts(mean) if args.turbulence else ConstantWind(*mean) if args.wind else NoWind()
    vehicle = Multirotor(p, initial_state=start)
    environment = Environment(vehicle, controller, Follower(path), wind_profile=wind, sim_rate=args.rate)
    np.random.seed(0)  # noqa: NPY002 - RotorPy draws from numpy's global generator
    result = environment.run(t_final=duration)
    if "Timeout" not in result["exit"].value and "Success" not in result["exit"].value:
        print(f"{type(controller).__name__}: {result['exit'].value}", file=sys.stderr)
        return np.full(2, 1e3)
    wanted = path.derivative(result["time"], 0)
    return np.asarray(np.linalg.norm(result["state"]["x"] - wanted, axis=1))


def main() -> int:
    """Runs both controllers and prints what they reached."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vehicle", default="hummingbird", help="of rotorpy.vehicles, e.g. hummingbird, crazyflie")
    parser.add_argument("--path", default="lemniscate", help=f"{', '.join(PATHS)}, or MODULE:CLASS of rotorpy")
    parser.add_argument("--path-options", default="{}", help="JSON of arguments for MODULE:CLASS")
    parser.add_argument("--duration", type=float, default=10.0, help="s, of MODULE:CLASS")
    parser.add_argument("--radius", type=float, default=5.0, help="m")
    parser.add_argument("--speed", type=float, default=5.0, help="m/s, the path's peak")
    parser.add_argument("--wind", type=float, default=0.0, help="m/s")
    parser.add_argument("--wind-direction", type=float, default=0.0, help="degrees, where it goes; 0 is +x")
    parser.add_argument("--turbulence", action="store_true", help="Dryden gusts about the wind")
    parser.add_argument("--rate", type=float, default=100.0, help="Hz of simulator and controllers")
    parser.add_argument("--laps", type=float, default=3.0)
    parser.add_argument("--options", default="{}", help="JSON of FlightOptions")
    parser.add_argument("--no-peer", action="store_true", help="leave RotorPy's own controller out")
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    try:
        p = importlib.import_module(f"rotorpy.vehicles.{args.vehicle}_params").quad_params
        from rotorpy.controllers.quadrotor_control import SE3Control
    except ImportError as e:
        print(f"{e}; `pip install rotorpy` and one of its vehicles are expected", file=sys.stderr)
        return 0 if len(sys.argv) == 1 else 2  # `make bench` runs everything that is installed
    path, duration = build_path(args)
    ours = Ours(p, path, args.rate, FlightOptions(**json.loads(args.options)))
    distance = fly(args, p, ours, path, duration)
    solve = 1e6 * np.array(ours.times[5:])
    out: dict[str, Any] = {
        "rmse_m": float(np.sqrt(np.mean(distance**2))),
        "max_m": float(distance.max()),
        "solve_p50_us": float(np.percentile(solve, 50)),
        "solve_p99_us": float(np.percentile(solve, 99)),
        "solve_wall_p99_us": float(np.percentile(1e6 * np.array(ours.wall[5:]), 99)),
        "vehicle": args.vehicle, "path": args.path, "speed_mps": args.speed, "wind_mps": args.wind,
        "statuses": ours.statuses,
    }  # fmt: skip
    if not args.no_peer:
        theirs = fly(args, p, SE3Control(p), path, duration)
        out["peers"] = {"rotorpy_se3": {"rmse_m": float(np.sqrt(np.mean(theirs**2))), "max_m": float(theirs.max())}}
    if args.json:
        print(json.dumps(out))
        return 0
    print(f"ours          rmse {out['rmse_m']:.4f} m   max {out['max_m']:.4f} m   "
          f"solve p50 {out['solve_p50_us']:.0f} us  p99 {out['solve_p99_us']:.0f} us   {ours.statuses}")  # fmt: skip
    for name, peer in out.get("peers", {}).items():
        print(f"{name:13s} rmse {peer['rmse_m']:.4f} m   max {peer['max_m']:.4f} m")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
