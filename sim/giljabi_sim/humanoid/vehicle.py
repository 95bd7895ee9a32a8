"""A walker as the vehicle of a scenario: MuJoCo's contact dynamics behind servos and an inertial sensor."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import mujoco
import numpy as np
from pydantic import Field

from giljabi.platform import Platform
from giljabi.types import Array
from giljabi.walking.postures import posture_at
from giljabi.walking.robot import robot_file
from giljabi.yaml_file import Strict
from giljabi_sim.humanoid.body import Ground, actuator_of, build_model, build_spec, sensor_at, set_gains
from giljabi_sim.plant import Environment
from giljabi_sim.quadrotor import euler
from giljabi_sim.scenario import Start
from giljabi_sim.truth import Body, Own

FALLEN_TILT = 0.8  # rad of the base
WALL = 2.0  # m, of an obstacle without a top
FALLEN_HEIGHT = 0.3  # of the base's height at the start; sitting down is no fall


class WalkerOptions(Strict):
    """`simulation.walker`."""

    servo_gain: float = Field(default=1.0, gt=0, description="factor on every servo's gain")
    slope_deg: float = Field(default=0.0, gt=-30, lt=30, description="of the ground, upwards to the east")
    boards: list[tuple[float, float, float]] = Field(
        default_factory=list, description="across the way: from x, to x, height [m]"
    )


class WalkerVehicle:
    """commands: by joint, rad; NaN where its servo has no torque. It hangs on its stand until all have some."""

    def __init__(self, platform: Platform, start: Start, obstacles: Sequence[Body] = ()) -> None:
        robot = platform.model.robot
        if robot is None:
            raise platform.error(("simulation", "plant"), "a walker is a robot; the file's `robot` is expected")
        o = platform.file.validate(WalkerOptions, platform.model.simulation.get("walker", {}), ("simulation", "walker"))
        self.file = file = robot_file(platform.file, robot)
        w = file.walker
        boards = tuple((a, b, h) for a, b, h in o.boards)
        boxes = tuple((b.x, b.y, b.yaw, b.length, b.width, min(b.top, WALL)) for b in obstacles)
        self._ground = Ground(math.radians(o.slope_deg), None, boards, boxes)
        self.model = build_model(file, self._ground)
        self.data = mujoco.MjData(self.model)
        m = self.model
        joints = [m.joint(j).id for j in w.joints]
        self._qpos = np.array([m.jnt_qposadr[j] for j in joints])
        self._dof = np.array([m.jnt_dofadr[j] for j in joints])
        self._ctrl = np.array([actuator_of(m, j, file) for j in joints])
        set_gains(m, file, self._ctrl, o.servo_gain)
        self._base = m.body(w.base).id
        self._free = int(m.jnt_qposadr[m.body_jntadr[self._base]])
        self._free_dof = int(m.jnt_dofadr[m.body_jntadr[self._base]])
        self._gyro, self._accelerometer = (sensor_at(m, kind, w.imu.site, file) for kind in ("GYRO", "ACCELEROMETER"))
        self._friction = m.geom_friction[:, 0].copy()
        self._feet = [(m.body(f.body).id, np.array(f.centre)) for f in (w.left_foot, w.right_foot)]
        self._footprint = platform.model.footprint
        self._names = list(w.joints)
        self.commands = dict.fromkeys(self._names, math.nan)
        self._place(posture_at(file, w.gait.height, "height"), start)
        self.height = float(self.data.xpos[self._base][2])  # m of the base, standing
        self._t = 0.0
        self._own: tuple[float, Own] | None = None

    def _place(self, q: Array, start: Start) -> None:
        """Stands at the start with joints q (n,), the lower sole on the ground."""
        d, f = self.data, self._free
        yaw = math.radians(start.yaw_deg)
        d.qpos[self._qpos] = q
        d.qpos[f : f + 3] = 0.0
        d.qpos[f + 3 : f + 7] = math.cos(yaw / 2), 0.0, 0.0, math.sin(yaw / 2)
        mujoco.mj_kinematics(self.model, d)
        soles = [d.xpos[b] + d.xmat[b].reshape(3, 3) @ c for b, c in self._feet]
        middle = (soles[0] + soles[1]) / 2
        d.qpos[f : f + 2] = start.x - middle[0], start.y - middle[1]
        d.qpos[f + 2] = 0.001 - min(s[2] for s in soles) + math.tan(self._ground.slope) * start.x
        mujoco.mj_forward(self.model, d)

    def look(self) -> mujoco.MjModel:
        """The same model with a floor that shows how it moves; for pictures, not for physics."""
        spec = build_spec(self.file, self._ground)
        light, dark, none = [0.34, 0.42, 0.48], [0.26, 0.33, 0.38], [0.0, 0.0, 0.0]
        checker, flat = mujoco.mjtBuiltin.mjBUILTIN_CHECKER, mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
        two, sky = mujoco.mjtTexture.mjTEXTURE_2D, mujoco.mjtTexture.mjTEXTURE_SKYBOX
        spec.add_texture(name="floor", type=two, builtin=checker, rgb1=light, rgb2=dark, width=256, height=256)
        spec.add_texture(name="sky", type=sky, builtin=flat, rgb1=[0.55, 0.66, 0.78], rgb2=none, width=64, height=64)
        floor = spec.add_material(name="floor", texrepeat=[1.0 / self.height, 1.0 / self.height], texuniform=True)
        floor.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "floor"
        for geom in spec.geoms:
            if geom.type == mujoco.mjtGeom.mjGEOM_PLANE and not geom.material:
                geom.material, geom.rgba = "floor", [1.0, 1.0, 1.0, 1.0]
        return spec.compile()

    def step(self, env: Environment, dt: float) -> None:
        """Advances by dt [s]; MuJoCo's own step is longer than a tick of the bus, it takes one when it is due."""
        m, d = self.model, self.data
        self._t += dt
        if d.time >= self._t - m.opt.timestep / 2:
            return
        goals = np.fromiter(self.commands.values(), np.float64, len(self._names))
        m.geom_friction[:, 0] = self._friction * env.friction
        d.xfrc_applied[self._base, :2] = env.push
        while d.time < self._t - m.opt.timestep / 2:
            # without torque: a motor that only damps
            d.ctrl[self._ctrl] = np.where(np.isnan(goals), d.qpos[self._qpos], goals)
            mujoco.mj_step(m, d)

    def told_to_go(self) -> bool:
        """True when all servos have torque: somebody takes it off its stand."""
        return all(math.isfinite(v) for v in self.commands.values())

    def own(self) -> Own:
        """Ground truth now; feedback: each joint [rad] and <joint>_rate [rad/s]."""
        d = self.data
        if self._own is not None and self._own[0] == d.time:
            return self._own[1]
        q, v = d.qpos[self._qpos].tolist(), d.qvel[self._dof].tolist()
        feedback: dict[str, float] = dict(zip(self._names, q, strict=True))
        feedback.update((f"{n}_rate", r) for n, r in zip(self._names, v, strict=True))
        free, dof = self._free, self._free_dof
        x, y, z = d.qpos[free : free + 3].tolist()
        roll, pitch, yaw = euler(tuple(d.qpos[free + 3 : free + 7].tolist()))
        east, north, up = d.qvel[dof : dof + 3].tolist()
        c, s = math.cos(yaw), math.sin(yaw)
        r = d.xmat[self._base]
        tilt = math.acos(max(-1.0, min(1.0, float(r[8]))))
        above = z - math.tan(self._ground.slope) * x
        f = self._footprint
        gyro, force = self._gyro, self._accelerometer
        turn = float(r[6] * d.qvel[dof + 3] + r[7] * d.qvel[dof + 4] + r[8] * d.qvel[dof + 5])
        feedback["tilt"] = tilt
        own = Own(
            x, y, yaw, c * east + s * north, c * north - s * east, turn, f.length, f.width, f.centre_x,
            feedback=feedback, z=z, vz=up, roll=roll, pitch=pitch, rates=triple(d.sensordata, gyro),
            specific_force=triple(d.sensordata, force), felt=True, below=self.height,
            climbs=self.file.walker.gait.step_height, fallen=tilt > FALLEN_TILT or above < FALLEN_HEIGHT * self.height,
        )  # fmt: skip
        self._own = (d.time, own)
        return own


def triple(data: Any, at: int) -> tuple[float, float, float]:
    """Three numbers of an array."""
    return float(data[at]), float(data[at + 1]), float(data[at + 2])
