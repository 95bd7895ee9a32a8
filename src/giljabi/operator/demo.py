"""Feeds the page with a made-up scene, to work on the page and to test it: `python -m giljabi.operator.demo`.

Nothing here is a simulation of a vehicle: it moves along a circle by formula, and the page says "made-up data".
"""

from __future__ import annotations

import argparse
import math
import sys
import threading
import time
from dataclasses import replace
from functools import partial

import numpy as np

from giljabi.fence import Fence
from giljabi.missions.course import Course, Step
from giljabi.operator.page import WIRE_SOURCE, PageModel, Shown
from giljabi.operator.server import PORT, PageFeed, PageServer
from giljabi.platform import Platform, load_platform
from giljabi.types import (
    ActuatorCommand,
    Array,
    BadInputError,
    Health,
    JointState,
    Kind,
    MissionPhase,
    MissionState,
    Odometry,
    Route,
    StackState,
    Tracks,
    Trajectory,
)


class Scene:
    """A vehicle on a circle, traffic that crosses it, and buttons that act on the made-up state."""

    def __init__(self, platform: Platform, flies: bool = False) -> None:
        """flies: a mission with steps and fences in place of a route."""
        limits, footprint = platform.model.limits, platform.model.footprint
        self.platform = platform
        self.speed = 0.7 * limits.speed_max
        self.radius = 12.0 * footprint.length
        self.mode = "auto"
        self.reasons: tuple[str, ...] = ()
        self.paused = False
        self.flies, self.step, self.aside = flies, 3, ""
        self.asked: list[str] = []  # buttons of the mission that were pressed
        self.silent: set[type] = set()  # classes that stop arriving: how a dead source looks

    def stop(self) -> tuple[bool, str]:
        """What the guard would do."""
        self.mode, self.reasons = "stopped", ("stop was pressed on the page",)
        return True, "stop: accepted"

    def pause(self) -> tuple[bool, str]:
        """What the planner would do."""
        self.paused = True
        return True, "pause: accepted"

    def resume(self) -> tuple[bool, str]:
        """What the planner would do."""
        self.paused, self.aside = False, ""
        return True, "resume: accepted"

    def ask(self, what: str) -> tuple[bool, str]:
        """What the planner would do."""
        self.asked.append(what)
        if what == "skip":
            self.step += 1
        else:
            self.aside = what
        return True, f"mission/{what}: under way"

    def course(self) -> Course:
        """Steps about the circle, inside fences and around two keep-outs."""
        r = self.radius
        goes = [[r, 0.0], [0.0, r], [-r, 0.0], [-0.3 * r, -0.3 * r]]
        steps = [Step("waypoint", np.array([[*p, 10.0]]), self.speed) for p in goes]
        up = Step("takeoff", np.array([[math.nan, math.nan, 10.0]]), self.speed)
        fences = (
            Fence(((-1.4 * r, -1.5 * r), (1.5 * r, -1.4 * r), (1.4 * r, 1.6 * r), (-1.5 * r, 1.3 * r))),
            Fence(centre=(0.35 * r, 0.3 * r), radius=0.25 * r, keep_out=True, height_max=40.0),
            Fence(((-0.8 * r, -0.9 * r), (-0.2 * r, -0.8 * r), (-0.6 * r, -0.5 * r)), keep_out=True),
            Fence(height_max=120.0),
        )
        home = (0.2 * r, -0.6 * r)
        return Course(
            (up, *steps, Step("return", np.zeros((0, 3)), self.speed)), self.speed, True, fences=fences, home=home
        )

    def pose(self, t: float) -> tuple[Array, float]:
        """Position (2,) [m] and yaw [rad] at time t [s]."""
        angle = self.speed * t / self.radius - 0.5 * math.pi
        return self.radius * np.array([math.cos(angle), math.sin(angle)]), angle + 0.5 * math.pi

    def route(self) -> Route:
        """The circle as a route with a corridor."""
        angle = np.linspace(-0.5 * math.pi, 1.5 * math.pi, 25)
        points = np.column_stack([self.radius * np.cos(angle), self.radius * np.sin(angle), 0 * angle])
        width = np.full((25, 2), 3.0 * self.platform.model.footprint.length)
        return Route(points, np.full(25, self.speed), width, closed=True)

    def items(self, t: float) -> list[Shown]:
        """What arrives at time t [s]."""
        everything: list[Shown] = [
            self._odometry(t),
            self._tracks(t),
            self._plan(t),
            StackState(t, self.mode, self.mode == "auto", self.reasons),
            self._mission(t),
            Health(t, "drivers"),
            Health(t, "estimator"),
            Health(t, "planner", ("solver: 1 of 10 plans came from the last one",) if t % 20 > 10 else ()),
            *self._actuators(t),
        ]
        return [item for item in everything if type(item) not in self.silent]

    def _odometry(self, t: float) -> Odometry:
        (x, y), yaw = self.pose(t)
        q = np.array([math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)])
        rate = self.speed / self.radius
        cov = np.diag([0.36, 0.25, 1.0, 1e-3, 1e-3, 1e-3])
        zero = np.zeros(3)
        height = 0.23 if self.platform.model.robot else 0.0
        velocity, turn = zero + [self.speed, 0, 0], zero + [0, 0, rate]
        return Odometry(t, np.array([x, y, height]), q, velocity, turn, cov, 0.01 * np.eye(6))

    def _tracks(self, t: float) -> Tracks:
        size, r, v = self.platform.model.footprint.length, self.radius, self.speed
        s = (t % 60.0) - 30.0
        kind = Kind.VESSEL.value
        rows = [
            [r + v * s, -0.4 * r, 0, v, 0, 0.0, 3 * size, 0.8 * size, 440001, kind, 4.0],
            [-1.3 * r, 0.5 * r + 0.4 * v * s, 0, 0, 0.4 * v, math.pi / 2, size, 0.4 * size, 440002, kind, 9.0],
            [0.3 * r, 1.2 * r, 0, 0, 0, 0.0, 0.3 * size, 0.3 * size, 7, Kind.STATIC.value, 0.1],
        ]
        return Tracks(t, np.array(rows, dtype=np.float64))

    def _plan(self, t: float) -> Trajectory:
        times = np.linspace(0.0, 25.0, 51)
        poses = [self.pose(t + dt) for dt in times]
        xy, yaw = np.array([p for p, _ in poses]), np.array([a for _, a in poses])
        zeros = np.zeros(len(times))
        velocity = np.column_stack([self.speed * np.cos(yaw), self.speed * np.sin(yaw), zeros])
        return Trajectory(t, times, np.column_stack([xy, zeros]), yaw, velocity, zeros + self.speed / self.radius)

    def _mission(self, t: float) -> MissionState:
        progress = (t * self.speed / (2 * math.pi * self.radius)) % 1.0
        phase = MissionPhase.PAUSED if self.paused else MissionPhase.RUNNING
        to_go = (1 - progress) * 2 * math.pi * self.radius
        state = MissionState(t, phase, progress, to_go, 0.3 * math.sin(t), "following the route")
        if not self.flies:
            return state
        asks = ("resume" if self.paused or self.aside else "", "" if self.paused else "pause")
        more = (*("skip",) * (self.step < 6), *(a for a in ("return", "land") if a != self.aside))
        note = f"{self.aside}s: asked for" if self.aside else f"step {self.step} of 6"
        return replace(
            state, note=note, step=self.step, aside=bool(self.aside), asks=(*filter(None, asks), *more)
        )  # fmt: skip

    def _actuators(self, t: float) -> list[Shown]:
        wanted, sent, slots = {}, {}, {"position": {}, "velocity": {}, "effort": {}}  # type: ignore[var-annotated]
        for k, (name, a) in enumerate(self.platform.model.actuators.items()):
            value = 0.5 * (a.min + a.max) + 0.3 * (a.max - a.min) * math.sin(0.3 * t + k)
            wanted[name], sent[name] = value, 0.95 * value
            slots[a.slot][name] = 0.9 * value
        return [
            ActuatorCommand(t, "auto", wanted),
            ActuatorCommand(t, WIRE_SOURCE, sent),
            JointState(t, slots["position"], slots["velocity"], slots["effort"]),
        ]


