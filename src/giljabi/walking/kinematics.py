"""Kinematics and gravity of a walker: MuJoCo's functions on a model of our own, never the simulator's state."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np

from giljabi.types import Array
from giljabi.walking.walker_file import Foot, WalkerFile


class Sole:
    """One foot's sole in the model."""

    def __init__(self, body: int, foot: Foot) -> None:
        self.body = body
        self.centre = np.array(foot.centre)
        self.half = np.array([foot.half_length, foot.half_width])


class Kinematics:
    """One posture of the robot: a free base and joints q (n,) in the file's order.

    Velocities are MuJoCo's: base linear in the world, base angular in the body, then joints.
    """

    def __init__(self, file: WalkerFile) -> None:
        """Raises BadInputError at the line of a name that the MJCF does not have."""
        w = file.walker
        self.file = file
        self.model = load_model(file.model_path, file)
        self.data = mujoco.MjData(self.model)
        m = self.model
        self.base = _find(file, m, mujoco.mjtObj.mjOBJ_BODY, w.base, "base")
        joints = [_find(file, m, mujoco.mjtObj.mjOBJ_JOINT, j, "joints", j) for j in w.joints]
        self.joint_names = list(w.joints)
        self.qpos = np.array([m.jnt_qposadr[j] for j in joints])
        self.dof = np.array([m.jnt_dofadr[j] for j in joints])
        self.lower = np.array([m.jnt_range[j][0] if m.jnt_limited[j] else -np.pi for j in joints])
        self.upper = np.array([m.jnt_range[j][1] if m.jnt_limited[j] else np.pi for j in joints])
        self.damping = m.dof_damping[self.dof].copy()
        self.armature = m.dof_armature[self.dof].copy()
        self.gain = np.array([w.servos.gains.get(j, w.servos.gain) for j in w.joints])
        free = m.body_jntadr[self.base]
        if free < 0 or m.jnt_type[free] != mujoco.mjtJoint.mjJNT_FREE:
            raise file.error(f"body '{w.base}' has no free joint; the body that floats is expected", "base")
        self.base_qpos, self.base_dof = int(m.jnt_qposadr[free]), int(m.jnt_dofadr[free])
        self.soles = [
            Sole(_find(file, m, mujoco.mjtObj.mjOBJ_BODY, f.body, key, "body"), f)
            for key, f in (("left_foot", w.left_foot), ("right_foot", w.right_foot))
        ]
        self.imu = _find(file, m, mujoco.mjtObj.mjOBJ_SITE, w.imu.site, "imu", "site")
        self.mass = float(m.body_subtreemass[self.base])
        self.nominal = np.array(list(w.joints.values()))
        self.legs = [np.flatnonzero(np.isin(self.dof, self._chain(s.body))) for s in self.soles]
        self._jac = np.zeros((3, m.nv))
        self._jac_r = np.zeros((3, m.nv))
        self.set(np.zeros(3), np.array([1.0, 0, 0, 0]), self.nominal)

    def _chain(self, body: int) -> list[int]:
        """Degrees of freedom of the joints from a body up to the base."""
        out: list[int] = []
        while body != self.base and body > 0:
            first, count = self.model.body_dofadr[body], self.model.body_dofnum[body]
            out.extend(range(first, first + count))
            body = int(self.model.body_parentid[body])
        return out

    def set(self, position: Array, quaternion: Array, q: Array) -> None:
        """Takes a posture: base position (3,), orientation (4,) w first, joints (n,)."""
        qpos, b = self.data.qpos, self.base_qpos
        qpos[b : b + 3], qpos[b + 3 : b + 7], qpos[self.qpos] = position, quaternion, q
        self.update()

    def update(self) -> None:
        """Positions of all bodies for the present posture."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)

    def move(self, step: Array) -> None:
        """The posture moved by a velocity (nv,) in one unit of time."""
        mujoco.mj_integratePos(self.model, self.data.qpos, step, 1.0)

    @property
    def q(self) -> Array:
        """Joints (n,)."""
        return np.asarray(self.data.qpos[self.qpos])

    @property
    def com(self) -> Array:
        """Centre of mass (3,)."""
        return np.asarray(self.data.subtree_com[self.base])

    def com_jacobian(self, out: Array) -> None:
        """Jacobian (3, nv) of the centre of mass."""
        mujoco.mj_jacSubtreeCom(self.model, self.data, out, self.base)

    def rotation(self, body: int) -> Array:
        """R (3, 3) of a body."""
        return np.asarray(self.data.xmat[body]).reshape(3, 3)

    def sole(self, side: int) -> tuple[Array, Array]:
        """Middle (3,) and R (3, 3) of the sole of foot 0 (left) or 1 (right)."""
        s = self.soles[side]
        rotation = self.rotation(s.body)
        return self.data.xpos[s.body] + rotation @ s.centre, rotation

    def point_jacobian(self, side: int, point: Array, position: Array, rotation: Array | None = None) -> None:
        """Jacobians (3, nv) of a point (3,) that moves with a foot, and of its orientation."""
        mujoco.mj_jac(self.model, self.data, position, rotation, point, self.soles[side].body)

    def inverse_dynamics(self, rates: Array, out: Array) -> Array:
        """Generalised force (nv,), in `out`, of this posture moving with `rates` (2, nv): velocity and acceleration."""
        self.data.qvel[:], self.data.qacc[:] = rates
        mujoco.mj_comVel(self.model, self.data)
        mujoco.mj_rne(self.model, self.data, 1, out)
        return out


def load_model(path: Path, file: WalkerFile) -> mujoco.MjModel:
    """The MJCF; raises BadInputError with what MuJoCo says."""
    try:
        return mujoco.MjModel.from_xml_path(str(path))
    except ValueError as e:
        raise file.error(f"{path.name}: {str(e).splitlines()[0]}; a valid MJCF is expected", "model") from None


def _find(file: WalkerFile, model: mujoco.MjModel, kind: mujoco.mjtObj, name: str, *key: str) -> int:
    index = mujoco.mj_name2id(model, kind, name)
    if index < 0:
        what = kind.name.removeprefix("mjOBJ_").lower()
        raise file.error(f"{file.walker.model} has no {what} '{name}'; a name of the MJCF is expected", *key)
    return int(index)
