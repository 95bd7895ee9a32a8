"""Conductor: does what a person would at the page - waits until the stack is ready, arms, starts - and tells it."""

from __future__ import annotations

from collections import deque
from typing import Any

from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from giljabi import topics
from giljabi.mission import ActionModel
from giljabi.missions.executor import ANEW
from giljabi.missions.files import plan_text
from giljabi.platform import Platform
from giljabi.ros import status
from giljabi.ros.messages import service_class
from giljabi.ros.node import StackNode
from giljabi.tell import tell
from giljabi.topics import Service
from giljabi.types import Health, MissionPhase, MissionState, StackState

SERVICES = (*topics.SERVICES, *topics.BEHAVIOURS)
RATE_HZ = 5.0
ASK_AGAIN_S = 1.0  # pause between two tries to arm or start
REPORT_STEP = 0.2  # of the route, between two progress lines
REASONS_TOLD = 4  # in one line; the first are the gravest
FOLLOWING = "following"  # the planner's note when there is nothing to tell
ARRIVAL_WORD_S = 1.5  # after disarming, for the planner to say that it has arrived
TELL_AGAIN_S = 3.0  # new reasons are told at most this often


def requested(action: ActionModel) -> tuple[Service, Any]:
    """The service that an action of a scenario calls, and with what."""
    names = (f"mission/{action.do}", f"behaviour/{action.do}")
    row = next(s for s in SERVICES if s.name in names)
    value: str | int | None = plan_text(action.plan) if action.plan is not None else action.step
    if value is None:
        return row, Trigger.Request()
    row = topics.MISSION_SKIP_TO if action.do == "skip" else row
    name = "step" if action.do == "skip" else "mission"
    return row, service_class(row.type).Request(parameters=[Parameter(name, value=value).to_parameter_msg()])


class ConductorNode(StackNode):
    """Sees the topics and calls the services that any operator could; holds no authority of its own."""

    def build(self, platform: Platform) -> None:
        self.state: StackState | None = None
        self.mission: MissionState | None = None
        self.heartbeat: Health | None = None
        self._started = self._armed = self._over = False
        self._asked_at = -1e9
        self._pending: Any = None
        self._told_at = -1e9
        self._told_progress = -1.0
        self._told_notes: set[str] = set()  # since the last progress line: a note that flickers is told once
        self._refusal = ""
        self._actions: deque[ActionModel] = deque()
        self._disarmed_at: float | None = None
        self._began = 0.0  # when the mission was under way [s]
        self.on_mission(lambda mission: self._actions.extend(mission.actions))
        self.subscribe(topics.STATE, status.state_from_msg, lambda s: setattr(self, "state", s))
        self.subscribe(topics.MISSION_STATE, status.mission_from_msg, lambda s: setattr(self, "mission", s))
        self.subscribe(topics.HEARTBEAT, status.health_from_msg, lambda s: setattr(self, "heartbeat", s))
        self._services_used: dict[Service, Any] = {
            s: self.create_client(service_class(s.type), s.name) for s in SERVICES
        }
        self.every(RATE_HZ, self._step)

    def _step(self, now: float) -> None:
        if self._over:
            return
        state, mission = self.state, self.mission
        if state is None or self.heartbeat is None or mission is None:
            return
        if not self._armed:
            self._arm(now, state)
        elif not state.armed and mission.phase in (MissionPhase.RUNNING, MissionPhase.ARRIVED) and self._just_now(now):
            self._report(mission)  # landed, and the planner's word of it may come after the guard's
        elif self._started and mission.phase is MissionPhase.ARRIVED:
            self._report(mission)  # also when an autopilot that has landed has disarmed in the same moment
        elif not state.armed or state.mode in ("stopped", "minimum_risk"):
            self._leave(now, state)
        elif not self._started:
            if mission.phase is MissionPhase.RUNNING:
                self._started, self._began = True, now
            else:
                self._ask(now, topics.MISSION_START, Trigger.Request())
        else:
            self._disarmed_at = None
            self._act(now)
            self._report(mission)

    def _just_now(self, now: float) -> bool:
        """Whether it was disarmed a moment ago."""
        self._disarmed_at = now if self._disarmed_at is None else self._disarmed_at
        return now - self._disarmed_at < ARRIVAL_WORD_S

    def _act(self, now: float) -> None:
        """What a scenario says that people ask on the way; its clock begins with the mission."""
        while self._actions and now - self._began >= self._actions[0].at:
            action = self._actions.popleft()
            service, request = requested(action)
            if self._services_used[service].service_is_ready():
                self._services_used[service].call_async(request)
                tell("phase", text=f"asks for {action.do}")

    def _arm(self, now: float, state: StackState) -> None:
        if state.armed:
            self._armed = True
            tell("phase", text="armed")
            return
        assert self.heartbeat is not None
        reasons = list(dict.fromkeys([*self.heartbeat.reasons, *state.reasons]))
        if not reasons or now - self._asked_at > 2.0 * ASK_AGAIN_S:
            self._ask(now, topics.ARM, SetBool.Request(data=True))
        reasons = reasons or ([self._refusal] if self._refusal else [])
        if reasons and now - self._told_at > TELL_AGAIN_S:
            self._told_at = now
            more = f"; and {len(reasons) - REASONS_TOLD} more" if len(reasons) > REASONS_TOLD else ""
            tell("phase", text="waiting for: " + "; ".join(reasons[:REASONS_TOLD]) + more)

    def _ask(self, now: float, service: Service, request: Any) -> None:
        """Calls a service unless a call is open or was made a moment ago."""
        client = self._services_used[service]
        if now - self._asked_at < ASK_AGAIN_S or not client.service_is_ready():
            return
        if self._pending is not None and not self._pending.done():
            client.remove_pending_request(self._pending)
        self._asked_at = now
        self._pending = client.call_async(request)
        self._pending.add_done_callback(self._answered)

    def _answered(self, future: Any) -> None:
        response = future.result()
        self._refusal = "" if response is None or response.success else str(response.message)

    def _leave(self, now: float, state: StackState) -> None:
        reasons = "; ".join(state.reasons) or "no reason given"
        tell("left", text=f"{state.mode.replace('_', ' ')}: {reasons}")
        # Whoever wants to go on arms again: a stop is a person's word, or the guard's.
        self._over = True

    def _report(self, mission: MissionState) -> None:
        if mission.phase is MissionPhase.IDLE:
            self._over = True
            tell("failed", text="the mission is idle again: the planner was started anew; mission/start begins again")
        elif mission.phase is MissionPhase.PAUSED and mission.note.startswith(ANEW):
            self._over = True
            tell("failed", text=mission.note)
        elif mission.phase is MissionPhase.ARRIVED:
            self._over = True
            tell("arrived")
        elif mission.phase is MissionPhase.FAILED:
            self._over = True
            tell("failed", text=f"mission failed: {mission.note}")
        elif mission.progress - self._told_progress >= REPORT_STEP:
            self._told_progress = mission.progress
            self._told_notes.clear()
            tell("phase", text=f"under way {round(100.0 * mission.progress)} %")
        elif mission.note not in ("", FOLLOWING) and mission.note not in self._told_notes:
            self._told_notes.add(mission.note)
            tell("phase", text=mission.note)
