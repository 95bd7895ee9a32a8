"""Recorded receivers, with gpsd's reports as an independent reader of the same sentences."""

from __future__ import annotations

import contextlib
import json
import math
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import pyais
import pytest

from giljabi._core import nmea
from giljabi.platform import load_platform
from giljabi.types import GeoDetections, GnssFix, GnssVelocity
from giljabi_drivers.contract import Received
from giljabi_drivers.nmea0183 import Nmea0183Driver

DAY = 86400.0


@dataclass
class Tally:
    """Fields that were compared, and those that differ."""

    compared: dict[str, int] = field(default_factory=dict)
    differ: dict[str, list[str]] = field(default_factory=dict)

    def add(self, what: str, same: bool, detail: str) -> None:
        self.compared[what] = self.compared.get(what, 0) + 1
        if not same:
            self.differ.setdefault(what, []).append(detail)

    def share(self, what: str) -> float:
        return 1.0 - len(self.differ.get(what, ())) / self.compared[what]


def ours(path: Path) -> tuple[dict[float, GnssFix], dict[float, GnssVelocity], set[float]]:
    """Fixes by UTC, RMC velocities by UTC, and the times of day of all sentences with a position in the log."""
    driver = Nmea0183Driver(load_platform("ship"), "bridge")
    framer = nmea.Framer()
    fixes, velocities, told = {}, {}, set()
    for number, raw in enumerate(path.read_bytes().splitlines(keepends=True)):
        rmc = math.nan
        for s in framer.feed(raw):
            if s.talker == "P" or s.type not in ("RMC", "GGA", "GLL", "GNS"):
                continue
            with contextlib.suppress(ValueError):
                clock = s.clock(4 if s.type == "GLL" else 0)
                if not math.isnan(s.coordinate({"RMC": 2, "GLL": 0}.get(s.type, 1))):
                    told.add(round(clock, 3))
                if s.type == "RMC":
                    rmc = clock
        for sample in driver.step(float(number), [Received(float(number), raw)]).samples:
            if isinstance(sample, GnssFix) and not math.isnan(sample.utc_s):
                fixes[round(sample.utc_s, 3)] = sample
            elif isinstance(sample, GnssVelocity) and sample.t == number and not math.isnan(rmc):
                velocities[round(rmc, 3)] = sample
    return fixes, velocities, told


def theirs(path: Path) -> dict[float, dict[str, Any]]:
    """gpsd's last report by UTC: the one that holds all sentences of its epoch.

    Before the RMC of an epoch gpsd reports the speed that follows from two positions, which is in no sentence.
    """
    out = {}
    for text in Path(f"{path}.chk").read_bytes().splitlines():
        if text.startswith(b'{"class":"TPV"'):
            tpv = json.loads(text)
            # 7 is a fix of time alone, 8 a simulated one: nothing for a vehicle.
            if tpv.get("mode", 0) >= 2 and "time" in tpv and "lat" in tpv and tpv.get("status") not in (7, 8):
                out[round(datetime.fromisoformat(tpv["time"].replace("Z", "+00:00")).timestamp(), 3)] = tpv
    return out


def compare(path: Path, tally: Tally) -> None:
    fixes, velocities, told = ours(path)
    for utc, tpv in theirs(path).items():
        clock = round(utc % DAY, 3)
        if clock not in told:
            continue
        where = f"{path.name} {tpv['time']}"
        fix = fixes.get(utc)
        tally.add("time", fix is not None, where)
        if fix is not None:
            tally.add("lat", abs(fix.lat_deg - tpv["lat"]) < 2e-8, f"{where} {fix.lat_deg} {tpv['lat']}")
            tally.add("lon", abs(fix.lon_deg - tpv["lon"]) < 2e-8, f"{where} {fix.lon_deg} {tpv['lon']}")
        velocity = velocities.get(clock)
        if velocity is None or "speed" not in tpv:
            continue
        east, north, _ = velocity.velocity_enu
        speed = math.hypot(east, north)
        if "track" not in tpv and speed == 0.0:  # slow, without a course: only the size of the velocity is known
            tally.add("speed", tpv["speed"] < velocity.std + 1.1e-3, f"{where} {velocity.std} {tpv['speed']}")
            continue
        tally.add("speed", abs(speed - tpv["speed"]) < 1.1e-3, f"{where} {speed} {tpv['speed']}")
        if speed > 0.05 and "track" in tpv:
            off = math.remainder(math.degrees(math.atan2(east, north)) - tpv["track"], 360.0)
            tally.add("course", abs(off) < 6e-3, f"{where} {off} {tpv['track']}")


