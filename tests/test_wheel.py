"""What `pip install` gives: the wheel carries the app and the models and works by itself."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """Build the wheel and install it, without its dependencies, beside nothing else of ours."""
    base = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    build = ["wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(base), str(ROOT)]
    subprocess.run([*pip, *build], check=True, cwd=base)
    [wheel] = base.glob("*.whl")
    subprocess.run([*pip, "install", "--no-deps", "--target", str(base / "site"), str(wheel)],
                   check=True)  # fmt: skip
    return wheel, base / "site"


def test_it_carries_the_app_and_the_models(installed):
    names = zipfile.ZipFile(installed[0]).namelist()
    for name in ("app/main.py", "app/.streamlit/config.toml", "assets/models/tiny-gpt/config.json"):
        assert f"pahq/_bundle/{name}" in names
    assert not [name for name in names if "plotly.min.js" in name or "__pycache__" in name]


def test_it_runs_tiny_gpt(installed, tmp_path):
    _, site = installed
    code = (
        "import sys, pahq, pahq.cli; assert pahq.__file__.startswith(sys.path[1]), pahq.__file__;"
        "sys.argv = ['pahq', 'run', '--model', 'tiny-gpt', '--task', 'pronoun', '--threshold', "
        "'0.5', '--examples', '4', '--threads', '1', '--json']; pahq.cli.main()"
    )
    environment = {**os.environ, "PYTHONPATH": str(site), "PAHQ_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=environment, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["status"] == "finished"
