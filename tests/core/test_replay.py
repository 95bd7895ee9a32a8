"""`giljabi replay` over the project's own recordings and over real ones: figures, files, exit codes, bad input."""

from __future__ import annotations

import csv
import dataclasses
import gzip
import json
import math
import random
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from giljabi.estimation import sidecar
from giljabi.frames import R_FLU_FRD, matrix_from_rpy
from giljabi.replay import COMMAND, Event, Pace, Player
from giljabi.replay import main as replay
from giljabi.types import BadInputError, GnssFix, Heading, Sample

SIDE = ("gyro", "accelerometer")


@pytest.fixture
def data(root: Path) -> Path:
    return root / "examples" / "data"


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # default outputs go to the current folder


def numbers(value: object) -> list[float]:
    if isinstance(value, dict):
        return [n for v in value.values() for n in numbers(v)]
    return [float(value)] if isinstance(value, (int, float)) and not isinstance(value, bool) else []


def block(data: Path, *names: str) -> list[str]:
    args = [str(data / "block.candump.gz"), "--platform", "car"]
    for name in names:
        option = "--imu" if name in SIDE else f"--{name}"
        args += [option, str(data / f"block_{name}.csv.gz")]
    return args


def run(capsys: pytest.CaptureFixture[str], *args: str) -> dict[str, object]:
    assert replay([*args, "--json", "-"]) == 0
    out = capsys.readouterr().out
    result: dict[str, object] = json.loads(out)
    assert all(math.isfinite(n) for n in numbers(result))
    return result


# --- what comes out ---


