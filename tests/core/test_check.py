"""`giljabi check`: says what is missing, and writes nothing."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from giljabi.cli import main
from giljabi.platform import find_platform


def sentence(body: str) -> bytes:
    parity = 0
    for c in body:
        parity ^= ord(c)
    return f"${body}*{parity:02X}\r\n".encode()


BRIDGE = b"".join(
    map(
        sentence,
        (
            "GPGGA,120000.00,4300.0000,N,00500.0000,E,4,12,0.6,10.0,M,48.0,M,,",
            "GPRMC,120000.00,A,4300.0000,N,00500.0000,E,0.0,90.0,010125,,,R",
            "HEHDT,90.0,T",
            "TIROT,0.0,A",
            "AGRSA,0.0,A,,",
            "VWVHW,,T,,M,0.0,N,0.0,K",
        ),
    )
)


@pytest.fixture
def bridge() -> Iterator[tuple[int, list[bytes]]]:
    """(port to listen on, what came back): a bridge that speaks every 50 ms."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ended = threading.Event()
    heard: list[bytes] = []

    def speak() -> None:
        k = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.setblocking(False)
            while not ended.wait(0.05):
                k += 1
                clock = f"1200{k // 20 % 60:02d}.{k % 20 * 5:02d}"
                text = BRIDGE.decode().replace("120000.00", clock)
                again = b"".join(sentence(line[1:].split("*")[0]) for line in text.split("\r\n") if line)
                s.sendto(again, ("127.0.0.1", port))
                with contextlib.suppress(OSError):
                    heard.append(s.recv(4096))

    thread = threading.Thread(target=speak)
    thread.start()
    yield port, heard
    ended.set()
    thread.join()


def check(capsys: pytest.CaptureFixture[str], *args: str) -> tuple[int, str, str]:
    code = main(["check", *args])
    out = capsys.readouterr()
    return code, out.out, out.err


@pytest.mark.parametrize("platform", ["ship", "car"])
def test_shipped_platforms_are_whole(capsys: pytest.CaptureFixture[str], platform: str) -> None:
    code, out, _ = check(capsys, platform, "--no-devices")
    assert code == 0
    assert "ready" in out


def test_missing_devices_and_sensors_are_named(capsys: pytest.CaptureFixture[str]) -> None:
    nowhere = "serial:/dev/giljabi-nothing"
    code, out, _ = check(
        capsys, "ship", "--listen", "0", "--device", f"bridge={nowhere}", "--device", f"ais={nowhere}", "--json", "-"
    )
    result = json.loads(out)
    findings = {f["what"]: f for f in result["findings"]}
    assert code == 1
    assert result["ready"] is False
    assert not findings["device bridge"]["ok"]
    assert findings["device bridge"]["required"]
    assert not findings["device ais"]["required"]  # arming does not wait for it
    for sensor in ("gnss", "compass", "gyro", "log", "steering_gear"):
        assert not findings[f"sensor {sensor}"]["ok"]
        assert "bridge" in findings[f"sensor {sensor}"]["words"]
    assert not findings["estimate"]["ok"]


def test_a_bridge_that_speaks_is_heard_and_not_spoken_to(
    capsys: pytest.CaptureFixture[str], bridge: tuple[int, list[bytes]]
) -> None:
    port, heard = bridge
    devices = ("--device", f"bridge=udp-listen:{port}", "--device", "ais=serial:/dev/giljabi-nothing")
    code, out, _ = check(capsys, "ship", "--listen", "3", *devices, "--json", "-")
    findings = {f["what"]: f for f in json.loads(out)["findings"]}
    for sensor in ("gnss", "compass", "gyro", "log", "steering_gear"):
        assert findings[f"sensor {sensor}"]["ok"], findings
    assert findings["device bridge"]["ok"]
    assert findings["estimate"]["ok"], findings["estimate"]
    assert code == 0
    assert heard == []


def test_wrong_files_and_arguments(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    path = tmp_path / "p.yaml"
    path.write_text(find_platform("ship").read_text().replace("sentence: ROR", "sentence: XYZ"))
    for args, says in (
        (["nothing"], "no platform 'nothing'"),
        ([str(path)], "p.yaml:"),
        (["ship", "--listen", "nan"], "0 to 600"),
        (["ship", "--listen", "-1"], "0 to 600"),
        (["ship", "--device", "bridge"], "NAME=URL"),
        (["ship", "--device", "tower=serial:/dev/x"], "tower"),
        (["ship", "--device", "bridge=pigeon:x"], "pigeon"),
        (["ship", "--no-devices", "--json", str(tmp_path)], "writable"),
    ):
        code, out, err = check(capsys, *args)
        assert code == 2, args
        assert says in err
        assert err.count("\n") == 1
        assert "Traceback" not in out + err
