"""`giljabi replay`: recorded bytes through the drivers into the estimator, as fast as they go or at the recorded pace.

The loop gives batches of samples to a `Sink`; the estimator is one, a ROS publisher may be another.
"""

from __future__ import annotations

import argparse
import heapq
import json
import math
import sys
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from giljabi.estimation.eskf import EskfEstimator
from giljabi.estimation.sidecar import (
    RECORDER,
    GnssTable,
    imu_samples,
    level,
    read_gnss,
    read_imu,
    read_truth,
)
from giljabi.frames import LocalFrame, matrix_from_rpy
from giljabi.platform import Platform, load_platform, share_dir
from giljabi.registry import factory
from giljabi.replay_report import OdomLog, errors, path_length, plot_track, write
from giljabi.types import BadInputError, GiljabiError, GnssFix, Odometry, Sample

if TYPE_CHECKING:
    from giljabi_drivers.contract import Driver, Received

COMMAND = "replay"
EXAMPLE = "example: giljabi replay examples/data/harbour.nmea.gz --plot track.png"


# --- what is replayed -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Event:
    """Something that arrived at t: bytes for a driver, or a sample of a recorder."""

    t: float
    driver: str = ""
    received: Received | None = None
    sample: Sample | None = None


class Sink(Protocol):
    """Takes what a step of recorded time brought."""

    def batch(self, now: float, samples: Sequence[Sample]) -> None:
        """Samples that came up to `now`, in the order of arrival."""


@dataclass(slots=True)
class EstimatorSink:
    """Samples into the estimator, odometry into a log."""

    estimator: Any
    log: OdomLog
    lever: Any
    fixes: list[tuple[float, float, float]] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def batch(self, now: float, samples: Sequence[Sample]) -> None:
        """One estimator step."""
        for s in samples:
            kind = type(s).__name__
            self.counts[kind] = self.counts.get(kind, 0) + 1
            if isinstance(s, GnssFix):
                self.fixes.append((s.lat_deg, s.lon_deg, s.alt_m))
        odom: Odometry | None = self.estimator.step(now, samples)
        if odom is not None:
            self.log.add(odom, self.lever)


class Pace:
    """Holds recorded time to wall time times a factor; `max` does not hold it."""

    def __init__(self, factor: float) -> None:
        """factor: recorded seconds per second; inf: as fast as it goes."""
        self._factor = factor
        self._start: tuple[float, float] | None = None

    def wait(self, t: float) -> None:
        """Sleeps until recorded time t is due."""
        if math.isinf(self._factor):
            return
        if self._start is None:
            self._start = t, time.monotonic()
        due = self._start[1] + (t - self._start[0]) / self._factor
        while (left := due - time.monotonic()) > 0.0:
            time.sleep(min(left, 0.2))


class Player:
    """Feeds events in order of time, in steps of 1/rate_hz without the empty ones.

    A driver is stepped with what arrived for it, and at the deadline that it asks for.
    """

    def __init__(self, drivers: Mapping[str, Driver], rate_hz: float, sink: Sink, pace: Pace) -> None:
        self._drivers = drivers
        self._period = 1.0 / rate_hz
        self._sink = sink
        self._pace = pace
        self._progress = Progress()
        self._deadlines = dict.fromkeys(drivers, math.inf)
        self._waiting: list[Event] = []
        self.first = math.nan  # recorded time of the first event [s]
        self.now = -math.inf

    def play(self, events: Iterable[Event]) -> None:
        """Until the events end."""
        tick = -math.inf
        try:
            for event in events:
                if math.isnan(self.first):
                    self.first = tick = event.t
                if event.t > tick:
                    if self._waiting:
                        self._step(max(tick, self._waiting[-1].t))  # a sample a rounding error late is used now
                    self._wake(event.t)
                    tick = self.first + math.ceil((event.t - self.first) / self._period - 1e-3) * self._period
                self._waiting.append(event)
            if self._waiting:
                self._step(max(tick, self._waiting[-1].t))
            self._wake(self.now + 10.0)
        finally:
            self._progress.end()

    def _wake(self, until: float) -> None:
        """Steps drivers whose deadline comes before `until`; one that does not move its deadline is not asked again."""
        for _ in range(100):
            due = min(self._deadlines.values(), default=math.inf)
            if not due < until:
                return
            self._step(max(due, self.now))
            for name, deadline in self._deadlines.items():
                if deadline <= due:
                    self._deadlines[name] = math.inf

    def _step(self, t: float) -> None:
        now = self.now = max(self.now, t)
        self._pace.wait(now)
        samples: list[Sample] = [e.sample for e in self._waiting if e.sample is not None]
        for name, driver in self._drivers.items():
            received = [e.received for e in self._waiting if e.driver == name and e.received is not None]
            if received or now >= self._deadlines[name]:
                result = driver.step(now, received)
                self._deadlines[name] = result.next_deadline
                samples.extend(result.samples)
        self._waiting.clear()
        if samples:
            self._sink.batch(now, samples)
        self._progress.at(now)


