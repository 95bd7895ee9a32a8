"""The cycle of a chain against simulated servos: silence, noise, gaps, echo, order, timing."""

from __future__ import annotations

import math
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi._core.servo import Chain, Codec
from giljabi_drivers.servo_layout import ChainLayout, Joint, Mounting, make_joint, position_chain
from giljabi_drivers.servo_tables import MODELS, SCS, STS, Family
from giljabi_sim.peers.servo_bus import FAST_SYNC_READ, SYNC_READ, ServoBus

X = MODELS["xm430-w350"].table
TABLES = {"dynamixel": X, "feetech_sts": STS, "feetech_scs": SCS}
TICK = 1e-4


class Rig:
    """A chain and a bus on one clock."""

    def __init__(self, family: Family = "dynamixel", n: int = 20, baud: float = 1e6, **options: object) -> None:
        self.ids = list(range(1, n + 1))
        self.layout = position_chain(family, TABLES[family], self.ids, baud, **options)
        self.chain = Chain(self.layout)
        self.bus = ServoBus(family, self.ids, baud)
        self.bus.dynamics = False
        self.t = 0.0
        for k, s in enumerate(self.bus.servos.values()):
            s.motor.position = 0.01 * k
            s.show()

    def cycle(self, goals: list[float] | None = None, follow: bool = True) -> float:
        """One whole cycle; returns its duration [s]."""
        start = self.t
        sent = self.chain.cycle(self.t, goals)
        assert sent
        self.bus.receive(self.t, sent)
        while not self.chain.done() and self.t < self.chain.deadline():
            self.t += TICK
            for data in self.bus.take(self.t):
                self.chain.feed(self.t, data)
            if follow and (more := self.chain.follow_up(self.t)):
                self.bus.receive(self.t, more)
        took, self.t = self.t - start, self.t + TICK
        return took

    def fresh(self) -> set[int]:
        """Ids read in this cycle, with the right value."""
        v = self.chain.values(0)
        rows = self.chain.take_fresh()
        for k in rows:
            assert v[k] == pytest.approx(0.01 * k, abs=0.004)
        return {self.ids[k] for k in rows}


@pytest.mark.parametrize("family", ["dynamixel", "feetech_sts", "feetech_scs"])
@pytest.mark.parametrize("fast", [True, False])
def test_everybody_is_read_and_driven(family: Family, fast: bool) -> None:
    rig = Rig(family, fast=fast)
    rig.cycle()
    assert rig.fresh() == set(rig.ids)
    goals = [0.3 - 0.02 * k for k in range(20)]
    rig.cycle(goals)
    for goal, s in zip(goals, rig.bus.servos.values(), strict=True):
        assert s.goal == pytest.approx(goal, abs=0.004)
    wanted = FAST_SYNC_READ if fast and family == "dynamixel" else SYNC_READ
    assert rig.bus.instructions[wanted] == 2
    assert rig.bus.collisions == 0


def test_a_cycle_takes_its_time_on_the_wire() -> None:
    """20 servos, four bytes each way: 223 Hz at 1 Mbps by sync read, 1266 Hz at 4 Mbps by fast sync read."""
    assert 1.0 / Chain(position_chain("dynamixel", X, range(1, 21), 1e6, fast=False)).wire_time() == pytest.approx(
        223, abs=1
    )
    assert 1.0 / Chain(position_chain("dynamixel", X, range(1, 21), 4e6)).wire_time() == pytest.approx(1266, abs=1)


