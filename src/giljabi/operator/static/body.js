// The robot in three dimensions: links from joint angles and odometry, drawn on one canvas as shaded faces, far ones
// first. World is ENU, z up; the camera turns around the robot (drag) and comes closer (wheel).

const COLORS = { sky: "#0d141c", floor: "#16212b", grid: "#2b3b49", trail: "#2f6c8c", plan: "#7be08f", route: "#8296aa", old: "#77838f", warn: "#ffbf47" };
const SIDES = 10, NEAR = 0.02;
const LIGHT = unit([0.35, -0.5, 0.8]);

function unit(v) { const n = Math.hypot(...v) || 1; return v.map((x) => x / n); }
const dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2];
const cross = (a, b) => [a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]];
const sub = (a, b) => [a[0] - b[0], a[1] - b[1], a[2] - b[2]];
const add = (a, b) => [a[0] + b[0], a[1] + b[1], a[2] + b[2]];

// R (rows) of a quaternion, w first.
export function matrix([w, x, y, z]) {
  return [
    [1 - 2 * (y * y + z * z), 2 * (x * y - w * z), 2 * (x * z + w * y)],
    [2 * (x * y + w * z), 1 - 2 * (x * x + z * z), 2 * (y * z - w * x)],
    [2 * (x * z - w * y), 2 * (y * z + w * x), 1 - 2 * (x * x + y * y)],
  ];
}
const apply = (R, v) => [dot(R[0], v), dot(R[1], v), dot(R[2], v)];
const product = (A, B) => A.map((row) => [0, 1, 2].map((j) => row[0] * B[0][j] + row[1] * B[1][j] + row[2] * B[2][j]));
const around = (axis, angle) => { const s = Math.sin(angle / 2), [x, y, z] = unit(axis); return matrix([Math.cos(angle / 2), s * x, s * y, s * z]); };

// Where every body is: [{ R, p }] in map, from the base's pose and joint angles by name.
export function kinematics(bodies, base, angles) {
  const out = [];
  for (const b of bodies) {
    let R, p;
    if (b.parent < 0) { R = matrix(base.quaternion); p = base.position; } else {
      const up = out[b.parent];
      R = product(up.R, matrix(b.quaternion));
      p = add(up.p, apply(up.R, b.position));
    }
    for (const j of b.joints) {
      const turn = around(j.axis, (angles[j.name] ?? 0) - j.zero), anchor = add(p, apply(R, j.position));
      R = product(R, turn);
      p = sub(anchor, apply(R, j.position));
    }
    out.push({ R, p });
  }
  return out;
}

// Faces of a primitive in its own axes: lists of points, turning left seen from outside.
function faces(kind, size) {
  const ring = (r, z, rz = r) => Array.from({ length: SIDES }, (_, i) => { const a = (2 * Math.PI * i) / SIDES; return [r * Math.cos(a), rz * Math.sin(a), z]; });
  const out = [];
  const skin = (rings) => {
    for (let k = 0; k + 1 < rings.length; k++) for (let i = 0; i < SIDES; i++) { const j = (i + 1) % SIDES; out.push([rings[k][i], rings[k][j], rings[k + 1][j], rings[k + 1][i]]); }
    out.push([...rings[0]].reverse(), rings[rings.length - 1]);
  };
  const [a, b, c] = size;
  if (kind === "box") {
    for (const axis of [0, 1, 2]) for (const sign of [1, -1]) {
      const u = (axis + 1) % 3, v = (axis + 2) % 3;
      out.push([[1, 1], [-1, 1], [-1, -1], [1, -1]].map(([s, t]) => { const q = [0, 0, 0]; q[axis] = sign * size[axis]; q[u] = sign * s * size[u]; q[v] = t * size[v]; return q; }));
    }
  } else if (kind === "cylinder") skin([ring(a, -b), ring(a, b)]);
  else if (kind === "capsule") {
    const ends = [80, 45].map((d) => (d * Math.PI) / 180), caps = ends.map((e) => [a * Math.cos(e), a * Math.sin(e)]);
    skin([...caps.map(([r, z]) => ring(r, -b - z)), ring(a, -b), ring(a, b), ...caps.reverse().map(([r, z]) => ring(r, b + z))]);
  } else {
    const [rx, ry, rz] = kind === "sphere" ? [a, a, a] : [a, b, c];
    skin([-75, -40, 0, 40, 75].map((d) => { const e = (d * Math.PI) / 180; return ring(rx * Math.cos(e), rz * Math.sin(e), ry * Math.cos(e)); }));
  }
  return out;
}

