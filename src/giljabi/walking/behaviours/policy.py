"""A learned policy as a behaviour: an ONNX model that commands joints inside the same limits as everything else."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from giljabi.types import Array
from giljabi.walking.behaviours.motions import Motions, Status
from giljabi.walking.behaviours.policy_file import LoadedPolicyFile
from giljabi.walking.chain import Senses
from giljabi.walking.footsteps import Velocity

Floats = npt.NDArray[np.float32]


class Model:
    """An ONNX model by onnxruntime, on one thread of the CPU."""

    def __init__(self, file: LoadedPolicyFile) -> None:
        """Raises BadInputError when the model cannot be read or its shapes are not the file's."""
        try:
            import onnxruntime  # an extra: not everybody has a policy
        except ImportError:
            raise file.error("needs onnxruntime: pip install 'giljabi[policy]'", "model") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 4
        path = file.model_path
        try:
            self._session: Any = onnxruntime.InferenceSession(
                path.read_bytes(), options, providers=["CPUExecutionProvider"]
            )
        except Exception as e:  # onnxruntime's own classes have no common base
            raise file.error(f"{path.name}: {str(e).splitlines()[0]}; an ONNX model is expected", "model") from None
        self._input = self._check(file, "input", self._session.get_inputs(), file.policy.observed)
        self._output = self._check(file, "output", self._session.get_outputs(), len(file.policy.joints))

    @staticmethod
    def _check(file: LoadedPolicyFile, what: str, found: list[Any], size: int) -> str:
        if len(found) != 1:
            raise file.error(f"{file.policy.model} has {len(found)} {what}s; one is expected", "model")
        value = found[0]
        shape = list(value.shape)
        rows_fit = len(shape) == 2 and (not isinstance(shape[0], int) or shape[0] == 1)
        if value.type != "tensor(float)" or not rows_fit or (isinstance(shape[1], int) and shape[1] != size):
            key = "observations" if what == "input" else "joints"
            shown = f"{what} '{value.name}' of {file.policy.model} is {value.type} {shape}"
            raise file.error(f"{shown}; tensor(float) [1, {size}] is expected by this file", key)
        return str(value.name)

    def __call__(self, observation: Floats) -> Floats:
        """Observation (1, n) to action (1, m)."""
        return np.asarray(self._session.run([self._output], {self._input: observation})[0])


