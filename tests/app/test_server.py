"""How the app is served: to this computer only, with nothing fetched from elsewhere."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import plotly
import pytest

from pahq.paths import part
from tests.app.conftest import ROOT, free_port

SETTINGS = tomllib.loads((ROOT / "app/.streamlit/config.toml").read_text())


def test_the_settings_lie_beside_the_main_script_wherever_the_app_is():
    assert (part("app") / ".streamlit/config.toml").is_file()
    assert (part("app") / "main.py").is_file()


def test_bound_to_this_computer_without_statistics_and_with_xsrf_protection():
    server = SETTINGS["server"]
    assert server["address"] == "127.0.0.1"
    assert server["allowedHosts"] == ["localhost", "127.0.0.1"]
    assert server["enableXsrfProtection"] is True
    assert server["maxUploadSize"] == 20
    assert SETTINGS["browser"]["gatherUsageStats"] is False
    assert SETTINGS["client"]["showErrorDetails"] == "type"


def test_no_page_asks_another_host():
    for path in (ROOT / "app").rglob("*"):
        if path.suffix in (".py", ".js", ".css", ".svg", ".toml"):
            text = path.read_text().replace("http://www.w3.org/2000/svg", "")
            assert "http://" not in text, path
            assert "https://" not in text, path


def test_settings_are_found_from_another_working_directory(server):
    # The fixture starts the server elsewhere and names no address: 127.0.0.1 is from the file.
    port = int(server.url.rsplit(":", 1)[1])
    with socket.socket() as probe:
        probe.connect(("127.0.0.1", port))
    others = {info[4][0] for info in socket.getaddrinfo(socket.gethostname(), None)}
    for address in others - {"127.0.0.1", "::1"}:
        if ":" in address or address.startswith("127."):
            continue
        with socket.socket() as probe:
            assert probe.connect_ex((address, port)) != 0, address


@pytest.fixture
def heard():
    """Let programs hear Ctrl+C: what a script starts in its background is made deaf to it.

    Streamlit opens its port a moment before it takes care of signals itself.
    """
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.usefixtures("heard")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_command_ends_with_its_server(tmp_path, number):
    port = free_port()
    options = ["--server.port", str(port), "--server.headless", "true"]
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "pahq", "app", *options], cwd=tmp_path, stdout=log, stderr=log,
            stdin=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
    try:
        wait_until_open(port, tmp_path / "log")
        process.send_signal(number)
        process.wait(timeout=30)
        with socket.socket() as probe:
            assert probe.connect_ex(("127.0.0.1", port)) != 0
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_until_open(port, log):
    for _ in range(600):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)
    pytest.fail(log.read_text())


@pytest.mark.browser
def test_plotly_is_the_one_of_the_installed_wheel(server, open_page):
    open_page(server.url)
    address = f"{server.url}/_stcore/bidi-components/pahq.plotly/plotly.min.js"
    with urllib.request.urlopen(address) as answer:
        served = answer.read()
    assert served == (Path(plotly.__file__).parent / "package_data/plotly.min.js").read_bytes()


@pytest.mark.browser
def test_nothing_beside_the_components_folders_is_served(server, open_page):
    open_page(server.url)
    for path in ("pahq.plotly/../_version.py", "pahq.observatory/../settings.py"):
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(f"{server.url}/_stcore/bidi-components/{path}")