const between = (a, b, s) => a.map((v, i) => v + s * (b[i] - v));

export class BodyView {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.camera = { turn: -2.3, tilt: 0.3, far: 4.0 }; // rad, rad, heights of the robot
    this.bodies = null;
    this.poses = []; // the last two: { at, base, angles }
    this.map = { trail: [], route: { points: [] }, frame: null };
    this.lost = false;
    this.drawn = 0; // faces of the last picture
    new ResizeObserver(() => this.redraw()).observe(canvas);
    let from = null;
    canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); from = [e.offsetX, e.offsetY]; });
    canvas.addEventListener("pointerup", () => { from = null; });
    canvas.addEventListener("pointermove", (e) => {
      if (!from) return;
      this.camera.turn -= 0.008 * (e.offsetX - from[0]);
      this.camera.tilt = Math.min(1.5, Math.max(-0.05, this.camera.tilt + 0.006 * (e.offsetY - from[1])));
      from = [e.offsetX, e.offsetY];
      this.redraw();
    });
    canvas.addEventListener("wheel", (e) => { e.preventDefault(); this.camera.far = Math.min(40, Math.max(1.5, this.camera.far * Math.exp(e.deltaY * 0.0015))); this.redraw(); }, { passive: false });
  }

  // bodies: hello.body of the stream.
  setBodies(bodies) {
    this.bodies = bodies.map((b) => ({ ...b, geoms: b.geoms.map((g) => ({ ...g, faces: faces(g.kind, g.size), R: matrix(g.quaternion) })) }));
    const zero = { position: [0, 0, 0], quaternion: [1, 0, 0, 0] }, places = kinematics(this.bodies, zero, {});
    const heights = places.flatMap((t, i) => this.bodies[i].geoms.map((g) => add(t.p, apply(t.R, g.position))[2]));
    this.height = Math.max(0.2, Math.max(...heights) - Math.min(...heights)) * 1.1;
  }

  // A frame of the stream: odometry and measured joints.
  take(frame, period_s) {
    const o = frame.odom;
    if (!this.bodies || !o || o.x === null || o.z === null || !o.attitude) return;
    const angles = Object.fromEntries(frame.actuators.filter((a) => a.measured !== null && a.measured !== undefined).map((a) => [a.name, a.measured]));
    this.stale = o.stale || frame.actuators.some((a) => a.measured_stale);
    this.period = 1000 * period_s;
    this.poses = [...this.poses.slice(-1), { at: performance.now(), base: { position: [o.x, o.y, o.z], quaternion: o.attitude }, angles }];
    this.redraw();
  }

  // The pose now, on the way from the last frame to the newest.
  pose() {
    const [a, b] = this.poses.length > 1 ? this.poses : [this.poses[0], this.poses[0]];
    const s = Math.min(1, (performance.now() - b.at) / (this.period || 1));
    const same = dot4(a.base.quaternion, b.base.quaternion) < 0 ? -1 : 1;
    const q = unit(between(a.base.quaternion.map((v) => same * v), b.base.quaternion, s));
    const angles = Object.fromEntries(Object.entries(b.angles).map(([n, v]) => { const w = a.angles[n] ?? v; return [n, w + s * (v - w)]; }));
    return { base: { position: between(a.base.position, b.base.position, s), quaternion: q }, angles, moving: s < 1 };
  }

  redraw() {
    if (this.pending || !this.bodies) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; this.draw(); });
  }

  look(at) {
    const { turn, tilt, far } = this.camera, d = far * this.height;
    const back = [Math.cos(turn) * Math.cos(tilt), Math.sin(turn) * Math.cos(tilt), Math.sin(tilt)];
    this.eye = add(at, back.map((v) => d * v));
    this.forward = back.map((v) => -v);
    this.right = unit(cross(this.forward, [0, 0, 1]));
    this.up = cross(this.right, this.forward);
    this.focal = 1.6 * Math.min(this.width, this.canvasHeight);
  }

  // Screen x, y and depth of a point.
  see(p) {
    const v = sub(p, this.eye), depth = dot(v, this.forward);
    const k = this.focal / Math.max(depth, NEAR);
    return [this.width / 2 + k * dot(v, this.right), this.canvasHeight / 2 - k * dot(v, this.up), depth];
  }

  draw() {
    const ratio = window.devicePixelRatio || 1, pen = this.pen;
    this.width = this.canvas.clientWidth;
    this.canvasHeight = this.canvas.clientHeight;
    const w = Math.max(1, Math.round(this.width * ratio)), h = Math.max(1, Math.round(this.canvasHeight * ratio));
    if (this.canvas.width !== w || this.canvas.height !== h) { this.canvas.width = w; this.canvas.height = h; }
    pen.setTransform(ratio, 0, 0, ratio, 0, 0);
    pen.fillStyle = COLORS.sky;
    pen.fillRect(0, 0, this.width, this.canvasHeight);
    this.drawn = 0;
    if (!this.poses.length) return;
    const pose = this.pose(), [x, y] = pose.base.position;
    this.look([x, y, 0.5 * this.height]);
    this.drawFloor(x, y);
    this.drawLinks(kinematics(this.bodies, pose.base, pose.angles));
    if (this.stale || this.lost) this.words("THIS POSTURE IS OLD");
    if (pose.moving) this.redraw();
  }

  ground(points, color, width) {
    const pen = this.pen;
    pen.strokeStyle = color;
    pen.lineWidth = width;
    pen.beginPath();
    let down = false;
    for (const p of points) {
      const s = p && p[0] !== null ? this.see([p[0], p[1], 0]) : null;
      if (!s || s[2] < 5 * NEAR) { down = false; continue; }
      if (down) pen.lineTo(s[0], s[1]); else pen.moveTo(s[0], s[1]);
      down = true;
    }
    pen.stroke();
  }

  drawFloor(x, y) {
    const step = 10 ** Math.round(Math.log10(this.height / 4)), n = 24;
    const x0 = Math.round(x / step) * step, y0 = Math.round(y / step) * step;
    for (let i = -n; i <= n; i++) {
      const line = (f) => Array.from({ length: 13 }, (_, k) => f((k / 6 - 1) * n * step));
      const color = i % 5 ? COLORS.floor : COLORS.grid;
      this.ground(line((t) => [x0 + i * step, y0 + t]), color, 1);
      this.ground(line((t) => [x0 + t, y0 + i * step]), color, 1);
    }
    const dense = (points) => points.flatMap((p, i) => { const q = points[i + 1]; return !q || p[0] === null || q[0] === null ? [p] : Array.from({ length: 12 }, (_, k) => between(p.slice(0, 2), q.slice(0, 2), k / 12)); });
    this.ground(dense(this.map.route.points), COLORS.route, 1.5);
    this.ground(this.map.trail, COLORS.trail, 2);
    if (this.map.frame?.plan) this.ground(this.map.frame.plan.points, COLORS.plan, 3);
  }

  drawLinks(places) {
    const list = [], pen = this.pen, grey = this.stale || this.lost;
    places.forEach((place, i) => {
      for (const g of this.bodies[i].geoms) {
        const R = product(place.R, g.R), p = add(place.p, apply(place.R, g.position));
        for (const face of g.faces) {
          const points = face.map((v) => add(p, apply(R, v)));
          const normal = unit(cross(sub(points[1], points[0]), sub(points[2], points[1])));
          if (dot(normal, sub(points[0], this.eye)) >= 0) continue;
          const seen = points.map((v) => this.see(v)), depth = seen.reduce((s, v) => s + v[2], 0) / seen.length;
          const shade = 0.35 + 0.65 * Math.max(0, dot(normal, LIGHT));
          list.push({ seen, depth, color: grey ? [0.47, 0.51, 0.56] : g.colour, shade });
        }
      }
    });
    list.sort((a, b) => b.depth - a.depth);
    for (const { seen, color, shade } of list) {
      pen.fillStyle = pen.strokeStyle = `rgb(${color.slice(0, 3).map((c) => Math.round(255 * c * shade)).join(" ")})`;
      pen.lineWidth = 0.7;
      pen.beginPath();
      seen.forEach(([sx, sy], k) => (k ? pen.lineTo(sx, sy) : pen.moveTo(sx, sy)));
      pen.closePath();
      pen.fill();
      pen.stroke();
    }
    this.drawn = list.length;
  }

  words(text) {
    const pen = this.pen;
    pen.font = '700 16px system-ui, "DejaVu Sans", sans-serif';
    pen.fillStyle = COLORS.warn;
    pen.textAlign = "center";
    pen.fillText(text, this.width / 2, 34);
  }
}

const dot4 = (a, b) => a.reduce((s, v, i) => s + v * b[i], 0);
