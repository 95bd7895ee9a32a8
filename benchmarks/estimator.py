"""Time of one IMU step and one GNSS update of the filter: C++ against the same equations in numpy, in the same run.

usage: python benchmarks/estimator.py [--steps N] [--json]
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable

import numpy as np

from giljabi._core import estimation as core
from giljabi.estimation.eskf import EskfEstimator
from giljabi.frames import GRAVITY, matrix_from_quat, quat_multiply, skew
from giljabi.platform import load_platform
from giljabi.types import Array, GnssFix, Imu

DT = 0.01
RATE, FORCE, LEVER = np.array([0.01, -0.02, 0.2]), np.array([0.3, 0.1, 9.8]), np.array([1.0, 0.0, 1.5])


class NumpyEskf:
    """The peer: textbook dense F P F' + Q and Joseph update of the same 15 states."""

    def __init__(self) -> None:
        self.p, self.v, self.q = np.zeros(3), np.zeros(3), np.array([1.0, 0.0, 0.0, 0.0])
        self.bg, self.ba, self.P = np.zeros(3), np.zeros(3), np.eye(15)
        self.noise = core.Noise()

    def predict(self, dt: float, rate: Array, force: Array) -> None:
        """One IMU step."""
        n, w, f = self.noise, rate - self.bg, force - self.ba
        R = matrix_from_quat(quat_multiply(self.q, _exp(0.5 * dt * w)))
        a = R @ f - [0.0, 0.0, GRAVITY]
        F = np.eye(15)
        F[3:6, 6:9], F[3:6, 12:] = -dt * R @ skew(f), -dt * R
        F[0:3] += dt * 0.5 * (F[3:6] - np.eye(15)[3:6]) + dt * np.eye(15)[3:6]
        F[6:9, 6:9], F[6:9, 9:12] = matrix_from_quat(_exp(dt * w)).T, -dt * np.eye(3)
        Q = np.diag(np.repeat([dt**3 / 3 * n.accel**2, dt * n.accel**2, dt * n.gyro**2, dt * n.gyro_bias_walk**2,
                               dt * n.accel_bias_walk**2], 3))  # fmt: skip
        Q[[0, 1, 2, 3, 4, 5], [3, 4, 5, 0, 1, 2]] = 0.5 * dt**2 * n.accel**2
        self.p = self.p + dt * self.v + 0.5 * dt * dt * a
        self.v = self.v + dt * a
        self.q = quat_multiply(self.q, _exp(dt * w))
        self.q /= np.linalg.norm(self.q)
        self.P = F @ self.P @ F.T + Q

    def update_position(self, z: Array, std: Array, lever: Array) -> None:
        """One fix."""
        R = matrix_from_quat(self.q)
        H = np.zeros((3, 15))
        H[:, :3], H[:, 6:9] = np.eye(3), -R @ skew(lever)
        N = np.diag(std**2)
        K = np.linalg.solve(H @ self.P @ H.T + N, H @ self.P).T
        dx = K @ (z - self.p - R @ lever)
        A = np.eye(15) - K @ H
        self.P = A @ self.P @ A.T + K @ N @ K.T
        self.p, self.v = self.p + dx[:3], self.v + dx[3:6]
        self.q = quat_multiply(self.q, _exp(dx[6:9]))
        self.bg, self.ba = self.bg + dx[9:12], self.ba + dx[12:]
        G = np.eye(15)
        G[6:9, 6:9] -= 0.5 * skew(dx[6:9])
        self.P = G @ self.P @ G.T


def _exp(v: Array) -> Array:
    a = float(np.linalg.norm(v))
    s = 0.5 - a * a / 48.0 if a < 1e-6 else np.sin(a / 2) / a
    return np.array([np.cos(a / 2), *(s * v)])


def _time(n: int, call: Callable[[], object]) -> tuple[float, float]:
    """p50 and p99 of n calls [us]."""
    call()
    took = np.empty(n)
    for k in range(n):
        start = time.perf_counter_ns()
        call()
        took[k] = time.perf_counter_ns() - start
    return float(np.percentile(took, 50)) / 1e3, float(np.percentile(took, 99)) / 1e3


def main() -> None:
    """Prints both, and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()

    ours, peer = core.Eskf(), NumpyEskf()
    quiet = core.Noise()
    quiet.gate = [1e12] * 3
    ours.noise = quiet
    ours.covariance = np.eye(15)
    u = core.ImuInput(RATE, FORCE)
    z, std = np.array([0.1, 0.2, 0.3]), np.full(3, 0.5)
    # The peer is a peer only when it computes the same.
    for _ in range(50):
        ours.predict(DT, u)
        peer.predict(DT, RATE, FORCE)
    ours.update_position(z, std, LEVER)
    peer.update_position(z, std, LEVER)
    same = bool(
        np.allclose(ours.covariance, peer.P, rtol=1e-6, atol=1e-9) and np.allclose(ours.position, peer.p, atol=1e-9)
    )

    out: dict[str, object] = {"same": same}
    for name, mine, theirs in (
        ("imu_step", lambda: ours.predict(DT, u), lambda: peer.predict(DT, RATE, FORCE)),
        ("gnss_update", lambda: ours.update_position(z, std, LEVER), lambda: peer.update_position(z, std, LEVER)),
    ):
        a, b = _time(args.steps, mine), _time(args.steps, theirs)
        out[name] = {
            "ours_p50_us": a[0], "ours_p99_us": a[1], "numpy_p50_us": b[0], "numpy_p99_us": b[1],
            "ratio_p50": b[0] / a[0], "ratio_p99": b[1] / a[1],
        }  # fmt: skip

    e = EskfEstimator(load_platform("car"))
    e.step(0.0, [GnssFix(0.0, 37.0, 127.0, 30.0, np.ones(3))])
    t = [0.0]

    def whole() -> None:
        t[0] += DT
        e.step(t[0], [Imu(t[0], RATE, FORCE)])

    a = _time(args.steps, whole)
    out["estimator_step_with_one_imu_sample"] = {"ours_p50_us": a[0], "ours_p99_us": a[1]}
    if args.json:
        print(json.dumps(out, indent=2))
        return
    print(f"same result as numpy: {same}")
    for name, row in out.items():
        if isinstance(row, dict):
            print(f"{name}: " + ", ".join(f"{k} {v:.1f}" for k, v in row.items()))


if __name__ == "__main__":
    main()