class Policy:
    """One behaviour of all joints; those that the policy does not command stay where they were.

    An answer that is late, not finite or out of the joints' ranges is a miss: the targets before stay, or are clipped.
    After `misses` in a row the policy has failed.
    """

    def __init__(
        self, file: LoadedPolicyFile, motions: Motions, clock: Callable[[], float] | None = None,
        model: Callable[[Floats], Floats] | None = None,
    ) -> None:  # fmt: skip
        """clock: s, measures how long an answer takes; without one none is late. Raises BadInputError."""
        self.file = file
        p = self.policy = file.policy
        self.name, self.status = file.file.path.stem, Status.RUNNING
        self.words = f"policy '{self.name}'"
        self.model = Model(file) if model is None else model
        self._clock = clock
        names, unknown = motions.joint_names, [j for j in p.joints if j not in motions.joint_names]
        if unknown:
            raise file.error(f"the robot has no joint '{unknown[0]}'; its joints are {', '.join(names)}", "joints")
        self.joints = np.array([names.index(j) for j in p.joints])
        self._lower, self._upper = motions.lower[self.joints], motions.upper[self.joints]
        self._offset = self._offsets(file, motions)
        self._scale = np.broadcast_to(np.asarray(p.action.scale, dtype=np.float64), len(p.joints))
        most = motions.rate_max if p.rate_max is None else min(p.rate_max, motions.rate_max)
        self._step_max = most / p.rate_hz
        self._seen: deque[Floats] = deque(maxlen=p.history)
        self._action = np.zeros(len(p.joints))
        self._last_joints: Array | None = None
        self._targets: Array | None = None
        self._begin = self._due = 0.0
        self._missed = 0
        self.misses = {"late": 0, "not finite": 0, "out of range": 0}
        self.answers = 0

    def _offsets(self, file: LoadedPolicyFile, motions: Motions) -> Array:
        wanted = self.policy.action.offset
        stand = motions.stand[self.joints]
        if wanted == "zero":
            return np.zeros(len(self.joints))
        if isinstance(wanted, dict):
            for joint, angle in wanted.items():
                if joint not in self.policy.joints:
                    raise file.error(f"'{joint}' is none of `joints`; one of them is expected", "action", "offset")
                stand[self.policy.joints.index(joint)] = angle
        return np.asarray(stand)

    def step(self, now: float, senses: Senses, up: Array, wanted: Velocity) -> Array:
        """Position targets (n,) rad; asks the model when its period is over."""
        if self._targets is None:
            self._targets = senses.joints.copy()
            self._begin = self._due = now
        if now >= self._due - 1e-6 and self.status == Status.RUNNING:
            self._due += 1.0 / self.policy.rate_hz
            if self._due <= now:  # ticks came late: no answers in a row to make up for it
                self._due = now + 1.0 / self.policy.rate_hz
            self._answer(now, senses, up, wanted)
        if self.policy.seconds is not None and now - self._begin >= self.policy.seconds:
            self.status = Status.DONE if self.status == Status.RUNNING else self.status
        return np.asarray(self._targets.copy())

    def observe(self, now: float, senses: Senses, up: Array, wanted: Velocity) -> Floats:
        """What the model is given: (history * numbers of an observation,). Call it once a period, as `step` does."""
        if self._last_joints is None:
            self._begin, self._last_joints = now, senses.joints[self.joints]
        frame = self._observe(now, senses, up, wanted)
        while len(self._seen) < self.policy.history - 1:
            self._seen.append(frame)  # before its start it saw the same
        self._seen.append(frame)
        return np.concatenate(self._seen)

    def action_of(self, targets: Array) -> Array:
        """The model's numbers (m,) that give these targets (n,) rad: what a demonstration teaches."""
        return np.asarray((targets[self.joints] - self._offset) / self._scale)

    def _answer(self, now: float, senses: Senses, up: Array, wanted: Velocity) -> None:
        observation = self.observe(now, senses, up, wanted)
        before = 0.0 if self._clock is None else self._clock()
        try:
            action = np.asarray(self.model(observation[None]), dtype=np.float64).reshape(-1)
        except Exception as e:  # whatever a model raises, the robot goes on
            self._fail(f"policy '{self.name}' raised {type(e).__name__}: {str(e).splitlines()[0] if str(e) else ''}")
            return
        spent = 0.0 if self._clock is None else self._clock() - before
        self.answers += 1
        if action.shape != self._action.shape or not np.isfinite(action).all():
            self._miss("not finite", "answered with a number that is not finite")
            return
        if spent > self.policy.late_s:
            self._miss("late", f"took {1e3 * spent:.1f} ms for an answer; {1e3 * self.policy.late_s:g} ms is the limit")
            return
        self._take(action)

    def _take(self, action: Array) -> None:
        assert self._targets is not None
        self._action = np.clip(action, -self.policy.action.clip, self.policy.action.clip)
        goal = self._offset + self._scale * self._action
        inside = np.clip(goal, self._lower, self._upper)
        before = self._targets[self.joints]
        self._targets[self.joints] = np.clip(inside, before - self._step_max, before + self._step_max)
        over = np.abs(goal - inside)
        worst = int(np.argmax(over))
        if over[worst] > 1e-6:
            low, high = self._lower[worst], self._upper[worst]
            what = f"wants {self.policy.joints[worst]} at {goal[worst]:.3g} rad; {low:g} to {high:g} is its range"
            self._miss("out of range", what)
        else:
            self._missed = 0

    def _miss(self, kind: str, words: str) -> None:
        self.misses[kind] += 1
        self._missed += 1
        if self._missed >= self.policy.misses:
            self._fail(f"policy '{self.name}' {words}, {self._missed} times in a row")

    def _fail(self, words: str) -> None:
        self.status, self.words = Status.FAILED, words

    def _observe(self, now: float, senses: Senses, up: Array, wanted: Velocity) -> Floats:
        q = senses.joints[self.joints]
        assert self._last_joints is not None
        values = {
            "up": up,
            "gyro": senses.gyro,
            "command": np.array([wanted.forward, wanted.side, wanted.turn]),
            "joint_positions": q - self._offset,
            "joint_velocities": (q - self._last_joints) * self.policy.rate_hz,
            "last_action": self._action,
        }
        self._last_joints = q
        blocks = [
            (_clock(now - self._begin, o.period_s) if o.name == "clock" else values[o.name]) * np.asarray(o.scale)
            for o in self.policy.observations
        ]
        return np.concatenate(blocks).astype(np.float32)


def _clock(t: float, period_s: float) -> Array:
    phase = 2.0 * math.pi * t / period_s
    return np.array([math.sin(phase), math.cos(phase)])
