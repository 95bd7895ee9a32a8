"""Checksum, counter and period of a CAN message: declared in the platform file, found in the DBC, computed in C++."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from pydantic import Field as Option

from giljabi._core import can as core
from giljabi.types import BadInputError
from giljabi.wire import WireChecksum, WireCounter, WireCrc
from giljabi.yaml_file import Strict
from giljabi_drivers.can_data_ids import VW_MQB

if TYPE_CHECKING:
    from giljabi_drivers.dbc import Message

KINDS: tuple[str, ...] = tuple(core.checksum_kinds())
CHECKSUM, COUNTER = "CHECKSUM", "COUNTER"  # signals that are taken when none is named
MAKERS = {  # begin of a database's file name, as in opendbc → checksum of its messages
    "toyota": "toyota",
    "lexus": "toyota",
    "honda": "honda",
    "acura": "honda",
    "hyundai_canfd": "hyundai_canfd",
    "vw_mqb": "vw_mqb",
    "vw_meb": "vw_mqb",
}


class CrcOptions(Strict):
    """A CRC of one's own, in the terms of the catalogue of parametrised CRC algorithms."""

    width: int = Option(ge=4, le=64, description="bits")
    polynomial: int = Option(ge=0, description="without its highest term, e.g. 0x1021")
    init: int = Option(default=0, ge=0)
    xorout: int = Option(default=0, ge=0)
    reflect: bool = Option(default=False, description="refin and refout")
    id_bytes: int = Option(default=0, ge=0, le=8, description="bytes of the data_id that go into the CRC")
    id_at: Literal["start", "end"] = Option(default="start", description="before or after the payload")
    id_order: Literal["low_first", "high_first"] = "low_first"
    skip: list[int] = Option(default_factory=list, description="bytes left out, beside those of the checksum")


class MessageOptions(Strict):
    """How one message protects itself and how often it comes; what is not named is the DBC's."""

    checksum: str | None = Option(default=None, description=f"one of {', '.join(KINDS)}")
    checksum_signal: str | None = Option(default=None, description="default is CHECKSUM")
    data_id: int | list[int] | None = Option(default=None, description="one, or 16 of which the counter chooses one")
    data_id_mode: Literal["both", "low", "alternating", "nibble"] = Option(
        default="both", description="of e2e_p01 and e2e_p11 (AUTOSAR DataIDMode)"
    )
    crc: CrcOptions | None = Option(default=None, description="of checksum: crc")
    counter: str | None = Option(default=None, description="its signal; default is COUNTER, none: there is none")
    counter_max: int | None = Option(
        default=None, gt=0, description="highest value; default is the kind's, else all bits"
    )
    period_s: float | None = Option(default=None, gt=0, description="default is the DBC's cycle time, else learnt")
    required: bool = Option(default=False, description="silence is a problem of the device, not only a note")


def maker_checksum(file_name: str) -> str:
    """Kind of checksum that a database's file name tells, as opendbc names its files; "none" when it tells none."""
    return next((kind for start, kind in MAKERS.items() if file_name.lower().startswith(start)), "none")


def known_kind(kind: str) -> str:
    """The kind itself; raises BadInputError with all kinds when there is none of that name."""
    if kind not in KINDS:
        raise BadInputError(f"the checksum kind '{kind}' is not known; one of {', '.join(KINDS)} is expected")
    return kind


def default_checks(message: Message, kind: str, attributes: Mapping[str, str]) -> None:
    """Sets what the DBC tells of a message that no platform file describes; raises BadInputError.

    attributes: its ChecksumKind and ChecksumDataId, as text. A `kind` that does not fit the message's signals is told
    in `message.unchecked`; a ChecksumKind must fit.
    """
    own = "ChecksumKind" in attributes
    kind = known_kind(attributes.get("ChecksumKind", kind))
    _set_counter(message, None, None, kind if CHECKSUM in message.fields else "none")
    if CHECKSUM not in message.fields or kind == "none":
        return
    data_id = numbers(attributes.get("ChecksumDataId", ""))
    try:
        set_checksum(message, MessageOptions(checksum=kind, data_id=list(data_id) or None))
    except BadInputError as e:
        if own:
            raise
        message.unchecked = str(e)


