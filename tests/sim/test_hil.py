"""`giljabi hil`: real descriptors give what lock-step gives, and what fails is told to people and to CI."""

from __future__ import annotations

import json
import os
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from giljabi.cli import main
from giljabi.types import GiljabiError
from giljabi_sim import hil_lockstep
from giljabi_sim.hil_lockstep import HilLockStep
from giljabi_sim.hil_run import Request, run_lockstep, verdict
from giljabi_sim.lockstep import LockStep
from giljabi_sim.peers.contract import Chunk
from giljabi_sim.scenario import load_scenario
from giljabi_sim.wires import PtyLine

NOISE = "what=flip where={} begin=4 end=12 share=0.2 direction=both"
BAD_FAULT = "what=drop where=ais begin=1 end=2"  # nobody else is on the water, so nothing is dropped


@contextmanager
def hil(folder: Path, *args: Any, **kwargs: Any) -> Iterator[HilLockStep]:
    loop = HilLockStep(load_scenario(*args, **kwargs), folder)
    try:
        yield loop
    finally:
        loop.close()


@pytest.mark.parametrize(
    ("name", "faults"),
    [
        ("ship_straight", []),
        ("car_straight", []),
        ("ship_straight", [NOISE.format("bridge"), "what=garbage where=bridge begin=15 end=20 every=3"]),
        ("car_straight", [NOISE.format("vehicle"), "what=delay where=receiver begin=5 delay_s=0.2"]),
        ("ship_straight", ["what=unplug where=bridge begin=10 end=14"]),
        ("car_straight", ["what=bus_off where=vehicle begin=6 end=6.5"]),
    ],
)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_same_outcome_as_without_descriptors(name: str, faults: list[str], seed: int, tmp_path: Path) -> None:
    short = ["duration_s=40"]
    plain = LockStep(load_scenario(name, short, seed=seed, faults=faults))
    with hil(tmp_path, name, short, seed=seed, faults=faults) as loop:
        assert loop.run().report == plain.run().report
        ours, theirs = loop.stack.latest.odom, plain.stack.latest.odom
        assert ours is not None
        assert theirs is not None
        assert ours.position.tolist() == theirs.position.tolist()
        for device, driver in loop.stack.drivers.items():
            assert driver.stats.rejected == plain.stack.drivers[device].stats.rejected
            assert driver.stats.accepted == plain.stack.drivers[device].stats.accepted
            peer = loop.simulation.peers[device]
            assert (peer.accepted, peer.rejected) == (
                plain.simulation.peers[device].accepted,
                plain.simulation.peers[device].rejected,
            )


def platform_with(folder: Path, root: Path, name: str, **wires: str) -> Path:
    data = yaml.safe_load((root / f"config/platforms/{name}.yaml").read_text())
    for driver, wire in wires.items():
        data["simulation"]["peers"][driver]["wire"] = wire
    path = folder / f"my_{name}.yaml"
    path.write_text(yaml.safe_dump(data))
    return path


def test_tcp_and_udp_carry_the_same(tmp_path: Path, root: Path) -> None:
    mine = str(platform_with(tmp_path, root, "ship", bridge="tcp", ais="udp"))
    plain = LockStep(load_scenario("ship_crossing", ["duration_s=30"])).run().report
    with hil(tmp_path, "ship_crossing", ["duration_s=30"], platform=mine) as loop:
        report = loop.run().report
        assert {t.url.scheme for t in loop.transports.values()} == {"tcp", "udp-listen"}
        assert loop.carried["ais"].bytes_in > 100
    assert report == plain | {"platform": report["platform"]}


def test_a_replugged_tcp_line_is_found_again(tmp_path: Path, root: Path) -> None:
    mine = str(platform_with(tmp_path, root, "ship", bridge="tcp"))
    faults = ["what=unplug where=bridge begin=5 end=8"]
    with hil(tmp_path, "ship_straight", ["duration_s=25"], platform=mine, faults=faults) as loop:
        loop.run()
        assert loop.transports["bridge"].generation == 2
        assert loop.carried["bridge"].lost_in > 0
        assert loop.stack.state(0.0).mode == "minimum_risk"


