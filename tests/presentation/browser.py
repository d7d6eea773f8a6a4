"""A headless Chromium that is driven as a person would, over the DevTools protocol."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
KEYS = {
    "Tab": 9,
    "Enter": 13,
    "Space": 32,
    "PageUp": 33,
    "PageDown": 34,
    "End": 35,
    "Home": 36,
    "ArrowRight": 39,
}


def find_browser() -> str | None:
    return next((path for name in PROGRAMS if (path := shutil.which(name))), None)


class Browser:
    """One tab; the protocol's messages go over the pipes 3 and 4, each ended by NUL."""

    def __init__(self, program: str, profile: Path) -> None:
        from_us, self._to_browser = os.pipe()
        self._from_browser, to_us = os.pipe()
        self._process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{from_us} 4>&{to_us}', "bash", program]
            + ["--headless", "--no-sandbox", "--disable-gpu", "--mute-audio", "--hide-scrollbars"]
            + ["--autoplay-policy=no-user-gesture-required", "--disable-background-networking"]
            + ["--remote-debugging-pipe", f"--user-data-dir={profile}", "about:blank"],
            pass_fds=(from_us, to_us),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(from_us)
        os.close(to_us)
        self._stream = os.fdopen(self._from_browser, "rb", buffering=0)
        self._buffer = b""
        self._n_sent = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        attached = self.call("Target.attachToTarget", targetId=page, flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")

    def close(self) -> None:
        self._session = None
        self.call("Browser.close")
        self._process.wait(20)
        self._stream.close()
        os.close(self._to_browser)

    def call(self, method: str, **params: object) -> dict[str, Any]:
        """Call a method of the protocol and wait for its answer."""
        self._n_sent += 1
        message: dict[str, Any] = {"id": self._n_sent, "method": method, "params": params}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._to_browser, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._receive()
            if answer.get("id") == self._n_sent:
                assert "error" not in answer, f"{method}: {answer['error']}"
                result: dict[str, Any] = answer["result"]
                return result

    def open(self, page: Path) -> None:
        self.events.clear()
        self.call("Page.navigate", url=page.as_uri())
        while not self._has_loaded(page.as_uri()):
            self._receive()

    def _has_loaded(self, url: str) -> bool:
        methods = [
            event["method"]
            for event in self.events
            if event["method"] != "Page.frameNavigated" or event["params"]["frame"]["url"] == url
        ]
        arrived = "Page.frameNavigated" in methods
        return arrived and "Page.loadEventFired" in methods[methods.index("Page.frameNavigated") :]

    def evaluate(self, expression: str) -> Any:
        """Evaluate JavaScript in the page; a promise is waited for."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait(self, condition: str, seconds: float = 20) -> Any:
        """Evaluate JavaScript until it gives something true, and give that."""
        until = time.monotonic() + seconds
        while not (found := self.evaluate(condition)):
            assert time.monotonic() < until, f"never came: {condition}"
            time.sleep(0.02)
        return found

    def press(self, key: str, text: str = "") -> None:
        name = {"Space": " "}.get(key, key)
        known = {"key": name, "code": key, "windowsVirtualKeyCode": KEYS[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **known)
        self.call("Input.dispatchKeyEvent", type="keyUp", **known)

    def click(self, selector: str, x: float = 0.5, y: float = 0.5) -> None:
        """Click a place of an element, given as shares of its width and height."""
        find = (
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            "e.scrollIntoView({block: 'center', behavior: 'instant'});"
            "const {left, top, width, height} = e.getBoundingClientRect();"
            "return [left, top, width, height]; })()"
        )
        box = None
        while box != (box := self.evaluate(find)):
            time.sleep(0.05)  # the page may still be scrolling
        place = {"x": box[0] + x * box[2], "y": box[1] + y * box[3]}
        for kind in ("mousePressed", "mouseReleased"):
            self.call("Input.dispatchMouseEvent", type=kind, button="left", clickCount=1, **place)

    def screenshot(self, path: Path) -> None:
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=False)
        path.write_bytes(base64.b64decode(shot["data"]))

    def problems(self) -> list[str]:
        """Tell what scripts threw, what the policy refused, and what the console complained of."""
        kinds = ("Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")
        return [json.dumps(event) for event in self.events if event["method"] in kinds]

    def requests(self) -> list[str]:
        """Give the addresses that were asked for, but for those that hold their content."""
        urls = [
            event["params"]["request"]["url"]
            for event in self.events
            if event["method"] == "Network.requestWillBeSent"
        ]
        return [url for url in urls if not url.startswith("data:")]

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._buffer:
            assert select.select([self._stream], [], [], 60)[0], "the browser says nothing"
            block = self._stream.read(1 << 16)
            assert block, "the browser has ended"
            self._buffer += block
        message, self._buffer = self._buffer.split(b"\0", 1)
        received: dict[str, Any] = json.loads(message)
        if "method" in received:
            self.events.append(received)
        return received
