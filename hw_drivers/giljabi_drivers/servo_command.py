"""`giljabi servo`: find, look at and set up serial servos by hand."""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

from giljabi._core.servo import Chain
from giljabi.types import BadInputError
from giljabi_drivers.servo_layout import position_chain
from giljabi_drivers.servo_line import FACTORY_RESET, REBOOT, Found, Line, ServoError, port_url
from giljabi_drivers.servo_tables import Family, Register
from giljabi_drivers.transport_base import Url

BAUDS = (57_600, 1_000_000, 115_200, 2_000_000, 3_000_000, 4_000_000, 500_000, 9_600)
PROTOCOLS: dict[str, tuple[Family, ...]] = {
    "auto": ("dynamixel", "feetech_sts"), "dynamixel": ("dynamixel",), "feetech": ("feetech_sts",),
    "feetech_sts": ("feetech_sts",), "feetech_scs": ("feetech_scs",),
}  # fmt: skip
LAST_ID = 252


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declares the arguments of `giljabi servo`."""
    parser.epilog = "example: giljabi servo scan --port /dev/ttyUSB0"
    what = parser.add_subparsers(dest="what", metavar="WHAT", required=True)

    def add(name: str, text: str) -> argparse.ArgumentParser:
        p = what.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        p.add_argument(
            "--port", required=True, metavar="URL", help="serial:/dev/ttyUSB0, /dev/ttyUSB0 or tcp:HOST:PORT"
        )
        p.add_argument("--baud", metavar="B[,B...]", type=_bauds, default=None, help="default: the URL's, else a scan")
        p.add_argument("--protocol", choices=list(PROTOCOLS), default="auto")
        p.add_argument("--json", metavar="F", help="write one JSON object; - is standard output")
        p.add_argument("--debug", action="store_true", default=argparse.SUPPRESS, help="show tracebacks")
        return p

    p = add("scan", "find servos, at every speed until some answer")
    p.add_argument("--ids", metavar="A-B", type=_ids, default=range(LAST_ID + 1), help="default 0-252")
    p.add_argument("--all-bauds", action="store_true", help="go on when some were found")
    add("ping", "ask one servo who it is").add_argument("id", type=_id)
    p = add("monitor", "read all servos as fast as they answer; writes nothing")
    p.add_argument("ids", metavar="ID", type=_id, nargs="*", help="default: those that a scan finds")
    p.add_argument("--seconds", type=_seconds, default=math.inf, metavar="S", help="default: until Ctrl-C")
    p.add_argument("--fast", action="store_true", help="Dynamixel: fast sync read")
    p = add("read", "read one register")
    p.add_argument("id", type=_id)
    p.add_argument("register", metavar="NAME|ADDRESS:SIZE")
    p = _confirmed(add("write", "write one register; it may move the servo"))
    p.add_argument("id", type=_id)
    p.add_argument("register", metavar="NAME|ADDRESS:SIZE")
    p.add_argument("value", type=int, help="raw")
    p = _confirmed(add("id", "give a servo another id"))
    p.add_argument("id", type=_id)
    p.add_argument("new_id", type=_id)
    p = _confirmed(add("baud", "give a servo another speed"))
    p.add_argument("id", type=_id)
    p.add_argument("new_baud", type=int)
    _confirmed(add("reboot", "restart a servo; its torque goes")).add_argument("id", type=_id)
    p = _confirmed(add("factory-reset", "all but id and speed back to the maker's values"))
    p.add_argument("id", type=_id)


def run(args: argparse.Namespace) -> int:
    """0: done; 1: nobody answered, or a servo refused."""
    if getattr(args, "yes", True) is False:
        raise BadInputError(f"giljabi servo {args.what}: changes the servo; --yes is expected")
    if args.what == "scan":
        return _scan(args)
    if args.what == "monitor":
        return _monitor(args)
    with _servo(args) as (line, found):
        return ACTIONS[args.what](args, line, found)


# --- finding --------------------------------------------------------------------------------------


def _speeds(args: argparse.Namespace) -> Sequence[int | None]:
    url = Url.parse(port_url(args.port, None))
    if url.scheme == "tcp":
        return (None,)
    if args.baud:
        return tuple(args.baud)
    return (int(url.options["baud"]),) if url.options.get("baud", "").isdigit() else BAUDS


def _found(args: argparse.Namespace, ids: Sequence[int], every: bool) -> Iterator[tuple[Line, list[Found]]]:
    """Open lines on which somebody answered."""
    for baud in _speeds(args):
        with closing(Line(port_url(args.port, baud), PROTOCOLS[args.protocol][0])) as line:
            for family in PROTOCOLS[args.protocol]:
                line.use(family)
                servos = line.scan(ids)
                if servos:
                    yield line, servos
                    if not every:
                        return


@contextmanager
def _servo(args: argparse.Namespace) -> Iterator[tuple[Line, Found]]:
    for line, servos in _found(args, [args.id], False):
        yield line, servos[0]
        return
    raise ServoError(f"servo {args.id} does not answer at {args.port}; its power, its cable, --baud?")


def _row(line: Line, f: Found) -> dict[str, Any]:
    """What a table shows of a servo; null where it does not say."""
    t = f.table.registers
    names = ("firmware", "present_voltage", "present_temperature", "torque_enable", "hardware_error")
    raw: dict[str, int | None] = {n: line.read(f.id, t[n]) for n in names}
    volts = raw.get("present_voltage")
    bits = raw["hardware_error"] or 0
    return {
        "id": f.id, "model": f.name, "model_number": f.number, "protocol": f.family, "baud": line.baud,
        "firmware": raw["firmware"], "voltage": None if volts is None else round(volts * t["present_voltage"].scale, 2),
        "temperature_degc": raw["present_temperature"], "torque": bool(raw["torque_enable"]),
        "errors": [words for bit, words in f.table.errors.items() if bits >> bit & 1],
    }  # fmt: skip


def _scan(args: argparse.Namespace) -> int:
    rows, hint = [], ""
    for line, servos in _found(args, args.ids, args.all_bauds):
        hint = line.hint
        rows += [_row(line, f) for f in servos]
    _show(args, {"port": args.port, "servos": rows}, _table(rows) if rows else f"nobody answers at {args.port}", hint)
    return 0 if rows else 1


def _table(rows: Sequence[dict[str, Any]]) -> str:
    head = f"{'id':>3}  {'model':<16} {'protocol':<12} {'baud':>8}  {'fw':>3}  {'volt':>5}  {'degC':>4}  torque  errors"
    lines = [
        f"{r['id']:>3}  {r['model']:<16} {r['protocol']:<12} {r['baud']:>8}  {_or_dash(r['firmware']):>3}  "
        f"{_or_dash(r['voltage']):>5}  {_or_dash(r['temperature_degc']):>4}  {'on' if r['torque'] else 'off':<6}  "
        f"{', '.join(r['errors']) or '-'}"
        for r in rows
    ]
    return "\n".join([head, *lines])


def _or_dash(value: Any) -> str:
    return "-" if value is None else str(value)


def _ping(args: argparse.Namespace, line: Line, f: Found) -> int:
    row = _row(line, f)
    _show(args, {"port": args.port, **row}, _table([row]), line.hint)
    return 0


# --- watching -------------------------------------------------------------------------------------


def _monitor(args: argparse.Namespace) -> int:
    ids = args.ids or range(LAST_ID + 1)
    for line, servos in _found(args, ids, False):
        found = [f for f in servos if f.table.family == servos[0].table.family]
        layout = position_chain(
            line.family, found[0].table, [f.id for f in found], line.baud, fast=args.fast, latency_s=0.03
        )
        return _watch(args, line, found, Chain(layout))
    raise ServoError(f"nobody answers at {args.port}; their power, the cable, --baud?")


def _watch(args: argparse.Namespace, line: Line, found: Sequence[Found], chain: Chain) -> int:
    begin = told = time.monotonic()
    cycles, rows = 0, []
    while True:
        try:
            chain.exchange(line.fd)
        except OSError as e:
            raise ServoError(f"{line.url}: {e.strerror}") from None
        cycles += 1
        now = time.monotonic()
        last = now - begin >= args.seconds
        if not last and now - told < 1.0:
            continue
        rows = [_joint(chain, k, f) for k, f in enumerate(found)]
        if args.json != "-":
            print(
                "  ".join(f"{r['id']}: {_degrees(r)}" for r in rows) + f"   {cycles / (now - begin):.0f} Hz", flush=True
            )
        told = now
        if last:
            break
    stats = chain.stats()
    result = {
        "port": args.port, "cycles_per_s": cycles / (time.monotonic() - begin), "cycles": cycles,
        "complete": stats["complete"], "checksum_errors": stats["checksum"], "servos": rows,
    }  # fmt: skip
    _show(args, result, f"{stats['complete']} of {cycles} cycles were complete", line.hint)
    return 0 if stats["complete"] else 1


def _joint(chain: Chain, k: int, f: Found) -> dict[str, Any]:
    position, row = chain.values(0)[k], chain.joint(k)
    return {
        "id": f.id, "position_rad": None if math.isnan(position) else position, "errors": row["errors"],
        "silent": row["silent"],
    }  # fmt: skip


def _degrees(row: dict[str, Any]) -> str:
    if row["silent"] or row["position_rad"] is None:
        return "silent"
    return f"{math.degrees(row['position_rad']):7.2f} deg"


# --- registers ------------------------------------------------------------------------------------


def _register(f: Found, text: str) -> Register:
    if text in f.table.registers:
        return f.table.registers[text]
    address, colon, size = text.partition(":")
    if colon and address.isdigit() and size in ("1", "2", "4") and int(address) <= 0xFFFF:
        return Register(int(address), int(size))
    known = ", ".join(sorted(f.table.registers))
    raise BadInputError(f"register '{text}' is none of {f.name}'s; ADDRESS:SIZE or one of {known} is expected")


def _read(args: argparse.Namespace, line: Line, f: Found) -> int:
    r = _register(f, args.register)
    value = line.read(f.id, r)
    if value is None:
        raise ServoError(f"servo {f.id} does not say its {args.register}")
    _show(args, {"id": f.id, "register": args.register, "raw": value, "value": value * r.scale}, str(value), line.hint)
    return 0


def _write(args: argparse.Namespace, line: Line, f: Found) -> int:
    r = _register(f, args.register)
    low, high = (-(1 << 8 * r.size - 1), (1 << 8 * r.size) - 1)
    if not low <= args.value <= high:
        raise BadInputError(f"value {args.value} does not fit into {r.size} bytes; {low} to {high} is expected")
    line.write(f.id, r, args.value)
    value = line.read(f.id, r)
    if value != args.value:
        raise ServoError(
            f"servo {f.id}: {args.register} is {value}, not {args.value}; it may be read-only, or locked by torque"
        )
    _show(args, {"id": f.id, "register": args.register, "raw": value}, f"{args.register} is {value}", line.hint)
    return 0


@contextmanager
def _unlocked(line: Line, f: Found) -> Iterator[None]:
    """Lasting memory can be written: no torque (Dynamixel), lock open (Feetech)."""
    t = f.table.registers
    if line.read(f.id, t["torque_enable"]):
        raise ServoError(
            f"servo {f.id} has torque and keeps its settings; `giljabi servo write {f.id} torque_enable 0 --yes`"
        )
    if "lock" in t:
        line.write(f.id, t["lock"], 0)
    yield


def _id_change(args: argparse.Namespace, line: Line, f: Found) -> int:
    if line.ping(args.new_id) is not None:
        raise ServoError(f"there is a servo {args.new_id} already; a free id is expected")
    with _unlocked(line, f):
        line.write(f.id, f.table.registers["id"], args.new_id)
    if line.ping(args.new_id) is None:
        raise ServoError(f"servo {f.id} does not answer as {args.new_id}")
    if "lock" in f.table.registers:
        line.write(args.new_id, f.table.registers["lock"], 1)
    _show(args, {"id": args.new_id, "was": f.id}, f"servo {f.id} is {args.new_id} now", line.hint)
    return 0


def _baud_change(args: argparse.Namespace, line: Line, f: Found) -> int:
    code = next((c for c, b in f.table.bauds.items() if b == args.new_baud), None)
    if code is None:
        known = ", ".join(map(str, sorted(f.table.bauds.values())))
        raise BadInputError(f"{args.new_baud} is no speed of {f.name}; {known} is expected")
    with _unlocked(line, f):
        line.write(f.id, f.table.registers["baud"], code)
    _show(
        args,
        {"id": f.id, "baud": args.new_baud, "was": line.baud},
        f"servo {f.id} speaks {args.new_baud} now",
        line.hint,
    )
    return 0


def _instruct(instruction: int, data: bytes, words: str) -> Callable[[argparse.Namespace, Line, Found], int]:
    def act(args: argparse.Namespace, line: Line, f: Found) -> int:
        if line.family != "dynamixel":
            raise BadInputError(f"{args.what} is an instruction of Dynamixel; {f.name} has none")
        line.instruct(f.id, instruction, data)
        _show(args, {"id": f.id, "done": args.what}, f"servo {f.id} {words}", line.hint)
        return 0

    return act


ACTIONS: dict[str, Callable[[argparse.Namespace, Line, Found], int]] = {
    "ping": _ping, "read": _read, "write": _write, "id": _id_change, "baud": _baud_change,
    "reboot": _instruct(REBOOT, b"", "restarts"),
    "factory-reset": _instruct(FACTORY_RESET, b"\x02", "has its maker's values again, but its id and speed"),
}  # fmt: skip

# --- arguments and output -------------------------------------------------------------------------


def _show(args: argparse.Namespace, result: dict[str, Any], text: str, hint: str) -> None:
    if args.json:
        line = json.dumps(result, allow_nan=False)
        if args.json == "-":
            print(line)
        else:
            try:
                with open(args.json, "w", encoding="utf-8") as f:
                    f.write(line + "\n")
            except OSError as e:
                raise BadInputError(f"--json {args.json}: {e.strerror}; a writable file is expected") from None
    if args.json != "-":
        print(text)
        if hint:
            print(f"hint: {hint}")


def _confirmed(p: argparse.ArgumentParser) -> argparse.ArgumentParser:
    p.add_argument("--yes", action="store_true", help="yes, change the servo")
    return p


def _id(text: str) -> int:
    if not text.isdigit() or int(text) > LAST_ID + 1:
        raise argparse.ArgumentTypeError(f"'{text}' is no id; 0 to 253 is expected")
    return int(text)


def _ids(text: str) -> range:
    first, _, last = text.partition("-")
    begin, end = _id(first), _id(last or first)
    if end < begin:
        raise argparse.ArgumentTypeError(f"'{text}' is empty; A-B with A below B is expected")
    return range(begin, end + 1)


def _bauds(text: str) -> list[int]:
    out = []
    for part in text.split(","):
        if not part.isdigit() or not 9600 <= int(part) <= 4_000_000:
            raise argparse.ArgumentTypeError(f"'{part}' is no speed; 9600 to 4000000 is expected")
        out.append(int(part))
    return out


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0.0 < value <= 1e6:
        raise argparse.ArgumentTypeError(f"'{text}' is no time; a number of seconds above 0 is expected")
    return value
