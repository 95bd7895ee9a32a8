// Fills the page from the event stream; every number that is old is marked so.
import { BodyView } from "./body.js";
import { MapView, trackIsClose } from "./map.js";

const $ = (id) => document.getElementById(id);
const map = new MapView($("map"));
const body = new BodyView($("body")); // of a robot with joints; hidden for others
body.map = map;
const ASKS = ["pause", "resume", "skip", "return", "land"]; // buttons of the mission
const SILENCE_MS = 1500; // the stream is old after this
let hello = null, frame = null, heard = 0, asking = false;

const show = (value, digits = 1, unit = "") => (value === null || value === undefined ? "–" : value.toFixed(digits) + unit);
const degrees = (value) => (value === null || value === undefined ? "–" : String(Math.round(value) % 360).padStart(3, "0"));
const element = (tag, className, text = "") => { const e = document.createElement(tag); e.className = className; e.textContent = text; return e; };

function metres(value) {
  if (value === null || value === undefined) return "–";
  return Math.abs(value) >= 2000 ? `${(value / 1000).toFixed(2)} km` : `${value.toFixed(Math.abs(value) < 20 ? 1 : 0)} m`;
}

function age(card, badge, part, missing) {
  const stale = !part || part.stale;
  $(card).classList.toggle("stale", stale);
  $(badge).hidden = !stale;
  $(badge).textContent = part ? `old: ${show(part.age, 1)} s` : missing;
}

function drawBanner(b) {
  $("banner").dataset.level = b.level;
  $("banner-title").textContent = b.title;
  $("banner-detail").textContent = b.detail;
}

function drawMotion(o) {
  age("motion", "odom-age", o, "no estimate");
  $("speed").textContent = show(o?.speed);
  $("speed-kn").textContent = o && o.speed !== null ? `${(o.speed / 0.514444).toFixed(1)} kn` : "";
  $("heading").textContent = degrees(o?.heading_deg);
  $("course").textContent = degrees(o?.course_deg);
  $("turn").textContent = show(o?.yaw_rate_dps, 1, " °/s");
  $("east").textContent = show(o?.x, 1, " m");
  $("north").textContent = show(o?.y, 1, " m");
  $("sigma").textContent = show(o?.sigma_m, 2, " m");
}

function drawMission(m, plan) {
  age("mission", "mission-age", m, "no mission");
  $("phase").textContent = m ? `· ${m.phase}` : "";
  $("progress").style.width = `${100 * Math.min(1, Math.max(0, m?.progress ?? 0))}%`;
  $("to-go").textContent = metres(m?.to_go_m);
  $("cross-track").textContent = metres(m?.cross_track_m);
  $("mission-note").textContent = m?.note ?? "";
  $("plan-status").textContent = plan ? (plan.stale ? `old: ${show(plan.age, 1)} s` : plan.status) : "none";
  $("plan-horizon").textContent = plan && !plan.stale ? show(plan.horizon_s, 0, " s") : "–";
  drawAsks(m);
}

// What the planner says that it would do now is enabled; what only missions know is hidden from those who follow routes.
function drawAsks(m) {
  const known = hello?.buttons ?? [];
  for (const name of ASKS) {
    $(name).hidden = !known.includes(name) || !m || !(m.flies || name === "pause" || name === "resume");
    $(name).disabled = asking || !m?.asks.includes(name);
  }
}

function actuatorRow(spec, a) {
  const row = element("div", "actuator");
  const scale = element("div", "scale");
  const at = (v) => `${100 * Math.min(1, Math.max(0, (v - spec.min) / (spec.max - spec.min)))}%`;
  const mark = (name, value, stale) => {
    if (value === null || value === undefined) return;
    const e = element("div", name + (stale ? " stale" : ""));
    e.style.left = at(value);
    scale.append(e);
  };
  mark("zero", spec.min < 0 && spec.max > 0 ? 0 : null, false);
  if (a.sent !== null && a.sent !== undefined) {
    const e = element("div", "sent" + (a.sent_stale ? " stale" : ""));
    e.style.left = at(Math.min(0, a.sent));
    e.style.right = `calc(100% - ${at(Math.max(0, a.sent))})`;
    scale.append(e);
  }
  mark("wanted", a.wanted, a.wanted_stale);
  mark("measured", a.measured, a.measured_stale);
  const key = ["measured", "sent", "wanted"].find((k) => a[k] !== null && a[k] !== undefined);
  const [value, unit] = spec.unit === "rad" ? [a[key] * 180 / Math.PI, "°"] : spec.unit.startsWith("N") && spec.max > 1000 ? [a[key] / 1000, "k" + spec.unit] : [a[key], spec.unit];
  row.append(element("span", "name", spec.name), scale, element("span", "number" + (a[key + "_stale"] ? " stale" : ""), key ? `${value.toFixed(1)} ${unit}` : "–"));
  return row;
}

function trackRow(t) {
  const row = element("tr", trackIsClose(t, hello) ? "close" : "");
  const cells = [t.id ?? "–", t.kind, metres(t.range_m), `${degrees(t.bearing_deg)}°`, show(t.speed, 1), metres(t.cpa_m), t.tcpa_s > 0 ? show(t.tcpa_s, 0, " s") : "past"];
  row.append(...cells.map((c) => element("td", "", String(c))));
  return row;
}