class Progress:
    """One line on a terminal; nothing in a pipe."""

    def __init__(self) -> None:
        self._on = sys.stderr.isatty()
        self._start: float | None = None
        self._shown = 0.0

    def at(self, t: float) -> None:
        """Shows recorded time, a few times a second."""
        if not self._on:
            return
        if self._start is None:
            self._start = t
        wall = time.monotonic()
        if wall - self._shown > 0.2:
            self._shown = wall
            print(f"\rreplay: {t - self._start:10.1f} s of recorded time", end="", file=sys.stderr, flush=True)

    def end(self) -> None:
        """Clears the line."""
        if self._on and self._start is not None:
            print("\r" + " " * 48 + "\r", end="", file=sys.stderr, flush=True)


# --- recordings and drivers -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Source:
    """One recording: which driver reads it."""

    path: Path
    is_can: bool
    device: str = ""  # driver's name in the platform file when given as NAME=FILE


def open_source(text: str) -> Source:
    """FILE, or NAME=FILE for the driver NAME; looks at the first bytes. Raises BadInputError."""
    from giljabi_drivers.recordings import read_recording

    device, _, rest = text.partition("=") if "=" in text and not Path(text).exists() else ("", "", text)
    path = Path(rest)
    head = next(iter(read_recording(path)), None)
    if head is None:
        raise BadInputError(f"{path}:1: nothing recorded; NMEA sentences or CAN frames are expected")
    return Source(path, head.can_id >= 0, device)


def choose_platform(name: str | None, sources: Sequence[Source]) -> Platform:
    """The platform that was asked for, else the one whose devices speak what was recorded and least else."""
    if name is not None:
        return load_platform(name)
    wanted = {"can" if s.is_can else "nmea0183" for s in sources}
    best: tuple[int, str] | None = None
    for path in sorted((share_dir() / "config" / "platforms").glob("*.yaml")):
        kinds = {d.kind for d in load_platform(path).model.drivers.values()}
        if wanted <= kinds and (best is None or len(kinds) < best[0]):
            best = len(kinds), str(path)
    if best is None:
        raise BadInputError(f"no platform speaks {' and '.join(sorted(wanted))}; give one with --platform")
    return load_platform(best[1])


