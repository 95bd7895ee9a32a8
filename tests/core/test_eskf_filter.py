"""The filter itself: derivatives, covariance, resets."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from giljabi import frames as fr
from giljabi._core import estimation as core

# --- the filter itself ---


R = fr.matrix_from_quat
MODELS: dict[str, tuple[Any, Any]] = {
    "position": (
        lambda g, lever, u: g.position + R(g.quaternion) @ lever,
        lambda g, z, std, lever, u: g.update_position(z, std, lever),
    ),
    "velocity": (
        lambda g, lever, u: g.velocity + R(g.quaternion) @ np.cross(g.rate(u), lever),
        lambda g, z, std, lever, u: g.update_velocity(z, std, lever, u),
    ),
    "body_velocity": (
        lambda g, lever, u: R(g.quaternion).T @ g.velocity,
        lambda g, z, std, lever, u: g.update_body_velocity(z, std),
    ),
    "yaw": (lambda g, lever, u: np.array([g.yaw]), lambda g, z, std, lever, u: g.update_yaw(float(z[0]), std[0])),
}


@pytest.mark.parametrize("model", MODELS)
def test_measurement_rows_are_the_derivatives(model: str) -> None:
    """A tight update lands on the measurement; a wrong row would leave a residual of the first order (1e-4)."""
    rng = np.random.default_rng(30)
    h, update = MODELS[model]
    for _ in range(20):
        f = core.Eskf()
        noise = core.Noise()
        noise.gate = [1e9] * 3
        f.noise = noise
        f.quaternion = fr.quat_from_rpy(*(0.3 * rng.standard_normal(2)), rng.uniform(-3, 3))
        f.position, f.velocity = rng.standard_normal(3), 3 * rng.standard_normal(3)
        a = rng.standard_normal((15, 15))
        f.covariance = 1e-6 * (a @ a.T + 15 * np.eye(15))
        lever, u = rng.standard_normal(3), core.ImuInput(rng.standard_normal(3), rng.standard_normal(3))
        z = h(f, lever, u) + 1e-4 * rng.standard_normal(len(h(f, lever, u)))
        assert update(f, z, np.full(3, 1e-7), lever, u).accepted
        assert np.allclose(h(f, lever, u), z, atol=3e-7)


def test_prediction_covariance_is_that_of_samples() -> None:
    """P after a prediction equals the spread of perturbed predictions, with and without accelerometer and gyro."""
    rng = np.random.default_rng(31)
    inputs = [
        core.ImuInput([0.1, -0.2, 0.4], [0.5, 0.3, 9.6]),
        core.ImuInput([math.nan, math.nan, 0.4], [math.nan] * 3),
        core.ImuInput(),
        core.ImuInput([math.nan, math.nan, 0.4], [0.4, math.nan, math.nan]),
    ]
    for u in inputs:
        f = core.Eskf()
        quiet = core.Noise()
        for name in ("gyro", "accel", "gyro_bias_walk", "accel_bias_walk", "turn_rate_walk"):
            setattr(quiet, name, 0.0)
        quiet.missing_rate = quiet.missing_acceleration = np.zeros(3)
        f.noise = quiet
        q0 = fr.quat_from_rpy(0.1, -0.2, 0.7)
        f.quaternion, f.velocity, f.gyro_bias = q0, np.array([4.0, 1.0, -0.5]), np.array([0.0, 0.0, -0.3])
        a = rng.standard_normal((15, 15))
        P0 = 1e-6 * (a @ a.T)
        f.covariance = P0
        root = np.linalg.cholesky(P0 + 1e-18 * np.eye(15))
        g = f.copy()
        for _ in range(50):
            g.predict(0.01, u)
        columns = []
        for k in range(15):
            ends = []
            for sign in (1.0, -1.0):
                d = sign * root[:, k]
                x = f.copy()
                x.position, x.velocity = f.position + d[:3], f.velocity + d[3:6]
                x.quaternion = fr.quat_multiply(q0, _exp(d[6:9]))
                x.gyro_bias, x.accel_bias = f.gyro_bias + d[9:12], f.accel_bias + d[12:]
                for _ in range(50):
                    x.predict(0.01, u)
                dq = fr.quat_multiply(fr.quat_conjugate(g.quaternion), x.quaternion)
                ends.append(
                    np.concatenate(
                        [
                            x.position - g.position,
                            x.velocity - g.velocity,
                            2 * dq[1:] * np.sign(dq[0]),
                            x.gyro_bias - g.gyro_bias,
                            x.accel_bias - g.accel_bias,
                        ]
                    )
                )
            columns.append((ends[0] - ends[1]) / 2)
        J = np.array(columns).T
        expected = J @ J.T
        scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected))) + 1e-12
        assert np.abs((g.covariance - expected) / scale).max() < 0.02


def _exp(v: np.ndarray) -> np.ndarray:
    return fr.quat_normalize(np.array([1.0, *(0.5 * v)]))


def test_covariance_stays_positive_over_a_long_run() -> None:
    rng = np.random.default_rng(32)
    f = core.Eskf()
    f.covariance = np.diag([1e4] * 3 + [100.0] * 3 + [3.0] * 3 + [1e-3] * 6)
    for k in range(20000):
        f.predict(0.01, core.ImuInput(0.3 * rng.standard_normal(3), [0.1, 0.2, 9.8]))
        if k % 10 == 0:
            f.update_position(f.position + 1e-3 * rng.standard_normal(3), np.full(3, 1e-3), np.array([1.0, 0, 1]))
        if k % 1000 == 0:
            assert np.linalg.eigvalsh(f.covariance).min() > -1e-12
    assert f.finite()


def test_reset_yaw_keeps_tilt() -> None:
    f = core.Eskf()
    f.quaternion = fr.quat_from_rpy(0.1, -0.2, 2.0)
    f.covariance = np.diag([1.0] * 6 + [1e-6, 1e-6, 0.5] + [1.0] * 6)
    f.reset_yaw(-1.0, 0.05)
    assert np.allclose(fr.rpy_from_quat(f.quaternion), [0.1, -0.2, -1.0])
    R_map_base = fr.matrix_from_quat(f.quaternion)
    assert (R_map_base @ f.covariance[6:9, 6:9] @ R_map_base.T)[2, 2] == pytest.approx(0.05**2)
    assert np.linalg.eigvalsh(f.covariance).min() > 0
