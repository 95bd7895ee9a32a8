"""Takes the picture of the README: runs the simulated ship for real and photographs its page on the way.

usage: .venv/bin/python scripts/picture.py [--platform ship] [--progress 0.35] [--out docs/img/page.png]
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parents[1]
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
         "--disable-background-networking", "--disable-component-update", "--disable-sync"]  # fmt: skip
PROGRESS = "parseFloat(document.getElementById('progress').style.width || '0') / 100"


def page_address(run: subprocess.Popen[str], timeout_s: float) -> str:
    """The address that `giljabi run` prints."""
    end = time.monotonic() + timeout_s
    assert run.stdout is not None
    for line in run.stdout:
        print(line, end="")
        if "page: http" in line:
            return line.split("page:")[1].strip()
        if time.monotonic() > end:
            break
    raise SystemExit("giljabi run printed no address of a page")


def photograph(page: Page, progress: float, timeout_s: float, out: Path) -> None:
    """Waits until the mission is that far, shows the whole route, and takes the picture."""
    end = time.monotonic() + timeout_s
    while float(page.evaluate(PROGRESS)) < progress:
        if time.monotonic() > end:
            raise SystemExit(f"the mission is not {progress:.0%} done after {timeout_s:.0f} s")
        time.sleep(0.2)
    if page.get_attribute("#banner", "data-level") != "ok":
        raise SystemExit(f"the vehicle is not well: {page.inner_text('#banner-text')}")
    page.click("#fit")
    time.sleep(0.5)
    out.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=out)


def main() -> int:
    """Runs, photographs, ends the run."""
    parser = argparse.ArgumentParser(description="photograph the page of a simulated run")
    parser.add_argument("--platform", default="ship")
    parser.add_argument("--progress", type=float, default=0.35, help="fraction of the route")
    parser.add_argument("--timeout", type=float, default=180.0)
    parser.add_argument("--width", type=int, default=1280)
    parser.add_argument("--height", type=int, default=860)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "img" / "page.png")
    args = parser.parse_args()
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        raise SystemExit("no Chromium: apt-get install chromium, or name it in CHROMIUM")
    command = [str(Path(sys.executable).parent / "giljabi"), "run", args.platform]
    run = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        address = page_address(run, 60.0)
        with sync_playwright() as p:
            browser = p.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": args.width, "height": args.height})
            page.goto(address)
            photograph(page, args.progress, args.timeout, args.out)
            browser.close()
    finally:
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=20)
    print(f"{args.out}: {args.out.stat().st_size / 1000:.0f} kB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
