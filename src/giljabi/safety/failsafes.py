"""Failsafes by the platform file's one table: what is asked of the planner, and why, in words.

The most conservative of what is active wins. This step only says what is asked for now; the planner keeps a return or a
landing until a person says otherwise, and never turns motors off in the air.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import get_args

from giljabi.failsafe_table import Action, Failsafe
from giljabi.platform import Platform
from giljabi.types import Battery, Health, Odometry

LADDER: tuple[Action, ...] = get_args(Action)  # hold, return, land: each more conservative than the one before
BATTERY_STALE_S = 10.0
LINK_SILENT_S = 3.0  # of the operator's heartbeat, until the link counts as lost
NO_POSITION = ("gnss_lost", "estimator")  # reasons with which nobody finds home


@dataclass(frozen=True, slots=True)
class FailsafeInputs:
    """What failsafes look at.

    raised: problems of the supervisor, words by (part, name); battery, odom: the newest; operator_t: stamp of the
    newest heartbeat of somebody who watches, None: nobody ever has.
    """

    armed: bool
    health: Health
    raised: Mapping[tuple[str, str], str] = field(default_factory=dict)
    battery: Battery | None = None
    odom: Odometry | None = None
    operator_t: float | None = None


class Failsafes:
    """The supervisor's verdict in, the same with what is asked of the planner out."""

    def __init__(self, platform: Platform) -> None:
        self._table = platform.model.failsafes
        self._gnss = {("sensor", n) for n, s in platform.model.sensors.items() if s.kind == "gnss"}
        self._since: dict[str, float] = {}

    def step(self, now: float, inputs: FailsafeInputs) -> Health:
        """Verdict at `now` [s]; Health.demand is empty where the platform file has no table."""
        health, table = inputs.health, self._table
        if table is None:
            return health
        active: list[tuple[int, str, str]] = []
        found = dict(self._found(now, inputs))
        self._since = {name: self._since.get(name, now) for name in found}
        for name, (row, words) in found.items():
            if now - self._since[name] >= row.after_s:
                active.append((self._level(now, name, row), name, words))
        if not active:
            return health
        level, _, why = max(active, key=lambda a: a[0])
        own = [words for _, _, words in active if words not in health.reasons]
        fault = bool(health.reasons) and not health.degraded
        asked = LADDER[level] if inputs.armed else ""
        return replace(health, reasons=(*health.reasons, *own), degraded=not fault, demand=asked, why=why)

    def _level(self, now: float, name: str, row: Failsafe) -> int:
        """Place on the ladder: a hold or a return that does not help becomes the next."""
        assert self._table is not None
        level, lasted = LADDER.index(row.action), now - self._since[name] - row.after_s
        if LADDER[level] == "hold" and lasted >= self._table.hold_s:
            level += 1
            lasted -= self._table.hold_s
        if LADDER[level] == "return" and lasted >= self._table.return_s:
            level += 1
        if LADDER[level] == "return" and name in NO_POSITION:
            level += 1
        return level

    def _found(self, now: float, inputs: FailsafeInputs) -> Iterator[tuple[str, tuple[Failsafe, str]]]:
        """What is wrong now: name, its row, words."""
        table = self._table
        assert table is not None
        battery = inputs.battery
        if battery is not None and now - battery.t <= BATTERY_STALE_S and math.isfinite(battery.share):
            for name, row in (("battery_low", table.battery_low), ("battery_critical", table.battery_critical)):
                if row is not None and battery.share < row.at:
                    yield name, (row, f"battery: {battery.share:.0%} left, {row.at:.0%} is the least")
        yield from self._raised(inputs)
        if table.link_lost is not None and inputs.operator_t is not None:
            silent = now - inputs.operator_t
            if silent > LINK_SILENT_S:
                yield "link_lost", (table.link_lost, f"nobody has watched for {silent:.0f} s")
        if table.tilt is not None and inputs.odom is not None:
            tilt = tilt_deg(inputs.odom)
            if tilt > table.tilt.at_deg:
                yield "tilt", (table.tilt, f"tilted by {tilt:.0f} degrees, {table.tilt.at_deg:g} are the most")

    def _raised(self, inputs: FailsafeInputs) -> Iterator[tuple[str, tuple[Failsafe, str]]]:
        """The supervisor's problems by the row that they belong to, the first of each."""
        table = self._table
        assert table is not None
        rows = {"gnss_lost": table.gnss_lost, "estimator": table.estimator, "unhealthy": table.unhealthy}
        told = set()
        for key, words in inputs.raised.items():
            name = "gnss_lost" if key in self._gnss else "estimator" if key[0] in ("estimator", "odom") else "unhealthy"
            row = rows[name]
            if row is not None and name not in told:
                told.add(name)
                yield name, (row, words)


def tilt_deg(odom: Odometry) -> float:
    """Angle between the vehicle's up and the world's [deg]."""
    _, x, y, _ = odom.quaternion
    return math.degrees(math.acos(min(max(1.0 - 2.0 * float(x * x + y * y), -1.0), 1.0)))
