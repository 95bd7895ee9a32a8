"""Flies an autopilot's simulator that somebody else started (ArduPilot's, PX4's, ours) with the whole stack.

usage: python benchmarks/autopilot.py --device tcp:127.0.0.1:5760 [--case NAME]... [--missions N] [--loss SHARE]
           [--speed F] [--set PARAMETER=VALUE]... [--autopilot ardupilot|px4] [--json F|-]

cases: square, survey, fence, rtl, planner, lemniscate, missions (all when none is named)

The vehicle stands on open ground, its estimate is good, and nobody else speaks to it; its battery is counted full
before each flight. Distances of the lemniscate (radius 15 m, at the asked peak speeds) are those between where the plan
wants the vehicle at a time and where it is: `rms_m` by the autopilot's LOCAL_POSITION_NED at its own stamps,
`truth_rms_m` by ArduPilot's SIM_STATE, which has no stamp, so at its arrival. planner: the planner dies at 4 m/s on a
straight; `stop_m` is the way from there to rest. rtl: planner and controller die 40 m out; the ladder hold, return,
land must bring the vehicle home. fence: a route through a fence that the guard alone knows. missions: N take-offs,
squares and landings, `loss` of the frames lost each way.

--speed F: the simulator runs F times as fast as the wall (SIM_SPEEDUP of ArduPilot); the stack then follows the clock
of the autopilot. Exit 1 where a figure is missed, 2 for bad arguments.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from autopilot_rig import Missed, PathPlanner, Rig, changed, route

from giljabi.arguments import Parser
from giljabi.control.flight_paths import Lemniscate
from giljabi.fence import as_fences
from giljabi.missions.patterns import survey
from giljabi.platform import Platform
from giljabi.types import Array, BadInputError

HEIGHT = 12.0  # m
RADIUS = 15.0  # m
LIMITS = {3.0: 0.08, 5.0: 0.15, 8.0: 0.25}  # m of rms by speed
STOP_M = 3.0
SETTLE_S = 4.0  # of a lemniscate, after its full speed is reached
LAPS = 2
CASES = ("square", "survey", "fence", "rtl", "planner", "lemniscate", "missions")
SQUARE = [(0.0, 0.0, 0.0), (30.0, 0.0, HEIGHT), (30.0, 30.0, HEIGHT), (0.0, 30.0, HEIGHT), (0.0, 0.0, 0.0)]
SMALL = [(0.0, 0.0, 0.0), (12.0, 0.0, 6.0), (12.0, 12.0, 6.0), (0.0, 12.0, 6.0), (0.0, 0.0, 0.0)]


def platform_of(args: argparse.Namespace, fast: bool = False) -> Platform:
    """The drone, with what the cases need."""
    changes: dict[str, Any] = {
        "drivers.autopilot.device": args.device,
        "drivers.autopilot.options.autopilot": args.autopilot,
        "drivers.autopilot.options.rates_hz": {"SIM_STATE": 50.0} if args.autopilot == "ardupilot" else {},
    }
    if fast:
        changes |= {"limits.speed_max": 12.0, "limits.speed_min": -12.0}
        for axis in "xy":
            changes |= {f"actuators.velocity_{axis}.{end}": s * 12.0 for end, s in (("min", -1), ("max", 1))}
            changes |= {f"actuators.acceleration_{axis}.{end}": s * 8.0 for end, s in (("min", -1), ("max", 1))}
    for pair in args.option:
        key, _, value = pair.partition("=")
        changes[key] = float(value)
    return changed("drone", changes)


def begin(args: argparse.Namespace, loss: float = 0.0, seed: int = 1, fast: bool = False) -> Rig:
    """A rig with a stack that hears the autopilot."""
    if args.rig is not None:
        args.rig.transport.close()
    rig = args.rig = Rig(args.device, args.speed, loss, seed)
    driver = rig.use(platform_of(args, fast))
    rig.run(30.0, lambda now: "HEARTBEAT" in driver.stats.last_t, f"hearing a heartbeat at {args.device}")
    return rig


def rms(distance: Array) -> float:
    """Root mean square of (n,)."""
    return float(np.sqrt(np.mean(np.square(distance))))


def shifted(planner: PathPlanner, t: Array, p: Array) -> float:
    """The delay [s] by which what was flown lies behind the plan, of the smallest rms."""
    shifts = np.linspace(-0.5, 0.5, 101)
    errors = [rms(np.linalg.norm(p - planner.reference(t - s), axis=1)) for s in shifts]
    return float(shifts[int(np.argmin(errors))])


# --- cases ----------------------------------------------------------------------------------------------------------


def lemniscate(args: argparse.Namespace) -> dict[str, Any]:
    """Tracking at three speeds, in one flight."""
    rig = begin(args, fast=True)
    rig.fly_route([(0.0, 0.0, 0.0), (0.0, 0.0, HEIGHT)], 2.0)
    assert rig.stack is not None
    climber = rig.stack.planner
    rows = []
    for speed in args.at or LIMITS:
        path = Lemniscate(RADIUS, speed, HEIGHT)
        planner = PathPlanner(path, ramp=8.0)
        rig.stack.planner = planner
        lap = 2.0 * math.pi * RADIUS * math.sqrt(2.0) / speed
        begun = rig.tick()
        since = begun + 8.0 + SETTLE_S
        rig.run(8.0 + SETTLE_S + LAPS * lap + 30.0, lambda now, end=since + LAPS * lap: now > end, "laps")  # type: ignore[misc]
        t, p, _ = rig.estimated(since)
        away = np.linalg.norm(p - planner.reference(t), axis=1)
        row = {"speed_mps": speed, "rms_m": rms(away), "max_m": float(away.max()), "lag_s": shifted(planner, t, p),
               "samples": len(t), "limit_m": LIMITS.get(speed)}  # fmt: skip
        true = rig.true(since)
        if true is not None:
            row["truth_rms_m"] = rms(np.linalg.norm(true[1] - planner.reference(true[0]), axis=1))
            row["truth_lag_s"] = shifted(planner, *true)
        rows.append(row)
        rig.recharge()
        rig.stack.planner = climber
        rig.fly_route([tuple(p[-1]), (0.0, 0.0, HEIGHT)], 3.0)
    land(rig)
    held = all(r["limit_m"] is None or r["rms_m"] <= r["limit_m"] for r in rows)
    return {"held": held, "radius_m": RADIUS, "rows": rows, "late_ticks": rig.late}


def land(rig: Rig) -> None:
    """Home, and down."""
    assert rig.stack is not None
    x, y, z = (float(v) for v in rig.estimates[-1][1])
    rig.fly_route([(x, y, z), (0.0, 0.0, HEIGHT), (0.0, 0.0, 0.0)], 5.0)
    rig.disarm()


def flown(args: argparse.Namespace, points: list[tuple[float, float, float]], speed: float) -> dict[str, Any]:
    """A route from take-off to landing, and how far from its line the vehicle was."""
    rig = begin(args)
    rig.recharge()
    assert rig.stack is not None
    away: list[float] = []
    stack = rig.stack
    stack.set_route(route(points, speed))
    rig.arm()
    begun = rig.clock.now()

    def done(now: float) -> bool:
        if stack.latest.mission is not None:
            away.append(abs(stack.latest.mission.cross_track))
        return rig.arrived(now)

    end = rig.run(600.0, done, "arriving")
    rig.disarm()
    home = rig.estimates[-1][1]
    return {"held": True, "flight_s": end - begun, "line_rms_m": rms(np.array(away)), "line_max_m": max(away),
            "home_m": float(math.hypot(home[0], home[1]))}  # fmt: skip


def square(args: argparse.Namespace) -> dict[str, Any]:
    """30 m at 5 m/s."""
    return flown(args, SQUARE, 5.0)


def survey_field(args: argparse.Namespace) -> dict[str, Any]:
    """Lanes over a field of 60 m by 40 m."""
    field = [(10.0, 10.0), (70.0, 10.0), (70.0, 50.0), (10.0, 50.0)]
    lanes = [(float(x), float(y), HEIGHT) for x, y in survey(field, 10.0, 0.0)]
    return {"lanes": len(lanes) // 2} | flown(args, [(0.0, 0.0, 0.0), *lanes, (0.0, 0.0, 0.0)], 6.0)


def outwards(args: argparse.Namespace, speed: float) -> Rig:
    """A vehicle that has just reached its speed on a long straight to the east."""
    rig = begin(args)
    rig.recharge()
    assert rig.stack is not None
    rig.stack.set_route(route([(0.0, 0.0, 0.0), (0.0, 0.0, HEIGHT), (120.0, 0.0, HEIGHT)], speed))
    rig.arm()
    rig.run(120.0, lambda now: bool(rig.estimates) and rig.estimates[-1][1][0] > 40.0, "flying out")
    return rig


def planner_dies(args: argparse.Namespace) -> dict[str, Any]:
    """At 4 m/s."""
    rig = outwards(args, 4.0)
    assert rig.stack is not None
    t0, p0, v0 = rig.estimates[-1]
    rig.stack.stalled = frozenset({"planner"})
    end = rig.clock.now() + 8.0
    rig.run(30.0, lambda now: now > end, "stopping")
    t, p, v = rig.estimated(t0)
    far = float(np.linalg.norm(p - p0, axis=1).max())
    rest = next((float(a - t0) for a, b in zip(t, np.linalg.norm(v, axis=1), strict=True) if b < 0.2), math.nan)
    armed = rig.ear.modes[-1][2]
    rig.stack.stalled = frozenset()
    rig.stack.set_route(route([tuple(p[-1]), (0.0, 0.0, HEIGHT), (0.0, 0.0, 0.0)], 5.0))
    rig.arm()
    rig.run(120.0, rig.arrived, "coming home")
    rig.disarm()
    speed = float(np.linalg.norm(v0))
    return {"held": far <= STOP_M and armed and speed > 3.8, "speed_mps": speed, "stop_m": far, "rest_s": rest,
            "airborne": armed, "limit_m": STOP_M}  # fmt: skip


def comes_home(args: argparse.Namespace) -> dict[str, Any]:
    """Planner and controller die; the ladder brings it home."""
    rig = outwards(args, 5.0)
    assert rig.stack is not None
    begun = rig.clock.now()
    rig.stack.stalled = frozenset({"planner", "controller"})
    rig.run(200.0, lambda now: not rig.ear.modes[-1][2], "landing by the ladder")
    modes = [m for t, m, _ in rig.ear.modes if t >= begun - 1.0]
    home = rig.estimates[-1][1]
    off = float(math.hypot(home[0], home[1]))
    return {"held": off <= 2.0, "home_m": off, "modes": modes, "down_s": rig.clock.now() - begun}


def fence(args: argparse.Namespace) -> dict[str, Any]:
    """A route through a fence that the planner does not know of: the guard holds the vehicle back, inside of it."""
    rig = begin(args)
    rig.recharge()
    assert rig.stack is not None
    east, stack = 60.0, rig.stack
    stack.guard.set_fences(as_fences([[(-40.0, -40.0), (east, -40.0), (east, 40.0), (-40.0, 40.0)]]))
    stack.set_route(route([(0.0, 0.0, 0.0), (0.0, 0.0, HEIGHT), (120.0, 0.0, HEIGHT)], 5.0))
    rig.arm()
    begun = rig.clock.now()
    rested = math.inf  # since when

    def held_back(now: float) -> bool:
        nonlocal rested
        _, p, v = rig.estimates[-1]
        still = p[0] > 40.0 and float(np.linalg.norm(v)) < 0.3
        rested = min(rested, now) if still else math.inf
        return now - rested > 5.0 or p[0] > east + 5.0

    rig.run(120.0, held_back, "resting before the fence")
    _, p, v = rig.estimated(begun)
    margin = east - float(p[:, 0].max())
    fastest = float(np.linalg.norm(v, axis=1).max())
    stack.set_route(route([tuple(p[-1]), (0.0, 0.0, HEIGHT), (0.0, 0.0, 0.0)], 5.0))
    stack.start()
    rig.run(120.0, rig.arrived, "coming home")
    rig.disarm()
    return {"held": margin >= 0.0 and fastest > 4.5, "margin_m": margin, "speed_mps": fastest}


def missions(args: argparse.Namespace) -> dict[str, Any]:
    """Take-off, square, landing, again and again over a bad line; each with a stack of its own."""
    rig = begin(args, args.loss, args.seed)
    done, failed, begun = 0, [], rig.clock.now()
    for i in range(args.missions):
        try:
            rig.ear.texts.clear()
            rig.recharge()
            rig.fly_route(SMALL, 4.0)
            rig.disarm()
            home = rig.estimates[-1][1]
            if math.hypot(home[0], home[1]) > 2.0:
                raise Missed(f"landed {math.hypot(home[0], home[1]):.1f} m from home")
            done += 1
        except Missed as e:
            failed.append(f"mission {i}: {e}")
            recover(rig)
        print(f"mission {i + 1}: {done} of {i + 1} done", file=sys.stderr, flush=True)
        write(args, {"missions": {"missions": i + 1, "done": done, "failed": failed}})
        rig.estimates.clear()
        rig.ear.truth.clear()
        rig.use(platform_of(args))
    lost = (rig.inwards.lost, rig.outwards.lost)
    return {"held": not failed, "missions": args.missions, "done": done, "loss": args.loss, "failed": failed,
            "frames_lost": lost, "frames_passed": (rig.inwards.passed, rig.outwards.passed),
            "time_s": rig.clock.now() - begun}  # fmt: skip


def recover(rig: Rig) -> None:
    """After a failed mission: the ladder brings it down."""
    assert rig.stack is not None
    rig.stack.stalled = frozenset({"planner", "controller"})
    rig.run(250.0, lambda now: not rig.ear.modes[-1][2], "landing by the ladder")


FLIGHTS: dict[str, Callable[[argparse.Namespace], dict[str, Any]]] = {
    "square": square, "survey": survey_field, "fence": fence, "rtl": comes_home, "planner": planner_dies,
    "lemniscate": lemniscate, "missions": missions,
}  # fmt: skip


# --- command --------------------------------------------------------------------------------------------------------


def arguments(argv: list[str] | None) -> argparse.Namespace:
    """Arguments; raises BadInputError."""
    parser = Parser(prog="benchmarks/autopilot.py", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    add = parser.add_argument
    add("--device", metavar="URL", required=True)
    add("--case", choices=CASES, action="append", default=[])
    add("--autopilot", choices=("ardupilot", "px4"), default="ardupilot")
    add("--missions", type=int, default=100, metavar="N")
    add("--loss", type=float, default=0.05, metavar="SHARE")
    add("--seed", type=int, default=1, metavar="N")
    add("--speed", type=float, default=0.0, metavar="F", help="of the simulator's clock; default: real time")
    add("--at", type=float, action="append", default=[], metavar="MPS", help="speed of the lemniscate; repeatable")
    add("--set", dest="parameter", action="append", default=[], metavar="NAME=VALUE", help="parameter of the autopilot")
    add("--option", action="append", default=[], metavar="KEY=VALUE", help="value in the platform file")
    add("--json", metavar="F")
    parser.set_defaults(rig=None)
    return parser.parse_args(argv)


def prepare(args: argparse.Namespace) -> dict[str, float]:
    """Sets parameters of the autopilot beside those of the platform file; what they are."""
    wanted = {}
    for pair in args.parameter:
        name, _, value = pair.partition("=")
        try:
            wanted[name] = float(value)
        except ValueError:
            raise BadInputError(f"--set {pair}: no number; NAME=VALUE is expected") from None
    rig = begin(args)
    rig.set_parameters(wanted)
    rig.recharge()
    return wanted


def write(args: argparse.Namespace, result: dict[str, Any]) -> None:
    """What there is so far, to the file that was asked for."""
    if args.json and args.json != "-":
        Path(args.json).write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def main(argv: list[str] | None = None) -> int:
    """Flies; returns the exit code."""
    try:
        args = arguments(argv)
        result: dict[str, Any] = {"device": args.device, "speed": args.speed or 1.0, "parameters": prepare(args)}
    except (BadInputError, Missed) as e:
        print(e, file=sys.stderr)
        return 2
    for name in args.case or CASES:
        wall = time.monotonic()
        try:
            result[name] = FLIGHTS[name](args)
        except Missed as e:
            result[name] = {"held": False, "why": str(e)}
        result[name]["wall_s"] = round(time.monotonic() - wall, 1)
        print(f"{name}: {json.dumps(result[name])}", file=sys.stderr, flush=True)
    write(args, result)
    if args.json == "-":
        print(json.dumps(result, indent=1))
    return 0 if all(result[name]["held"] for name in args.case or CASES) else 1


if __name__ == "__main__":
    sys.exit(main())
