"""What the ROS tests share: a DDS domain of their own, nodes as real processes, devices on pseudo-terminals."""

from __future__ import annotations

import math
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from giljabi.clock import OFFSET_ENV, StackClock, make_offset_ns
from giljabi.nodes import find_nodes
from giljabi.ros_env import ros_environment

OFFSET_NS = make_offset_ns()
CLOCK = StackClock(OFFSET_NS)
READY_S = 30.0  # a loaded machine starts a process slowly


def environment(domain: int) -> dict[str, str]:
    """Environment of the nodes and of this process."""
    env = dict(os.environ) | {"ROS_DOMAIN_ID": str(domain), OFFSET_ENV: str(OFFSET_NS), "ROS_PYTHON_CHECK_FIELDS": "1"}
    env.pop("ROS_AUTOMATIC_DISCOVERY_RANGE", None)
    return env | ros_environment(env)


_raised: list[Exception] = []


def wait(what: str, condition: Callable[[], Any], timeout_s: float = READY_S) -> Any:
    """The condition's first true value; fails naming `what`."""
    deadline = time.monotonic() + timeout_s
    while not (value := condition()):
        if _raised:
            raise _raised[0]
        assert time.monotonic() < deadline, f"not within {timeout_s} s: {what}"
        time.sleep(0.02)
    return value


class NodeProcess:
    """`giljabi-process NAME` as a real process."""

    def __init__(
        self, name: str, domain: int, folder: Path, parameters: Mapping[str, Any], namespace: str = ""
    ) -> None:
        find_nodes(name)
        file = folder / f"{namespace}{name}.yaml"
        file.write_text(yaml.safe_dump({"/**": {"ros__parameters": dict(parameters)}}))
        self.log = folder / f"{namespace}{name}.log"
        argv = [sys.executable, "-m", "giljabi.ros.process", name, "--ros-args", "--params-file", str(file)]
        argv += ["-r", f"__ns:=/{namespace}"] if namespace else []
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(argv, env=environment(domain), stdout=out, stderr=out)

    def end(self, number: int = signal.SIGINT) -> int:
        """Signals and waits; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        return self.process.wait(15.0)


class Device:
    """The far end of a pseudo-terminal: keeps every byte with its time of arrival, sends lines at a rate."""

    def __init__(self, link: Path) -> None:
        """link: where the device is to be found; one that is there is replaced, as by udev."""
        self._master, self._slave = pty.openpty()
        tty.setraw(self._slave)
        link.unlink(missing_ok=True)
        link.symlink_to(os.ttyname(self._slave))
        self.url = f"serial:{link}?baud=38400"
        self.received: list[tuple[float, bytes]] = []
        self._end = threading.Event()
        self._threads = [threading.Thread(target=self._read, daemon=True)]
        self._threads[0].start()

    def _read(self) -> None:
        while not self._end.is_set():
            try:
                data = os.read(self._master, 4096)
            except OSError:
                return
            self.received.append((CLOCK.now(), data))

    def send(self, sentences: Callable[[], list[str]], rate_hz: float) -> None:
        """Sends what `sentences()` gives, with checksums, at a rate."""

        def run() -> None:
            while not self._end.wait(1.0 / rate_hz):
                text = "".join(f"${s}*{checksum(s):02X}\r\n" for s in sentences())
                try:
                    os.write(self._master, text.encode())
                except OSError:
                    return

        self._threads.append(threading.Thread(target=run, daemon=True))
        self._threads[-1].start()

    def orders(self, kind: str, since: float = 0.0) -> list[tuple[float, float]]:
        """(time, first field) of every sentence of a kind whose checksum is right, in wire units."""
        out = []
        text, times = b"", []
        for t, data in list(self.received):
            text += data
            times += [t] * len(data)
        for m in re.finditer(rb"\$AG" + kind.encode() + rb",(-?[0-9.]+),([^*\r\n]*)\*([0-9A-F]{2})\r\n", text):
            body = m.group(0)[1:-5].decode()
            assert checksum(body) == int(m.group(3), 16), f"wrong checksum on the wire: {m.group(0)!r}"
            if times[m.end() - 1] >= since:
                out.append((times[m.end() - 1], float(m.group(1))))
        return out

    def close(self) -> None:
        """Hangs up."""
        if not self._end.is_set():
            self._end.set()
            for fd in (self._slave, self._master):
                os.close(fd)


def checksum(body: str) -> int:
    """NMEA 0183 checksum: exclusive or of what stands between $ and *."""
    value = 0
    for c in body.encode():
        value ^= c
    return value


def bridge_sentences() -> list[str]:
    """What a healthy bridge says: position, course and speed, heading, rate of turn, rudder."""
    t = time.strftime("%H%M%S", time.gmtime(CLOCK.now())) + f".{int(CLOCK.now() * 100) % 100:02d}"
    date = time.strftime("%d%m%y", time.gmtime(CLOCK.now()))
    return [
        f"GPGGA,{t},3505.7300,N,12902.4180,E,4,12,0.7,10.0,M,20.0,M,1.0,0000",
        f"GPRMC,{t},A,3505.7300,N,12902.4180,E,0.0,90.0,{date},,,R",
        "HEHDT,90.0,T",
        "HEROT,0.0,A",
        "AGRSA,0.0,A,,V",
    ]


@contextmanager
def graph(domain: int) -> Iterator[Any]:
    """An rclpy node of the test itself, spinning in a thread."""
    os.environ.update(environment(domain))
    import rclpy
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.signals import SignalHandlerOptions

    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node("test", context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    end = threading.Event()

    def spin() -> None:
        while not end.is_set():
            try:
                executor.spin_once(timeout_sec=0.05)
            except Exception as e:
                _raised.append(e)  # of a test's own callback: wait() fails with it at once

    _raised.clear()
    thread = threading.Thread(target=spin, daemon=True)
    thread.start()
    try:
        yield node
    finally:
        end.set()
        thread.join(5.0)
        node.destroy_node()
        rclpy.shutdown(context=context)


def call(node: Any, service: Any, request: Any = None, timeout_s: float = 10.0) -> Any:
    """Calls a row of the service table and returns the answer."""
    from giljabi.ros.messages import service_class

    kind = service_class(service.type)
    client = node.create_client(kind, service.name)
    try:
        wait(f"service {service.name}", client.service_is_ready, timeout_s)
        future = client.call_async(request if request is not None else kind.Request())
        wait(f"answer of {service.name}", future.done, timeout_s)
        return future.result()
    finally:
        node.destroy_client(client)


def armed(node: Any) -> None:
    """Arms as soon as nothing is against it."""
    from std_srvs.srv import SetBool

    from giljabi import topics

    deadline = time.monotonic() + READY_S
    while not (answer := call(node, topics.ARM, SetBool.Request(data=True))).success:
        assert time.monotonic() < deadline, answer.message
        time.sleep(0.2)


def degrees(rad: float) -> float:
    """rad in degrees."""
    return math.degrees(rad)
