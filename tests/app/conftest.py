"""The app under test: in this process with a worker that only remembers, or as a real server."""

import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import urljoin

import pytest

ROOT = Path(__file__).parent.parent.parent
for folder in ("app", "tests/viz", "tests/app"):  # as Streamlit does with the folder of main.py
    sys.path.insert(0, str(ROOT / folder))

from made_logs import write_run  # noqa: E402

from pahq.runs.client import Job  # noqa: E402

CHROMIUM = "/usr/bin/chromium"
SWITCHES = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-sync",
    "--disable-component-update", "--no-first-run", "--disable-default-apps",
    "--process-per-site",
]  # fmt: skip


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("PAHQ_HOME", str(tmp_path))
    write_run(tmp_path / "recordings" / "made-ioi")
    return tmp_path


class FakeWorker:
    """Stands where ``WorkerClient`` stands; nothing is computed."""

    def __init__(self):
        self.ready, self.problem, self.busy = True, None, False
        self.asked: list[tuple[str, str]] = []
        self.jobs: dict[str, Job] = {}
        self.checked: list = []
        self.log = Path("no-such-log")
        self.answer: dict | None = {"task_score": 0.99, "examples": 50, "edges": 1519}
        self.refusal: dict | None = None
        self.died = False

    def run(self, folder, pace=None):
        self.asked.append(("run", folder.id))
        self.jobs[folder.id] = Job(1, {"do": "run", "folder": str(folder.path)}, "running")
        return self.jobs[folder.id]

    def check(self, config):
        self.checked.append(config)
        if self.refusal:
            return Job(2, {"do": "check"}, "failed", error=self.refusal, died=self.died)
        return Job(2, {"do": "check"}, "done", result=self.answer)

    def stop(self, folder):
        self._control("stop", folder, "stopping")

    def pause(self, folder):
        self._control("pause", folder, "paused")

    def go_on(self, folder):
        self._control("go_on", folder, "running")

    def step(self, folder):
        self._control("step", folder, "running")

    def restart(self, folder):
        self._control("restart", folder, "queued")

    def _control(self, what, folder, phase):
        self.asked.append((what, folder.id))
        self.jobs[folder.id].phase = phase

    def job_of(self, folder):
        return self.jobs.get(folder.id)

    def unfinished(self):
        return [job for job in self.jobs.values() if not job.over]


@pytest.fixture
def fake(monkeypatch):
    import state

    worker = FakeWorker()
    monkeypatch.setattr(state, "worker", lambda: worker)
    return worker


@pytest.fixture
def page(home, fake):
    from streamlit.testing.v1 import AppTest

    return AppTest.from_file(str(ROOT / "app/main.py"), default_timeout=20)


# A real server and a real browser -----------------------------------------------------------------


def missing(reason: str) -> None:
    """A browser test that cannot run is a failure in CI, elsewhere a skip with the reason."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def serve(home: Path, **environment: str):
    """Start the app's server; return its address and process."""
    port, log = free_port(), (home / "server.log").open("w")
    paths = [str(ROOT / "tests/app"), str(ROOT / "tests/viz")]
    process = subprocess.Popen(
        [
            sys.executable, "-m", "streamlit", "run", str(ROOT / "app/main.py"),
            "--server.port", str(port), "--server.headless", "true",
        ],
        cwd=home,  # not the checkout: the settings must be found beside main.py
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
        env={
            **os.environ, "PAHQ_HOME": str(home), "PYTHONPATH": os.pathsep.join(paths),
            **environment,
        },
    )  # fmt: skip
    log.close()
    address = f"http://127.0.0.1:{port}"
    for _ in range(300):
        try:
            with urllib.request.urlopen(address + "/_stcore/health", timeout=1):
                return SimpleNamespace(url=address, process=process, home=home)
        except OSError:
            time.sleep(0.1)
    process.terminate()
    raise AssertionError((home / "server.log").read_text())


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    home = tmp_path_factory.mktemp("home")
    write_run(home / "recordings" / "made-ioi")
    found = serve(home, PAHQ_SESSION="made_session:MadeSession", PAHQ_MADE_PACE="0.05")
    yield found
    found.process.terminate()
    found.process.wait(timeout=20)


@pytest.fixture(scope="session")
def chromium():
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed: pip install -e '.[test]'")
    if not Path(CHROMIUM).exists():
        missing(f"there is no {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=SWITCHES)
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def window(chromium):
    """Tabs of one process, which compiles the scripts of a page once for all tests."""
    context = chromium.new_context(viewport={"width": 1440, "height": 1000})
    yield context
    context.close()


@pytest.fixture
def open_page(window, chromium):
    """Open pages; afterwards nothing may have gone wrong in any of them."""
    pages, troubles = [], []
    touched = []

    def open_(url: str, *, permissions=(), has_touch=False, **media):
        if not window.pages:  # one that stays, or the process would end with each test
            window.new_page().goto(urljoin(url, "/_stcore/health"))
        window.grant_permissions(permissions)
        if has_touch:  # a property of a whole window
            touched.append(chromium.new_context(has_touch=True))
        page = (touched[-1] if has_touch else window).new_page()
        pages.append(page)
        page.set_default_timeout(20_000)
        page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("request", lambda request: _local(request.url, troubles))
        page.emulate_media(**media)
        page.goto(url)
        page.wait_for_selector(".obs[data-drawn]", timeout=40_000)
        return page

    yield open_
    for each in (*pages, *touched):
        each.close()
    window.clear_permissions()
    window.clear_cookies()
    assert troubles == []


def _local(url: str, troubles: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "ws://127.0.0.1:", "data:", "blob:")):
        troubles.append(f"asked another host: {url}")
