"""Base of all nodes: parameters, stack clock, topics by row, a paced step, health; errors are reported, not fatal."""

from __future__ import annotations

import contextlib
import json
import os
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from rcl_interfaces.msg import SetParametersResult
from rclpy.clock import Clock
from rclpy.clock_type import ClockType
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.parameter import parameter_value_to_python

from giljabi import topics
from giljabi.clock import ReplayClock, StackClock
from giljabi.mission import Mission, load_mission
from giljabi.platform import Platform, load_platform
from giljabi.ros import convert, status
from giljabi.ros.messages import message_class, qos_profile, service_class
from giljabi.ros.pace import Pace
from giljabi.ros.status import PartHealth
from giljabi.topics import Service, Topic
from giljabi.types import BadInputError

V = TypeVar("V")

TRACE_ENV = "GILJABI_TRACE"  # folder; benchmarks/latency.py reads what nodes write there

STALLS_HZ = 10.0
KEEP_PROBLEM_S = 2.0  # a problem that does not come again is forgotten after this time
LOG_AGAIN_S = 5.0  # the same problem is logged this often


class Trace:
    """Lines `what number ...` that say which stamp a result was computed from; off unless GILJABI_TRACE is set."""

    def __init__(self, name: str) -> None:
        folder = os.environ.get(TRACE_ENV)
        self._file = (Path(folder) / f"{name}.trace").open("a", encoding="ascii") if folder else None
        self.on = self._file is not None

    def __call__(self, what: str, *values: float) -> None:
        """Writes one line."""
        if self._file is not None:
            self._file.write(f"{what} {' '.join(f'{v:.6f}' for v in values)}\n")

    def close(self) -> None:
        """Ends the file."""
        if self._file is not None:
            self._file.close()
            self._file, self.on = None, False


