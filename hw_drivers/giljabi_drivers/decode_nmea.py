"""NMEA 0183 and AIS lines as objects: what every sentence says, in SI."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from giljabi_drivers.ais import AisReceiver
from giljabi_drivers.ais_messages import AisError, read_message
from giljabi_drivers.attitude_sentences import values_of
from giljabi_drivers.decode import finite, nothing_found
from giljabi_drivers.epoch import UtcTracker
from giljabi_drivers.recordings import logger_time

if TYPE_CHECKING:
    from giljabi._core.nmea import Sentence

NAN = math.nan
Values = dict[str, Any]  # of a sentence: Sentence.values()
AIS = ("VDM", "VDO")
NOISE = frozenset({"non_ascii", "truncated", "overlong", "address"})  # what other bytes look like to the framer


class NmeaDecoder:
    """Lines to objects; counts what it takes and what it drops, and why."""

    def __init__(self, checksum: str = "required", ais_only: bool = False) -> None:
        """checksum: `required`, or `none` when it may be missing (a wrong one is dropped in any case)."""
        from giljabi._core.nmea import Framer

        self._framer = Framer(checksum)
        self._ais_only = ais_only
        self._utc = UtcTracker()
        self._t = 0.0  # of the line, by its logger
        self._ais = AisReceiver(self._reject)
        self._skipped = 0  # sentences that were not asked for
        self.accepted = 0
        self.rejected: dict[str, int] = {}

    def rows(self, file: str, lines: Iterable[bytes]) -> Iterator[dict[str, Any]]:
        """One object a sentence of known or unknown kind, one an AIS message; raises BadInputError on other files."""
        number, ended = 1, True
        for line in lines:
            for s in self._framer.feed(line):
                row = self._row(s, line)
                if row is not None:
                    yield {"line": number, **row}
            ended = line.endswith(b"\n")
            number += ended
        self._framer.finish()
        self._ais.expire(math.inf)
        if not self.accepted and not self._skipped and NOISE.issuperset(self.summary()["rejected"]):
            raise nothing_found(file, "no NMEA sentence in it; NMEA 0183 lines are expected")

    def summary(self) -> dict[str, Any]:
        """`accepted` sentences and `rejected` ones by reason."""
        rejected = dict(self._framer.rejected)
        for reason, n in self.rejected.items():
            rejected[reason] = rejected.get(reason, 0) + n
        return {"accepted": self.accepted, "rejected": rejected}

    def _reject(self, reason: str) -> None:
        self.rejected[reason] = self.rejected.get(reason, 0) + 1

    def _row(self, s: Sentence, line: bytes) -> dict[str, Any] | None:
        ais = s.type in AIS and s.talker != "P"
        if self._ais_only and not ais:
            self._skipped += 1
            return None
        logged = logger_time(line, s)
        if not math.isnan(logged):
            self._t = logged
        head: dict[str, Any] = {"time": finite(logged), "talker": s.talker, "type": s.type}
        if ais:
            return self._ais_row(s, head, logged)
        try:
            values = values_of(s)
            time = self._time(values) if values else NAN
        except ValueError:
            self._reject("bad_field")
            return None
        self.accepted += 1
        if values is None:
            return {**head, "fields": list(s.fields)}
        if not math.isnan(time):
            head["time"] = time
        return {**head, **values}

    def _time(self, values: Values) -> float:
        """UTC that the sentence tells, with the date of the last one that had one; NaN without."""
        if values.get("valid", True) and self._utc.learn_date(self._t, values):
            return self._utc.utc
        return self._utc.resolve(self._t, values.get("utc_of_day_s", NAN))

    def _ais_row(self, s: Sentence, head: dict[str, Any], logged: float) -> dict[str, Any] | None:
        """The message that this sentence completes; fragments before it give nothing."""
        before = sum(self.rejected.values())
        whole = self._ais.assemble(s, self._t, stamp=logged)
        if whole is None:
            self.accepted += sum(self.rejected.values()) == before
            return None
        try:
            message = read_message(*whole)
        except AisError as e:
            self._reject(str(e))
            return None
        self.accepted += 1
        return {**head, "time": finite(self._ais.stamp), **message}
