"""An IMU on CAN by any DBC: which signal is which axis."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Literal

import numpy as np
from pydantic import Field as Option

from giljabi.platform import Platform
from giljabi.types import NAN, BadInputError
from giljabi.yaml_file import Strict
from giljabi_drivers.dbc import Database

Axis = Literal["x", "y", "z"]
Signal = Annotated[str, Option(pattern=r"^-?\w+\.\w+$")]
Read = Callable[[bytes], float]
Give = Callable[[float, "np.ndarray[tuple[int, ...], np.dtype[np.float64]]"], None]
# What is read: place in the reading, quantity, and the unit of a signal that names none.
QUANTITIES = {"angular_velocity": (0, "angular rate", "rad/s"), "linear_acceleration": (3, "acceleration", "m/s^2")}


class ImuSignals(Strict):
    """An IMU's axes: `MESSAGE.SIGNAL`, with `-` in front where the sign is the other way round.

    Axes are the device's own, right-handed; how it sits in the vehicle is `rpy_deg` of the sensor. At rest the axis
    that points up reads +9.81 m/s^2.
    """

    angular_velocity: dict[Axis, Signal] = Option(default_factory=dict)
    linear_acceleration: dict[Axis, Signal] = Option(default_factory=dict)


@dataclass(slots=True)
class CanImu:
    """Gathers the messages of one reading; give(t, (6,)) rate and specific force, NaN where nothing is measured.

    A reading goes out when each of its messages has come once; without what is missing when one comes again.
    """

    give: Give
    readers: dict[str, list[tuple[int, float, Read]]] = field(default_factory=dict)  # by message: slot, sign, signal
    _came: set[str] = field(default_factory=set)
    _values: np.ndarray[tuple[int, ...], np.dtype[np.float64]] = field(default_factory=lambda: np.full(6, NAN))
    _t: float = 0.0

    def take(self, message: str, data: bytes, t: float) -> None:
        """One message of the reading."""
        if message in self._came:
            self._out()
        self._came.add(message)
        self._t = t
        for slot, sign, read in self.readers[message]:
            self._values[slot] = sign * read(data)
        if len(self._came) == len(self.readers):
            self._out()

    def takers(self) -> Mapping[str, Callable[[bytes, float], None]]:
        """Who takes which message."""

        def taker(message: str) -> Callable[[bytes, float], None]:
            return lambda data, t: self.take(message, data, t)

        return {m: taker(m) for m in self.readers}

    def _out(self) -> None:
        values, self._values = self._values, np.full(6, NAN)
        self._came.clear()
        if np.isfinite(values).any() and not np.isinf(values).any():
            self.give(self._t, values)


def build_imu(
    platform: Platform, driver: str, options: ImuSignals, database: Database, give: Give, *, strict: bool
) -> CanImu:
    """Finds the signals; raises BadInputError with the platform file's line.

    strict: False leaves out what the database lacks, as that of a recording does.
    """
    imu = CanImu(give)
    key = ("drivers", driver, "options", "imu")
    for name, (first, quantity, unit) in QUANTITIES.items():
        axes: Mapping[Axis, str] = getattr(options, name)
        for axis, text in axes.items():
            sign, message, signal = re.fullmatch(r"(-?)(\w+)\.(\w+)", text).groups()  # type: ignore[union-attr]
            m = database.by_name.get(message)
            try:
                if m is None:
                    raise BadInputError(f"{database.path.name} has no message '{message}'")
                read = m.si(signal, quantity, unit)
                if read is None:
                    raise BadInputError(f"{message} has no signal '{signal}'; it has {', '.join(m.fields)}")
            except BadInputError as e:
                if strict:
                    raise platform.error((*key, name, axis), str(e)) from None
                continue
            imu.readers.setdefault(message, []).append((first + "xyz".index(axis), -1.0 if sign else 1.0, read))
    return imu
