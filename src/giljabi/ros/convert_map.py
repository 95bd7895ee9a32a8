"""Scans and maps to and from LaserScan and OccupancyGrid; conventions as in giljabi.ros.convert.

A scan's frame is the sensor's own: its name in the platform file, with the place and rotation that stand there. An
OccupancyGrid says 0 free, 100 occupied, -1 unknown; its origin's z is the height of the layer.
"""

from __future__ import annotations

import math
from array import array

import numpy as np
from nav_msgs.msg import OccupancyGrid
from sensor_msgs.msg import LaserScan

from giljabi.ros.convert import MAP, finite, header, seconds
from giljabi.types import FREE, OCCUPIED, UNKNOWN, BadInputError, GridMap, Scan

RAYS_MAX, CELLS_MAX = 100_000, 16_000_000
OCCUPIED_FROM = 50  # of 100: a foreign map's cell that is more likely occupied than not
TO_PERCENT = np.array([0, 100, -1], dtype=np.int8)


def scan_to_msg(s: Scan) -> LaserScan:
    """LaserScan: stamped with its first ray's time; inf where nothing came back, NaN where nothing was measured."""
    n = max(len(s.ranges), 1)
    return LaserScan(
        header=header(s.t - s.duration, s.source),
        angle_min=float(s.angle_min),
        angle_max=float(s.angle_min + (n - 1) * s.angle_increment),
        angle_increment=float(s.angle_increment),
        time_increment=float(s.duration / n),
        scan_time=float(s.duration),
        range_min=float(s.range_min),
        range_max=float(s.range_max),
        ranges=array("f", s.ranges.astype(np.float32).tobytes()),
    )


def scan_from_msg(msg: LaserScan) -> Scan:
    """Inverse of scan_to_msg; a range outside the message's limits is one that nothing came back from."""
    n = len(msg.ranges)
    limits = (msg.range_min, msg.range_max)
    finite("scan", msg.angle_min, msg.angle_increment, msg.time_increment, msg.scan_time, *limits)
    if not 0 < n <= RAYS_MAX or msg.angle_increment == 0.0 or msg.scan_time < 0.0 or not limits[0] < limits[1]:
        raise BadInputError(f"scan: {n} rays {msg.angle_increment} rad apart over {limits} m make no sense")
    ranges = np.array(msg.ranges, dtype=np.float64)
    with np.errstate(invalid="ignore"):
        ranges[(ranges < limits[0]) | (ranges > limits[1])] = math.inf
    duration = msg.scan_time or msg.time_increment * n
    t = seconds(msg.header.stamp) + duration
    return Scan(t, msg.angle_min, msg.angle_increment, ranges, duration, *limits, msg.header.frame_id)


def map_to_msg(s: GridMap) -> OccupancyGrid:
    """OccupancyGrid in frame map."""
    msg = OccupancyGrid(header=header(s.t, MAP))
    msg.info.map_load_time = msg.header.stamp
    msg.info.resolution = float(s.resolution)
    msg.info.height, msg.info.width = s.cells.shape
    place = msg.info.origin.position
    place.x, place.y, place.z = s.corner[0], s.corner[1], s.height
    msg.info.origin.orientation.w = 1.0
    msg.data = array("b", TO_PERCENT[s.cells].tobytes())
    return msg


def map_from_msg(msg: OccupancyGrid) -> GridMap:
    """Inverse of map_to_msg; maps that are turned or in another frame are refused."""
    info, q = msg.info, msg.info.origin.orientation
    if msg.header.frame_id != MAP:
        raise BadInputError(f"map in frame '{msg.header.frame_id}'; map is expected")
    finite("map", info.resolution, info.origin.position.x, info.origin.position.y, info.origin.position.z)
    if max(abs(q.x), abs(q.y), abs(q.z)) > 1e-6:
        raise BadInputError("map: its origin is turned; one with axes along map is expected")
    rows, columns = info.height, info.width
    if info.resolution <= 0.0 or rows * columns != len(msg.data) or not 0 < rows * columns <= CELLS_MAX:
        raise BadInputError(f"map: {rows} rows of {columns} cells of {info.resolution} m, {len(msg.data)} values")
    value = np.array(msg.data, dtype=np.int8).reshape(rows, columns)
    cells = np.where(value < 0, UNKNOWN, np.where(value >= OCCUPIED_FROM, OCCUPIED, FREE)).astype(np.uint8)
    place = info.origin.position
    return GridMap(seconds(msg.header.stamp), info.resolution, (place.x, place.y), place.z, cells)
