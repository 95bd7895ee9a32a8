"""Frames against published values, an independent library and round trips."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from giljabi import frames as fr
from giljabi.types import Origin

lat = st.floats(-90.0, 90.0)
lon = st.floats(-180.0, 180.0)
angle = st.floats(-50.0, 50.0)
rpy = st.tuples(st.floats(-3.1, 3.1), st.floats(-1.5, 1.5), st.floats(-3.1, 3.1))


@pytest.mark.parametrize(
    ("geodetic", "ecef"),
    [
        # WGS-84 axes (NGA.STND.0036 table 3.1 and derived semi-minor axis).
        ((0.0, 0.0, 0.0), (6378137.0, 0.0, 0.0)),
        ((0.0, 90.0, 0.0), (0.0, 6378137.0, 0.0)),
        ((90.0, 0.0, 0.0), (0.0, 0.0, 6356752.314245)),
        # By hand from the definition: N(45 N) = 6388838.29 m.
        ((45.0, 45.0, 1000.0), (3194919.145061, 3194919.145061, 4488055.515647)),
        # IGS station ONSA (ITRF2014 epoch 2010): 57.395297 N, 11.925514 E, 45.56 m.
        ((57.3952973, 11.9255140, 45.5), (3370658.5, 711877.1, 5349786.9)),
    ],
)
def test_published_positions(geodetic: tuple[float, ...], ecef: tuple[float, ...]) -> None:
    tolerance = 1e-4 if geodetic[0] in (0.0, 45.0, 90.0) else 2.0
    assert np.allclose(fr.ecef_from_geodetic(*geodetic), ecef, atol=tolerance)


@given(lat, lon, st.floats(-1e4, 4e7))
def test_ecef_round_trip(la: float, lo: float, h: float) -> None:
    p = fr.ecef_from_geodetic(la, lo, h)
    back = fr.geodetic_from_ecef(p)
    assert np.linalg.norm(fr.ecef_from_geodetic(*back) - p) < 5e-8  # float64 at 4e7 m resolves 7e-9 m
    assert abs(back[2] - h) < 5e-8


@given(lat, lon, st.floats(-1e4, 1e5), st.tuples(*[st.floats(-7e5, 7e5)] * 2), st.floats(-1e4, 1e5))
def test_map_round_trip(la: float, lo: float, h: float, xy: tuple[float, float], z: float) -> None:
    frame = fr.LocalFrame(Origin(la, lo, h))
    p = np.array([*xy, z])
    assert np.linalg.norm(frame.map_from_geodetic(*frame.geodetic_from_map(p)) - p) < 1e-8


def test_map_axes_point_east_north_up() -> None:
    frame = fr.LocalFrame(Origin(60.0, 23.5, 10.0))
    east = frame.map_from_geodetic(60.0, 23.501, 10.0)
    north = frame.map_from_geodetic(60.001, 23.5, 10.0)
    up = frame.map_from_geodetic(60.0, 23.5, 11.0)
    # One degree at 60 N on WGS-84: longitude 55,800 m, latitude 111,412 m (standard tables).
    assert np.allclose(east[:2] * 1000, [55800.0, 0.0], atol=1.0)
    assert np.allclose(north[:2] * 1000, [0.0, 111412.0], atol=1.0)
    assert np.allclose(up, [0.0, 0.0, 1.0], atol=1e-8)


def test_surface_falls_below_the_tangent_plane() -> None:
    frame = fr.LocalFrame(Origin(37.7, -122.4, 0.0))
    assert frame.geodetic_from_map([10e3, 0.0, 0.0])[2] == pytest.approx(7.8, abs=0.1)


def test_vectorised_equals_single() -> None:
    frame = fr.LocalFrame(Origin(-33.0, 151.0, 20.0))
    la, lo, h = np.linspace(-33.2, -32.8, 7), np.linspace(150.9, 151.2, 7), np.linspace(0, 100, 7)
    many = frame.map_from_geodetic(la, lo, h)
    assert many.shape == (7, 3)
    for k in range(7):
        assert np.allclose(many[k], frame.map_from_geodetic(la[k], lo[k], h[k]))
    assert fr.R_ecef_enu(la, lo).shape == (7, 3, 3)


def test_enu_at_another_place() -> None:
    frame = fr.LocalFrame(Origin(10.0, 20.0, 0.0))
    # A step to the north there, seen in map.
    here = frame.map_from_geodetic(10.5, 20.5, 0.0)
    step = frame.map_from_geodetic(10.5 + 1e-5, 20.5, 0.0) - here
    assert np.allclose(frame.R_map_enu(10.5, 20.5) @ [0, np.linalg.norm(step), 0], step, atol=1e-6)


@given(angle)
def test_wrap(a: float) -> None:
    w = float(fr.wrap_angle(a))
    assert -np.pi < w <= np.pi
    assert np.isclose(np.cos(w), np.cos(a))
    assert np.isclose(np.sin(w), np.sin(a))


def test_wrap_edges() -> None:
    assert fr.wrap_angle(np.pi) == np.pi
    assert fr.wrap_angle(-np.pi) == np.pi
    assert float(fr.angle_difference(-3.1, 3.1)) == pytest.approx(2 * np.pi - 6.2)


def test_heading_conventions() -> None:
    assert np.allclose(fr.yaw_from_heading_deg([0.0, 90.0, 180.0, 270.0]), [np.pi / 2, 0.0, -np.pi / 2, np.pi])
    assert np.allclose(fr.heading_deg_from_yaw([0.0, np.pi / 2, np.pi, -np.pi / 2]), [90.0, 0.0, 270.0, 180.0])
    assert float(fr.heading_deg_from_yaw(np.pi / 2 + 1e-18)) < 360.0


@given(rpy)
def test_quaternions_match_scipy(e: tuple[float, float, float]) -> None:
    q = fr.quat_from_rpy(*e)
    R = Rotation.from_euler("xyz", e).as_matrix()  # lower case: fixed axes
    assert np.allclose(fr.matrix_from_quat(q), R)
    assert np.allclose(fr.matrix_from_rpy(*e), R)
    assert np.allclose(fr.rpy_from_quat(q), e, atol=1e-6)
    assert np.allclose(fr.quat_from_matrix(R), q, atol=1e-7) or np.allclose(fr.quat_from_matrix(R), -q, atol=1e-7)


@given(rpy, rpy, st.tuples(*[st.floats(-10, 10)] * 3))
def test_quaternion_product_and_rotation(e: tuple[float, ...], f: tuple[float, ...], v: tuple[float, ...]) -> None:
    a, b = fr.quat_from_rpy(*e), fr.quat_from_rpy(*f)
    A, B = fr.matrix_from_quat(a), fr.matrix_from_quat(b)
    assert np.allclose(fr.matrix_from_quat(fr.quat_multiply(a, b)), A @ B)
    assert np.allclose(fr.quat_rotate(a, v), A @ np.array(v))
    assert np.allclose(fr.quat_rotate(fr.quat_conjugate(a), fr.quat_rotate(a, v)), v, atol=1e-9)


def test_quarter_turn_left() -> None:
    q = fr.quat_from_yaw(np.pi / 2)
    assert np.allclose(fr.quat_rotate(q, [1.0, 0.0, 0.0]), [0.0, 1.0, 0.0])
    assert float(fr.yaw_from_quat(q)) == pytest.approx(np.pi / 2)
    assert np.allclose(fr.rotate_2d(np.pi / 2, [1.0, 0.0]), [0.0, 1.0])
    # Nose-up is negative pitch in FLU.
    assert fr.quat_rotate(fr.quat_from_rpy(0.0, -0.1, 0.0), [1.0, 0.0, 0.0])[2] > 0


def test_skew_is_cross_product() -> None:
    v, u = np.array([[1.0, 2.0, 3.0], [0.5, -1.0, 2.0]]), np.array([-2.0, 0.3, 1.0])
    assert np.allclose(fr.skew(v) @ u, np.cross(v, u))


def test_ned_and_frd() -> None:
    assert np.allclose(fr.R_ENU_NED @ [1.0, 2.0, 3.0], [2.0, 1.0, -3.0])
    assert np.allclose(fr.R_FLU_FRD @ [1.0, 2.0, 3.0], [1.0, -2.0, -3.0])


@pytest.mark.parametrize("bad", [[0.0, 0.0, 0.0, 0.0], [np.nan, 0.0, 0.0, 1.0]])
def test_bad_quaternion(bad: list[float]) -> None:
    with pytest.raises(ValueError, match="no direction"):
        fr.quat_normalize(bad)
