// The map: north up, metres, drawn on one canvas. World is ENU (x east, y north); the screen's y points down.

const COLORS = {
  ground: "#0b1016", grid: "#141d26", gridText: "#4d6072", route: "#8296aa", corridor: "#33475a", trail: "#2f6c8c",
  leg: "#f2f7fb", fence: "#3fb6a8", keepOut: "#e0853f", beyond: "#ff2f6d",
  plan: "#7be08f", own: "#5cc8ff", track: "#ffbf47", close: "#ff5a4f", fixed: "#a58cff", text: "#dbe5ee", old: "#77838f",
};
const MIN_SCALE = 0.002, MAX_SCALE = 200; // pixels per metre

export const trackIsClose = (track, hello) => {
  if (track.cpa_m === null || !hello) return false;
  const reach = hello.limits.clearance + 0.5 * hello.footprint.length + 0.5 * (track.length ?? 0);
  return track.cpa_m < reach && track.tcpa_s > 0 && track.tcpa_s < 300;
};

export class MapView {
  constructor(canvas) {
    this.canvas = canvas;
    this.pen = canvas.getContext("2d");
    this.view = { x: 0, y: 0, scale: 4 };
    this.follow = true;
    this.onFollow = () => {};
    this.hello = null;
    this.route = { points: [], left: [], right: [], fences: [], legs: [] };
    this.frame = null;
    this.trail = [];
    this.lost = false;
    this.framed = false;
    this.pointers = new Map();
    new ResizeObserver(() => this.resize()).observe(canvas);
    canvas.addEventListener("wheel", (e) => { e.preventDefault(); this.zoom(Math.exp(-e.deltaY * 0.0015), e.offsetX, e.offsetY); }, { passive: false });
    canvas.addEventListener("pointerdown", (e) => { canvas.setPointerCapture(e.pointerId); this.pointers.set(e.pointerId, [e.offsetX, e.offsetY]); });
    canvas.addEventListener("pointermove", (e) => this.drag(e));
    for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, (e) => this.pointers.delete(e.pointerId));
    this.resize();
  }

  resize() {
    const ratio = window.devicePixelRatio || 1;
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.canvas.width = Math.max(1, Math.round(this.width * ratio));
    this.canvas.height = Math.max(1, Math.round(this.height * ratio));
    this.ratio = ratio;
    this.redraw();
  }

  redraw() {
    if (this.pending) return;
    this.pending = true;
    requestAnimationFrame(() => { this.pending = false; this.draw(); });
  }

  setFollow(on) { this.follow = on; this.onFollow(on); this.redraw(); }

  zoom(factor, px = this.width / 2, py = this.height / 2) {
    if (this.follow) { px = this.width / 2; py = this.height / 2; }
    const scale = Math.min(MAX_SCALE, Math.max(MIN_SCALE, this.view.scale * factor));
    const [x, y] = this.toWorld(px, py);
    this.view.scale = scale;
    this.view.x = x - (px - this.width / 2) / scale;
    this.view.y = y + (py - this.height / 2) / scale;
    this.framed = true;
    this.redraw();
  }

  drag(e) {
    const from = this.pointers.get(e.pointerId);
    if (!from) return;
    const others = [...this.pointers].filter(([id]) => id !== e.pointerId).map(([, p]) => p);
    const to = [e.offsetX, e.offsetY];
    this.pointers.set(e.pointerId, to);
    if (others.length) {
      const [o] = others;
      const before = Math.hypot(from[0] - o[0], from[1] - o[1]), after = Math.hypot(to[0] - o[0], to[1] - o[1]);
      if (before > 1) this.zoom(after / before, o[0], o[1]);
    } else if (to[0] !== from[0] || to[1] !== from[1]) {
      if (this.follow) this.setFollow(false);
      this.view.x -= (to[0] - from[0]) / this.view.scale;
      this.view.y += (to[1] - from[1]) / this.view.scale;
      this.redraw();
    }
  }

  // Shows all of the points, with a margin; returns false when there is nothing to show.
  fit(points) {
    const known = points.filter((p) => p && p[0] !== null && p[1] !== null);
    if (!known.length || !this.width) return false;
    const xs = known.map((p) => p[0]), ys = known.map((p) => p[1]);
    const [x0, x1, y0, y1] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
    const margin = this.hello ? 3 * this.hello.footprint.length : 20;
    this.view.x = (x0 + x1) / 2;
    this.view.y = (y0 + y1) / 2;
    this.view.scale = Math.min(MAX_SCALE, 0.9 * Math.min(this.width / (x1 - x0 + 2 * margin), this.height / (y1 - y0 + 2 * margin)));
    this.framed = true;
    return true;
  }

  fitRoute() {
    const odom = this.frame?.odom;
    if (this.fit([...this.route.points, ...(odom ? [[odom.x, odom.y]] : [])])) this.setFollow(false);
  }

  toScreen(x, y) { return [this.width / 2 + (x - this.view.x) * this.view.scale, this.height / 2 - (y - this.view.y) * this.view.scale]; }
  toWorld(px, py) { return [this.view.x + (px - this.width / 2) / this.view.scale, this.view.y - (py - this.height / 2) / this.view.scale]; }

  draw() {
    const pen = this.pen, odom = this.frame?.odom;
    if (this.follow && odom && odom.x !== null) {
      if (!this.framed && this.hello) { this.view.scale = Math.min(40, 300 / (14 * this.hello.footprint.length)); this.framed = true; }
      this.view.x = odom.x;
      this.view.y = odom.y;
    }
    pen.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    pen.fillStyle = COLORS.ground;
    pen.fillRect(0, 0, this.width, this.height);
    this.drawGrid();
    this.drawFences();
    this.drawRoute();
    this.drawLegs();
    this.line(this.trail, COLORS.trail, 2);
    if (this.frame) {
      const plan = this.frame.plan;
      if (plan) this.line(plan.points, plan.stale ? COLORS.old : COLORS.plan, 3, plan.stale ? [4, 6] : []);
      for (const track of [...(this.frame.tracks?.items ?? [])].reverse()) this.drawTrack(track, this.frame.tracks.stale);
      if (odom && odom.x !== null) this.drawOwn(odom);
    }
    this.drawScaleBar();
    this.drawNorth();
  }

  line(points, color, width, dash = [], close = false) {
    const pen = this.pen;
    pen.strokeStyle = color;
    pen.lineWidth = width;
    pen.lineJoin = "round";
    pen.setLineDash(dash);
    pen.beginPath();
    let down = false;
    for (const p of points) {
      if (!p || p[0] === null || p[1] === null) { down = false; continue; }
      const [sx, sy] = this.toScreen(p[0], p[1]);
      if (down) pen.lineTo(sx, sy); else pen.moveTo(sx, sy);
      down = true;
    }
    if (close) pen.closePath();
    pen.stroke();
    pen.setLineDash([]);
  }

  text(words, x, y, color = COLORS.text, align = "left", size = 13) {
    const pen = this.pen;
    pen.font = `600 ${size}px system-ui, "DejaVu Sans", sans-serif`;
    pen.textAlign = align;
    pen.lineWidth = 4;
    pen.strokeStyle = COLORS.ground;
    pen.strokeText(words, x, y);
    pen.fillStyle = color;
    pen.fillText(words, x, y);
  }

  gridStep() {
    const wanted = 110 / this.view.scale, power = 10 ** Math.floor(Math.log10(wanted));
    return [1, 2, 5, 10].map((k) => k * power).find((s) => s >= wanted);
  }

  drawGrid() {
    const step = this.gridStep(), pen = this.pen;
    const [x0, y1] = this.toWorld(0, 0), [x1, y0] = this.toWorld(this.width, this.height);
    pen.strokeStyle = COLORS.grid;
    pen.lineWidth = 1;
    pen.beginPath();
    for (let x = Math.ceil(x0 / step) * step; x <= x1; x += step) { const [s] = this.toScreen(x, 0); pen.moveTo(s, 0); pen.lineTo(s, this.height); }
    for (let y = Math.ceil(y0 / step) * step; y <= y1; y += step) { const [, s] = this.toScreen(0, y); pen.moveTo(0, s); pen.lineTo(this.width, s); }
    pen.stroke();
  }

  drawRoute() {
    const { points, left, right, closed } = this.route;
    this.line(left, COLORS.corridor, 1.5);
    this.line(right, COLORS.corridor, 1.5);
    if (this.route.legs?.length) return; // they are the same way, with more to say
    this.line(points, COLORS.route, 2, [10, 7], closed);
    if (points.length > 60 || !points.length) return;
    const pen = this.pen;
    pen.strokeStyle = COLORS.route;
    pen.lineWidth = 1.5;
    for (const p of points) {
      const [sx, sy] = this.toScreen(p[0], p[1]);
      pen.fillStyle = COLORS.ground;
      pen.beginPath();
      pen.arc(sx, sy, 5, 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
    }
    const last = points[points.length - 1], [gx, gy] = this.toScreen(last[0], last[1]);
    pen.beginPath();
    pen.arc(gx, gy, 10, 0, 2 * Math.PI);
    pen.stroke();
  }

  // What is broken differs by width, fill and words, not by colour alone: it must be seen at night and in the sun.
  drawFences() {
    const broken = this.lost ? [] : this.frame?.beyond ?? [], everywhere = [];
    (this.route.fences ?? []).forEach((f, i) => {
      const bad = broken.includes(i), color = bad ? COLORS.beyond : f.keep_out ? COLORS.keepOut : COLORS.fence;
      const words = bad ? `BROKEN: ${f.words}` : f.words;
      if (!f.centre && !f.points.length) { everywhere.push([words, color]); return; }
      const [x, y] = this.traceFence(f), pen = this.pen;
      if (f.keep_out) this.hatch(color, bad);
      pen.strokeStyle = color;
      pen.lineWidth = bad ? 6 : 2.5;
      pen.setLineDash(f.keep_out || bad ? [] : [14, 4, 3, 4]);
      pen.stroke();
      pen.setLineDash([]);
      const within = (v, size) => (bad ? Math.min(Math.max(v, 90), size - 90) : v); // what is broken is named in sight
      this.text(words, within(x, this.width), within(y - 8, this.height), color, "center", bad ? 16 : 12);
    });
    everywhere.forEach(([words, color], i) => this.text(words, 104, 28 + 19 * i, color, "left", 14));
  }

  // Leaves the outline as the pen's path; returns its highest place on the screen.
  traceFence(f) {
    const pen = this.pen;
    pen.beginPath();
    if (f.centre) {
      const [x, y] = this.toScreen(...f.centre), r = f.radius * this.view.scale;
      pen.arc(x, y, r, 0, 2 * Math.PI);
      return [x, y - r];
    }
    const corners = f.points.map((p) => this.toScreen(...p));
    corners.forEach(([x, y], i) => (i ? pen.lineTo(x, y) : pen.moveTo(x, y)));
    pen.closePath();
    return corners.reduce((a, b) => (b[1] < a[1] ? b : a));
  }

  hatch(color, bad) {
    const tile = this.tiles?.[color] ?? document.createElement("canvas"), pen = this.pen;
    if (!this.tiles?.[color]) {
      tile.width = tile.height = 14;
      const t = tile.getContext("2d");
      t.strokeStyle = color;
      t.lineWidth = 2;
      for (const at of [-14, 0, 14]) { t.moveTo(at, 14); t.lineTo(at + 14, 0); }
      t.stroke();
      this.tiles = { ...this.tiles, [color]: tile };
    }
    pen.globalAlpha = bad ? 0.55 : 0.35;
    pen.fillStyle = pen.createPattern(tile, "repeat");
    pen.fill();
    pen.globalAlpha = 1;
  }

  // The mission's steps: those behind are thin, the present one is wide, each has its number where it ends.
  drawLegs() {
    const legs = this.route.legs ?? [], mission = this.frame?.mission, old = this.lost || mission?.stale;
    for (const { step, points } of legs) {
      const present = step === mission?.step, behind = mission?.step && step < mission.step;
      const color = present ? (old ? COLORS.old : COLORS.leg) : behind ? COLORS.corridor : COLORS.route;
      this.line(points, color, present ? 5 : 2, present ? [] : [10, 7]);
    }
    let seen = [];
    for (const { step, kind, points } of legs) {
      const present = step === mission?.step;
      if (!points.length || (legs.length > 60 && !present)) continue;
      const [x, y] = this.toScreen(...points[points.length - 1]), pen = this.pen;
      const near = seen.filter(([a, b]) => Math.hypot(a - x, b - y) < 30).length; // steps that end at one place
      seen = [...seen, [x, y]];
      pen.fillStyle = present ? COLORS.leg : COLORS.ground;
      pen.strokeStyle = present ? COLORS.leg : COLORS.route;
      pen.lineWidth = 1.5;
      pen.beginPath();
      pen.arc(x, y, present ? 7 : 4, 0, 2 * Math.PI);
      pen.fill();
      pen.stroke();
      this.text(present ? `${step} ${kind}` : `${step}`, x + 10, y - 8 - 17 * near, present ? COLORS.leg : COLORS.route, "left", present ? 15 : 12);
    }
  }

  vectorSeconds() { return Math.min(30, Math.max(3, this.frame?.plan?.horizon_s ?? 10)); }

  // A hull in map coordinates: rectangle around (x, y) with a pointed end ahead.
  hull(x, y, yaw, length, width, centre = 0) {
    const c = Math.cos(yaw), s = Math.sin(yaw), a = length / 2, b = width / 2, nose = Math.min(b, length / 4);
    return [[a, 0], [a - nose, b], [-a, b], [-a, -b], [a - nose, -b]].map(([u, v]) => [x + c * (u + centre) - s * v, y + s * (u + centre) + c * v]);
  }

  polygon(points, fill, stroke, dash = []) {
    const pen = this.pen;
    pen.beginPath();
    points.forEach(([x, y], i) => { const [sx, sy] = this.toScreen(x, y); if (i) pen.lineTo(sx, sy); else pen.moveTo(sx, sy); });
    pen.closePath();
    if (fill) { pen.fillStyle = fill; pen.fill(); }
    pen.strokeStyle = stroke;
    pen.lineWidth = 2;
    pen.setLineDash(dash);
    pen.stroke();
    pen.setLineDash([]);
  }

  // When the footprint is only a few pixels, a symbol of fixed size stands around it.
  symbol(x, y, yaw, color, size, dash = []) {
    const metres = size / this.view.scale;
    this.polygon(this.hull(x, y, yaw, metres, metres * 0.55), null, color, dash);
  }

  drawOwn(odom) {
    const stale = odom.stale || this.lost, color = stale ? COLORS.old : COLORS.own, dash = stale ? [5, 4] : [];
    const { length, width, centre_x } = this.hello.footprint, yaw = odom.yaw ?? 0, pen = this.pen;
    const [sx, sy] = this.toScreen(odom.x, odom.y);
    if (odom.sigma_m !== null && odom.sigma_m * this.view.scale * 2 > 6) {
      pen.strokeStyle = color;
      pen.globalAlpha = 0.5;
      pen.lineWidth = 1;
      pen.beginPath();
      pen.arc(sx, sy, Math.min(2 * odom.sigma_m * this.view.scale, 4000), 0, 2 * Math.PI);
      pen.stroke();
      pen.globalAlpha = 1;
    }
    if (odom.yaw !== null) this.line([[odom.x, odom.y], [odom.x + (70 / this.view.scale + length) * Math.cos(yaw), odom.y + (70 / this.view.scale + length) * Math.sin(yaw)]], color, 1.5, dash);
    if (odom.vx !== null && odom.vy !== null && !stale) {
      const t = this.vectorSeconds();
      this.line([[odom.x, odom.y], [odom.x + t * odom.vx, odom.y + t * odom.vy]], color, 2, [7, 5]);
    }
    this.polygon(this.hull(odom.x, odom.y, yaw, length, width, centre_x), stale ? null : "rgb(92 200 255 / .35)", color, dash);
    if (length * this.view.scale < 22) this.symbol(odom.x, odom.y, yaw, color, 26, dash);
    if (stale) this.text(`POSITION IS OLD${odom.age === null ? "" : ` ${odom.age.toFixed(1)} s`}`, sx + 18, sy - 18, COLORS.track, "left", 15);
  }

  drawTrack(track, stale) {
    const still = track.kind === "static", pen = this.pen, near = !stale && trackIsClose(track, this.hello);
    const color = stale || this.lost ? COLORS.old : near ? COLORS.close : still ? COLORS.fixed : COLORS.track;
    const yaw = track.yaw ?? (track.speed > 0.2 ? Math.atan2(track.vy, track.vx) : 0);
    const [sx, sy] = this.toScreen(track.x, track.y), length = track.length ?? 0;
    if (length > 0) this.polygon(this.hull(track.x, track.y, yaw, length, track.width ?? length / 3), null, color, stale ? [4, 4] : []);
    if (length * this.view.scale < 16) {
      if (still) { pen.strokeStyle = color; pen.lineWidth = 2; pen.strokeRect(sx - 6, sy - 6, 12, 12); } else this.symbol(track.x, track.y, yaw, color, 20, stale ? [4, 4] : []);
    }
    if (track.vx !== null && track.vy !== null && track.speed > 0.2) {
      const t = this.vectorSeconds();
      this.line([[track.x, track.y], [track.x + t * track.vx, track.y + t * track.vy]], color, 2, stale ? [4, 6] : []);
    }
    const words = [track.id === null ? track.kind : `${track.id}`, stale ? "old" : near ? `CPA ${track.cpa_m.toFixed(0)} m in ${track.tcpa_s.toFixed(0)} s` : ""];
    const drop = Math.max(14, 0.5 * length * this.view.scale);
    words.filter(Boolean).forEach((w, i) => this.text(w, sx + 12, sy + drop + 4 + 15 * i, color));
  }

  drawScaleBar() {
    const step = this.gridStep(), w = step * this.view.scale, x = this.width - w - 24, y = this.height - 22, pen = this.pen;
    pen.strokeStyle = COLORS.text;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x, y - 6); pen.lineTo(x, y); pen.lineTo(x + w, y); pen.lineTo(x + w, y - 6);
    pen.stroke();
    this.text(step >= 1000 ? `${step / 1000} km` : `${+step.toPrecision(3)} m`, x + w / 2, y - 8, COLORS.text, "center");
    this.text(`vectors ${this.vectorSeconds().toFixed(0)} s`, x - 14, y, COLORS.gridText, "right");
  }

  drawNorth() {
    const pen = this.pen, x = this.width - 34, y = 40;
    pen.fillStyle = COLORS.text;
    pen.beginPath();
    pen.moveTo(x, y - 20); pen.lineTo(x + 7, y); pen.lineTo(x, y - 5); pen.lineTo(x - 7, y);
    pen.fill();
    this.text("N", x, y + 15, COLORS.text, "center");
  }
}