@pytest.mark.parametrize("family", ["dynamixel", "feetech_sts"])
@pytest.mark.parametrize("gap", ["wait", "stop"])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("dead", [1, 5, 20])
def test_a_silent_servo_costs_the_others_nothing(
    family: Family, gap: Literal["wait", "stop"], fast: bool, dead: int
) -> None:
    rig = Rig(family, fast=fast, latency_s=1e-3)
    rig.bus.gap = gap
    whole = max(rig.cycle() for _ in range(5))
    rig.fresh()
    rig.bus.servos[dead].silent = True
    others = set(rig.ids) - {dead}
    first = rig.cycle()
    seen = rig.fresh()
    stops = gap == "stop" and not (fast and family == "dynamixel")
    assert stops or seen == others, "a fast reply breaks off at the gap; those behind are asked at once"
    slot = 15 * 1e-5
    times = []
    for _ in range(60):
        times.append(rig.cycle())
        assert rig.fresh() == others
    assert first <= 2.0 * whole + 2e-3
    assert max(times) <= whole + slot + 1.2e-3  # a probe at the end of the list, and what the adapter may add
    assert sorted(times)[30] <= whole + TICK
    row = rig.chain.joint(dead - 1)
    assert row["silent"]
    assert row["errors"] >= 3
    rig.bus.servos[dead].silent = False
    back = rig.t + 0.15  # it is probed every 0.1 s
    while rig.t < back:
        rig.cycle()
    rig.fresh()
    rig.cycle()
    assert rig.fresh() == set(rig.ids)
    assert rig.bus.collisions == 0


@pytest.mark.parametrize("family", ["dynamixel", "feetech_sts"])
@pytest.mark.parametrize("fast", [True, False])
def test_a_corrupt_reply_costs_one_value_and_no_time(family: Family, fast: bool) -> None:
    rig = Rig(family, fast=fast)
    whole = max(rig.cycle() for _ in range(3))
    rig.fresh()
    for bad in rig.ids:
        rig.bus.servos[bad].corrupt = 1
        assert rig.cycle() <= whole + TICK
        assert rig.fresh() == set(rig.ids) - {bad}
        assert not rig.chain.joint(bad - 1)["silent"]
        rig.cycle()
        assert rig.fresh() == set(rig.ids)
    assert rig.chain.stats()["checksum"] == 20


def test_without_a_second_request_a_gap_costs_one_cycle() -> None:
    """What the guard does: one write a tick. Those behind the gap miss one cycle, then the silent one stands last."""
    rig = Rig(fast=True)
    rig.cycle(follow=False)
    rig.fresh()
    rig.bus.servos[3].silent = True
    rig.cycle(follow=False)
    assert rig.fresh() == {1, 2}
    for _ in range(20):
        rig.cycle(follow=False)
        assert rig.fresh() == set(rig.ids) - {3}


def test_a_chain_without_power_comes_back() -> None:
    rig = Rig(fast=True, n=6)
    rig.cycle()
    for s in rig.bus.servos.values():
        s.silent = True
    for _ in range(30):
        rig.cycle()
    rig.fresh()
    for s in rig.bus.servos.values():
        s.silent = False
    for _ in range(12):
        rig.cycle()
    rig.fresh()
    rig.cycle()
    assert rig.fresh() == set(rig.ids)


@pytest.mark.parametrize("family", ["dynamixel", "feetech_sts"])
def test_an_adapter_with_echo(family: Family) -> None:
    rig = Rig(family, n=5)
    rig.bus.echo = True
    for _ in range(5):
        rig.cycle([0.0] * 5)
        assert rig.fresh() == set(rig.ids)
    assert rig.chain.stats()["echo"] >= 5


def test_goals_are_only_written_where_the_joint_was_seen() -> None:
    rig = Rig(n=4)
    rig.bus.servos[2].silent = True
    for _ in range(3):
        rig.cycle([0.5] * 4)
    rig.cycle([0.5] * 4)
    assert [s.writes > 0 for s in rig.bus.servos.values()] == [True, False, True, True]


def test_a_failed_read_is_never_a_goal() -> None:
    """Goals are what the caller gave, also when nothing but noise comes back."""
    rig = Rig(n=4)
    rig.cycle()
    rig.fresh()
    for k in range(50):
        for s in rig.bus.servos.values():
            s.corrupt = 1
        rig.cycle([0.2] * 4)
        rig.chain.feed(rig.t, bytes((k * 37 + i * 11) % 256 for i in range(50)))
        assert all(s.goal == pytest.approx(0.2, abs=1e-3) for s in rig.bus.servos.values())


