"""The ship on a network of IEC 61162-450: datagrams in a multicast group of the loopback interface, with faults."""

from __future__ import annotations

from pathlib import Path

import pynmea2
import pytest

from giljabi.platform import find_platform
from giljabi.types import BadInputError
from giljabi_sim.hil_lockstep import HilLockStep
from giljabi_sim.lockstep import LockStep
from giljabi_sim.peers.multicast import MulticastPeer
from giljabi_sim.scenario import load_scenario

SHORT = ["duration_s=70"]
FAULTS = [
    "what=duplicate where=bridge begin=3 share=0.2",
    "what=reorder where=bridge begin=3 share=0.1",
    "what=drop where=bridge begin=5 end=20 share=0.05 message=HDT",
    "what=garbage where=bridge begin=10 every=50",
    "what=flip where=bridge begin=10 end=20 share=0.1",
]
ORDERS = "what=flip where=bridge begin=10 end=20 share=0.3 direction=to_device"


def networked(folder: Path) -> str:
    text = find_platform("ship").read_text(encoding="utf-8")
    text = text.replace("      kind: nmea\n", "      kind: nmea\n      wire: multicast-450\n")
    path = folder / "ship_450.yaml"
    path.write_text(text.replace("ais: {kind: ais}", "ais: {kind: ais, wire: multicast-450}"), encoding="utf-8")
    return str(path)


@pytest.mark.parametrize("faults", [[], FAULTS])
def test_she_sails_over_the_network_as_without_it(faults: list[str], tmp_path: Path) -> None:
    platform = networked(tmp_path)
    loop = HilLockStep(load_scenario("ship_straight", SHORT, faults=faults, platform=platform), tmp_path)
    try:
        report = loop.run().report
        dropped, flagged = loop.transports["bridge"].rejected, loop.transports["bridge"].flagged  # type: ignore[attr-defined]
        peer = loop.simulation.peers["bridge"]
    finally:
        loop.close()
    assert report["outcome"] == "arrived"
    assert all(a["held"] for a in report["asserts"])
    assert peer.accepted > 300
    plain = LockStep(load_scenario("ship_straight", SHORT, faults=faults, platform=platform)).run().report
    assert report == plain
    if not faults:
        assert (dropped, flagged, peer.rejected) == ({}, {}, {})
        return
    assert all(f["consumed"] for f in report["faults"])
    assert min(dropped[reason] for reason in ("450_duplicate", "450_late", "450_header")) > 5
    assert flagged["450_missing"] > 5
    assert {"450_tag", "450_no_tag"} & set(dropped)


def test_orders_with_wrong_bits_are_not_obeyed(tmp_path: Path) -> None:
    loop = HilLockStep(load_scenario("ship_straight", SHORT, faults=[ORDERS], platform=networked(tmp_path)), tmp_path)
    try:
        report, peer = loop.run().report, loop.simulation.peers["bridge"]
    finally:
        loop.close()
    assert report["outcome"] == "arrived"
    assert report["faults"][0]["consumed"]
    assert peer.rejected["datagram"] > 10
    assert peer.rejected["checksum"] > 10


def test_orders_out_of_damaged_datagrams_are_not_obeyed() -> None:
    peer = MulticastPeer(None, "SI0001")  # type: ignore[arg-type]
    order = f"{pynmea2.TalkerSentence('AG', 'ROR', ('1.0', 'A', '', '', 'B'))}\r\n".encode()
    good = b"UdPbC\0\\s:AG0001,n:7*%02X\\" % pynmea2.NMEASentence.checksum("s:AG0001,n:7") + order
    assert peer._order(good) == order
    for k in range(8 * good.index(b"$")):
        bad = bytearray(good)
        bad[k // 8] ^= 1 << k % 8
        assert peer._order(bytes(bad)) == b""


def test_a_device_without_sentences_cannot_hang_on_it(tmp_path: Path) -> None:
    text = (
        find_platform("car")
        .read_text(encoding="utf-8")
        .replace("vehicle: {kind: can}", "vehicle: {kind: can, wire: multicast-450}")
    )
    assert "multicast" in text
    path = tmp_path / "car.yaml"
    path.write_text(text)
    with pytest.raises(BadInputError, match=r"car\.yaml:\d+: peer 'can' speaks no sentences"):
        LockStep(load_scenario("car_straight", platform=str(path)))


def test_an_unknown_wire_is_an_error_with_its_line(tmp_path: Path) -> None:
    path = Path(networked(tmp_path))
    path.write_text(path.read_text().replace("wire: multicast-450", "wire: token-ring", 1))
    with pytest.raises(
        BadInputError, match=r"ship_450\.yaml:\d+: no wire 'token-ring'; pty, tcp, udp or multicast-450"
    ):
        HilLockStep(load_scenario("ship_straight", platform=str(path)), tmp_path)
