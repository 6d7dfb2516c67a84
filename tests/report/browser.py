"""Headless Chromium by its DevTools protocol: what a page says on the console, asks the network for, and looks like."""

import base64
import contextlib
import itertools
import json
import pathlib
import shutil
import subprocess
import tempfile
import time
import urllib.request

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

# It would otherwise talk to its maker.
FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --hide-scrollbars --remote-debugging-port=0"
).split()
PATIENCE_S = 60


class Tab:
    """One page. `troubles` are errors and warnings on its console, `requests` all that it asked for but itself."""

    def __init__(self, socket):
        self.socket, self.numbers = socket, itertools.count(1)
        self.page, self.troubles, self.requests, self.loaded = None, [], [], False
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def call(self, method, **params):
        number = next(self.numbers)
        self.socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            answer = json.loads(self.socket.recv(timeout=PATIENCE_S))
            if answer.get("id") == number:
                if "error" in answer:
                    raise RuntimeError(f"{method}: {answer['error']['message']}")
                return answer["result"]
            self.hear(answer)

    def hear(self, event):
        params = event.get("params", {})
        match event["method"]:
            case "Network.requestWillBeSent":
                url = params["request"]["url"]
                if url != self.page and not url.startswith("data:"):
                    self.requests.append(url)
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.troubles.append(params["entry"]["text"])
            case "Runtime.consoleAPICalled":
                self.troubles.append(f"console.{params['type']}: {params['args']}")
            case "Runtime.exceptionThrown":
                self.troubles.append(params["exceptionDetails"]["text"])
            case "Page.loadEventFired":
                self.loaded = True

    def open(self, url):
        """And a second more, for what comes late."""
        self.page, self.loaded, self.troubles, self.requests = url, False, [], []
        self.call("Page.navigate", url=url)
        end = time.monotonic() + PATIENCE_S
        while not self.loaded and time.monotonic() < end:
            self.listen(0.2)
        if not self.loaded:
            raise TimeoutError(f"{url} did not load in {PATIENCE_S} s")
        self.listen(1.0)

    def listen(self, seconds):
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            with contextlib.suppress(TimeoutError):
                self.hear(json.loads(self.socket.recv(timeout=left)))

    def evaluate(self, expression):
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True)
        return result["result"].get("value")

    def screen(self, width, height=900, dark=False):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        feature = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[feature])

    def picture(self, path):
        height = self.evaluate("document.documentElement.scrollHeight")
        width = self.evaluate("innerWidth")
        clip = {"x": 0, "y": 0, "width": width, "height": min(height, 16_000), "scale": 1}
        data = self.call("Page.captureScreenshot", captureBeyondViewport=True, clip=clip)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))

    def print(self, path):
        data = self.call("Page.printToPDF", preferCSSPageSize=True)["data"]
        pathlib.Path(path).write_bytes(base64.b64decode(data))


@contextlib.contextmanager
def browser():
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if program is None:
        raise RuntimeError("there is no Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory(prefix="labman-chromium-", ignore_cleanup_errors=True) as profile:
        process = subprocess.Popen(
            [program, *FLAGS, f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            yield Tab(connect(page_of(process, pathlib.Path(profile)), max_size=None))
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def page_of(process, profile):
    """Where its first tab listens."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end and process.poll() is None:
        with contextlib.suppress(OSError, IndexError, ValueError, ConnectionClosed):
            port = (profile / "DevToolsActivePort").read_text().splitlines()[0]
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=5) as answer:
                tabs = [tab for tab in json.load(answer) if tab["type"] == "page"]
            return tabs[0]["webSocketDebuggerUrl"]
        time.sleep(0.1)
    raise TimeoutError(f"Chromium said nothing in {PATIENCE_S} s")
