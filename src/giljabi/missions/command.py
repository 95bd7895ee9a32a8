"""`giljabi mission`: convert, check and show mission files; hand one to a running stack, and speak to it."""

from __future__ import annotations

import argparse
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from giljabi.missions.course import Course, course_from
from giljabi.missions.energy import Craft, check_range
from giljabi.missions.files import Plan, plan_text, read_plan, write_plan
from giljabi.rundir import running_domain
from giljabi.types import Array, BadInputError, Origin

EXAMPLE = "example: giljabi mission convert field.plan field.yaml"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the arguments of `giljabi mission`."""
    parser.epilog = EXAMPLE
    sub = parser.add_subparsers(dest="what", required=True, metavar="WHAT")
    _add_live(sub)
    convert = sub.add_parser("convert", help="between .plan, .geojson and .yaml", epilog=EXAMPLE)
    convert.add_argument("file", type=Path, metavar="FILE")
    convert.add_argument("out", type=Path, metavar="OUT")
    show = sub.add_parser("show", help="the steps, one a line", epilog="example: giljabi mission show field.plan")
    show.add_argument("file", type=Path, metavar="FILE")
    epilog = "example: giljabi mission check field.plan --battery-wh 74 --hover-w 250 --cruise-w 220 --air-speed 12"
    check = sub.add_parser("check", help="whether the battery brings it home in this wind", epilog=epilog)
    check.add_argument("file", type=Path, metavar="FILE")
    for name, text in (
        ("--battery-wh", "of a full battery"), ("--hover-w", "power in hover"), ("--cruise-w", "power in cruise"),
        ("--air-speed", "m/s that it can fly"),
    ):  # fmt: skip
        check.add_argument(name, type=float, required=True, metavar="X", help=text)
    check.add_argument("--charge", type=float, default=1.0, metavar="0..1", help="of the battery now")
    check.add_argument("--reserve", type=float, default=0.2, metavar="0..1", help="that is not planned with")
    check.add_argument("--wind", type=float, default=0.0, metavar="MPS")
    check.add_argument("--wind-from", type=float, default=0.0, metavar="DEG", help="compass direction it comes from")


def _add_live(sub: Any) -> None:
    """What is asked of a running stack."""
    live = {
        "load": "hand a mission to the running stack; goes on where nothing has changed",
        "start": "begin the mission", "pause": "stop on the way", "resume": "go on",
        "skip": "go to the next step, or to step N", "return": "come home, or to the nearest rally point",
        "land": "land where it is",
    }  # fmt: skip
    for name, words in live.items():
        example = {"load": " field.plan", "skip": " 4"}.get(name, "")
        one = sub.add_parser(name, help=words, epilog=f"example: giljabi mission {name}{example}")
        if name == "load":
            one.add_argument("file", type=Path, metavar="FILE")
        if name == "skip":
            one.add_argument("step", type=int, nargs="?", metavar="N", help="counted from 1")
        one.add_argument("--namespace", default="", metavar="NS", help="of the vehicle")


def _live(args: argparse.Namespace) -> int:
    """Asks the planner; 0, or 1 when it refuses."""
    value: str | int | None = getattr(args, "step", None)
    if args.what == "load":
        value = plan_text(read_plan(args.file))
    if find_spec("rclpy") is None:
        raise BadInputError("ROS 2 cannot be imported; pip install 'giljabi[ros]' or source a ROS 2 installation")
    from giljabi.ros.mission_client import ask

    done, words = ask(args.what, value, args.namespace, running_domain())
    print(words, file=sys.stdout if done else sys.stderr)
    return 0 if done else 1


def run(args: argparse.Namespace) -> int:
    """0; 1 when the mission does not get home, or the stack refuses."""
    if args.what not in ("convert", "show", "check"):
        return _live(args)
    plan = read_plan(args.file)
    if args.what == "convert":
        write_plan(args.out, plan)
        return 0
    if args.what == "show":
        return _show(plan)
    return _check(args, plan)


def _show(plan: Plan) -> int:
    if plan.home is not None:
        print(f"home      {plan.home.lat_deg:.7f} {plan.home.lon_deg:.7f}  {plan.home.alt_m:.1f} m")
    height = 0.0
    for i, (item, step) in enumerate(zip(plan.items, _about_home(plan).steps, strict=True), 1):
        here = item.lat_deg is None or item.lon_deg is None
        place = f"{len(step.points)} points" if len(step.points) > 1 else "here" if here else ""
        place = place or f"{item.lat_deg:.7f} {item.lon_deg:.7f}"
        height = float(step.points[-1][2]) if len(step.points) else height
        hold = f"  holds {item.hold_s:g} s" if item.hold_s else "  until resumed" if item.until_resumed else ""
        print(f"{i:3d} {item.kind:9s} {place}  {height:.1f} m{hold}")
    print(f"{plan.speed:g} m/s, {len(plan.fences) + len(plan.keep_out) + len(plan.circles)} fences")
    return 0


def _about_home(plan: Plan) -> Course:
    """The mission in a map that begins at home, or at its first place."""
    places = [(i.lat_deg, i.lon_deg) for i in plan.items if i.lat_deg is not None and i.lon_deg is not None]
    places += [c for i in plan.items for c in (i.polygon or i.path or [w[:2] for w in i.way or ()])]
    if not places and plan.home is None:
        raise BadInputError("mission: neither home nor any step has a place; one is expected")
    lat, lon = (plan.home.lat_deg, plan.home.lon_deg) if plan.home is not None else places[0]
    return course_from(plan, Origin(lat, lon, 0.0))


def way_of(plan: Plan) -> tuple[Array, float]:
    """Way from home through the steps (n, 3) [m: east, north, height above home], and the time of holding [s]."""
    way = [np.zeros(3)]
    for step in _about_home(plan).steps:
        for x, y, z in step.points:
            way.append(np.array([*((x, y) if math.isfinite(x) else way[-1][:2]), z]))
        if step.kind == "land":
            way.append(np.array([*way[-1][:2], 0.0]))
    return np.array(way), sum(i.hold_s for i in plan.items)


def _check(args: argparse.Namespace, plan: Plan) -> int:
    joules = 3600.0 * args.battery_wh
    craft = Craft(args.hover_w, args.cruise_w, args.air_speed, joules, args.reserve)
    way, hold = way_of(plan)
    to = math.radians(args.wind_from + 180.0)
    wind = (args.wind * math.sin(to), args.wind * math.cos(to))
    share = args.charge - hold * args.hover_w / joules
    result = check_range(way, np.zeros(3), craft, wind, share, plan.speed)
    if result.why:
        print(f"it does not get home: {result.why}")
        return 1
    used = (args.charge - share) + result.needed / joules
    print(f"it gets home: {result.time + hold:.0f} s, {used:.0%} of the battery, {args.charge - used:.0%} left")
    return 0
