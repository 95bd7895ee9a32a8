"""A walker in MuJoCo's contact dynamics, with its servos and its inertial sensor."""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np

from giljabi.types import Array
from giljabi.walking.walker_file import WalkerFile
from giljabi_sim.humanoid.servo_line import THINKING_S, ServoFaults, ServoLine


@dataclass(frozen=True, slots=True)
class Ground:
    """What the robot stands on."""

    slope: float = 0.0  # rad, upwards in x
    friction: float | None = None  # instead of the MJCF's
    steps: tuple[tuple[float, float, float], ...] = ()  # from x, to x, height [m]: boards across the way
    boxes: tuple[tuple[float, float, float, float, float, float], ...] = ()  # x, y, yaw, length, width, height


@dataclass(frozen=True, slots=True)
class Push:
    """A force on the base."""

    start: float  # s
    duration: float  # s
    force: tuple[float, float, float]  # N, world


@dataclass(frozen=True, slots=True)
class World:
    """One run's surroundings and faults."""

    ground: Ground = field(default_factory=Ground)
    servos: ServoFaults = field(default_factory=ServoFaults)
    pushes: tuple[Push, ...] = ()
    gyro_noise: float = 0.005  # rad/s, each sample
    gyro_bias: float = 0.01
    acceleration_noise: float = 0.08  # m/s^2
    acceleration_bias: float = 0.05
    position_noise: float = 0.0004  # rad, of the servos' encoders beside their step


class SimulatedBody:
    """The robot; time moves by `advance`."""

    def __init__(self, file: WalkerFile, world: World, seed: int) -> None:
        self.file, self.world = file, world
        w = file.walker
        self.model = build_model(file, world.ground)
        self.data = mujoco.MjData(self.model)
        m = self.model
        self._rng = np.random.default_rng(seed)
        joints = [m.joint(j).id for j in w.joints]
        self._qpos = np.array([m.jnt_qposadr[j] for j in joints])
        self._base = m.body(w.base).id
        self._ctrl = np.array([actuator_of(m, j, file) for j in joints])
        set_gains(m, file, self._ctrl, world.servos.gain_factor)
        self._gyro, self._accelerometer = (sensor_at(m, kind, w.imu.site, file) for kind in ("GYRO", "ACCELEROMETER"))
        self.servos = ServoLine(file, self._rng, world.servos, world.position_noise)
        self._bias = [self._rng.normal(0.0, s, 3) for s in (world.gyro_bias, world.acceleration_bias)]
        self._soles = [m.body(f.body).id for f in (w.left_foot, w.right_foot)]
        self._feet = (w.left_foot, w.right_foot)
        self._heard = 0.0  # s, when the last positions were there

    def place(self, q: Array) -> None:
        """Stands at the origin with joints q (n,), the lower sole on the ground, servos holding."""
        m, d = self.model, self.data
        mujoco.mj_resetData(m, d)
        d.qpos[self._qpos] = q
        d.qpos[:3] = 0.0
        mujoco.mj_kinematics(m, d)
        lowest = min(self._sole(i)[2] for i in (0, 1))
        middle = (self._sole(0) + self._sole(1)) / 2
        d.qpos[0] -= middle[0]
        d.qpos[1] -= middle[1]
        d.qpos[2] += 0.001 - lowest
        self.servos.hold(q)
        mujoco.mj_forward(m, d)

    def lay(self, q: Array, rotation: Array, height: float) -> None:
        """Drops the robot: joints q (n,), base orientation (3, 3), its lowest point `height` m above the ground."""
        m, d = self.model, self.data
        mujoco.mj_resetData(m, d)
        d.qpos[self._qpos] = q
        at = m.jnt_qposadr[m.body_jntadr[self._base]]
        d.qpos[at : at + 3] = 0.0
        mujoco.mju_mat2Quat(d.qpos[at + 3 : at + 7], rotation.flatten())
        mujoco.mj_kinematics(m, d)
        d.qpos[at + 2] = height - min(_lowest(m, d, g) for g in range(m.ngeom) if m.geom_bodyid[g] > 0)
        self.servos.hold(q)
        mujoco.mj_forward(m, d)

    def _sole(self, side: int) -> Array:
        b = self._soles[side]
        return np.asarray(self.data.xpos[b] + self.data.xmat[b].reshape(3, 3) @ np.array(self._feet[side].centre))

    @property
    def now(self) -> float:
        """s since the start."""
        return float(self.data.time)

    def advance(self, until: float) -> None:
        """Moves to `until`, targets reaching the servos as they arrive."""
        m, d = self.model, self.data
        while d.time < until - m.opt.timestep / 2:
            goals = self.servos.goals(d.time)
            d.ctrl[self._ctrl] = np.where(np.isnan(goals), d.qpos[self._qpos], goals)
            force = d.xfrc_applied[self._base]
            force[:3] = 0.0
            for p in self.world.pushes:
                if p.start <= d.time < p.start + p.duration:
                    force[:3] += p.force
            mujoco.mj_step(m, d)

    def inertial(self) -> tuple[Array, Array]:
        """Gyro (3,) rad/s and specific force (3,) m/s^2 as the sensor tells them."""
        w, factor = self.world, self.world.servos.noise_factor
        gyro = self.data.sensordata[self._gyro : self._gyro + 3] + self._bias[0]
        force = self.data.sensordata[self._accelerometer : self._accelerometer + 3] + self._bias[1]
        return (
            gyro + self._rng.normal(0.0, w.gyro_noise * factor, 3),
            force + self._rng.normal(0.0, w.acceleration_noise * factor, 3),
        )

    def joints(self) -> Array:
        """Positions (n,) as the servos tell them on their bus."""
        self._heard = self.servos.read(self.now, self.data.qpos[self._qpos])
        return np.asarray(self.servos.positions.copy())

    def drive(self, targets: Array) -> None:
        """Targets (n,) rad leave for the servos, after what thinking takes."""
        self.servos.write(self._heard + THINKING_S, targets)

    @property
    def touching(self) -> bool:
        """Whether anything but the feet is on the ground."""
        m = self.model
        for c in self.data.contact:
            bodies = {int(m.geom_bodyid[g]) for g in c.geom}
            if 0 in bodies and not bodies & set(self._soles):
                return True
        return False

    def lose_torque(self) -> None:
        """All servos without torque from now on, as by a broken supply."""
        self.model.actuator_gainprm[:, 0] = self.model.actuator_biasprm[:, 1] = 0.0

    @property
    def tangled(self) -> bool:
        """Whether two of its limbs touch each other."""
        return any(self.model.geom_bodyid[c.geom].min() > 0 for c in self.data.contact)

    # --- the truth, for judges only ---------------------------------------------------------------------

    @property
    def velocity(self) -> Array:
        """Of the base's origin (3,) m/s in the world."""
        v = np.zeros(6)
        mujoco.mj_objectVelocity(self.model, self.data, mujoco.mjtObj.mjOBJ_BODY, self._base, v, 0)
        return v[3:]

    @property
    def force(self) -> Array:
        """Specific force (3,) m/s^2 at the inertial sensor, without noise."""
        return np.asarray(self.data.sensordata[self._accelerometer : self._accelerometer + 3])

    @property
    def pose(self) -> tuple[Array, float, float]:
        """Base position (3,), yaw, and the angle between its z and up."""
        r = self.data.xmat[self._base].reshape(3, 3)
        tilt = float(np.arccos(np.clip(r[2, 2], -1.0, 1.0)))
        return self.data.xpos[self._base].copy(), float(np.arctan2(r[1, 0], r[0, 0])), tilt


