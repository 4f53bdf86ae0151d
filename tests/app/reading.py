"""What page Discover shows and was sent, read without a browser."""

import json

from pahq.runs import store
from tests.app.conftest import ROOT

MAIN = str(ROOT / "app/main.py")


def picture(page) -> dict:
    """What the browser was sent."""
    found = [e for e in page.main if getattr(e, "proto", None) is not None]
    proto = next(e.proto for e in walk(page.main) if _is_picture(e))
    assert found
    return json.loads(proto.json)


def walk(block):
    """Yield everything inside a block."""
    for element in block.children.values():
        yield element
        if hasattr(element, "children"):
            yield from walk(element)


def _is_picture(element) -> bool:
    proto = getattr(element, "proto", None)
    return getattr(proto, "component_name", "") == "pahq.observatory"


def text(page) -> str:
    return " ".join(str(element.proto.body) for element in page.main.get("html"))


def all_text(page) -> str:
    return " ".join(str(e.proto.body) for e in page.get("html"))


def set_up(page, **values):
    for key, value in values.items():
        page.session_state[key] = value
    return page.run()


def only_run(page):
    folders = store.list_runs()
    assert len(folders) == 1
    return folders[0]
