"""Kinematics and dynamics of a walker by giljabi._core.walking; MuJoCo reads the MJCF, nothing else."""

from __future__ import annotations

from pathlib import Path

import mujoco
import numpy as np
from numpy.typing import NDArray

from giljabi._core.walking import Body
from giljabi.types import Array
from giljabi.walking.walker_file import Foot, WalkerFile

ANKLE = 0.3  # of the hip's distance from the sole: joints nearer to it turn the sole rather than move it


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
        self.data = mujoco.MjData(self.model)  # of the MJCF's first posture: for places that are fixed on a body
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
        mujoco.mj_kinematics(self.model, self.data)
        self.legs = [np.flatnonzero(np.isin(self.dof, self._chain(s.body))) for s in self.soles]
        self.movers = self._movers()  # (n,) bool
        self.core, self._numbers = self._made()
        self.R_base_imu = self.data.xmat[self.base].reshape(3, 3).T @ self.data.site_xmat[self.imu].reshape(3, 3)
        self._places = slice(7, None) if self._in_order else 7 + self._hinges
        self.set(np.zeros(3), np.array([1.0, 0, 0, 0]), self.nominal)

    def _made(self) -> tuple[Body, dict[int, int]]:
        """The core's body, and its number of each of the MJCF's."""
        m, root = self.model, self.base
        bodies = [i for i in range(root, m.nbody) if m.body_rootid[i] == m.body_rootid[root] and self._below(i)]
        number = {b: i for i, b in enumerate(bodies)}
        joints = [j for b in bodies[1:] for j in range(m.body_jntadr[b], m.body_jntadr[b] + m.body_jntnum[b])]
        hinge = mujoco.mjtJoint.mjJNT_HINGE
        other = [m.joint(j).name for j in joints if m.jnt_type[j] != hinge]
        if other or m.body_jntnum[root] != 1:
            what = f"joint '{other[0]}' is no hinge" if other else "the base has a hinge beside its free joint"
            raise self.file.error(
                f"{self.file.walker.model}: {what}; hinges below a floating base are expected", "model"
            )
        links = np.zeros((len(bodies), 20))
        for row, b in zip(links, bodies, strict=True):
            turned = np.zeros(9)
            mujoco.mju_quat2Mat(turned, m.body_iquat[b])
            axes = turned.reshape(3, 3)
            inertia = axes @ np.diag(m.body_inertia[b]) @ axes.T
            row[:] = *m.body_pos[b], *m.body_quat[b], m.body_mass[b], *m.body_ipos[b], *inertia.flat
        hinges = np.array([[*m.jnt_axis[j], *m.jnt_pos[j], m.qpos0[m.jnt_qposadr[j]]] for j in joints])
        rank = {int(m.jnt_dofadr[j]): i for i, j in enumerate(joints)}
        self._hinges = np.array([rank[int(d)] for d in self.dof])  # number in the core of each of the file's joints
        self._in_order = list(self._hinges) == list(range(len(joints)))
        self._rest = m.qpos0[[m.jnt_qposadr[j] for j in joints]].astype(float)  # of joints that the file does not name
        self.columns = np.concatenate([np.arange(6), 6 + self._hinges])  # of velocities: base, then the file's joints
        lower, upper = np.full(len(joints), -np.pi), np.full(len(joints), np.pi)
        lower[self._hinges], upper[self._hinges] = self.lower, self.upper
        soles = np.array([[*s.centre, *s.half] for s in self.soles])
        parents = [-1] + [number[int(m.body_parentid[b])] for b in bodies[1:]]
        legs = self._hinges[np.concatenate(self.legs)].tolist()
        under = [number[int(m.jnt_bodyid[j])] for j in joints]
        return (
            Body(parents, links, under, hinges, [number[s.body] for s in self.soles], soles, legs, lower, upper),
            number,
        )

    def _movers(self) -> NDArray[np.bool_]:
        """Joints that move a sole rather than turn it: not those of the ankles."""
        out, anchors = np.ones(len(self.dof), dtype=np.bool_), self.data.xanchor[self.model.dof_jntid[self.dof]]
        for sole, leg in zip(self.soles, self.legs, strict=True):
            centre = self.data.xpos[sole.body] + self.data.xmat[sole.body].reshape(3, 3) @ sole.centre
            arms = np.linalg.norm(anchors[leg] - centre, axis=1)
            out[leg] = arms > ANKLE * arms.max(initial=0.0)
        return out

    def _below(self, body: int) -> bool:
        """Whether a body is the base or hangs on it."""
        while body > self.base:
            body = int(self.model.body_parentid[body])
        return body == self.base

    def _chain(self, body: int) -> list[int]:
        """Degrees of freedom of the joints from a body up to the base."""
        out: list[int] = []
        while body != self.base and body > 0:
            first, count = self.model.body_dofadr[body], self.model.body_dofnum[body]
            out.extend(range(first, first + count))
            body = int(self.model.body_parentid[body])
        return out

    def hinges(self, joints: Array) -> Array:
        """Values (n,) of the file's joints in the core's order; joints that the file does not name at rest."""
        if self._in_order:
            return joints
        out: Array = self._rest.copy()
        out[self._hinges] = joints
        return out

    def of_hinges(self, values: Array) -> Array:
        """Values in the core's order in the file's (n,)."""
        return values if self._in_order else np.asarray(values[self._hinges])

    def set(self, position: Array, quaternion: Array, q: Array) -> None:
        """Takes a posture: base position (3,), orientation (4,) w first, joints (n,)."""
        self.core.set(position, quaternion, self.hinges(q))

    @property
    def q(self) -> Array:
        """Joints (n,)."""
        return np.asarray(self.core.q[self._places])

    @property
    def com(self) -> Array:
        """Centre of mass (3,)."""
        return self.core.com

    @property
    def place(self) -> Array:
        """Position (3,) of the base."""
        return np.asarray(self.core.q[:3].copy())

    def rotation(self, body: int) -> Array:
        """R (3, 3) of a body of the MJCF."""
        return self.core.rotation(self._numbers[body])

    def sole(self, side: int) -> tuple[Array, Array]:
        """Middle (3,) and R (3, 3) of the sole of foot 0 (left) or 1 (right)."""
        return self.core.sole(side), self.core.rotation(self._numbers[self.soles[side].body])


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
