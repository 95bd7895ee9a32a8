"""Turns of a replay: when the estimator steps, after which samples, and what it says when it has.

`replay/turn` carries the recorded time of a step and, in order, the kinds of the samples that were published for it.
The estimator steps once all of them have arrived, and answers on `replay/taken`; the next turn waits for that. So no
message is lost at any speed, and a step sees the samples that it would see without ROS, in the same order.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from diagnostic_msgs.msg import DiagnosticStatus

from giljabi import topics
from giljabi.clock import ReplayClock
from giljabi.ros import status
from giljabi.ros.node import StackNode
from giljabi.types import Odometry, Sample

HELLO = 0  # the turn of this number asks only whether somebody is there


@dataclass(frozen=True, slots=True)
class Turn:
    """Step at recorded time t [s] once a sample of each of `kinds` (row of STATE_TOPICS) has arrived.

    number counts from 1; a turn whose number was answered already asks for the same answer again.
    """

    number: int
    t: float = 0.0
    kinds: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """Answer to the turn of that number."""

    number: int
    samples: int  # arrived since the start
    odom: bool  # odometry of this turn was published
    problem: str = ""  # why the step failed
    rejected: Mapping[str, int] = field(default_factory=dict)  # samples refused by the estimator, by source


def turn_to_msg(s: Turn) -> DiagnosticStatus:
    """Exact values."""
    values = {"number": str(s.number), "t_s": repr(s.t), "kinds": " ".join(map(str, s.kinds))}
    return status.keyed_status(DiagnosticStatus.OK, "replay", "", values)


def turn_from_msg(msg: DiagnosticStatus) -> Turn:
    """Inverse of turn_to_msg."""
    v = status.values_of(msg)
    return Turn(
        int(status.number_in(v, "number")), status.number_in(v, "t_s"), tuple(map(int, v.get("kinds", "").split()))
    )


def taken_to_msg(s: Taken) -> DiagnosticStatus:
    """Error while there is a problem."""
    values = {"number": str(s.number), "samples": str(s.samples), "odom": str(s.odom).lower()}
    values |= {f"rejected.{source}": str(n) for source, n in s.rejected.items()}
    level = DiagnosticStatus.ERROR if s.problem else DiagnosticStatus.OK
    return status.keyed_status(level, "estimator", s.problem, values)


def taken_from_msg(msg: DiagnosticStatus) -> Taken:
    """Inverse of taken_to_msg."""
    v = status.values_of(msg)
    mark = "rejected."
    rejected = {k.removeprefix(mark): int(status.number_in(v, k)) for k in v if k.startswith(mark)}
    n = int(status.number_in(v, "samples"))
    return Taken(int(status.number_in(v, "number")), n, v.get("odom") == "true", msg.message, rejected)


class TurnTaker:
    """The estimator's end: steps when a turn and all its samples are there, and answers."""

    def __init__(
        self,
        node: StackNode,
        step: Callable[[float, Sequence[Sample]], Odometry | None],
        publish_odom: Callable[[Odometry], None],
        rejected: Callable[[], Mapping[str, int]],
    ) -> None:
        """publish_odom: says odometry again when it is asked for a second time."""
        self._node, self._step, self._publish_odom, self._rejected = node, step, publish_odom, rejected
        self._arrived = 0
        self._waiting: dict[int, deque[Sample | None]] = {}  # by kind
        self._due: Turn | None = None
        self._last = Taken(HELLO, 0, False)
        self._odom: Odometry | None = None
        self._answer = node.publisher(topics.REPLAY_TAKEN, taken_to_msg)
        node.subscribe(topics.REPLAY_TURN, turn_from_msg, self._take)

    def arrived(self, kind: int, sample: Sample | None) -> None:
        """A sample came; None: its message made no sense."""
        self._arrived += 1
        self._waiting.setdefault(kind, deque()).append(sample)
        self._try()

    def _take(self, turn: Turn) -> None:
        if turn.number == HELLO:
            self._answer(Taken(HELLO, self._arrived, False))
        elif turn.number == self._last.number:
            if self._odom is not None:
                self._publish_odom(self._odom)
            self._answer(self._last)
        else:
            self._due = turn
            self._try()

    def _try(self) -> None:
        turn = self._due
        if turn is None:
            return
        if any(len(self._waiting.get(kind, ())) < n for kind, n in Counter(turn.kinds).items()):
            return
        samples = [s for s in (self._waiting[kind].popleft() for kind in turn.kinds) if s is not None]
        self._due, problem, self._odom = None, "", None
        clock = self._node.clock
        assert isinstance(clock, ReplayClock)
        clock.set(turn.t)
        try:
            self._odom = self._step(turn.t, samples)
        except Exception as e:
            self._node.caught("step", e)
            problem = f"{type(e).__name__}: {e}"
        self._last = Taken(turn.number, self._arrived, self._odom is not None, problem, self._rejected())
        self._answer(self._last)