def _lowest(m: mujoco.MjModel, d: mujoco.MjData, geom: int) -> float:
    """Lowest point of a geom's bounding box [m], in the world."""
    middle, half = m.geom_aabb[geom, :3], m.geom_aabb[geom, 3:]
    up = d.geom_xmat[geom].reshape(3, 3)[2]
    return float(d.geom_xpos[geom][2] + up @ middle - np.abs(up) @ half)


def build_model(file: WalkerFile, ground: Ground) -> mujoco.MjModel:
    """The robot's MJCF on that ground."""
    model = build_spec(file, ground).compile()
    if ground.friction is not None:
        model.geom_friction[:, 0] = ground.friction
    return model


def build_spec(file: WalkerFile, ground: Ground) -> mujoco.MjSpec:
    """The same before it is compiled, friction as the MJCF has it."""
    spec = mujoco.MjSpec.from_file(str(file.model_path))
    g = ground
    tilt = [np.cos(g.slope / 2), 0.0, -np.sin(g.slope / 2), 0.0]
    for geom in spec.geoms:
        if geom.type == mujoco.mjtGeom.mjGEOM_PLANE:
            geom.quat = tilt
    for start, end, height in g.steps:
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[(end - start) / 2, 2.0, height / 2], contype=1, conaffinity=0,
            pos=[(start + end) / 2, 0.0, height / 2], rgba=[0.5, 0.4, 0.3, 1.0],
        )  # fmt: skip
    for x, y, yaw, length, width, height in g.boxes:
        spec.worldbody.add_geom(
            type=mujoco.mjtGeom.mjGEOM_BOX, size=[length / 2, width / 2, height / 2], contype=1, conaffinity=0,
            pos=[x, y, height / 2], quat=[np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)], rgba=[0.5, 0.4, 0.3, 1.0],
        )  # fmt: skip
    return spec


def set_gains(model: mujoco.MjModel, file: WalkerFile, actuators: Array, factor: float) -> None:
    """Gains of the file, with the run's error, where the MJCF has position servos."""
    s = file.walker.servos
    for joint, i in zip(file.walker.joints, actuators, strict=True):
        kp = s.gains.get(joint, s.gain) * factor
        model.actuator_gainprm[i, 0], model.actuator_biasprm[i, 1] = kp, -kp


def actuator_of(model: mujoco.MjModel, joint: int, file: WalkerFile) -> int:
    """Number of the position servo on a joint; raises BadInputError."""
    for i in range(model.nu):
        if model.actuator_trntype[i] == mujoco.mjtTrn.mjTRN_JOINT and model.actuator_trnid[i, 0] == joint:
            return i
    name = model.joint(joint).name
    raise file.error(
        f"{file.walker.model} has no actuator on joint '{name}'; a position servo is expected", "joints", name
    )


def sensor_at(model: mujoco.MjModel, kind: str, site: str, file: WalkerFile) -> int:
    """Where the three numbers of a sensor at a site begin; raises BadInputError."""
    for i in range(model.nsensor):
        if (
            model.sensor_type[i] == getattr(mujoco.mjtSensor, f"mjSENS_{kind}")
            and model.sensor(i).objid == model.site(site).id
        ):
            return int(model.sensor_adr[i])
    raise file.error(f"{file.walker.model} has no {kind.lower()} at site '{site}'; one is expected", "imu", "site")
