"""Serves the page on the loopback interface: static files, one event stream, and the few buttons.

Starlette and uvicorn with server-sent events: no build step, nothing loaded from elsewhere, 0.2 s to import, and a
browser that reconnects by itself. State goes one way, so a web socket would add nothing.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from giljabi.fence import Fence
from giljabi.missions.course import Course
from giljabi.operator.page import PageModel, Shown
from giljabi.types import BadInputError

HOST = "127.0.0.1"
PORT = 8642
PORTS_TRIED = 50
RATE_HZ = 8.0
CLIENTS_MAX = 16
STATIC = Path(__file__).parent / "static"
HEADERS = {
    "Cache-Control": "no-store",
    # The page loads nothing from elsewhere and nobody may frame its buttons.
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
}

Button = Callable[[], tuple[bool, str]]  # does it; returns (done, what happened)


class PageFeed:
    """The model behind a lock: filled by one thread, read by the server's thread."""

    def __init__(self, model: PageModel, now: Callable[[], float]) -> None:
        self._model = model
        self._now = now
        self._lock = threading.Lock()

    def take(self, item: Shown, at: float | None = None) -> None:
        """Takes what arrived at stack time `at`; None: now."""
        with self._lock:
            self._model.take(self._now() if at is None else at, item)

    def forget(self, kind: type) -> None:
        """Drops the newest of one class."""
        with self._lock:
            self._model.forget(kind)

    def set_fences(self, fences: Sequence[Fence]) -> None:
        """Replaces the mission's fences."""
        with self._lock:
            self._model.set_fences(fences)

    def set_course(self, course: Course | None) -> None:
        """Replaces the mission, its fences too; None: a route takes its place."""
        with self._lock:
            self._model.set_course(course)

    def frame(self) -> dict[str, Any]:
        """The frame of this moment."""
        with self._lock:
            return self._model.frame(self._now())

    def hello(self) -> dict[str, Any]:
        """What a new page needs once."""
        with self._lock:
            return self._model.hello()

    def route(self) -> dict[str, Any]:
        """The route of this moment."""
        with self._lock:
            return self._model.route()


def event(name: str, data: dict[str, Any]) -> bytes:
    """One server-sent event; refuses numbers that are not finite."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"), ensure_ascii=False)
    return f"event: {name}\ndata: {text}\n\n".encode()


def free_socket(port: int) -> socket.socket:
    """A listening socket on `port` of the loopback interface, or the next free one; 0 takes any."""
    for candidate in range(port, port + (PORTS_TRIED if port else 1)):
        s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            s.bind((HOST, candidate))
            s.listen(64)
        except (OSError, OverflowError):
            s.close()
            continue
        return s
    raise BadInputError(f"no free port on {HOST} from {port} to {port + PORTS_TRIED - 1}; give another with page_port")


class PageServer:
    """The page's web server in a thread of its own."""

    def __init__(
        self, feed: PageFeed, buttons: Mapping[str, Button], port: int = PORT, rate_hz: float = RATE_HZ
    ) -> None:
        """buttons: by name, e.g. "stop"; each runs in a worker thread and may wait for its answer."""
        self._feed = feed
        self._buttons = dict(buttons)
        self._period = 1.0 / rate_hz
        self._clients = 0
        self._closing = threading.Event()
        self._frame: tuple[int, bytes, int] = (-1, b"", -1)  # tick, event, route version
        self._socket = free_socket(port)
        self.url = f"http://{HOST}:{self._socket.getsockname()[1]}/"
        config = uvicorn.Config(
            self._app(), log_level="warning", access_log=False, lifespan="off", timeout_graceful_shutdown=1
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, name="page", daemon=True)

    @property
    def watched(self) -> bool:
        """Whether somebody has the page open."""
        return self._clients > 0

    def start(self) -> None:
        """Begins to serve; connections made before are answered now."""
        self._thread.start()

    def close(self) -> None:
        """Ends the streams and the thread."""
        self._closing.set()
        self._server.should_exit = True
        if self._thread.is_alive():
            self._thread.join(timeout=3.0)
        self._socket.close()

    def _run(self) -> None:
        self._server.run(sockets=[self._socket])

    def _app(self) -> Starlette:
        return Starlette(
            routes=[
                Route("/", self._index),
                Route("/events", self._events),
                Route("/buttons/{name}", self._press, methods=["POST"]),
                Mount("/static", StaticFiles(directory=STATIC)),
            ],
            # A name that somebody else's DNS points at 127.0.0.1 is not us.
            middleware=[Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])],
        )

    async def _index(self, _request: Request) -> Response:
        return Response((STATIC / "index.html").read_bytes(), media_type="text/html", headers=HEADERS)

    async def _press(self, request: Request) -> Response:
        # Only our own page can set this header: another site's script would need our consent (CORS) first.
        if request.headers.get("x-giljabi") != "page":
            return JSONResponse({"done": False, "message": "buttons answer to the page only"}, status_code=403)
        button = self._buttons.get(request.path_params["name"])
        if button is None:
            return JSONResponse({"done": False, "message": "there is no such button"}, status_code=404)
        done, message = await asyncio.get_running_loop().run_in_executor(None, button)
        return JSONResponse({"done": done, "message": message})

    async def _events(self, _request: Request) -> Response:
        if self._clients >= CLIENTS_MAX:
            return JSONResponse({"message": f"{CLIENTS_MAX} pages are open already"}, status_code=503)
        return StreamingResponse(self._stream(), media_type="text/event-stream", headers=HEADERS)

    async def _stream(self) -> AsyncIterator[bytes]:
        self._clients += 1
        try:
            route_sent = -1
            hello = {**self._feed.hello(), "buttons": sorted(self._buttons), "period_s": self._period}
            yield b"retry: 500\n" + event("hello", hello)
            loop = asyncio.get_running_loop()
            while not self._closing.is_set():
                data, version = self._encoded(int(loop.time() / self._period))
                if version != route_sent:
                    route_sent = version
                    yield event("route", self._feed.route())
                yield data
                await asyncio.sleep(self._period - loop.time() % self._period)
        finally:
            self._clients -= 1

    def _encoded(self, tick: int) -> tuple[bytes, int]:
        """The frame of this tick, made once for all pages."""
        if self._frame[0] != tick:
            frame = self._feed.frame()
            self._frame = (tick, event("frame", frame), frame["route_version"])
        return self._frame[1], self._frame[2]