def test_bytes_that_the_kernel_loses_end_the_run_with_a_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = PtyLine.write

    def lossy(self: PtyLine, chunks: Sequence[Chunk]) -> int:
        data = b"".join(c.data for c in chunks)
        return write(self, [Chunk(data[:-1])]) + 1

    monkeypatch.setattr(PtyLine, "write", lossy)
    monkeypatch.setattr(hil_lockstep, "WAIT_S", 0.05)
    with hil(tmp_path, "ship_straight") as loop, pytest.raises(GiljabiError, match=r"'bridge': to the driver: \d+ of"):
        loop.run()


def test_such_a_run_is_an_error_in_junit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PtyLine, "write", lambda self, chunks: 0)
    junit = tmp_path / "j.xml"
    assert main(["hil", "ship_straight", "--junit", str(junit), "--report", str(tmp_path / "r.html")]) == 1
    assert "the kernel took 0 of" in ET.parse(junit).findall(".//error")[0].attrib["message"]


def test_nothing_is_left_open(tmp_path: Path) -> None:
    before = sorted(os.listdir("/proc/self/fd"))
    run_lockstep(Request("ship_straight", overrides=["duration_s=2"]), None)
    run_lockstep(Request("car_straight", overrides=["duration_s=2"]), None)
    assert sorted(os.listdir("/proc/self/fd")) == before


# --- verdict, JUnit, page -------------------------------------------------------------------------


def check_junit(path: Path) -> ET.Element:
    schema = pytest.importorskip("xmlschema").XMLSchema(Path(__file__).parent / "junit.xsd")
    schema.validate(str(path))
    return ET.parse(path).getroot()