@given(noise=st.binary(max_size=80), at=st.integers(0, 3))
def test_noise_on_the_line(noise: bytes, at: int) -> None:
    rig = Rig(n=4)
    for k in range(4):
        if k == at:
            rig.chain.feed(rig.t, noise)
        rig.cycle([0.1] * 4)
    for _ in range(4):
        rig.cycle([0.1] * 4)
    rig.chain.take_fresh()
    rig.cycle()
    assert rig.fresh() == set(rig.ids)


def test_servos_with_different_tables_share_a_line() -> None:
    """Bulk instructions where addresses or sizes differ."""
    big = make_joint(X, 2, 1, Mounting(zero=2048.0))
    small = make_joint(X, 1, 0, Mounting(zero=2048.0), reads=("present_position",), slow=())
    for fast in (True, False):
        chain, bus = Chain(ChainLayout("dynamixel", (small, big), 1e6, fast=fast)), ServoBus("dynamixel", [1, 2], 1e6)
        bus.dynamics = False
        bus.servos[2].motor.position = bus.servos[1].motor.position = 1.0
        for t in (0.0, 1.0):
            bus.receive(t, chain.cycle(t, [0.5, 0.25]))
            for data in bus.take(t + 0.1):
                chain.feed(t + 0.1, data)
            for s in bus.servos.values():
                s.show()
        assert chain.values(0) == pytest.approx([1.0, 1.0], abs=1e-3)
        assert math.isnan(chain.values(1)[0])
        assert chain.values(1)[1] == pytest.approx(0.0)
        assert [s.goal for s in bus.servos.values()] == pytest.approx([0.5, 0.25], abs=1e-3)


def test_signs_and_zeros() -> None:
    j = make_joint(X, 1, 0, Mounting(sign=-1.0, zero=1024.0))
    chain, bus = Chain(ChainLayout("dynamixel", (j,), 1e6)), ServoBus("dynamixel", [1], 1e6)
    bus.dynamics = False
    s = bus.servos[1]
    s.motor.position, s.motor.velocity = math.pi / 2.0, 1.0  # raw 3072
    s.show()
    for t in (0.0, 1.0):
        bus.receive(t, chain.cycle(t, [-0.5]))
        for data in bus.take(t + 0.1):
            chain.feed(t + 0.1, data)
    assert chain.values(0)[0] == pytest.approx(-math.pi)
    assert chain.values(1)[0] == pytest.approx(-1.0, abs=0.03)
    assert s.goal == pytest.approx(0.5 - math.pi / 2.0, abs=1e-3)


def test_requests_take_the_place_of_a_read() -> None:
    rig = Rig(n=3)
    rig.cycle()
    rig.fresh()
    assert rig.chain.request(Codec("dynamixel").read(2, 146, 1), 1, 1)
    rig.cycle([0.1] * 3)
    assert rig.chain.replies() == [(2, 0, b"\x23")]
    assert rig.fresh() == set()
    assert rig.bus.servos[1].goal == pytest.approx(0.1, abs=1e-3)
    assert not rig.chain.request(Codec("dynamixel").write(2, 116, b"\0\0\0\0"), 0, 0)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"id": 253}, "out of range"), ({"goal_size": 65}, "goal_size"), ({"fast_size": 0}, "fast_size"),
        ({"read_address": 70000}, "address"),
    ],
)  # fmt: skip
def test_a_wrong_layout_is_refused(change: dict[str, int], words: str) -> None:
    from dataclasses import replace

    joint: Joint = replace(make_joint(X, 1, 0, Mounting()), **change)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=words):
        Chain(ChainLayout("dynamixel", (joint,), 1e6))
