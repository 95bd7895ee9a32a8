"""`giljabi replay --ros`: samples go out on the topics, odometry comes back from the estimator's own process.

`GraphEstimator` has the face of an estimator step, so that everything around it is the same with and without ROS.
"""

from __future__ import annotations

import contextlib
import math
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import FrameType
from typing import Any

import rclpy
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions

from giljabi import topics
from giljabi.children import Child, Children, exit_words
from giljabi.nodes import PROCESSES, RunSpec, find_nodes
from giljabi.platform import Platform
from giljabi.ros import convert
from giljabi.ros.node import StackNode
from giljabi.ros.process import executor, start
from giljabi.ros.sensors import STATE_TOPICS, sample_publisher
from giljabi.ros.turns import HELLO, Taken, Turn, taken_from_msg, turn_to_msg
from giljabi.run import command_line, environment, write_parameters
from giljabi.rundir import RunDir
from giljabi.types import BadInputError, GiljabiError, Odometry, Origin, Sample

ESTIMATOR = "estimator"
KINDS = {topic.type: kind for kind, topic in enumerate(STATE_TOPICS)}
ASK_AGAIN_S = 1.0  # an answer that does not come is asked for again
GIVE_UP_S = 60.0
FIRST_STAMP = 1000.0  # s; recordings whose clock begins near zero are moved here: stamps cannot be negative


class ReplayNode(StackNode):
    """Stands where the drivers' node stands in a run: publishes samples, hears the estimate."""

    def build(self, platform: Platform) -> None:
        self.problem = ""  # the first that was caught
        self.taken: Taken | None = None
        self.odom: Odometry | None = None
        self.origin: Origin | None = None
        self.publish_sample = sample_publisher(self, platform)
        self.publish_turn = self.publisher(topics.REPLAY_TURN, turn_to_msg)
        self.subscribe(topics.REPLAY_TAKEN, taken_from_msg, lambda s: setattr(self, "taken", s))
        self.subscribe(topics.ODOM, convert.odom_from_msg, lambda s: setattr(self, "odom", s))
        self.subscribe(topics.ORIGIN, convert.origin_from_msg, lambda s: setattr(self, "origin", s))

    def answer(self, turn: Turn) -> Taken | None:
        """What was answered to a turn, once its odometry is here, too."""
        if self.taken is None or self.taken.number != turn.number:
            return None
        here = self.odom is not None and self.odom.t == turn.t
        return self.taken if here or not self.taken.odom else None

    def caught(self, place: str, error: Exception) -> None:
        self.problem = self.problem or f"{place}: {error}"
        super().caught(place, error)


