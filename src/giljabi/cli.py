"""The `giljabi` command: one module per subcommand, imported only when it is called."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Protocol, cast

import giljabi
from giljabi.arguments import Parser
from giljabi.types import BadInputError, GiljabiError

DONE, MISSED, BAD_INPUT, INTERRUPTED = 0, 1, 2, 130


class Subcommand(Protocol):
    """What a subcommand's module provides."""

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declares its arguments and one example as epilog."""

    def run(self, args: argparse.Namespace) -> int:
        """Does the work and returns the exit code."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One subcommand: where it lives and its line in --help."""

    module: str
    help: str


COMMANDS: dict[str, Entry] = {
    "run": Entry("giljabi.run", "start the stack of a platform, simulated or on its hardware"),
    "sim": Entry("giljabi_sim.command", "run a scenario in lock-step, without ROS, faster than real time"),
    "hil": Entry("giljabi_sim.hil", "run a scenario over real bytes with faults on the wire; JUnit and a report"),
    "check": Entry("giljabi.safety.check", "say what a platform still lacks before it can be armed"),
    "decode": Entry("giljabi_drivers.decode", "print what recorded or live NMEA, AIS or CAN bytes say, as JSON lines"),
    "mission": Entry(
        "giljabi.missions.command",
        "mission files (.plan, GeoJSON, YAML): convert, check, show; load, start, pause … a stack that runs",
    ),
    "servo": Entry("giljabi_drivers.servo_command", "find, look at and set up serial servos"),
    "build-model": Entry("giljabi.build_model", "build a solver model from a C++ struct of one's own"),
    "replay": Entry("giljabi.replay", "push recorded bytes through drivers and estimator"),
}


def _parser(argv: Sequence[str]) -> argparse.ArgumentParser:
    parser = Parser(prog="giljabi", description="Autonomy middleware: one stack for four platforms.")
    parser.add_argument("--version", action="version", version=f"giljabi {giljabi.__version__}")
    parser.add_argument("--debug", action="store_true", help="show tracebacks")
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = "example: giljabi run ship"
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", parser_class=Parser)
    wanted = next((a for a in argv if not a.startswith("-")), None)
    for name, entry in COMMANDS.items():
        sub = commands.add_parser(name, help=entry.help, description=entry.help[0].upper() + entry.help[1:] + ".")
        sub.formatter_class = argparse.RawDescriptionHelpFormatter
        sub.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")
        if name == wanted:
            _module(entry).add_arguments(sub)
    return parser


def _module(entry: Entry) -> Subcommand:
    return cast(Subcommand, import_module(entry.module))


def main(argv: Sequence[str] | None = None) -> int:
    """Entry point of the `giljabi` console script; returns the exit code, never a traceback."""
    argv = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in argv
    try:
        args = _parser(argv).parse_args(argv)
        if args.command is None:
            _parser(argv).print_help()
            return BAD_INPUT
        return _module(COMMANDS[args.command]).run(args)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:
        # The reader went away (`| head`): not an error; keep Python from flushing into the closed pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except GiljabiError as e:
        if debug:
            raise
        print(str(e).replace("\n", " "), file=sys.stderr)
        return BAD_INPUT if isinstance(e, BadInputError) else MISSED
    except Exception as e:
        if debug:
            raise
        what = " ".join(str(e).split()) or type(e).__name__
        print(f"giljabi: internal error: {type(e).__name__}: {what}; --debug shows where", file=sys.stderr)
        return MISSED


if __name__ == "__main__":
    sys.exit(main())