class Demo:
    """The page's server on a scene, fed by a thread."""

    def __init__(self, platform: str = "ship", port: int = PORT, rate_hz: float = 20.0, flies: bool = False) -> None:
        self.scene = Scene(load_platform(platform), flies)
        self.model = PageModel(self.scene.platform, note="made-up data")
        self.feed = PageFeed(self.model, time.monotonic)
        buttons = {"stop": self.scene.stop, "pause": self.scene.pause, "resume": self.scene.resume}
        if flies:
            self.feed.set_course(self.scene.course())
            buttons |= {what: partial(self.scene.ask, what) for what in ("skip", "return", "land")}
        self.server = PageServer(self.feed, buttons, port)
        self._period = 1.0 / rate_hz
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._fill, daemon=True)

    def __enter__(self) -> Demo:
        self._t0 = time.monotonic()
        if Route not in self.scene.silent:
            self.feed.take(self.scene.route())
        self._thread.start()
        self.server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join(timeout=2.0)
        self.server.close()

    def _fill(self) -> None:
        while not self._end.wait(self._period):
            for item in self.scene.items(time.monotonic() - self._t0):
                self.feed.take(item)


def main(argv: list[str] | None = None) -> int:
    """Serves the scene until Ctrl-C."""
    parser = argparse.ArgumentParser(description="the page with a made-up scene", epilog="example: --platform car")
    parser.add_argument("--platform", default="ship")
    parser.add_argument("--port", type=int, default=PORT)
    parser.add_argument("--mission", action="store_true", help="with the steps and fences of a flight")
    args = parser.parse_args(argv)
    try:
        with Demo(args.platform, args.port, flies=args.mission) as demo:
            print(f"page with made-up data: {demo.server.url}", flush=True)
            threading.Event().wait()
    except BadInputError as e:
        print(e, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