def set_options(message: Message, options: MessageOptions, default: str) -> None:
    """Applies what a platform file says of a message; raises BadInputError without a place."""
    kind = options.checksum or (message.check.kind if message.check.kind != "none" else default)
    _set_counter(message, options.counter, options.counter_max, kind)
    if options.period_s is not None:
        message.cycle_s = options.period_s
    if options.crc is not None and kind != "crc":
        raise BadInputError(f"crc goes with checksum: crc, not with {kind}")
    named = options.checksum is not None or options.checksum_signal is not None or options.data_id is not None
    if named or message.unchecked:
        message.check, message.checker, message.unchecked = WireChecksum(), None, ""
        if known_kind(kind) != "none":
            set_checksum(message, options.model_copy(update={"checksum": kind}))
    elif message.check.kind != "none":
        compile_check(message, message.check)  # its counter may be another now


def set_checksum(message: Message, options: MessageOptions) -> None:
    """Gives a message its checksum; raises BadInputError when it does not fit."""
    kind = known_kind(options.checksum or "none")
    f = message.fields.get(options.checksum_signal or CHECKSUM)
    if f is None:
        known = ", ".join(message.fields) or "none"
        raise BadInputError(f"no signal '{options.checksum_signal or CHECKSUM}' for the checksum; it has {known}")
    crc = None
    if options.crc is not None:
        crc = WireCrc(**{**options.crc.model_dump(), "skip": tuple(options.crc.skip)})
    elif kind == "crc":
        raise BadInputError("checksum: crc needs its parameters under crc (width, polynomial, ...)")
    ids = options.data_id
    data_id = tuple(ids) if isinstance(ids, list) else () if ids is None else (ids,)
    if kind == "vw_mqb" and not data_id:
        data_id = VW_MQB.get(message.can_id, ())
    compile_check(message, WireChecksum(kind, f.start, f.length, f.big_endian, data_id, options.data_id_mode, crc))


def compile_check(message: Message, check: WireChecksum) -> None:
    """Compiles a description; raises BadInputError when it is wrong."""
    try:
        message.checker = core.Checksum(
            check, message.counter, message.can_id, message.extended, message.size, f"the checksum of {message.name}"
        )
    except (ValueError, OverflowError, TypeError) as e:
        raise BadInputError(str(e)) from None
    message.check = check


def _set_counter(message: Message, signal: str | None, highest: int | None, kind: str) -> None:
    message.counter = message.counter_field = None
    if signal == "none":
        return
    f = message.fields.get(signal or COUNTER)
    if f is None and signal is not None:
        raise BadInputError(f"no signal '{signal}' for the counter; it has {', '.join(message.fields) or 'none'}")
    if f is None:
        return
    if highest is not None and highest > f.mask:
        raise BadInputError(f"counter_max {highest} does not fit the {f.length} bits of '{f.name}'")
    usual = core.counter_max(kind) if kind in KINDS else -1
    highest = highest if highest is not None else min(usual, f.mask) if usual > 0 else None
    message.counter, message.counter_field = WireCounter(f.start, f.length, f.big_endian, highest), f


def numbers(text: str) -> tuple[int, ...]:
    """Whole numbers of a DBC attribute, decimal or 0x, apart by commas or blanks; raises BadInputError."""
    try:
        return tuple(int(part, 0) for part in text.replace(",", " ").split())
    except ValueError:
        raise BadInputError(f"'{text}' is no data ID; whole numbers are expected, e.g. 0x1234") from None


def next_counter(counter: WireCounter, value: int) -> int:
    """The value that follows; after the highest comes 0."""
    highest = counter.max if counter.max is not None else (1 << counter.length) - 1
    return 0 if value >= highest else value + 1