def test_car_with_everything(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    r = run(capsys, *block(data, *SIDE, "gnss", "truth"))
    assert r["platform"] == "car"
    assert r["position_rms_m"] < 0.5  # type: ignore[operator]
    assert r["position_rms_offset_removed_m"] < 0.25  # type: ignore[operator]
    assert r["position_max_m"] < 1.0  # type: ignore[operator]
    assert r["heading_rms_deg"] < 0.5  # type: ignore[operator]
    assert r["speed_rms_mps"] < 0.05  # type: ignore[operator]
    assert r["imu_from"] == "gravity and the accelerations of the drive"
    assert r["drivers"] == {"vehicle": {"accepted": 6000, "rejected": {}}}


def test_receiver_delay_is_taken_off(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = block(data, *SIDE, "gnss", "truth")
    told = run(capsys, *arguments, "--gnss-delay", "0.04")  # its fastest fix, see make_recordings.py
    error = "position_rms_offset_removed_m"  # the fixes wander by more than the delay is worth
    assert told[error] < 0.15  # type: ignore[operator]


def test_fixes_are_stamped_by_the_receivers_clock(data: Path) -> None:
    gnss = sidecar.read_gnss(data / "block_gnss.csv.gz")
    late = [sample.t - sample.utc_s for _, sample in gnss.samples(0.04)[::2] if isinstance(sample, GnssFix)]
    assert max(np.abs(late[20:])) < 1e-3
    arrived = dataclasses.replace(gnss, utc_s=np.full(len(gnss.t), np.nan))
    assert [s.t for _, s in arrived.samples(0.0)[::2]] == gnss.t.tolist()


@pytest.mark.parametrize("with_tables", [("gyro",), ("accelerometer",), ()])
def test_car_with_less(data: Path, capsys: pytest.CaptureFixture[str], with_tables: tuple[str, ...]) -> None:
    r = run(capsys, *block(data, *with_tables, "gnss", "truth"))
    assert r["position_rms_m"] < 0.5  # type: ignore[operator]
    assert r["heading_rms_deg"] < 1.5  # type: ignore[operator]


def test_boat_platform_is_found_and_files_are_written(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert replay([str(data / "harbour.nmea.gz")]) == 0
    out, err = capsys.readouterr()
    assert err == ""  # no progress bar in a pipe
    assert "platform ship" in out
    assert "harbour_track.png" in out
    with (tmp_path / "harbour_odom.csv").open() as f:
        rows = list(csv.DictReader(f))
    assert list(rows[0]) == ["t_s", "x_m", "y_m", "z_m", "yaw_rad", "speed_mps"]
    assert len(rows) > 250
    assert all(math.isfinite(float(v)) for row in rows for v in row.values())
    t = [float(row["t_s"]) for row in rows]
    assert t == sorted(t)
    assert t[0] == pytest.approx(1767348000.0, abs=2.0)  # UTC of the sentences
    assert float(rows[-1]["speed_mps"]) == pytest.approx(3.2, abs=0.4)
    assert (tmp_path / "harbour_track.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_same_input_same_bytes(data: Path, tmp_path: Path) -> None:
    written = []
    for k in range(2):
        odom, plot = tmp_path / f"{k}.csv", tmp_path / f"{k}.png"
        assert (
            replay([str(data / "harbour.nmea.gz"), "--odom", str(odom), "--plot", str(plot), "--json", f"{k}.json"])
            == 0
        )
        result = json.loads((tmp_path / f"{k}.json").read_text())
        written.append(
            (odom.read_bytes(), {k: v for k, v in result.items() if not k.startswith("wall") and "file" not in k})
        )
    assert written[0] == written[1]


def test_samples_are_those_the_script_makes(
    root: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(root / "examples"))
    import make_recordings

    make_recordings.main([str(tmp_path / "made")])
    for path in sorted(data.iterdir()):
        if path.suffix == ".gz":
            made = gzip.decompress((tmp_path / "made" / path.name).read_bytes())
            assert made == gzip.decompress(path.read_bytes()), path.name


def test_recorded_pace_is_kept() -> None:
    seen: list[tuple[float, float]] = []

    class Sink:
        def batch(self, now: float, samples: object) -> None:
            seen.append((time.monotonic(), now))

    samples: list[Sample] = [Heading(100.0 + 0.1 * k, 0.0, 0.1) for k in range(11)]
    Player({}, 50.0, Sink(), Pace(4.0)).play(Event(s.t, sample=s) for s in samples)
    assert len(seen) == 11
    assert seen[-1][1] - seen[0][1] == pytest.approx(1.0, abs=0.03)
    assert 0.24 < seen[-1][0] - seen[0][0] < 1.0


# --- real recordings ---


def test_real_car(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    can = data_dir / "can"
    args = [str(can / "rav4_60s.candump.gz"), "--platform", "car", "--dbc", str(can / "toyota.dbc")]
    args += ["--imu", str(can / "rav4_gyro.csv"), "--imu", str(can / "rav4_accelerometer.csv")]
    r = run(capsys, *args, "--gnss", str(can / "rav4_gnss.csv"), "--truth", str(can / "rav4_pose_truth.csv"))
    assert r["position_rms_m"] < 1.5  # type: ignore[operator]
    assert r["position_rms_offset_removed_m"] < 0.5  # type: ignore[operator]
    assert r["heading_rms_deg"] < 2.0  # type: ignore[operator]
    assert r["speed_rms_mps"] < 0.2  # type: ignore[operator]


@pytest.mark.slow
def test_real_yacht(data_dir: Path, capsys: pytest.CaptureFixture[str]) -> None:
    r = run(capsys, str(data_dir / "nmea" / "plaka.log.gz"))
    assert r["drivers"]["bridge"]["accepted"] == 116_000  # type: ignore[index]
    assert r["odom"] > 7000  # type: ignore[operator]
    assert r["path_m"] == pytest.approx(34.9e3, rel=0.02)
    assert r["duration_s"] == pytest.approx(14845.0, abs=2.0)


def test_ros_is_asked_for_where_there_is_none(
    data: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rclpy", None)
    err = refused(capsys, str(data / "harbour.nmea.gz"), "--ros")
    assert "ROS 2 cannot be imported" in err
    assert "giljabi[ros]" in err


# --- the recorder's axes ---


@pytest.mark.parametrize("rpy", [(0.0, 0.0, 0.0), (0.1, -0.2, 0.3), (3.0, 0.1, -2.0), (1.5, 0.2, 2.5)])
def test_any_mounting_is_found(data: Path, rpy: tuple[float, float, float]) -> None:
    gnss = sidecar.read_gnss(data / "block_gnss.csv.gz")
    tables = sidecar.read_imu([data / f"block_{n}.csv.gz" for n in SIDE])
    base = sidecar.level(tables, gnss).R_base_sensor
    assert tables.accel is not None
    turn = matrix_from_rpy(*rpy)
    turned = sidecar.ImuTables(tables.gyro, (tables.accel[0], tables.accel[1] @ turn.T))
    found = sidecar.level(turned, gnss).R_base_sensor
    assert np.allclose(found @ turn, base, atol=1e-9)
    true = (R_FLU_FRD @ matrix_from_rpy(0.03, -0.06, 0.05)).T
    assert np.degrees(np.arccos(np.clip((np.trace(base.T @ true) - 1) / 2, -1, 1))) < 2.0


def test_without_motion_forward_is_the_x_axis() -> None:
    t = np.arange(0, 20, 0.01)
    f = np.tile([0.5, -0.2, -9.78], (len(t), 1))
    R = sidecar.level(sidecar.ImuTables(None, (t, f)), None).R_base_sensor
    assert np.allclose(R @ f[0] / np.linalg.norm(f[0]), [0, 0, 1], atol=1e-6)
    assert (R @ [1, 0, 0])[0] > 0.99
    assert (R @ [0, 1, 0])[1] < -0.99  # y axis to the right


# --- bad input ---


def refused(capsys: pytest.CaptureFixture[str], *args: str, code: int = 2) -> str:
    assert replay(list(args)) == code
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert "Traceback" not in err
    return err


def test_bad_recordings(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = (data / "harbour.nmea.gz").read_bytes()
    files = {
        "empty": b"",
        "empty.gz": gzip.compress(b""),
        "cut.gz": whole[: len(whole) // 2],
        "binary": random.Random(1).randbytes(5000),
        "text": b"hello\nworld\n",
        "nonsense.candump": b"(1.0) can0 123#01\n(2.0) can0 hello\n",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        assert str(tmp_path / name) in refused(capsys, str(tmp_path / name))
    refused(capsys, str(tmp_path / "missing"))
    refused(capsys, str(tmp_path))


def test_recording_without_position(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "ais.nmea").write_bytes(b"!AIVDM,1,1,,B,177KQJ5000G?tO`K>RA1wUbN0TKH,0*5C\r\n" * 3)
    assert "no good position fix" in refused(capsys, str(tmp_path / "ais.nmea"), code=1)


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("--imu", "t_s,x,y,z\n1,2,3\n", ":2: "),
        ("--imu", "t_s,x,y,z\n1,2,3,nan\n", ":2: z is not finite"),
        ("--imu", "t_s,x,y\n1,2,3\n", "column z is missing"),
        ("--imu", "t_s,x,y,z\n1,50,3,1\n", "about 9.8"),
        ("--imu", "", "column t_s is missing"),
        ("--imu", "t_s,x,y,z\n", "no rows"),
        ("--gnss", "t_s,lat_deg,lon_deg,speed_mps,utc_ms,alt_m,bearing_deg\n1,95,0,0,0,0,0\n", "lat_deg is 95"),
        (
            "--truth",
            "t_s,ecef_x_m,ecef_y_m,ecef_z_m,qw,qx,qy,qz,vecef_x,vecef_y,vecef_z\n1,1,1,1,1,0,0,0,0,0,0\n",
            "ECEF",
        ),
        (
            "--truth",
            "t_s,ecef_x_m,ecef_y_m,ecef_z_m,qw,qx,qy,qz,vecef_x,vecef_y,vecef_z\n1,6378137,0,0,0,0,0,0,0,0,0\n",
            "quaternion",
        ),
        (
            "--truth",
            "t_s,ecef_x_m,ecef_y_m,ecef_z_m,qw,qx,qy,qz,vecef_x,vecef_y,vecef_z\n1,6378137,0,0,1,0,0,0,0,0,0\n",
            "do not meet",
        ),
    ],
)
def test_bad_tables(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], option: str, content: str, said: str
) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text(content)
    err = refused(capsys, *block(data, "gnss"), option, str(bad))
    assert said in err
    assert str(bad) in err


def test_two_gyros(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "a second gyro" in refused(capsys, *block(data, "gyro", "gyro", "gnss"))


@pytest.mark.parametrize(
    "args",
    [
        ["--speed", "0"],
        ["--speed", "fast"],
        ["--speed", "nan"],
        ["--speed", "inf"],
        ["--imu-rpy", "1,2"],
        ["--imu-rpy", "0,0,0"],
        ["--truth-at", "a,b,c"],
        ["--gnss-delay", "0.1"],
        ["--dbc", "x.dbc"],
        ["--platform", "rocket"],
        ["--json", "/nowhere/x.json"],
        ["--odom", "/nowhere/x.csv"],
        ["--plot", "/nowhere/x.png"],
        ["--plot", "x.nonsense"],
        ["--no-such-option"],
    ],
)
def test_bad_arguments(data: Path, capsys: pytest.CaptureFixture[str], args: list[str]) -> None:
    refused(capsys, str(data / "harbour.nmea.gz"), *args)


def test_no_such_driver(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "known are" in refused(capsys, f"radio={data / 'harbour.nmea.gz'}")
    assert "no can driver" in refused(capsys, str(data / "block.candump.gz"), "--platform", "ship")


def test_table_reader_is_told_from_samples() -> None:
    with pytest.raises(BadInputError):
        sidecar.read_table(Path("/dev/null/x"), ("t_s",))
    assert COMMAND == "replay"


@pytest.mark.parametrize("speed", [0.5, 1.0, 4.0])
def test_pace_is_that_of_the_recording_and_does_not_drift(speed: float, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr("giljabi.replay.time.monotonic", lambda: now[0])
    monkeypatch.setattr("giljabi.replay.time.sleep", lambda s: now.__setitem__(0, now[0] + s + 0.003))  # wakes late
    pace, begin = Pace(speed), None
    for k in range(6001):
        pace.wait(50.0 + 0.01 * k)
        begin = now[0] if begin is None else begin
        now[0] += 0.001 / speed  # what the step takes
        assert -1e-9 <= now[0] - begin - 0.01 * k / speed < 0.003 + 0.0011 / speed
    assert now[0] - begin == pytest.approx(60.0 / speed, rel=1e-3)