class GraphEstimator:
    """The estimator's node as an estimator step: `step` publishes samples and waits for the odometry of that time.

    `open` starts its process; `close` ends it and everything that was made for it.
    """

    def __init__(self, platform: Platform) -> None:
        self.rejected: dict[str, dict[str, int]] = {}
        self.published = self._arrived = self._number = 0
        self._platform = platform
        self._placed: list[str] = []
        self._shift = 0.0
        self._ended = ""
        self._signals = 0
        self._held = False  # a signal is only counted
        self._close = contextlib.ExitStack()
        self._node: ReplayNode | None = None

    @property
    def origin(self) -> Origin | None:
        """Origin of map, as the estimator's node published it."""
        return self._node.origin if self._node is not None else None

    def place(self, kind: str, source: str) -> None:
        """A source (a recorder) whose inertial samples are in base_link."""
        self._placed.append(source)

    def health(self, now: float) -> Mapping[str, str]:
        """The node tells its health on /diagnostics."""
        return {}

    def step(self, now: float, samples: Sequence[Sample]) -> Odometry | None:
        """Publishes the samples, has the estimator step at `now`, returns its odometry; GiljabiError when it died."""
        node = self._node
        assert node is not None, "open() comes first"
        if not self.published and now < FIRST_STAMP:
            self._shift = FIRST_STAMP - math.floor(now)
        with self._hold_signals():
            for s in samples:
                node.publish_sample(replace(s, t=s.t + self._shift))
            self._number += 1
            kinds = tuple(KINDS[type(s)] for s in samples if type(s) in KINDS)
            self.published += len(kinds)
            if node.problem:
                raise BadInputError(f"a sample cannot be published: {node.problem}")
            t = convert.seconds(convert.stamp(now + self._shift))  # as the samples' stamps read
            taken = self._ask(Turn(self._number, t, kinds))
        self.rejected = {source: {"refused": n} for source, n in taken.rejected.items()}
        if taken.problem:
            raise GiljabiError(f"the estimator's node failed: {taken.problem}")
        return replace(node.odom, t=now) if taken.odom and node.odom is not None else None

    def figures(self) -> dict[str, Any]:
        """Samples that were published and that arrived, domain, and where the logs are."""
        if self._node is None:
            return {"published": 0, "arrived": 0}
        where = {"domain": self._where.domain, "log_dir": str(self._where.log_dir)}
        return {"published": self.published, "arrived": self._arrived, **where}

    # --- the graph ---

    def open(self) -> None:
        """Starts the estimator's process and waits until it answers; raises GiljabiError when it does not."""
        with self._hold_signals():
            self._catch_signals()
            where = self._where = RunDir(f"replay-{self._platform.name}")
            self._close.callback(where.close)
            self._start_estimator(where)
            context = rclpy.Context()
            no_handlers = SignalHandlerOptions.NO
            quiet = ["--ros-args", "--disable-external-lib-logs"]
            rclpy.init(args=quiet, context=context, domain_id=where.domain, signal_handler_options=no_handlers)
            self._close.callback(lambda: rclpy.try_shutdown(context=context))
            overrides = [
                Parameter("platform_file", value=str(self._platform.file.path)),
                Parameter("replayed", value=True),
            ]
            node = self._node = ReplayNode("drivers", context=context, parameter_overrides=overrides)
            self._loop = executor(context)
            self._loop.add_node(node)
            self._close.callback(node.destroy_node)
            self._close.callback(lambda: self._loop.remove_node(node))
            self._close.callback(node.trigger_shutdown)
            if not start(node):
                raise GiljabiError("the replay's node could not be configured")
            print(f"replay: ROS_DOMAIN_ID={where.domain}; logs in {where.log_dir}", file=sys.stderr)
            self._ask(Turn(HELLO))

    def _start_estimator(self, where: RunDir) -> None:
        """Its node alone, from the process table; it ends with us."""
        row = next(p for p in PROCESSES if any(n.name == ESTIMATOR for n in p.nodes))
        process = replace(row, name=ESTIMATOR, nodes=find_nodes(ESTIMATOR), restart="never")
        spec = RunSpec(
            self._platform.file.path.resolve(),
            where.path,
            simulated=False,
            replayed=True,
            in_base_link=tuple(self._placed),
        )
        write_parameters(spec)
        self._children = Children(environment(where, 0), where.log_dir, lambda child, line: None, self._on_end)
        self._close.callback(self._end_children)
        self._children.add(process.name, command_line(process, spec), restart=False)

    def _on_end(self, child: Child, code: int) -> None:
        said = [line for line in child.tail if line.strip()]
        self._ended = f"the estimator's process ended ({exit_words(code)})" + (f": {said[-1]}" if said else "")

    def _end_children(self) -> None:
        left = self._children.end(lambda: self._signals > 1)
        self._children.close()
        if left:
            print(f"replay: could not end: {', '.join(left)}", file=sys.stderr)

    def _ask(self, turn: Turn) -> Taken:
        """Publishes a turn until it is answered and its odometry is there."""
        node = self._node
        assert node is not None
        node.taken = node.odom = None
        begin = time.monotonic()
        asked = -math.inf
        while True:
            now = time.monotonic()
            if now - asked > ASK_AGAIN_S:
                asked = now
                node.publish_turn(turn)
            self._loop.spin_once(timeout_sec=0.05)
            taken = node.answer(turn)
            if taken is not None:
                self._arrived = taken.samples
                return taken
            if time.monotonic() - now > 0.04 or self._signals:
                self._check(begin)

    def _check(self, begin: float) -> None:
        self._children.poll(0.0)
        if self._signals:
            raise KeyboardInterrupt
        if self._ended:
            raise GiljabiError(self._ended)
        if time.monotonic() - begin > GIVE_UP_S:
            raise GiljabiError(f"the estimator's node does not answer for {GIVE_UP_S:g} s; see {self._where.log_dir}")

    # --- signals: whatever ends us, the graph is closed first ---

    def _catch_signals(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._close.callback(signal.signal, number, signal.signal(number, self._on_signal))

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._signals += 1
        if not self._held and self._signals == 1:
            raise KeyboardInterrupt

    @contextlib.contextmanager
    def _hold_signals(self) -> Iterator[None]:
        """Inside, a signal is only counted: C++ code that calls us must not be left by an exception."""
        held, self._held = self._held, True
        try:
            yield
        finally:
            self._held = held
        if self._signals and not held:
            raise KeyboardInterrupt

    def close(self) -> None:
        """Ends the estimator's process and leaves the graph; nothing remains but the logs."""
        self._held = True
        self._close.close()