class _Page(HTMLParser):
    """Text in order, and everything that a browser would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.said: list[str] = []
        self.fetched: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [v for k, v in attrs if k in ("src", "href", "xlink:href", "data") and v and v[0] != "#"]

    def handle_data(self, data: str) -> None:
        self.said += [data.strip()] if data.strip() and self.tags[-1] != "style" else []


def read_page(path: Path) -> _Page:
    page = _Page()
    text = path.read_text()
    page.feed(text)
    assert page.fetched == []
    assert "script" not in page.tags
    assert not re.search(r"url\((?!#)|@import", text)
    return page


def test_a_good_run_is_exit_0_and_says_so_everywhere(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit, html = tmp_path / "j.xml", tmp_path / "r.html"
    fault = "what=flip where=bridge begin=5 end=10 share=0.2"
    argv = ["hil", "ship_straight", "--fault", fault, "--junit", str(junit), "--report", str(html), "--json", "-"]
    assert main(argv) == 0
    out = capsys.readouterr()
    result = json.loads(out.out)
    assert result["passed"] is True
    assert result["runs"][0]["outcome"] == "arrived"
    assert sum(result["runs"][0]["wires"]["bridge"]["driver_rejected"].values()) > 5
    root = check_junit(junit)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("3", "0", "0")
    page = read_page(html)
    assert "PASSED" in page.said
    assert page.tags.count("svg") == 2
    assert any(fault in s for s in page.said)  # the command that makes it again


def test_an_unconsumed_fault_fails_and_stands_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit, html = tmp_path / "j.xml", tmp_path / "r.html"
    argv = ["hil", "ship_straight", "--fault", BAD_FAULT, "--junit", str(junit), "--report", str(html)]
    assert main(argv) == 1
    assert "met no byte: the device sent nothing then" in capsys.readouterr().out
    failure = check_junit(junit).findall(".//failure")[0]
    assert failure.attrib["message"] == "met no byte: the device sent nothing then"
    said = read_page(html).said
    words = said.index("met no byte: the device sent nothing then")
    assert said.index("FAILED") < words < said.index("Asserts")


def test_a_failed_assert_says_when_and_by_what(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit = tmp_path / "j.xml"
    asserts = "asserts=[{name: slow, expression: speed < 2, always: true}, {name: <b>&, expression: x > 1e6}]"
    assert (
        main(["hil", "ship_straight", "--set", asserts, "--junit", str(junit), "--report", f"{tmp_path}/r.html"]) == 1
    )
    messages = [f.attrib["message"] for f in check_junit(junit).findall(".//failure")]
    assert re.fullmatch(r"speed < 2: false at \d+\.\d\d s \(speed = 2(\.\d+)?\)", messages[0])
    assert messages[1].startswith("x > 1e6: false at the end (x = ")
    assert "<b>&" in read_page(tmp_path / "r.html").said
    capsys.readouterr()


def test_seeds_run_one_after_the_other(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit, html = tmp_path / "j.xml", tmp_path / "r.html"
    argv = ["hil", "car_straight", "--seed", "7", "--seeds", "2", "--set", "duration_s=3", "--junit", str(junit)]
    assert main([*argv, "--report", str(html)]) == 1
    assert [s.get("name") for s in check_junit(junit)] == ["car_straight seed 7", "car_straight seed 8"]
    page = read_page(html)
    assert "2 of 2 runs failed" in page.said
    ids = re.findall(r'id="([^"]+)"', html.read_text())
    defined = [i for i in ids if not i.startswith(("figure", "axes", "patch", "text", "line2d", "xtick", "ytick",
               "matplotlib", "legend", "LineCollection", "PolyCollection"))]  # fmt: skip
    clips = [i for i in defined if i.startswith("p")]
    assert len(clips) == len(set(clips))  # two figures do not cut each other's curves
    capsys.readouterr()


@pytest.mark.parametrize(
    ("outcome", "faults", "asserts", "good"),
    [
        ("arrived", False, False, True), ("stopped", True, False, True), ("stopped", False, False, False),
        ("stopped", False, True, True), ("timeout", False, False, False), ("collision", True, True, False),
        ("aground", True, True, False), ("fence", True, True, False), ("running", True, True, False),
    ],
)  # fmt: skip
def test_the_outcome_is_a_case(outcome: str, faults: bool, asserts: bool, good: bool) -> None:
    judged = "asserts=[{name: a, expression: \"outcome == 'stopped'\"}]" if asserts else "asserts=[]"
    scenario = load_scenario("ship_straight", [judged], faults=[BAD_FAULT] if faults else [])
    report = {"outcome": outcome, "t_end_s": 1.0, "asserts": [{"name": "a", "held": True}] if asserts else []}
    report["faults"] = [{"what": "drop", "where": "ais", "consumed": True}] if faults else []
    case = verdict(scenario, report, ["held"] if asserts else [], [""] if faults else [])[0]
    assert (case.status == "passed") == good


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["hil"], "SCENARIO"),
        (["hil", "no_such"], "known scenarios are"),
        (["hil", "ship_straight", "--seeds", "0"], "1 to"),
        (["hil", "ship_straight", "--junit", "/no/such/j.xml"], "no such folder"),
        (["hil", "ship_straight", "--fault", "what=flip where=nobody begin=1"], "is no driver"),
        (["hil", "ship_straight", "--json", "-", "--junit", "-"], "both on standard output"),
    ],
)
def test_bad_arguments_are_one_line_and_exit_2(argv: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(argv) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert said in err


def test_real_time_without_ros_says_what_is_missing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from giljabi_sim import hil_realtime

    monkeypatch.setattr(hil_realtime, "find_spec", lambda name: None)
    assert main(["hil", "ship_straight", "--realtime"]) == 2
    assert "pip install 'giljabi[ros]'" in capsys.readouterr().err