class StackNode(LifecycleNode):
    """One lifecycle node of the stack; names are relative, the namespace is a launch argument.

    A subclass builds its step in `build`, and says what it misses in `problems`.
    Parameters: platform_file (name or path), mission_file (origin and route; empty: none), system_id, replayed (time is
    that of a recording, and no message may be lost), stalls_file (a simulator's faults; empty: none).
    """

    def __init__(self, name: str, **kwargs: Any) -> None:
        super().__init__(name, **kwargs)
        self.declare_parameter("platform_file", "")
        self.declare_parameter("mission_file", "")
        self.declare_parameter("system_id", 1)
        self.declare_parameter("stalls_file", "")
        self.replayed = bool(self.declare_parameter("replayed", False).value)
        self.clock = ReplayClock() if self.replayed else StackClock()
        self._steady = Clock(clock_type=ClockType.STEADY_TIME)
        self._caught: dict[str, tuple[float, str]] = {}  # problem by place: when last, what
        self._logged: dict[str, float] = {}
        self._active = False
        self._stalled = False
        self.errors = 0  # caught so far
        self.trace = Trace(name)
        self._handles: list[Any] = []
        self.platform: Platform

    # --- what a subclass fills in ---

    def build(self, platform: Platform) -> None:
        """Builds the step, publishers and subscriptions; may raise BadInputError."""
        raise NotImplementedError

    def problems(self, now: float) -> Mapping[str, str]:
        """Open problems by name; empty when this part may be used."""
        return {}

    def close(self) -> None:
        """Releases what `build` opened."""

    # --- lifecycle ---

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Loads the platform file and builds; a bad file fails the transition with its message logged."""
        try:
            name = self.get_parameter("platform_file").value
            if not name:
                raise BadInputError("parameter platform_file is empty; a platform's name or file is expected")
            self.platform = load_platform(name)
            self.build(self.platform)
            self._watch_stalls()
            health = self.publisher(topics.DIAGNOSTICS, status.diagnostics_to_msg)
            self.every(self.row(topics.DIAGNOSTICS).rate_hz, lambda now: health(self.health(now)))
        except BadInputError as e:
            self.get_logger().error(str(e))
            return TransitionCallbackReturn.FAILURE
        except Exception as e:
            self.get_logger().error(self._explain(e))
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """From here on, steps run."""
        self._active = True
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Steps pause; publishers stay."""
        self._active = False
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Back to unconfigured."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """The end."""
        self._active = False
        self._release()
        return super().on_shutdown(state)

    def _release(self) -> None:
        try:
            self.close()
        except Exception as e:
            self.get_logger().error(self._explain(e))
        self.trace.close()
        for destroy, handle in self._handles:
            destroy(handle)
        self._handles.clear()

    # --- topics, services, time ---

    def row(self, topic: Topic) -> Topic:
        """A row of the topic table with the platform file's overrides."""
        override = self.platform.model.topics.get(topic.name.lstrip("/"))
        if override is None:
            return topic
        rate = override.rate_hz if override.rate_hz is not None else topic.rate_hz
        timeout = override.timeout_s if override.timeout_s is not None else topic.timeout_s
        return Topic(topic.name, topic.message, topic.qos, rate, timeout)

    def qos(self, topic: Topic) -> Any:
        """Delivery of a row."""
        return qos_profile(topic.qos, self.replayed)

    def publisher(self, topic: Topic, to_msg: Callable[[V], Any]) -> Callable[[V], None]:
        """A function that converts a value and publishes it; it may be called from any thread."""
        handle = self.create_lifecycle_publisher(message_class(topic.message), topic.name, self.qos(topic))
        self._handles.append((self.destroy_lifecycle_publisher, handle))

        def publish(value: V) -> None:
            try:
                handle.publish(to_msg(value))
            except Exception as e:
                self.caught(f"publish {topic.name}", e)

        return publish

    def subscribe(self, topic: Topic, from_msg: Callable[[Any], V], use: Callable[[V], None]) -> None:
        """Hands each converted message to `use`; messages that make no sense are counted and reported."""

        def receive(msg: Any) -> None:
            try:
                use(from_msg(msg))
            except Exception as e:
                self.caught(f"{topic.name}", e)

        cls = message_class(topic.message)
        handle = self.create_subscription(cls, topic.name, receive, self.qos(topic))
        self._handles.append((self.destroy_subscription, handle))

    def subscribe_headers(self, topic: Topic, use: Callable[[str, float], None]) -> None:
        """Hands (frame_id, stamp [s]) of each message that begins with a Header to `use`; the rest is not decoded."""

        def receive(data: bytes) -> None:
            try:
                use(*convert.header_of(data))
            except Exception as e:
                self.caught(f"{topic.name}", e)

        cls, qos = message_class(topic.message), self.qos(topic)
        handle = self.create_subscription(cls, topic.name, receive, qos, raw=True)
        self._handles.append((self.destroy_subscription, handle))

    def serve(self, service: Service, answer: Callable[[Any], tuple[bool, str]]) -> None:
        """Serves a row of the service table: request in, (success, message) out."""

        def call(request: Any, response: Any) -> Any:
            try:
                response.success, response.message = answer(request)
            except Exception as e:
                if not isinstance(e, BadInputError):  # a refusal is an answer, not a problem of this node
                    self.caught(service.name, e)
                response.success, response.message = False, self._explain(e)
            return response

        handle = self.create_service(service_class(service.type), service.name, call)
        self._handles.append((self.destroy_service, handle))

    def serve_value(self, service: Service, name: str, answer: Callable[[Any], str]) -> None:
        """Serves a row whose request is one parameter called `name`: its value in, words out; errors are refusals."""

        def call(request: Any, response: Any) -> Any:
            for p in request.parameters or [None]:
                result = SetParametersResult(successful=False, reason=f"parameter '{name}' is expected")
                if p is not None and p.name == name:
                    try:
                        result = SetParametersResult(successful=True, reason=answer(parameter_value_to_python(p.value)))
                    except Exception as e:
                        if not isinstance(e, BadInputError):
                            self.caught(service.name, e)
                        result.reason = self._explain(e)
                response.results.append(result)
            return response

        handle = self.create_service(service_class(service.type), service.name, call)
        self._handles.append((self.destroy_service, handle))

    def every(self, rate_hz: float, call: Callable[[float], None]) -> None:
        """Calls with the stack's time at `rate_hz` on the steady clock, while the node is active."""

        def tick() -> None:
            if self._active and not self._stalled:
                self.run_caught(call, self.clock.now())

        handle = self.create_timer(1.0 / rate_hz, tick, clock=self._steady)
        self._handles.append((self.destroy_timer, handle))

    def paced(self, rate_hz: float, step: Callable[[float], object]) -> Callable[[], None]:
        """Runs `step(now)` at `rate_hz`, moved to the arrival of data: the returned function says `data came`."""
        pace = Pace(rate_hz)

        def arrived() -> None:
            now = self.clock.now()
            if self._active and not self._stalled and pace.arrived(now):
                self.run_caught(step, now)

        def tick(now: float) -> None:
            if pace.timer(now):
                self.run_caught(step, now)

        self.every(rate_hz, tick)
        return arrived

    def on_mission(self, use: Callable[[Mission], None]) -> None:
        """Hands over the mission file's content once the file is there; never when the parameter is empty."""
        name = self.get_parameter("mission_file").value
        self.mission_awaited = bool(name)

        def look(now: float) -> None:
            if self.mission_awaited and Path(name).is_file():
                self.mission_awaited = False
                use(load_mission(Path(name)))

        if name:
            self.every(10.0, look)

    def _watch_stalls(self) -> None:
        """In a simulated run: does nothing while a scenario's fault wants this node dead, and leaves word of it."""
        name = self.get_parameter("stalls_file").value
        if not name:
            return
        file, word = Path(name), Path(name).with_name(f"stalled.{self.get_name()}")

        def look() -> None:
            try:
                stalled = self.get_name() in json.loads(file.read_text(encoding="utf-8"))
            except (OSError, ValueError):
                stalled = False
            if stalled == self._stalled:
                return
            self._stalled = stalled
            with contextlib.suppress(OSError):
                word.touch() if stalled else word.unlink(missing_ok=True)

        handle = self.create_timer(1.0 / STALLS_HZ, look, clock=self._steady)
        self._handles.append((self.destroy_timer, handle))

    # --- health ---

    def run_caught(self, call: Callable[[float], object], now: float) -> None:
        """Runs a step; an error in it is reported and the next step runs as if nothing had been."""
        try:
            call(now)
        except Exception as e:
            self.caught("step", e)

    def caught(self, place: str, error: Exception) -> None:
        """Counts and logs an error; it stays in this node's health for a while."""
        now = self.clock.now()
        self.errors += 1
        text = self._explain(error)
        self._caught[place] = (now, text)
        if now - self._logged.get(place, -1e9) > LOG_AGAIN_S:
            self._logged[place] = now
            self.get_logger().error(f"{place}: {text}")
            if os.environ.get("GILJABI_DEBUG"):
                self.get_logger().error(traceback.format_exc())

    @staticmethod
    def _explain(error: Exception) -> str:
        """The message alone where it is meant for the user, else also where it came from."""
        if isinstance(error, BadInputError):
            return str(error)
        frames = traceback.extract_tb(error.__traceback__)
        where = f" ({Path(frames[-1].filename).name}:{frames[-1].lineno})" if frames else ""
        return f"{type(error).__name__}: {error}{where}"

    def health(self, now: float) -> list[PartHealth]:
        """This node's problems and what was caught lately, under its full name."""
        caught = {p: what for p, (t, what) in list(self._caught.items()) if now - t < KEEP_PROBLEM_S}
        return [PartHealth(now, self.get_fully_qualified_name(), {**caught, **self.problems(now)})]
