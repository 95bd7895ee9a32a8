"""PointCloud2 with named fields to and from float arrays, one numpy copy each way."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from sensor_msgs.msg import PointCloud2, PointField

from giljabi.types import Array, BadInputError

DTYPE_OF_FIELD: dict[int, str] = {
    PointField.INT8: "i1", PointField.UINT8: "u1", PointField.INT16: "i2", PointField.UINT16: "u2",
    PointField.INT32: "i4", PointField.UINT32: "u4", PointField.FLOAT32: "f4", PointField.FLOAT64: "f8",
}  # fmt: skip
FIELD_OF_DTYPE = {v: k for k, v in DTYPE_OF_FIELD.items()}


def layout(names: Sequence[str], narrow: Sequence[str] = ()) -> npt.DTypeLike:
    """A row of float64 fields, those in `narrow` float32; float64 fields start at multiples of 8."""
    offsets, formats, at = [], [], 0
    for name in names:
        size = 4 if name in narrow else 8
        at = -(-at // size) * size
        offsets.append(at)
        formats.append("<f4" if size == 4 else "<f8")
        at += size
    return np.dtype({"names": list(names), "formats": formats, "offsets": offsets, "itemsize": -(-at // 8) * 8})


def to_cloud(data: Array, row: npt.DTypeLike) -> PointCloud2:
    """(n, k) float64 to an unorganised cloud whose fields are those of `row`, in order; the header is left empty."""
    dtype = np.dtype(row)
    assert dtype.names is not None
    assert dtype.fields is not None
    table = np.zeros(len(data), dtype=dtype)
    for i, name in enumerate(dtype.names):
        table[name] = data[:, i]
    msg = PointCloud2()
    msg.height, msg.width = 1, len(data)
    msg.fields = [
        PointField(name=n, offset=dtype.fields[n][1], datatype=FIELD_OF_DTYPE[dtype.fields[n][0].str[1:]], count=1)
        for n in dtype.names
    ]
    msg.is_bigendian = False
    msg.point_step = dtype.itemsize
    msg.row_step = dtype.itemsize * len(data)
    msg.data = table.tobytes()  # bytes, not an ndarray: the setter's path for arrays is thousands of times slower
    msg.is_dense = bool(np.isfinite(data).all())
    return msg


def from_cloud(msg: PointCloud2, names: Sequence[str], required: Sequence[str] = ("x", "y")) -> Array:
    """Fields `names` of any cloud as (n, k) float64; a field that the cloud has not is NaN.

    Raises BadInputError when sizes do not agree, a field is outside its row or of unknown type, or one of
    `required` is missing.
    """
    n = msg.width * msg.height
    if msg.point_step * msg.width > msg.row_step or msg.row_step * msg.height != len(msg.data):
        raise BadInputError(
            f"point cloud: {msg.height} rows of {msg.width} points of {msg.point_step} bytes do not fit "
            f"{len(msg.data)} bytes of data; consistent sizes are expected"
        )
    fields = {f.name: f for f in msg.fields}
    for name in required:
        if name not in fields:
            raise BadInputError(f"point cloud: field '{name}' is missing; {', '.join(names)} are expected")
    out = np.full((n, len(names)), np.nan)
    if n == 0:
        return out
    rows = np.frombuffer(msg.data, dtype=np.uint8).reshape(msg.height, msg.row_step)
    points = np.ascontiguousarray(rows[:, : msg.point_step * msg.width]).reshape(n, msg.point_step)
    swap = bool(msg.is_bigendian) != (sys.byteorder == "big")
    for i, name in enumerate(names):
        field = fields.get(name)
        if field is None:
            continue
        kind = DTYPE_OF_FIELD.get(field.datatype)
        if kind is None or field.offset + int(kind[1]) > msg.point_step:
            raise BadInputError(f"point cloud: field '{name}' is not inside its row or its type is unknown")
        dtype = np.dtype(kind).newbyteorder() if swap else np.dtype(kind)
        size = dtype.itemsize
        out[:, i] = np.ascontiguousarray(points[:, field.offset : field.offset + size]).view(dtype)[:, 0]
    return out