function healthRow(h) {
  const row = element("div", `health ${h.stale ? "old" : h.reasons.length ? "ill" : ""}`);
  row.append(element("b", "", h.name), element("span", "", h.stale ? `silent for ${show(h.age, 0)} s` : h.reasons.join("; ") || "ok"));
  return row;
}

const fill = (id, rows, empty) => $(id).replaceChildren(...(rows.length ? rows : [element("div", "empty", empty)]));

function draw() {
  if (!frame || !hello) return;
  drawBanner(frame.banner);
  drawMotion(frame.odom);
  drawMission(frame.mission, frame.plan);
  fill("actuator-rows", frame.actuators.map((a, i) => actuatorRow(hello.actuators[i], a)), "none");
  age("traffic", "track-age", frame.tracks, "no tracker");
  $("track-count").textContent = frame.tracks ? `· ${frame.tracks.count}` : "";
  $("track-rows").replaceChildren(...(frame.tracks?.items ?? []).slice(0, 12).map(trackRow));
  fill("health-rows", frame.health.map(healthRow), "nothing reported yet");
  drawStop();
  map.redraw();
  body.redraw();
}

// --- buttons -----------------------------------------------------------------------------------
let stopSent = 0; // when STOP was pressed; 0: not

async function press(name) {
  try {
    const reply = await fetch(`buttons/${name}`, { method: "POST", headers: { "X-Giljabi": "page" }, signal: AbortSignal.timeout(5000) });
    return await reply.json();
  } catch (e) {
    return { done: false, message: `${name} did not get through: ${e.message}` };
  }
}

function answer(reply) {
  $("answer").textContent = reply.message;
  $("answer").classList.toggle("bad", !reply.done);
}

// The button says "stopped" only when the guard itself says so, not when the request was accepted.
function drawStop() {
  const mode = frame?.state && !frame.state.stale ? frame.state.mode : "";
  const stopped = mode === "stopped";
  if (stopped || Date.now() - stopSent > 8000) stopSent = 0;
  $("stop").dataset.state = stopped ? "done" : stopSent ? "sent" : "";
  $("stop").textContent = stopped ? "STOPPED" : stopSent ? "STOP SENT" : "STOP";
}

$("stop").addEventListener("click", async () => {
  stopSent = Date.now();
  drawStop();
  const reply = await press("stop");
  if (!reply.done) stopSent = 0;
  answer(reply);
  drawStop();
});
for (const name of ASKS) $(name).addEventListener("click", async () => {
  asking = true; // one at a time: a second press is not the same wish again
  answer({ done: true, message: `${name} sent` });
  drawAsks(frame?.mission);
  answer(await press(name));
  asking = false;
  drawAsks(frame?.mission);
});

const setNight = (on) => { document.body.classList.toggle("night", on); $("dim").setAttribute("aria-pressed", String(on)); };
map.onFollow = (on) => $("follow").setAttribute("aria-pressed", String(on));
$("zoom-in").addEventListener("click", () => map.zoom(1.5));
$("zoom-out").addEventListener("click", () => map.zoom(1 / 1.5));
$("follow").addEventListener("click", () => map.setFollow(!map.follow));
$("fit").addEventListener("click", () => map.fitRoute());
$("dim").addEventListener("click", () => setNight(!document.body.classList.contains("night")));
const KEYS = { "+": () => map.zoom(1.5), "=": () => map.zoom(1.5), "-": () => map.zoom(1 / 1.5), f: () => map.setFollow(!map.follow), r: () => map.fitRoute(), n: () => $("dim").click() };
window.addEventListener("keydown", (e) => { if (!e.ctrlKey && !e.metaKey && !e.altKey) KEYS[e.key.toLowerCase()]?.(); });

// --- the stream --------------------------------------------------------------------------------
const stream = new EventSource("events");
stream.addEventListener("hello", (e) => {
  hello = map.hello = JSON.parse(e.data);
  map.trail = hello.trail;
  $("body").hidden = !hello.body;
  $("map-box").classList.toggle("with-body", Boolean(hello.body));
  if (hello.body) body.setBodies(hello.body);
  $("vehicle-name").textContent = hello.name;
  $("vehicle-note").textContent = hello.note || hello.description;
  document.title = `giljabi · ${hello.name}`;
  $("stop").disabled = !hello.buttons.includes("stop");
});
stream.addEventListener("route", (e) => { map.route = JSON.parse(e.data); map.redraw(); });
stream.addEventListener("frame", (e) => {
  frame = map.frame = JSON.parse(e.data);
  heard = Date.now();
  body.take(frame, hello?.period_s ?? 0.1);
  const o = frame.odom;
  if (o && o.x !== null && o.y !== null && !o.stale) {
    const last = map.trail[map.trail.length - 1];
    if (!last || Math.hypot(o.x - last[0], o.y - last[1]) > 0.5 * hello.footprint.length) map.trail.push([o.x, o.y]);
    if (map.trail.length > 3000) map.trail.splice(0, map.trail.length - 3000);
  }
  if (!document.hidden) draw();
});
document.addEventListener("visibilitychange", () => draw());

setInterval(() => {
  const lost = Date.now() - heard > SILENCE_MS;
  if (lost === map.lost) return;
  map.lost = body.lost = lost;
  $("lost").hidden = !lost;
  for (const name of ASKS) $(name).disabled = $(name).disabled || lost;
  if (lost) drawBanner({ level: "lost", title: "NO CONTACT", detail: "this page has lost its server; what it shows is old" });
  map.redraw();
  body.redraw();
}, 300);
