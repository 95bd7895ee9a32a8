"""What the guard writes and remembers, and what it refuses at configure."""

from __future__ import annotations

import dataclasses
import itertools
import math
import struct
from pathlib import Path

import pytest
import yaml
from guard_rig import CONFIG, DT, STEERING, T0, TABLE, THROTTLE, Rig

from giljabi.platform import load_platform
from giljabi.safety.guard import Guard, GuardConfig, build_guard
from giljabi.types import BadInputError
from giljabi.wire import EncodeTable, WireField, WireMessage


@pytest.fixture
def rig() -> Rig:
    return Rig()


# --- messages --------------------------------------------------------------------------------------


def test_messages_keep_their_periods_and_counters(rig: Rig) -> None:
    rig.run(10.0)
    for name, period in (("steering", 0.02), ("throttle", 0.05)):
        frames = [f for f in rig.frames if f.name == name]
        gaps = [b.t - a.t for a, b in itertools.pairwise(frames)]
        assert len(frames) == pytest.approx(10.0 / period, abs=1)
        assert min(gaps) == pytest.approx(period, abs=1e-6)
        assert max(gaps) == pytest.approx(period, abs=1e-6)
        assert [f.counter for f in frames] == [k % 16 for k in range(len(frames))]


def test_jitter_of_the_ticks_does_not_shift_messages() -> None:
    guard = Guard(CONFIG)
    ticks: dict[int, list[int]] = {1: [], 2: []}
    for k in range(1000):
        for _, data in guard.step(T0 + k * DT + 0.004 * math.sin(1.7 * k)):
            ticks[struct.unpack_from("=I", data)[0]].append(k)
    assert ticks == {1: list(range(0, 1000, 2)), 2: list(range(0, 1000, 5))}


def test_a_gap_is_not_made_up_by_a_burst(rig: Rig) -> None:
    rig.run(0.5)
    rig.n += 500
    assert len(rig.step()) == 2
    rig.n += 1
    assert len(rig.step()) == 0


def test_same_inputs_same_bytes() -> None:
    def once() -> list[tuple[str, bytes]]:
        rig = Rig()
        out = []
        for k in range(400):
            rig.n += 1
            rig.guard.submit("auto", rig.now, rig.now, {"steering": math.sin(k), "throttle": 100.0 * k})
            rig.guard.heartbeat(rig.now, rig.now)
            if k == 20:
                rig.guard.arm(rig.now)
            if k == 300:
                rig.guard.stop(rig.now)
            out += rig.guard.step(rig.now)
        return out

    assert once() == once()


# --- log -------------------------------------------------------------------------------------------


def test_log_is_bounded_and_numbered(rig: Rig) -> None:
    for k in range(400):
        rig.guard.submit("auto", rig.now, rig.now, {"steering": math.nan} if k % 2 else {})
    total, events = rig.guard.events()
    assert total >= 400
    assert len(events) == 256
    assert [e.number for e in events] == list(range(total - 256, total))
    assert rig.guard.events(total) == (total, [])
    assert [e.number for e in rig.guard.events(total - 2)[1]] == [total - 2, total - 1]


def test_equal_refusals_are_one_line(rig: Rig) -> None:
    for _ in range(50):
        rig.guard.submit("auto", rig.now, rig.now, {})
    assert rig.guard.events()[0] == 1
    assert rig.guard.counters() == {"an actuator is missing": 50}


def test_long_and_strange_reasons_are_cut_not_broken(rig: Rig) -> None:
    rig.run(0.05)
    rig.guard.heartbeat(rig.now, rig.now, ["길" * 500, "\ud800", *(f"reason {k}" for k in range(40))])
    why = rig.guard.arm(rig.now)
    assert why[0] == "길" * 64
    assert len(why) == 17
    assert why[-1].endswith("more")


# --- configure -------------------------------------------------------------------------------------


def changed(**values: object) -> GuardConfig:
    return dataclasses.replace(CONFIG, **values)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("config", "says"),
    [
        (changed(rate_hz=0.0), "rate_hz"),
        (changed(rate_hz=math.nan), "rate_hz"),
        (changed(command_timeout_s=-1.0), "command_timeout_s"),
        (changed(command_timeout_s=0.001), "tick"),
        (changed(heartbeat_timeout_s=math.inf), "heartbeat_timeout_s"),
        (changed(pose_timeout_s=0.0), "pose_timeout_s"),
        (changed(command_lost_s=-0.1), "command_lost_s"),
        (changed(command_lost_s=math.nan), "command_lost_s"),
        (changed(actuators=()), "actuator"),
        (changed(sources=()), "source"),
        (changed(actuators=(STEERING, STEERING)), "twice"),
        (changed(tables=()), "steering"),
        (changed(tables=(TABLE, TABLE)), "two encode tables"),
        (changed(actuators=(dataclasses.replace(STEERING, min=1.0), THROTTLE)), "min"),
        (changed(actuators=(dataclasses.replace(STEERING, safe_value=1.0), THROTTLE)), "safe value"),
        (changed(actuators=(dataclasses.replace(STEERING, safe_rate=0.0), THROTTLE)), "safe rate"),
        (changed(actuators=(dataclasses.replace(STEERING, rate_max=math.nan), THROTTLE)), "rate_max"),
        (changed(actuators=(dataclasses.replace(STEERING, hold_s=-1.0), THROTTLE)), "hold_s"),
        (changed(rate_hz=10.0), "tick"),
    ],
)
def test_wrong_configuration_is_refused(config: GuardConfig, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Guard(config)


def ship_table(**changes: object) -> EncodeTable:
    fields = {
        "rudder": WireMessage("ror", 0.1, (WireField("rudder", -57.3),), "$AGROR,{rudder},{A|V},,,B"),
        "throttle": WireMessage("prc", 0.1, (WireField("throttle", 0.00625),), "$AGPRC,{throttle},A,,,,,B,0"),
    }
    table = EncodeTable("bridge", "nmea", tuple(fields.values()))
    return dataclasses.replace(table, **changes)  # type: ignore[arg-type]


def test_guard_of_a_platform_file() -> None:
    platform = load_platform("ship")
    guard = build_guard(platform, [ship_table()])
    assert {a.name for a in guard.config.actuators} == set(platform.model.actuators)
    assert [device for device, _ in guard.step(0.0)] == ["bridge", "bridge"]


def test_platform_errors_name_file_and_line(tmp_path: Path) -> None:
    platform = load_platform("ship")
    lines = platform.file.path.read_text().splitlines()
    with pytest.raises(BadInputError, match=r"ship\.yaml:\d+: driver 'bridge' does not send actuator 'rudder'") as e:
        build_guard(platform, [])
    assert "driver: bridge" in lines[int(str(e.value).split(":")[1]) - 1]
    with pytest.raises(BadInputError, match=r"belongs to driver 'bridge'"):
        build_guard(platform, [ship_table(), ship_table(device="ais")])
    wrong = ship_table(messages=(*ship_table().messages, WireMessage("x", 0.001, (), "$AGXXX,1")))
    with pytest.raises(BadInputError, match=r"ship\.yaml:\d+: encode table bridge\.x: period_s") as e:
        build_guard(platform, [wrong])
    assert "bridge:" in lines[int(str(e.value).split(":")[1]) - 1]
    data = yaml.safe_load(platform.file.path.read_text())
    data["guard"]["command_timeout_s"] = 0.001
    path = tmp_path / "p.yaml"
    path.write_text(yaml.safe_dump(data))
    with pytest.raises(BadInputError, match=r"p\.yaml:\d+: .*command_timeout_s"):
        build_guard(load_platform(path), [ship_table()])
