"""A chain of simulated servos behind a pseudo-terminal whose bytes take their time on the wire.

usage: python -m giljabi_sim.servo_pty [--n 20] [--baud 1000000] [--family F] [--unpaced] [--silent ID] [--link F]

Prints the terminal's path, then serves it until standard input or the parent ends.
"""

from __future__ import annotations

import argparse
import os
import pty
import select
import sys
import termios
import time
from collections.abc import Sequence
from pathlib import Path

from giljabi_sim.peers.servo_bus import SERIES, ServoBus

SPIN_S = 2e-3  # shorter waits are spun: poll counts in milliseconds, and a sleeper wakes too late


def open_raw_pty() -> tuple[int, int]:
    """(master, slave) of a terminal that changes no byte."""
    master, slave = pty.openpty()
    attributes = termios.tcgetattr(slave)
    attributes[0] = attributes[1] = attributes[3] = 0
    attributes[2] = termios.CS8 | termios.CREAD | termios.CLOCAL
    termios.tcsetattr(slave, termios.TCSANOW, attributes)
    os.set_blocking(master, False)
    return master, slave


class PtyChain:
    """Serves one bus on the master side of a pseudo-terminal."""

    def __init__(self, bus: ServoBus, paced: bool = True) -> None:
        self.bus, self.paced = bus, paced
        self.master, self.slave = open_raw_pty()
        self.path = os.ttyname(self.slave)

    def serve(self, until: float, extra: Sequence[int] = ()) -> bool:
        """Serves until a time of the monotonic clock; False when a descriptor of `extra` became readable."""
        poll = select.poll()
        poll.register(self.master, select.POLLIN)
        for fd in extra:
            poll.register(fd, select.POLLIN | select.POLLHUP)
        while True:
            now = time.monotonic()
            due = self.bus.next_due if self.paced else now
            wait = min(due, until) - now
            if now >= until:
                return True
            spin = wait < SPIN_S
            for fd, _ in poll.poll(0 if spin else 1e3 * (wait - SPIN_S)):
                if fd != self.master:
                    return False
                self._read()
            self._write()

    def _read(self) -> None:
        try:
            data = os.read(self.master, 65536)
        except (BlockingIOError, OSError):
            return
        now = time.monotonic()
        self.bus.move(now)
        self.bus.receive(now, data)

    def _write(self) -> None:
        data = b"".join(self.bus.take(time.monotonic() if self.paced else float("inf")))
        if data:
            os.write(self.master, data)

    def close(self) -> None:
        """Ends the terminal."""
        os.close(self.slave)
        os.close(self.master)


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point."""
    parser = argparse.ArgumentParser(prog="servo_pty", description="simulated servos behind a pseudo-terminal")
    parser.add_argument("--n", type=int, default=20)
    parser.add_argument("--baud", type=float, default=1e6)
    parser.add_argument("--family", choices=list(SERIES), default="dynamixel")
    parser.add_argument("--unpaced", action="store_true")
    parser.add_argument("--still", action="store_true", help="motors follow their goals at once")
    parser.add_argument("--silent", type=int, action="append", default=[])
    parser.add_argument("--gap", choices=["wait", "stop"], default="wait")
    parser.add_argument("--link", type=Path)
    args = parser.parse_args(argv)
    bus = ServoBus(args.family, range(1, args.n + 1), args.baud)
    bus.dynamics, bus.at_once, bus.gap = not args.still, args.still, args.gap
    for i in args.silent:
        bus.servos[i].silent = True
    chain = PtyChain(bus, not args.unpaced)
    if args.link is not None:
        args.link.unlink(missing_ok=True)
        args.link.symlink_to(chain.path)
    print(chain.path, flush=True)
    try:
        while chain.serve(time.monotonic() + 3600.0, (sys.stdin.fileno(),)):
            pass
    except KeyboardInterrupt:
        pass
    finally:
        chain.close()
        if args.link is not None:
            args.link.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
