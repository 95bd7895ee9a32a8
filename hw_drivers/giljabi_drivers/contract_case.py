"""What the contract suite is told about a driver, and how it plays bytes to it."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

from giljabi.platform import Platform, find_platform, load_platform
from giljabi.registry import build_driver
from giljabi.types import (
    Battery,
    Detections,
    ExternalOdometry,
    GeoDetections,
    GnssFix,
    GnssVelocity,
    Heading,
    Imu,
    JointState,
    LocalOrigin,
    Sample,
    Scan,
    SpeedThroughWater,
)
from giljabi_drivers.contract import Asked, Driver, Received, StepResult

# Greatest magnitude of anything that moves people and goods, in SI; beyond it a unit was forgotten.
SPEED_MAX, ACCELERATION_MAX, ANGULAR_RATE_MAX, FORCE_MAX, LENGTH_MAX = 400.0, 400.0, 60.0, 1e8, 5000.0
ANGLE_MAX = 4.0 * math.pi  # rad, a joint that turns more than once; a joint in m moves less, too
ALTITUDE = (-500.0, 50_000.0)

Answer = Callable[
    [float, bytes], Sequence[Received]
]  # (time asked [s], question) -> what comes back, with receive times
ASKED_AT = (1.0, 1.1)  # s, when a device that must be asked is asked for its golden bytes
STEP_S = 2e-3  # between steps in a conversation


@dataclass(frozen=True)
class DriverCase:
    """One driver of one platform file, bytes that its device sends, and what they mean.

    platform: name or path; extra: keys laid over it (drivers, sensors, actuators), so that a case needs no file.
    golden: chunks as they arrive; one with no data only moves time, for drivers that poll. expected: every sample that
    must come out, in any order of sources, with t the receive time. Golden bytes come from a datasheet, a capture or
    another encoder, never from the code under test. peer: in place of `golden`, for a device that speaks only when it
    is asked: makes a fresh one, by other code than the driver's; it is asked at ASKED_AT. again: the k-th repetition of
    `golden` (same times), where bytes carry a counter or a clock, so that the same ones once more would be a stuck
    device; default the same bytes. checked: False where messages have no checksum of their own, so that bent ones may
    say anything that fits their fields; samples of those must be finite, but may be out of range.
    """

    name: str
    platform: str | Path
    driver: str
    golden: Sequence[Received] = ()
    expected: Sequence[Sample] = ()
    extra: Mapping[str, Any] = field(default_factory=dict)
    settle_s: float = 2.0  # after the last bytes, until everything that waits has come out
    tolerance: float = 1e-6  # relative, and absolute in SI
    again: Callable[[int], Sequence[Received]] | None = None
    checked: bool = True
    steps_s: float = 0.0  # time between steps where nothing arrives; 0: none
    peer: Callable[[], Answer] | None = None

    def __post_init__(self) -> None:
        if self.peer is not None and not self.golden:
            object.__setattr__(self, "golden", self._heard(self.build(), self.peer()))

    def _heard(self, driver: Driver, answer: Answer) -> list[Received]:
        """What the device answers; a chunk without data stands where it is asked."""
        out: list[Received] = []
        for t in ASKED_AT:
            answers = [a for q in questions(driver, t, driver.step(t, ())) for a in answer(t, q)]
            for r in answers:
                driver.step(r.t, (r,))
            out += [Received(t, b""), *answers]
        return out

    @cached_property
    def loaded(self) -> Platform:
        """The platform with `extra`; raises BadInputError."""
        if not self.extra:
            return load_platform(self.platform)
        source = find_platform(self.platform)
        data = _laid_over(yaml.safe_load(source.read_text(encoding="utf-8")), self.extra)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / source.name
            path.write_text(yaml.safe_dump(data), encoding="utf-8")
            return load_platform(path)

    def build(self) -> Driver:
        """A fresh driver."""
        driver: Driver = build_driver(self.loaded, self.driver)
        return driver

    @property
    def is_can(self) -> bool:
        """Whether the device is a bus of frames."""
        return any(r.can_id >= 0 for r in self.golden)

    @property
    def end(self) -> float:
        """When everything has come out [s]."""
        return (self.golden[-1].t if self.golden else 0.0) + self.settle_s

    def later(self, dt: float, k: int = 0) -> list[Received]:
        """The golden chunks dt [s] later, in their k-th repetition."""
        chunks = self.again(k) if self.again is not None and k else self.golden
        return [replace(r, t=r.t + dt) for r in chunks]


def questions(driver: Driver, now: float, result: StepResult) -> list[bytes]:
    """What a driver wants to be asked after a step: its requests, and its question where somebody else asks for it."""
    asked = driver.ask(now) if isinstance(driver, Asked) else b""
    return [*result.to_send, *([asked] if asked else [])]


def converse(driver: Driver, answer: Answer, t: float, seconds: float) -> tuple[list[Sample], list[bytes]]:
    """Questions to the device, answers at their times to the driver; samples, and what was asked."""
    end = t + seconds
    samples: list[Sample] = []
    asked: list[bytes] = []
    coming: list[Received] = []
    while t < end:
        due, coming = [r for r in coming if r.t <= t], [r for r in coming if r.t > t]
        result = driver.step(t, due)
        samples += result.samples
        for q in questions(driver, t, result):
            asked.append(q)
            coming += answer(t, q)
        t = min([t + STEP_S, *(r.t for r in coming)])
    return samples, asked


def _laid_over(base: Any, extra: Any) -> Any:
    if not (isinstance(base, dict) and isinstance(extra, Mapping)):
        return extra
    return {**base, **{k: _laid_over(base.get(k), v) for k, v in extra.items()}}


def play(case: DriverCase, driver: Driver, received: Sequence[Received], size: int | Random = 0) -> list[Sample]:
    """Steps the driver through the chunks, each at its own time, then settles.

    size: bytes a chunk of a stream is cut into (0: as it is), or a source of random sizes; frames are never cut.
    """
    out: list[Sample] = []
    t = received[0].t if received else 0.0
    for r in received:
        while case.steps_s > 0.0 and t + case.steps_s < r.t - 1e-9:
            t += case.steps_s
            out += driver.step(t, ()).samples
        t = r.t
        if not r.data and r.can_id < 0:
            result = driver.step(t, ())
            out += result.samples
            questions(driver, t, result)
        for piece in _cut(r, size):
            out += driver.step(t, (piece,)).samples
    return out + settle(case, driver, t)


def settle(case: DriverCase, driver: Driver, t: float) -> list[Sample]:
    """What still comes when nothing arrives any more."""
    out: list[Sample] = []
    for k in range(1, 21):
        out += driver.step(t + case.settle_s * k / 20, ()).samples
    return out


def _cut(r: Received, size: int | Random) -> Iterator[Received]:
    k = 0
    while k < len(r.data):
        n = size.randint(1, 40) if isinstance(size, Random) else size
        n = len(r.data) if r.can_id >= 0 or n == 0 else n
        yield replace(r, data=r.data[k : k + n])
        k += n
    if not r.data and r.can_id >= 0:
        yield r


def same(a: Sample, b: Sample, tolerance: float) -> bool:
    """Whether two samples say the same; NaN is NaN."""
    return type(a) is type(b) and all(
        _equal(getattr(a, f.name), getattr(b, f.name), tolerance) for f in fields(a)
    )  # fmt: skip


def _equal(a: Any, b: Any, tolerance: float) -> bool:
    if isinstance(a, Mapping):
        return set(a) == set(b) and all(_equal(v, b[k], tolerance) for k, v in a.items())
    if isinstance(a, (str, bool)) or a is None:
        return bool(a == b)
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    return x.shape == y.shape and bool(np.allclose(x, y, rtol=tolerance, atol=tolerance, equal_nan=True))


def differences(got: Sequence[Sample], expected: Sequence[Sample], tolerance: float) -> str:
    """What is missing and what is too much; empty when both are the same but for the order."""
    left = list(got)
    missing = []
    for e in expected:
        found = next((i for i, g in enumerate(left) if same(g, e, tolerance)), None)
        if found is None:
            missing.append(e)
        else:
            del left[found]
    lines = [f"missing: {m}" for m in missing] + [f"not expected: {g}" for g in left]
    return "\n".join(lines)


def insane(s: Sample, ranges: bool = True) -> str:
    """What is wrong with a sample: NaN in a slot that applies, or out of any SI range; empty when nothing is.

    ranges: False looks for what is no number, and for places that are not on Earth.
    """
    return _insane(s, 1.0 if ranges else math.inf)


def _insane(s: Sample, k: float) -> str:  # noqa: PLR0911
    if not math.isfinite(s.t) or not s.source:
        return f"t {s.t}, source {s.source!r}"
    if isinstance(s, GnssFix):
        std_ok = bool(np.all(np.isfinite(s.std_enu) & (s.std_enu > 0)))
        alt_ok = math.isnan(s.alt_m) or k * ALTITUDE[0] <= s.alt_m <= k * ALTITUDE[1]
        place_ok = abs(s.lat_deg) <= 90.0 and abs(s.lon_deg) <= 180.0
        return "" if place_ok and alt_ok and std_ok and 1 <= s.quality <= 6 else repr(s)
    if isinstance(s, GnssVelocity):
        ok = _within(s.velocity_enu[:2], k * SPEED_MAX) and _within_or_nan(s.velocity_enu[2:], k * SPEED_MAX)
        return "" if ok and 0.0 < s.std < k * SPEED_MAX else repr(s)
    if isinstance(s, Heading):
        return "" if abs(s.yaw) <= math.pi + 1e-9 and 0.0 < s.std < math.pi else repr(s)
    if isinstance(s, Imu):
        measured = np.concatenate([s.angular_velocity, s.linear_acceleration])
        ok = _within_or_nan(s.angular_velocity, k * ANGULAR_RATE_MAX)
        ok = ok and _within_or_nan(s.linear_acceleration, k * ACCELERATION_MAX)
        if s.tilt is not None:
            ok = ok and abs(s.tilt[0]) <= math.pi and abs(s.tilt[1]) <= 0.5 * math.pi and 0.0 < s.tilt[2] < math.pi
        return "" if ok and (s.tilt is not None or not bool(np.all(np.isnan(measured)))) else repr(s)
    if isinstance(s, JointState):
        values = [*s.position.values(), *s.velocity.values(), *s.effort.values()]
        ok = bool(values) and _within(list(s.position.values()), k * ANGLE_MAX)
        ok = ok and _within(list(s.velocity.values()), k * 1e5) and _within(list(s.effort.values()), k * FORCE_MAX)
        return "" if ok else repr(s)
    if isinstance(s, SpeedThroughWater):
        return "" if _within([s.speed], k * SPEED_MAX) and 0.0 < s.std < k * SPEED_MAX else repr(s)
    if isinstance(s, (ExternalOdometry, LocalOrigin, Battery)):
        return _insane_of_autopilot(s, k)
    if isinstance(s, Scan):
        near = s.ranges[np.isfinite(s.ranges)]
        ok = bool(np.all((near >= 0.0) & (near <= k * LENGTH_MAX))) and 0.0 < s.duration <= 60.0
        return "" if ok and math.isfinite(s.angle_min) and math.isfinite(s.angle_increment) else repr(s)
    return _insane_rows(s, k)


def _insane_of_autopilot(s: ExternalOdometry | LocalOrigin | Battery, k: float) -> str:
    if isinstance(s, LocalOrigin):
        ok = abs(s.lat_deg) <= 90.0 and abs(s.lon_deg) <= 180.0 and math.isfinite(s.alt_m)
    elif isinstance(s, Battery):
        ok = not any(math.isinf(v) for v in (s.voltage, s.current, s.share)) and not s.voltage < 0.0
    else:
        ok = abs(float(np.linalg.norm(s.quaternion)) - 1.0) < 1e-6 and bool(np.all(np.isfinite(s.position)))
        ok = ok and _within_or_nan(s.angular_velocity, k * ANGULAR_RATE_MAX)
        ok = ok and _within(s.velocity.tolist(), k * SPEED_MAX)
    return "" if ok else repr(s)


def _insane_rows(s: Detections | GeoDetections, k: float) -> str:
    d = s.data
    if d.ndim != 2 or d.shape[1] != 11:
        return f"data has shape {d.shape}; (n, 11) is expected"
    first = np.array([180.0, 90.0]) if isinstance(s, GeoDetections) else np.full(2, k * 1e5)
    ok = bool(np.all(np.isfinite(d[:, :2])) and np.all(np.abs(d[:, :2]) <= first))
    ok = ok and _within_or_nan(d[:, 3:5], k * SPEED_MAX) and _within_or_nan(d[:, 5], math.pi + 1e-9)
    return "" if ok and _within_or_nan(d[:, 6:8], k * LENGTH_MAX) and bool(np.all(d[:, 10] > 0.0)) else repr(s)


def _within(values: Any, limit: float) -> bool:
    a = np.asarray(values, dtype=float)
    return bool(np.all(np.isfinite(a) & (np.abs(a) <= limit)))


def _within_or_nan(values: Any, limit: float) -> bool:
    a = np.asarray(values, dtype=float)
    return bool(np.all(np.isnan(a) | (np.isfinite(a) & (np.abs(a) <= limit))))
