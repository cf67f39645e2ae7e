"""A headless Chromium, driven over WebDriver by Debian's chromium-driver; nothing but the standard library.

    with Browser(folder) as b: b.open("/tmp/x.html#..."); b.run("return document.title")

folder: for what Chromium keeps, taken away by whoever made it."""
import base64
import json
import os
import signal
import subprocess
import urllib.request

DEADLINE = 120  # seconds; for hangs only


class Browser:
    def __init__(self, folder):
        env = dict(os.environ, HOME=folder, TMPDIR=folder, XDG_RUNTIME_DIR=folder)
        self.driver = subprocess.Popen(["chromedriver", "--port=0"], stdout=subprocess.PIPE, env=env, text=True,
                                       start_new_session=True, stderr=subprocess.DEVNULL)
        port = ""
        for line in self.driver.stdout:  # "ChromeDriver was started successfully on port N."
            if "on port" in line and "successfully" in line:
                port = line.split("port ")[1].strip(" .\n")
                break
        self.base = f"http://127.0.0.1:{port}/session"
        arguments = ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
                     "--disable-background-networking", "--no-first-run", f"--user-data-dir={folder}/profile"]
        options = {"args": arguments, "perfLoggingPrefs": {"enableNetwork": True}}
        wanted = {"browserName": "chrome", "goog:chromeOptions": options,
                  "goog:loggingPrefs": {"browser": "ALL", "performance": "ALL"}}
        answer = self.ask("POST", "", {"capabilities": {"alwaysMatch": wanted}})
        self.base += "/" + answer["sessionId"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self.ask("DELETE", "")
        finally:
            os.killpg(self.driver.pid, signal.SIGTERM)
            self.driver.wait(DEADLINE)

    def ask(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.base + path, data, {"Content-Type": "application/json"}, method=method)
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=DEADLINE) as answer:
            return json.load(answer)["value"]

    def cdp(self, command, **parameters):
        return self.ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, path, width=1280, height=900, dark=False, scripts=True, still=True):
        """A new page each time, even where only what is behind the # differs."""
        self.ask("POST", "/url", {"url": "about:blank"})
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)
        features = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"},
                    {"name": "prefers-reduced-motion", "value": "reduce" if still else "no-preference"}]
        self.cdp("Emulation.setEmulatedMedia", features=features)
        self.cdp("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.ask("POST", "/url", {"url": path if ":" in path.split("/")[0] else "file://" + path})

    def run(self, script, *arguments):
        return self.ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def key(self, name):
        """To what has the focus."""
        codes = {"ArrowLeft": 37, "ArrowRight": 39, "Escape": 27, "Tab": 9}
        for kind in ("rawKeyDown", "keyUp"):
            self.cdp("Input.dispatchKeyEvent", type=kind, key=name, code=name, windowsVirtualKeyCode=codes[name])

    def log(self, kind):
        return self.ask("POST", "/se/log", {"type": kind})

    def requests(self):
        """Of all that was opened since the last call: addresses that were asked for."""
        events = [json.loads(entry["message"])["message"] for entry in self.log("performance")]
        return [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]

    def picture(self, file, whole=False):
        answer = self.cdp("Page.captureScreenshot", captureBeyondViewport=whole) if whole else None
        data = answer["data"] if answer else self.ask("GET", "/screenshot")
        with open(file, "wb") as out:
            out.write(base64.b64decode(data))

    def pdf(self):
        return base64.b64decode(self.cdp("Page.printToPDF", preferCSSPageSize=True, printBackground=True)["data"])
