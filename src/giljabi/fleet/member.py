"""One vehicle of a fleet: the way it flies, what it asks the others for, and what it does when it comes no further."""

from __future__ import annotations

import math
from collections.abc import Sequence
from random import Random

import numpy as np

from giljabi.fleet.agreement import Agreement
from giljabi.fleet.dodge import Inside, Room, clear, find_way
from giljabi.fleet.intent import Intent, Way
from giljabi.types import Array

LEAD_S = 1.4  # from asking to the place where the new way begins
AGAIN_S = 0.25  # between two looks for a way
STUCK_S, DETOUR_S = 4.0, 3.0  # without progress until a detour, and how long it is tried
PROGRESS = 0.5  # m
NEAR = 0.3  # m from its goal a way may end


class Member:
    """Sans-I/O: `hear` messages, `step`, send what `say` gives a few times a second. Seeded: same input, same ways.

    inside: see find_way.
    """

    def __init__(  # noqa: PLR0917
        self, vehicle: str, members: Sequence[str], room: Room, now: float, place: Array, inside: Inside | None = None
    ) -> None:
        self._room, self._inside = room, inside
        self.agreement = Agreement(
            vehicle, tuple(members), lambda a, b, t: clear(a, b, t, room), Way.rest(now, np.asarray(place)), now
        )
        self._random = Random(vehicle)
        self._look = now
        self._best, self._best_t = math.inf, now
        self._detour: Array | None = None
        self._detour_end = -math.inf
        self._goal: Array | None = None
        self.note = ""

    @property
    def way(self) -> Way:
        """What it flies."""
        return self.agreement.way

    def hear(self, intent: Intent, now: float) -> None:
        """A message of another vehicle."""
        self.agreement.hear(intent, now)

    def say(self, now: float) -> Intent:
        """The message of now."""
        return self.agreement.say(now)

    def stands(self, now: float, place: Array) -> None:
        """Where one that does not fly was carried to."""
        self.agreement.way, self.agreement.wish = Way.rest(now, np.asarray(place, dtype=np.float64)), None

    def step(self, now: float, goal: Array | None) -> Way:
        """The way to fly from now on; goal: (3,) m, None: it comes to rest on its way."""
        self.agreement.step(now)
        if goal is None or not self.agreement.ready(now):
            missing = self.agreement.missing()
            self.note = f"waits for word of {', '.join(missing)}" if missing else self.agreement.waits(now)
            return self.way
        goal = self._towards(now, np.asarray(goal, dtype=np.float64))
        if self.agreement.wish is None and now >= self._look:
            self._look = now + AGAIN_S
            branch = now + LEAD_S
            found = find_way(self.way, branch, goal, list(self.agreement.taken(now)), now, self._room, self._inside)
            if found is not None:
                self.agreement.want(now, found, branch)
                self.agreement.step(now)
        return self.way

    def _towards(self, now: float, goal: Array) -> Array:
        """The goal, or for a while a place beside the way when nothing brought it nearer."""
        if self._goal is None or float(np.linalg.norm(goal - self._goal)) > PROGRESS:
            self._goal, self._best, self._best_t, self._detour_end = goal.copy(), math.inf, now, -math.inf
        left = float(np.linalg.norm(self.way.rows[-1, 1:4] - goal))
        if left < self._best - PROGRESS or left < NEAR:
            self._best, self._best_t = left, now
        if now < self._detour_end and self._detour is not None:
            self.note = "goes out of the way"
            return self._detour
        self.note = "" if left < NEAR else "on its way" if now - self._best_t < 1.0 else "waits for a clear way"
        if now - self._best_t > STUCK_S * (1.0 + self._random.random()):
            turn = self._random.uniform(-math.pi, math.pi)
            reach = self._random.uniform(2.0, 6.0) * self._room.distance
            rise = self._random.uniform(-2.0, 2.0) * self._room.distance
            place = self.way.rows[-1, 1:4] + np.array([reach * math.cos(turn), reach * math.sin(turn), rise])
            place[2] = min(max(place[2], self._room.low), self._room.high)
            self._detour, self._detour_end = place, now + DETOUR_S
            self._best, self._best_t = math.inf, now + DETOUR_S
            return np.asarray(place)
        return goal
