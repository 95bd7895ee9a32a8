"""The page in a real browser: it shows the vehicle, follows the mode, stops, marks old data, and stays on loopback."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

from giljabi.fence import Fence
from giljabi.operator.demo import Demo
from giljabi.operator.server import CLIENTS_MAX
from giljabi.types import JointState, MissionState, Odometry, StackState

pytestmark = pytest.mark.browser

# Pixels of the map that have, within a step of 12, the colour given in hex.
COUNT_PIXELS = """(hex) => {
  const c = document.getElementById('map'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
  const want = [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
  let n = 0;
  for (let i = 0; i < d.length; i += 4) if (want.every((w, k) => Math.abs(w - d[i + k]) < 12)) n++;
  return n;
}"""
OWN, TRACK, PLAN = "#5cc8ff", "#ffbf47", "#7be08f"


@pytest.fixture
def demo() -> Iterator[Demo]:
    with Demo("ship", port=0) as d:
        yield d


def eventually(check: Callable[[], bool], what: str, seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end, f"not within {seconds} s: {what}"
        time.sleep(0.05)


def text(tab: Any, selector: str) -> str:
    return str(tab.page.inner_text(selector))


def open_page(tab: Any, demo: Demo) -> None:
    tab.page.goto(demo.server.url)
    eventually(lambda: text(tab, "#speed") != "–", "a speed is shown")


def test_shows_the_vehicle_its_way_and_its_traffic(tab: Any, demo: Demo) -> None:
    open_page(tab, demo)
    assert text(tab, "#vehicle-name") == "ship"
    assert text(tab, "#vehicle-note") == "made-up data"
    assert text(tab, "#speed") == "2.8"  # 0.7 of the ship file's 4 m/s
    heading = float(text(tab, "#heading"))
    (_, yaw), shown = demo.scene.pose(time.monotonic() - demo._t0), heading
    assert abs((90 - np.degrees(yaw) - shown + 180) % 360 - 180) < 3
    rows = tab.page.locator("#track-rows tr")
    assert rows.count() == 3
    assert {rows.nth(i).locator("td").first.inner_text() for i in range(3)} == {"440001", "440002", "7"}
    assert tab.page.locator(".actuator .measured").count() == 2
    for colour, what in ((OWN, "vehicle"), (TRACK, "tracks"), (PLAN, "plan")):
        assert tab.page.evaluate(COUNT_PIXELS, colour) > 30, what
    # Follow keeps the vehicle in the middle; letting go by dragging does not.
    before = tab.page.evaluate(COUNT_PIXELS, OWN)
    tab.page.mouse.move(500, 400)
    tab.page.mouse.down()
    tab.page.mouse.move(2500, 400, steps=4)
    tab.page.mouse.up()
    assert tab.page.get_attribute("#follow", "aria-pressed") == "false"
    eventually(lambda: tab.page.evaluate(COUNT_PIXELS, OWN) < before / 10, "the vehicle has left the picture")
    tab.page.click("#follow")
    eventually(lambda: tab.page.evaluate(COUNT_PIXELS, OWN) > before / 2, "the vehicle is back")
    assert tab.errors == []


def test_banner_follows_the_guard(tab: Any, demo: Demo) -> None:
    open_page(tab, demo)
    assert text(tab, "#banner-title") == "ARMED · AUTO"
    assert tab.page.get_attribute("#banner", "data-level") == "ok"
    demo.scene.mode, demo.scene.reasons = "minimum_risk", ("no heartbeat from the supervisor for 0.6 s",)
    eventually(lambda: text(tab, "#banner-title") == "MINIMUM RISK", "the mode is shown")
    assert text(tab, "#banner-detail") == "no heartbeat from the supervisor for 0.6 s"
    assert text(tab, "#stop") == "STOP"  # still to be pressed
    demo.scene.mode, demo.scene.reasons = "standby", ("gnss: no fix for 3.1 s",)
    eventually(lambda: text(tab, "#banner-detail") == "will not arm: gnss: no fix for 3.1 s", "the reason is shown")
    demo.scene.silent.add(StackState)
    eventually(lambda: text(tab, "#banner-title") == "NO CONTACT", "silence of the guard is shown")


def test_stop_reaches_the_vehicle_and_is_confirmed_by_it(tab: Any, demo: Demo) -> None:
    open_page(tab, demo)
    assert text(tab, "#stop") == "STOP"
    demo.scene.silent.add(StackState)  # the request goes through, the guard's word is missing
    tab.page.click("#stop")
    eventually(lambda: demo.scene.mode == "stopped", "stop was called")
    eventually(lambda: text(tab, "#answer") == "stop: accepted", "the answer is shown")
    assert text(tab, "#stop") == "STOP SENT"
    demo.scene.silent.clear()
    eventually(lambda: text(tab, "#stop") == "STOPPED", "the guard's word is shown")
    assert text(tab, "#banner-title") == "STOPPED"
    assert tab.page.is_visible("#stop")


def test_stop_stays_visible_on_a_telephone(tab: Any, demo: Demo) -> None:
    tab.page.set_viewport_size({"width": 390, "height": 780})
    open_page(tab, demo)
    tab.page.evaluate("window.scrollTo(0, document.body.scrollHeight)")
    box = tab.page.locator("#stop").bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 780
    assert box["x"] + box["width"] <= 390
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_stop_that_fails_says_so(tab: Any, demo: Demo) -> None:
    demo.server._buttons["stop"] = lambda: (False, "stop: the drivers' process does not answer")
    open_page(tab, demo)
    tab.page.click("#stop")
    eventually(lambda: text(tab, "#answer") == "stop: the drivers' process does not answer", "the failure is shown")
    assert "bad" in tab.page.get_attribute("#answer", "class")
    assert text(tab, "#stop") == "STOP"


def test_pause_and_resume(tab: Any, demo: Demo) -> None:
    open_page(tab, demo)
    tab.page.click("#pause")
    eventually(lambda: "PAUSED" in text(tab, "#phase").upper(), "paused is shown")
    assert demo.scene.paused
    tab.page.click("#resume")
    eventually(lambda: not demo.scene.paused, "resume was called")


def test_old_data_never_looks_new(tab: Any, demo: Demo) -> None:
    open_page(tab, demo)
    assert not tab.page.is_visible("#odom-age")
    assert tab.page.evaluate(COUNT_PIXELS, OWN) > 30
    demo.scene.silent |= {Odometry, JointState}
    eventually(lambda: tab.page.is_visible("#odom-age"), "the age is shown")
    assert text(tab, "#odom-age").lower().startswith("old: ")
    assert "stale" in tab.page.get_attribute("#motion", "class")
    eventually(lambda: tab.page.evaluate(COUNT_PIXELS, OWN) == 0, "the vehicle is drawn as old")
    eventually(lambda: tab.page.locator(".actuator .measured.stale").count() == 2, "old feedback is marked")
    assert tab.page.locator(".actuator .sent.stale").count() == 0


def test_a_dead_server_is_noticed_and_a_new_one_found(tab: Any) -> None:
    with Demo("car", port=0) as first:
        open_page(tab, first)
        port = int(first.server.url.rsplit(":", 1)[1].strip("/"))
    eventually(lambda: tab.page.is_visible("#lost"), "the loss is shown")
    assert text(tab, "#banner-title") == "NO CONTACT"
    with Demo("car", port=port):
        eventually(lambda: not tab.page.is_visible("#lost"), "the page has found the server again", 15.0)
        eventually(lambda: text(tab, "#banner-title") == "ARMED · AUTO", "the mode is shown again")


def test_no_request_leaves_the_loopback_interface(tab: Any, demo: Demo) -> None:
    open_page(tab, demo)
    tab.page.click("#fit")
    tab.page.click("#dim")
    time.sleep(1.0)
    assert len(tab.requests) >= 4
    assert tab.hosts() == {"127.0.0.1"}


def request(demo: Demo, method: str, path: str, **headers: str) -> tuple[int, bytes]:
    host = demo.server.url.removeprefix("http://").strip("/")
    connection = http.client.HTTPConnection(host, timeout=5)
    connection.request(method, path, headers={"Host": host, **headers})
    reply = connection.getresponse()
    return reply.status, reply.read()


def test_buttons_answer_only_to_the_page(demo: Demo) -> None:
    assert request(demo, "POST", "/buttons/stop")[0] == 403
    assert request(demo, "GET", "/buttons/stop", **{"X-Giljabi": "page"})[0] == 405
    assert request(demo, "POST", "/buttons/launch", **{"X-Giljabi": "page"})[0] == 404
    assert request(demo, "POST", "/buttons/stop", Host="rebound.example", **{"X-Giljabi": "page"})[0] == 400
    assert demo.scene.mode == "auto"
    status, body = request(demo, "POST", "/buttons/stop", **{"X-Giljabi": "page"})
    assert (status, json.loads(body)["done"], demo.scene.mode) == (200, True, "stopped")


def test_nothing_outside_of_the_static_folder_is_served(demo: Demo) -> None:
    for path in ("/static/../page.py", "/static/%2e%2e/page.py", "/static//etc/passwd", "/page.py"):
        assert request(demo, "GET", path)[0] in (400, 404), path


def test_taken_port_gives_the_next_one(demo: Demo) -> None:
    port = int(demo.server.url.rsplit(":", 1)[1].strip("/"))
    with Demo("ship", port=port) as second:
        other = int(second.server.url.rsplit(":", 1)[1].strip("/"))
        assert port < other < port + 50
        assert second.server._socket.getsockname()[0] == "127.0.0.1"


def test_many_pages_and_no_more(demo: Demo) -> None:
    host = demo.server.url.removeprefix("http://").strip("/")
    connections = [http.client.HTTPConnection(host, timeout=5) for _ in range(CLIENTS_MAX)]
    for c in connections:
        c.request("GET", "/events")
        assert c.getresponse().read(20).startswith(b"retry")
    assert request(demo, "GET", "/events")[0] == 503
    connections[0].close()
    eventually(lambda: demo.server._clients < CLIENTS_MAX, "a closed page is forgotten")
    start = time.monotonic()
    demo.server.close()
    assert time.monotonic() - start < 3.0
    assert not demo.server._thread.is_alive()


FENCE, KEEP_OUT, BROKEN, LEG = "#3fb6a8", "#e0853f", "#ff2f6d", "#f2f7fb"


@pytest.fixture
def flight() -> Iterator[Demo]:
    with Demo("drone", port=0, flies=True) as d:
        yield d


def test_fences_and_the_present_leg_are_drawn_and_what_is_broken_stands_out(tab: Any, flight: Demo) -> None:
    open_page(tab, flight)
    tab.page.click("#fit")
    for colour, what in ((FENCE, "fence"), (KEEP_OUT, "keep-out"), (LEG, "present leg")):
        eventually(lambda c=colour: tab.page.evaluate(COUNT_PIXELS, c) > 100, what)  # type: ignore[misc]
    assert tab.page.evaluate(COUNT_PIXELS, BROKEN) == 0
    flight.scene.aside = "return"
    eventually(lambda: tab.page.evaluate(COUNT_PIXELS, LEG) == 0, "no leg is flown on a return")
    r = flight.scene.radius
    flight.feed.set_fences([Fence(centre=(0.0, 0.0), radius=2.0 * r, keep_out=True)])
    eventually(lambda: tab.page.evaluate(COUNT_PIXELS, BROKEN) > 1000, "the keep-out that it is in")
    assert tab.page.evaluate(COUNT_PIXELS, FENCE) == 0
    assert tab.errors == []


def test_buttons_of_a_mission_are_enabled_where_it_allows_them_and_show_the_answer(tab: Any, flight: Demo) -> None:
    open_page(tab, flight)
    eventually(lambda: tab.page.is_enabled("#return"), "it may be asked to return")
    assert tab.page.is_disabled("#resume")
    tab.page.click("#skip")
    eventually(lambda: text(tab, "#mission-note") == "step 4 of 6", "the next step is flown")
    assert text(tab, "#answer") == "mission/skip: under way"
    tab.page.click("#return")
    eventually(lambda: tab.page.is_disabled("#return"), "it returns")
    tab.page.click("#land")
    eventually(lambda: tab.page.is_disabled("#land"), "it lands")
    tab.page.click("#resume")
    eventually(lambda: tab.page.is_enabled("#land"), "the mission is flown on")
    assert flight.scene.asked == ["skip", "return", "land"]
    flight.server._buttons["land"] = lambda: (False, "mission/land: it returns: battery low")
    tab.page.click("#land")
    eventually(lambda: "battery low" in text(tab, "#answer"), "the refusal is shown")
    assert "bad" in tab.page.get_attribute("#answer", "class")
    flight.scene.silent.add(MissionState)
    eventually(lambda: tab.page.is_disabled("#land"), "a silent planner is not asked")
    assert request(flight, "POST", "/buttons/land")[0] == 403


def test_who_follows_a_route_has_no_buttons_of_a_mission(tab: Any, demo: Demo) -> None:
    open_page(tab, demo)
    assert tab.page.is_visible("#pause")
    assert not any(tab.page.is_visible(f"#{name}") for name in ("skip", "return", "land"))
