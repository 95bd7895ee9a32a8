"""Faults on the wire: what comes out at the other end, that it is seeded, and that nothing unconsumed is quiet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from giljabi.cli import main
from giljabi.types import BadInputError
from giljabi_sim.fault_spec import Fault
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.scenario import load_scenario
from giljabi_sim.simulation import Simulation
from giljabi_sim.wire_faults import WireFaults

A, B, C = b"$GPGGA,1*00\r\n", b"$GPRMC,2*00\r\n", b"$HEHDT,3*00\r\n"


def through(
    ticks: Sequence[Sequence[Chunk]], *faults: dict[str, Any], seed: int = 1, step: float = 1.0
) -> tuple[list[list[Chunk]], WireFaults]:
    """What arrives, tick by tick, at t = 0, step, ...; device `d`."""
    wire = WireFaults([Fault.model_validate({"where": "d", "begin": 0.0, **f}) for f in faults], seed)
    out = [wire.from_devices(k * step, k * step, {"d": list(c)} if c else {}).get("d", []) for k, c in enumerate(ticks)]
    return out, wire


def data(ticks: Sequence[Sequence[Chunk]]) -> list[bytes]:
    return [b"".join(c.data for c in chunks) for chunks in ticks]


def line(*sentences: bytes) -> list[Chunk]:
    return [Chunk(b"".join(sentences))]


def frames(*numbers: int, can_id: int = 0x25) -> list[Chunk]:
    return [Chunk(bytes([n] * 8), can_id) for n in numbers]


def test_without_faults_nothing_is_touched() -> None:
    sent = line(A, B)
    out, _ = through([sent])
    assert out[0][0] is sent[0]


def test_drop_takes_whole_sentences_and_only_those_asked_for() -> None:
    out, wire = through([line(A, B, C), line(A)], {"what": "drop", "message": "GGA"})
    assert data(out) == [B + C, b""]
    assert wire.row(0, 9.0) == {"what": "drop", "where": "d", "consumed": True, "met": 2, "changed": 2}


def test_times_every_and_count_bound_a_fault() -> None:
    ticks = [line(A) for _ in range(10)]
    out, _ = through(ticks, {"what": "drop", "begin": 2.0, "end": 9.0, "every": 2, "count": 2})
    assert [k for k, d in enumerate(data(out)) if not d] == [3, 5]


def test_delay_gives_everything_later_in_order() -> None:
    out, wire = through([line(A), line(B), [], []], {"what": "delay", "delay_s": 2.0, "end": 1.5})
    assert data(out) == [b"", b"", A, B]
    assert wire.tallies[0].changed == 2


def test_reorder_swaps_neighbours_across_ticks() -> None:
    out, _ = through([frames(1), frames(2), frames(3, 4)], {"what": "reorder", "every": 2})
    assert [c.data[0] for tick in out for c in tick] == [1, 3, 2]  # 4 waits for somebody to overtake it
    out, wire = through([frames(1), [], []], {"what": "reorder", "end": 1.5})
    assert [len(tick) for tick in out] == [0, 0, 1]  # given back at the end, overtaken by nobody
    assert not wire.row(0, 9.0)["consumed"]


def test_duplicate_gives_the_same_frame_again() -> None:
    out, _ = through([frames(1, 2)], {"what": "duplicate", "count": 1})
    assert [c.data[0] for c in out[0]] == [1, 1, 2]


@given(st.binary(min_size=1, max_size=64), st.integers(1, 8), st.integers(0, 99))
def test_flip_changes_so_many_bits_and_no_more(payload: bytes, bits: int, seed: int) -> None:
    out, wire = through([[Chunk(payload, 1)]], {"what": "flip", "bits": bits}, seed=seed)
    got = out[0][0].data
    assert len(got) == len(payload)
    assert sum((a ^ b).bit_count() for a, b in zip(payload, got, strict=True)) == min(bits, 8 * len(payload))
    assert wire.row(0, 9.0)["consumed"]


def test_freeze_repeats_the_last_of_each_kind_before_it_began() -> None:
    old, new = b"$GPGGA,1*00\r\n", b"$GPGGA,9*00\r\n"
    out, wire = through([line(old, C), line(new, B), line(new)], {"what": "freeze", "begin": 1.0, "end": 2.0})
    assert data(out) == [old + C, old + B, new]
    assert wire.tallies[0].changed == 1  # RMC was new, so it froze as it was


def test_garbage_stands_between_sentences() -> None:
    out, _ = through([line(A, B)], {"what": "garbage", "bytes": 5, "message": "RMC"})
    got = data(out)[0]
    assert len(got) == len(A + B) + 5
    assert got.startswith(A)
    assert got.endswith(B)
    out, _ = through([frames(1)], {"what": "garbage"})
    assert len(out[0]) == 2
    assert len(out[0][0].data) == 8


def test_a_line_that_is_gone_carries_nothing_either_way() -> None:
    wire = WireFaults([Fault.model_validate({"what": "unplug", "where": "d", "begin": 1.0, "end": 2.0})], 1)
    for t, there in ((0.0, True), (1.0, False), (1.9, False), (2.0, True)):
        assert ("d" in wire.from_devices(t, t, {"d": frames(1)})) == there
        assert ("d" in wire.to_devices(t, t, {"d": frames(1)})) == there
        assert (wire.gone(t) == frozenset()) == there
    assert wire.tallies[0].changed == 4


def test_a_controller_off_the_bus_says_so_and_that_it_is_back() -> None:
    wire = WireFaults([Fault.model_validate({"what": "bus_off", "where": "d", "begin": 1.0, "end": 2.0})], 1)
    got = [wire.from_devices(t, t, {"d": frames(1)})["d"] for t in (0.0, 1.0)]
    assert [(c.can_id, c.is_error) for c in got[0]] == [(0x25, False)]
    assert [(c.can_id, c.is_error) for c in got[1]] == [(0x40, True)]  # CAN_ERR_BUSOFF, and no frame beside it
    assert wire.to_devices(1.5, 1.5, {"d": frames(1)}) == {}
    assert "d" not in wire.from_devices(1.5, 1.5, {"d": frames(1)})
    back = wire.from_devices(2.0, 2.0, {"d": frames(1)})["d"]
    assert [(c.can_id, c.is_error) for c in back] == [(0x100, True), (0x25, False)]  # CAN_ERR_RESTARTED


def test_bus_off_ends_auto_within_a_tenth_of_a_second_and_only_arming_helps() -> None:
    from giljabi_sim.hil_trace import Trace
    from giljabi_sim.lockstep import LockStep

    trace = Trace()
    fault = ["what=bus_off where=vehicle begin=6 end=6.5"]
    loop = LockStep(load_scenario("car_straight", ["duration_s=12"], faults=fault), trace)
    loop.run()
    assert [m for _, m, _ in trace.modes] == ["standby", "auto", "minimum_risk"]
    t, _, reasons = trace.modes[-1]
    assert 6.0 <= t < 6.1
    assert any("bus-off" in r for r in reasons), reasons
    assert loop.simulation.world.own.speed < 2.0


def test_directions_are_kept_apart() -> None:
    wire = WireFaults([Fault.model_validate({"what": "drop", "where": "d", "begin": 0, "direction": "to_device"})], 1)
    assert wire.from_devices(0.0, 0.0, {"d": frames(1)}) == {"d": frames(1)}
    assert wire.to_devices(0.0, 0.0, {"d": frames(1)}) == {}


def test_a_change_that_another_fault_swallows_is_not_consumed() -> None:
    _, wire = through([line(A)], {"what": "flip"}, {"what": "drop"})
    assert [wire.row(i, 9.0)["consumed"] for i in (0, 1)] == [False, True]


@given(st.integers(0, 50))
def test_same_seed_same_bytes(seed: int) -> None:
    ticks = [line(A, B, C) for _ in range(20)]
    faults = ({"what": "flip", "share": 0.3}, {"what": "garbage", "share": 0.2}, {"what": "drop", "share": 0.2})
    first, again = (data(through(ticks, *faults, seed=seed)[0]) for _ in range(2))
    assert first == again
    assert first != data(through(ticks, *faults, seed=seed + 1)[0])


@pytest.mark.parametrize(
    ("ticks", "fault", "said"),
    [
        ([[], []], {"what": "flip", "end": 5.0}, "flip on 'd' 0 to 5 s: met no byte: the device sent nothing then"),
        ([line(A)], {"what": "flip", "message": "ZDA"}, "met no such message; 1 others passed then"),
        ([line(A)], {"what": "flip", "begin": 50.0}, "the run ended at 9.0 s, before it began"),
        ([line(A)], {"what": "flip", "share": 1e-9}, "chose none of the 1 messages"),
        ([line(A), line(A)], {"what": "freeze", "begin": 1.0}, "changed nothing"),
        ([line(A)], {"what": "drop", "direction": "to_device"}, "nothing was sent to the device then"),
    ],
)
def test_what_nothing_consumed_says_why(ticks: list[list[Chunk]], fault: dict[str, Any], said: str) -> None:
    _, wire = through(ticks, fault)
    wire.to_devices(0.0, 0.0, {})
    row = wire.row(0, 9.0)
    assert row["consumed"] is False
    assert said in str(row["problem"])


def test_a_simulation_hands_its_bytes_through() -> None:
    s = Simulation(load_scenario("ship_straight", faults=["what=drop where=bridge begin=0 message=HDT"]))
    sent = b"".join(c.data for k in range(100) for chunks in s.step(k / 50, {}).values() for c in chunks)
    assert b"HDT" not in sent
    assert b"RMC" in sent
    assert s.world.faults.unconsumed() == []


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("what=flp where=bridge begin=1", "'what' is 'flp'"),
        ("what=flip where=bridge", "'begin' is missing"),
        ("what=flip where=gnss begin=1", "'gnss' is no driver"),
        ("what=flip where=bridge begin=1 every=0", "'every' is 0"),
        ("what=flip where=bridge begin=2 end=1", "end 1.0 is not after begin 2.0"),
        ("what=flip where=bridge begin=1 shar=1", "did you mean 'share'"),
        ("what=delay where=bridge begin=1", "a delay needs delay_s"),
        ("what=unplug where=bridge begin=1 share=0.1", "unplug takes no share"),
        ("what=bus_off where=bridge begin=1", "a CAN bus is expected"),
        ("what=flip where=bridge begin=1 message=37", "a type of sentence such as GGA is expected"),
        ("what", "'what' is no key=value"),
        ("what=flip what=drop", "given twice"),
        ("what=[ where=bridge", "cannot be read"),
    ],
)
def test_a_wrong_fault_is_one_line_and_exit_2(fault: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sim", "ship_straight", "--fault", fault]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err


def test_a_wrong_fault_of_a_file_has_its_line(tmp_path: Any, root: Any) -> None:
    text = (root / "config/scenarios/ship_straight.yaml").read_text()
    path = tmp_path / "s.yaml"
    path.write_text(text + "faults:\n  - {what: flip, where: bridge, begin: 1, delay_s: 2}\n")
    line_number = text.count("\n") + 2
    with pytest.raises(BadInputError, match=rf"s\.yaml:{line_number}: .*flip takes no delay_s"):
        load_scenario(path)


def test_an_unconsumed_fault_fails_giljabi_sim_loudly(capsys: pytest.CaptureFixture[str]) -> None:
    fault = "what=flip where=bridge begin=500 end=501"
    assert main(["sim", "ship_straight", "--fault", fault]) == 1
    out = capsys.readouterr()
    assert "arrived" in out.out
    assert "fault not consumed: flip on 'bridge' 500 to 501 s: the run ended at" in out.err


def test_corrupted_bytes_are_refused_and_the_ship_arrives() -> None:
    """A tenth of all sentences has a flipped bit, both ways; none gets through, and the run goes on."""
    from giljabi_sim.lockstep import LockStep

    loop = LockStep(load_scenario("ship_straight", faults=["what=flip where=bridge begin=0 share=0.1 direction=both"]))
    assert loop.run().report["outcome"] == "arrived"
    assert sum(loop.simulation.peers["bridge"].rejected.values()) > 50
    assert sum(loop.stack.drivers["bridge"].stats.rejected.values()) > 100


def test_an_unplugged_bridge_ends_auto_and_only_arming_helps() -> None:
    from giljabi_sim.lockstep import LockStep

    loop = LockStep(
        load_scenario("ship_straight", faults=["what=unplug where=bridge begin=10 end=14"], overrides=["duration_s=25"])
    )
    result = loop.run()
    assert loop.simulation.peers["bridge"].accepted > 100
    state = loop.stack.state(result.report["t_end_s"])
    assert state.mode == "minimum_risk"
    assert any("bridge" in r for r in state.reasons), state.reasons