def build_drivers(platform: Platform, sources: Sequence[Source], dbc: str | None) -> dict[Source, tuple[str, Driver]]:
    """A driver for every recording, built as the stack builds it; `dbc` takes the place of the platform's database."""
    out: dict[Source, tuple[str, Driver]] = {}
    made: dict[str, Driver] = {}
    if dbc is not None and not any(s.is_can for s in sources):
        raise BadInputError(f"--dbc {dbc}: no CAN recording is given; leave it out, or add the recording")
    for s in sources:
        kind = "can" if s.is_can else "nmea0183"
        names = [n for n, d in platform.model.drivers.items() if d.kind == kind]
        if s.device and s.device not in platform.model.drivers:
            known = ", ".join(platform.model.drivers)
            raise BadInputError(f"{s.device}={s.path}: no driver '{s.device}' in the platform file; known are {known}")
        if not s.device and not names:
            raise BadInputError(
                f"{s.path}: platform {platform.name} has no {kind} driver; another --platform is expected"
            )
        name = s.device or names[0]
        if name not in made:
            build = factory(platform, "drivers", platform.model.drivers[name].kind, "drivers", name)
            made[name] = build(platform, name, dbc=dbc) if s.is_can and dbc else build(platform, name)
        out[s] = name, made[name]
    return out


def _recorded(source: Source, driver: str) -> Iterator[Event]:
    from giljabi_drivers.recordings import read_recording

    for r in read_recording(source.path):
        yield Event(r.t, driver, r)


# --- the command ----------------------------------------------------------------------------------


