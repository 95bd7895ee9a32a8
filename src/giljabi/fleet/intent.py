"""What a vehicle tells the others: the way it is on, the way it wants, and whose wishes it has agreed to.

A way is a motion that ends at rest, in map and stack time: whoever hears nothing more of a vehicle knows where it
will be. The origin of map is the same for a fleet.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from giljabi.types import Array, BadInputError

ROWS_MAX = 400
COLUMNS = 7
FAR = 1e6  # m, s beyond the newest word, m/s: more is no way of anybody's
REST = 0.05  # m/s


@dataclass(frozen=True, slots=True)
class Way:
    """rows (n, 7): stack time [s], place [m, map], velocity [m/s]; times rise, the last row is at rest.

    Before its first row it stands where that begins, after its last where it ends. below: everything below it is taken,
    too, for whoever flies it may come down.
    """

    rows: Array
    below: bool = False

    @staticmethod
    def rest(t: float, place: Array) -> Way:
        """Stays where it is."""
        return Way(np.array([[t, *place, 0.0, 0.0, 0.0]]))

    @property
    def end_t(self) -> float:
        """Time at which it comes to rest [s]."""
        return float(self.rows[-1, 0])

    def places(self, t: Array) -> Array:
        """Places (k, 3) at times (k,), straight between rows."""
        return np.column_stack([np.interp(t, self.rows[:, 0], self.rows[:, c]) for c in (1, 2, 3)])

    def at(self, t: Array) -> tuple[Array, Array]:
        """Places (k, 3) and velocities (k, 3) at times (k,): between rows with constant acceleration."""
        r = self.rows
        if len(r) == 1:
            return np.repeat(r[:, 1:4], len(t), 0), np.zeros((len(t), 3))
        t = np.clip(t, r[0, 0], r[-1, 0])
        i = np.clip(np.searchsorted(r[:, 0], t, side="right") - 1, 0, len(r) - 2)
        h = r[i + 1, :1] - r[i, :1]
        s = t[:, None] - r[i, :1]
        change = r[i + 1, 4:7] - r[i, 4:7]
        sag = 0.5 * s * (h - s) / h * change
        return r[i, 1:4] + s / h * (r[i + 1, 1:4] - r[i, 1:4]) - sag, r[i, 4:7] + s / h * change

    def state(self, t: float) -> tuple[Array, Array]:
        """Place (3,) and velocity (3,) at one time."""
        p, v = self.at(np.array([t]))
        return p[0], v[0]

    def since(self, t: float) -> Way:
        """Without what lies before a time, but with the row that leads over it."""
        first = max(int(np.searchsorted(self.rows[:, 0], t, side="right")) - 1, 0)
        return self if first == 0 else Way(self.rows[first:])


@dataclass(frozen=True, slots=True)
class Intent:
    """One message. number: rises with each message of a vehicle; agreed: newest wish agreed to, by vehicle.

    heard: number of the newest message of each other one that is not silent; silent: when each other one was, or may
    have been, taken for silent last [s].
    """

    vehicle: str
    t: float  # stack time at which it was made [s]
    number: int
    way: Way
    way_number: int  # 0 before the first; the number of the wish that it was
    wish: Way | None = None
    wish_number: int = 0  # rises; a new wish, or none, gives the older ones up
    agreed: Mapping[str, int] = field(default_factory=dict)
    heard: Mapping[str, int] = field(default_factory=dict)
    silent: Mapping[str, float] = field(default_factory=dict)


def to_text(intent: Intent) -> str:
    """JSON, one line; metres and seconds to the millimetre and the tenth of a millisecond."""
    out: dict[str, Any] = {
        "vehicle": intent.vehicle, "t": round(intent.t, 4), "number": intent.number,
        "way": _rows(intent.way), "way_number": intent.way_number,
        "wish": _rows(intent.wish) if intent.wish is not None else None, "wish_number": intent.wish_number,
        "agreed": dict(intent.agreed), "heard": dict(intent.heard),
        "silent": {name: round(t, 4) for name, t in intent.silent.items()},
    }  # fmt: skip
    return json.dumps(out, separators=(",", ":"))


def from_text(text: str) -> Intent:
    """Inverse of to_text; raises BadInputError for whatever is no intent."""
    try:
        d = json.loads(text)
        way, wish = _way(d["way"]), None if d["wish"] is None else _way(d["wish"])
        agreed = {_name(k): _count(v) for k, v in d["agreed"].items()}
        heard = {_name(k): _count(v) for k, v in d["heard"].items()}
        silent = {_name(k): float(v) for k, v in d["silent"].items()}
        t = float(d["t"])
        out = Intent(
            _name(d["vehicle"]), t, _count(d["number"]), way, _count(d["way_number"]), wish,
            _count(d["wish_number"]), agreed, heard, silent,
        )  # fmt: skip
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as e:
        raise BadInputError(f"intent: {type(e).__name__} {e}; what fleet.intent.to_text writes is expected") from None
    if not all(math.isfinite(v) for v in (t, *silent.values())):
        raise BadInputError("intent: a time is not finite; stack time is expected")
    return out


def _rows(way: Way) -> list[list[float]]:
    """Times rise as written too: of rows within one written time the last stands, for a way ends at rest."""
    out: dict[float, list[float]] = {}
    for r in way.rows:
        t = round(float(r[0]), 4)
        out[t] = [t, *(round(float(v), 3) for v in r[1:])]
    return list(out.values())


def _way(data: Any) -> Way:
    rows = np.asarray(data, dtype=np.float64)
    if rows.ndim != 2 or rows.shape[1] != COLUMNS or not 1 <= len(rows) <= ROWS_MAX:
        raise ValueError(f"a way of shape {rows.shape}; up to {ROWS_MAX} rows of {COLUMNS} are expected")
    if not np.isfinite(rows).all() or float(np.abs(rows[:, 1:]).max()) > FAR:
        raise ValueError("a way that is not finite")
    if (np.diff(rows[:, 0]) <= 0.0).any():
        raise ValueError("a way whose times do not rise")
    if float(np.abs(rows[-1, 4:]).max()) > REST:
        raise ValueError("a way that does not end at rest")
    return Way(rows)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 64:
        raise ValueError("a vehicle without a name of 1 to 64 letters")
    return value


def _count(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"{value!r} is no count")
    return value