def test_positions_times_speeds_and_courses_agree_with_gpsd(data_dir: Path) -> None:
    tally = Tally()
    for path in sorted((data_dir / "nmea").glob("*.log")):
        if Path(f"{path}.chk").exists():
            compare(path, tally)
    shares = {what: tally.share(what) for what in tally.compared}
    # What misses a time is a receiver's first fix, sent before its first date.
    for what, least in {"time": 700, "lat": 700, "lon": 700, "speed": 700, "course": 80}.items():
        assert tally.compared[what] > least, what
        assert shares[what] >= 0.99, tally.differ[what][:5]


def same_report(row: Any, report: dict[str, Any]) -> bool:
    """Whether a detection is what gpsd read out of a message (raw units of ITU-R M.1371)."""
    per_degree = 600.0 if report["type"] == 27 else 600_000.0
    knots = report.get("speed", 0) * (1.0 if report["type"] in (9, 27) else 0.1)
    course = math.radians(report.get("course", 0) * (1.0 if report["type"] == 27 else 0.1))
    if math.isnan(row[6]) or math.isnan(row[5]):  # else the position is that of the middle of the hull
        off = max(abs(row[0] - report["lon"] / per_degree), abs(row[1] - report["lat"] / per_degree))
        if off > 6e-7:
            return False
    if not math.isnan(row[3]):
        wanted = knots * 1852.0 / 3600.0
        if abs(row[3] - wanted * math.sin(course)) > 1e-6 or abs(row[4] - wanted * math.cos(course)) > 1e-6:
            return False
    if math.isnan(row[5]):
        return bool(report.get("heading", 511) >= 360)
    return abs(math.remainder(row[5] - math.radians(90 - report["heading"]), math.tau)) < 1e-9


@pytest.mark.parametrize(("name", "targets"), [("ait250.log", 30), ("ais-nmea-type6-fid55.log", 957)])
def test_ais_agrees_with_gpsd(name: str, targets: int, data_dir: Path) -> None:
    path = data_dir / "nmea" / name
    reports: dict[int, list[dict[str, Any]]] = {}
    for text in Path(f"{path}.chk").read_bytes().splitlines():
        if text.startswith(b'{"class":"AIS"'):
            report = json.loads(text)
            known = abs(report.get("lat", 1e9)) <= 90 * (600 if report["type"] == 27 else 600_000)
            if known and report["type"] in (1, 2, 3, 4, 9, 18, 19, 21, 27):  # those that tell where something is
                reports.setdefault(report["mmsi"], []).append(report)
    driver = Nmea0183Driver(load_platform("ship"), "ais")
    rows = [
        row
        for number, raw in enumerate(path.read_bytes().splitlines(keepends=True))
        for sample in driver.step(float(number), [Received(float(number), raw)]).samples
        if isinstance(sample, GeoDetections)
        for row in sample.data
    ]
    assert driver.stats.rejected == {}
    assert len(rows) == targets
    for row in rows:
        assert any(same_report(row, r) for r in reports[int(row[8])]), row
    own = {pyais.decode(v).mmsi for v in path.read_bytes().splitlines() if v[3:11] == b"VDO,1,1,"}
    assert own
    if name == "ait250.log":  # in the other one a base station hears itself, and others hear it
        assert not own & {int(row[8]) for row in rows}  # own ship is no target
    for mmsi in reports.keys() - own:
        for report in reports[mmsi]:
            assert any(same_report(row, report) for row in rows if row[8] == mmsi), report
