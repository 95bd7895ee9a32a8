"""A robot's shape as plain data: bodies, joints and primitives of its MJCF, for who draws it from joint angles."""

from __future__ import annotations

from typing import Any

import mujoco
import numpy as np

from giljabi.types import Array
from giljabi.walking.kinematics import load_model
from giljabi.walking.walker_file import WalkerFile

Json = dict[str, Any]
KINDS = {
    mujoco.mjtGeom.mjGEOM_SPHERE: "sphere", mujoco.mjtGeom.mjGEOM_CAPSULE: "capsule",
    mujoco.mjtGeom.mjGEOM_CYLINDER: "cylinder", mujoco.mjtGeom.mjGEOM_BOX: "box",
    mujoco.mjtGeom.mjGEOM_ELLIPSOID: "ellipsoid",
}  # fmt: skip
GROUPS = 3  # of geoms, from which on MuJoCo's own viewer hides them


def shape_of(file: WalkerFile) -> list[Json]:
    """Bodies, parents first; the first one is the base.

    Each: parent (index, -1 of the base), position (3,) m and quaternion (4,) w first in its parent, joints (name, axis,
    position; `zero` where the MJCF's own posture is not 0) and geoms (kind, half sizes, position, quaternion, colour).
    Meshes come as the box around them.
    """
    m = load_model(file.model_path, file)
    base = mujoco.mj_name2id(m, mujoco.mjtObj.mjOBJ_BODY, file.walker.base)
    known = set(file.walker.joints)
    index: dict[int, int] = {}
    out: list[Json] = []
    for b in range(m.nbody):
        parent = int(m.body_parentid[b])
        if b != base and parent not in index:
            continue
        index[b] = len(out)
        joints = [j for j in _range(m.body_jntadr[b], m.body_jntnum[b]) if m.joint(j).name in known]
        geoms = [g for g in _range(m.body_geomadr[b], m.body_geomnum[b]) if m.geom_group[g] < GROUPS]
        out.append(
            {
                "name": m.body(b).name,
                "parent": index[parent] if b != base else -1,
                "position": _numbers(m.body_pos[b]),
                "quaternion": _numbers(m.body_quat[b]),
                "joints": [_joint(m, j) for j in joints],
                "geoms": [_geom(m, g) for g in geoms],
            }
        )
    return out


def _range(first: int, count: int) -> range:
    return range(int(first), int(first) + int(count)) if first >= 0 else range(0)


def _joint(m: mujoco.MjModel, j: int) -> Json:
    return {
        "name": m.joint(j).name, "axis": _numbers(m.jnt_axis[j]), "position": _numbers(m.jnt_pos[j]),
        "zero": float(m.qpos0[m.jnt_qposadr[j]]),
    }  # fmt: skip


def _geom(m: mujoco.MjModel, g: int) -> Json:
    kind = KINDS.get(mujoco.mjtGeom(m.geom_type[g]))
    position, size = m.geom_pos[g], m.geom_size[g]
    if kind is None:  # a mesh: the box around it, in its own axes
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, m.geom_quat[g])
        position, size = position + turn.reshape(3, 3) @ m.geom_aabb[g, :3], m.geom_aabb[g, 3:]
    return {
        "kind": kind or "box", "size": _numbers(size), "position": _numbers(position),
        "quaternion": _numbers(m.geom_quat[g]), "colour": _numbers(m.geom_rgba[g]),
    }  # fmt: skip


def _numbers(a: Array) -> list[float]:
    return [round(float(v), 5) for v in a]