ARGUMENTS: tuple[tuple[str, str, str], ...] = (
    ("--platform", "P", "platform name or file (default: the one that speaks what was recorded)"),
    ("--dbc", "F", "CAN database instead of the platform's"),
    ("--imu-rpy", "R,P,Y", "roll, pitch, yaw of the recorder in base_link [deg] (default: found from its data)"),
    ("--gnss", "F", "recorder's fixes, CSV t_s,lat_deg,lon_deg,speed_mps,utc_ms,alt_m,bearing_deg"),
    ("--gnss-delay", "S", "seconds that the receiver's fastest fix took (default: 0)"),
    ("--truth", "F", "reference pose, CSV with ECEF position, quaternion, ECEF velocity"),
    ("--truth-at", "X,Y,Z", "the reference point in base_link [m] (default: the platform's GNSS antenna)"),
    ("--odom", "F.csv", "odometry table (default: the recording's name + _odom.csv, here)"),
    ("--plot", "F", "picture of the track (default: the recording's name + _track.png, here)"),
    ("--json", "F|-", "results as one JSON object"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of `giljabi replay`."""
    parser.epilog = EXAMPLE
    parser.add_argument(
        "files", nargs="+", metavar="FILE", help="recording (NMEA, candump, ASC, BLF, TRC, MF4; gzip), or DRIVER=FILE"
    )
    for name, value, text in ARGUMENTS:
        parser.add_argument(name, metavar=value, help=text)
    parser.add_argument(
        "--imu",
        metavar="F",
        action="append",
        default=[],
        help="recorder's gyro or accelerometer, CSV t_s,x,y,z; repeat",
    )
    parser.add_argument("--ros", action="store_true", help="the estimate comes from the estimator's ROS node")
    parser.add_argument("--speed", metavar="X|max", default="max", help="recorded seconds per second (default: max)")


def run(args: argparse.Namespace) -> int:
    """Replays; 0 when odometry came out, 1 when none did."""
    speed = _speed(args.speed)
    sources = [open_source(f) for f in args.files]
    platform = choose_platform(args.platform, sources)
    estimator: Any = _graph_estimator(platform) if args.ros else EskfEstimator(platform)
    try:
        return _replay(args, speed, sources, platform, estimator)
    finally:
        if args.ros:
            estimator.close()


def _graph_estimator(platform: Platform) -> Any:
    """The estimator's ROS node as a step; raises BadInputError where there is no ROS."""
    from giljabi.ros.process import need_rclpy

    need_rclpy()
    from giljabi.ros.replay import GraphEstimator

    return GraphEstimator(platform)


def _replay(
    args: argparse.Namespace, speed: float, sources: Sequence[Source], platform: Platform, estimator: Any
) -> int:
    made = build_drivers(platform, sources, args.dbc)
    gnss = read_gnss(Path(args.gnss)) if args.gnss else None
    recorder, levelled = _recorder(args, gnss, estimator)
    antenna = next((s.position for s in platform.model.sensors.values() if s.kind == "gnss"), (0.0, 0.0, 0.0))
    lever = np.array(_triple("--truth-at", args.truth_at)) if args.truth_at else np.array(antenna)
    if args.truth:
        _check_truth(Path(args.truth))
    sink = EstimatorSink(estimator, OdomLog(), lever)
    drivers = dict(made.values())
    streams: list[Iterable[Event]] = [_recorded(s, name) for s, (name, _) in made.items()]
    streams += recorder
    if args.ros:
        estimator.open()
    wall = time.monotonic()
    player = Player(drivers, platform.model.steps.estimator.rate_hz, sink, Pace(speed))
    player.play(heapq.merge(*streams, key=lambda e: e.t))
    result: dict[str, Any] = {
        "files": [str(s.path) for s in sources],
        "platform": platform.name,
        "duration_s": round(player.now - player.first, 6) if math.isfinite(player.first) else 0.0,
        "samples": sink.counts,
        "drivers": {n: {"accepted": d.stats.accepted, "rejected": dict(d.stats.rejected)} for n, d in drivers.items()},
        "rejected": {s: sum(r.values()) for s, r in estimator.rejected.items() if r},
        "odom": len(sink.log.rows),
    }
    if not any(d.stats.accepted for d in drivers.values()):
        reasons = (
            ", ".join(f"{n} {r}" for d in drivers.values() for r, n in d.stats.rejected.items()) or "nothing recognised"
        )
        raise BadInputError(f"{sources[0].path}:1: no usable sentence or frame ({reasons}); NMEA or CAN is expected")
    if args.ros:
        result["ros"] = estimator.figures()
    if levelled:
        result["imu_from"] = levelled
    if not sink.log.rows:
        _emit(args.json, result)
        raise GiljabiError(f"{sources[0].path}: no odometry: no good position fix in the recording")
    _finish(args, sources[0].path, sink, estimator, result)
    result["wall_s"] = round(time.monotonic() - wall, 3)
    _emit(args.json, result)
    _tell(result, sys.stderr if args.json == "-" else sys.stdout)
    return 0


def _recorder(args: argparse.Namespace, gnss: GnssTable | None, estimator: Any) -> tuple[list[list[Event]], str]:
    """What the recorder's tables brought, and what its axes were found from."""
    streams: list[list[Event]] = []
    found = ""
    if args.imu:
        tables = read_imu([Path(f) for f in args.imu])
        if args.imu_rpy:
            R, found = matrix_from_rpy(*np.radians(_triple("--imu-rpy", args.imu_rpy))), "--imu-rpy"
        else:
            levelling = level(tables, gnss)
            R, found = levelling.R_base_sensor, levelling.found_from
        streams.append([Event(s.t, sample=s) for s in imu_samples(tables, R)])
        estimator.place("imu", RECORDER)
    elif args.imu_rpy:
        raise BadInputError("--imu-rpy: no --imu is given; add the recorder's tables, or leave it out")
    if gnss is not None:
        delay = 0.0 if args.gnss_delay is None else _number("--gnss-delay", args.gnss_delay, 0.0, 0.5)
        streams.append([Event(received, sample=s) for received, s in gnss.samples(delay)])
    elif args.gnss_delay is not None:
        raise BadInputError("--gnss-delay: no --gnss is given; add the recorder's fixes, or leave it out")
    return streams, found


def _finish(args: argparse.Namespace, first: Path, sink: EstimatorSink, estimator: Any, result: dict[str, Any]) -> None:
    """Writes table and picture, adds errors and paths to the result."""
    assert estimator.origin is not None
    frame = LocalFrame(estimator.origin)
    table = sink.log.table()
    if not np.isfinite(table).all():
        raise GiljabiError("internal error: odometry is not finite")
    result["path_m"] = round(path_length(table), 3)
    result["origin"] = {"lat_deg": frame.origin.lat_deg, "lon_deg": frame.origin.lon_deg, "alt_m": frame.origin.alt_m}
    truth = read_truth(Path(args.truth), frame) if args.truth else None
    if truth is not None:
        found = errors(table, truth)
        if not found:
            raise BadInputError(
                f"{args.truth}: its times ({truth.t[0]:.3f} to {truth.t[-1]:.3f} s) and those of the recording "
                f"({table[0, 0]:.3f} to {table[-1, 0]:.3f} s) do not meet; one clock is expected"
            )
        result.update({k: round(v, 6) for k, v in found.items()})
    stem = first.name.split(".")[0]
    odom, plot = Path(args.odom or f"{stem}_odom.csv"), Path(args.plot or f"{stem}_track.png")
    sink.log.write_csv(odom)
    a = np.array(sink.fixes)
    fixes = frame.map_from_geodetic(a[:, 0], a[:, 1], frame.origin.alt_m)[:, :2]
    title = f"{first.name}: {result['path_m'] / 1000:.2f} km in {result['duration_s']:.0f} s"
    plot_track(plot, table, fixes, truth, title)
    result["odom_file"], result["plot_file"] = str(odom), str(plot)


def _check_truth(path: Path) -> None:
    """Finds a bad truth file before the work, not after."""
    from giljabi.types import Origin

    read_truth(path, LocalFrame(Origin(0.0, 0.0, 0.0)))


def _emit(target: str | None, result: Mapping[str, Any]) -> None:
    if target is None:
        return
    text = json.dumps(result, allow_nan=False, indent=2, sort_keys=True) + "\n"
    if target == "-":
        sys.stdout.write(text)
        sys.stdout.flush()
    else:
        write(Path(target), text.encode())


SHOWN = (
    "position_rms_m", "position_max_m", "position_rms_offset_removed_m",
    "heading_rms_deg", "heading_rms_offset_removed_deg", "speed_rms_mps",
)  # fmt: skip


def _tell(result: Mapping[str, Any], out: Any) -> None:
    samples = ", ".join(f"{n} {kind}" for kind, n in sorted(result["samples"].items()))
    print(f"platform {result['platform']}, {result['duration_s']:.1f} s, {result['path_m']:.1f} m", file=out)
    print(f"samples: {samples}", file=out)
    if "imu_from" in result:
        print(f"recorder's axes: {result['imu_from']}", file=out)
    for name, n in result["rejected"].items():
        print(f"refused by the estimator: {n} of {name}", file=out)
    for key in SHOWN:
        if key in result:
            print(f"{key} {result[key]:.3f}", file=out)
    print(f"odom {result['odom']} rows: {result['odom_file']}", file=out)
    print(f"picture: {result['plot_file']}", file=out)


def _speed(text: str) -> float:
    try:
        value = math.inf if text == "max" else float(text)
    except ValueError:
        value = math.nan
    if not value > 0.0 or (math.isinf(value) and text != "max"):
        raise BadInputError(f"--speed: '{text}' is no speed; a positive number or max is expected")
    return value


def _number(name: str, text: str, low: float, high: float) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not low <= value <= high:
        raise BadInputError(f"{name}: '{text}' is no number from {low:g} to {high:g}; e.g. {name} {low:g} is expected")
    return value


def _triple(name: str, text: str) -> tuple[float, float, float]:
    try:
        values = [float(v) for v in text.split(",")]
    except ValueError:
        values = []
    if len(values) != 3 or not all(math.isfinite(v) for v in values):
        raise BadInputError(f"{name}: '{text}' is not three numbers; e.g. {name} 0,0,90 is expected")
    return values[0], values[1], values[2]


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m giljabi.replay`."""
    from giljabi.cli import main as giljabi

    return giljabi([COMMAND, *(sys.argv[1:] if argv is None else argv)])


if __name__ == "__main__":
    sys.exit(main())
