"""The house: imports run downwards only, and what must start fast never touches torch."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
# Lowest first; a module may import from its own tier and those below.
TIERS = (
    ("errors", "paths", "tokenizer", "catalog", "__init__"),
    ("graph",),
    ("models", "tasks", "metrics"),
    ("precision",),
    ("engine",),
    ("discovery",),
    ("runs",),
    ("viz", "bench"),
    ("export", "library", "cli", "__main__"),
    ("app",),
)
TORCH_FREE = (
    "pahq", "pahq.catalog", "pahq.graph.circuit", "pahq.runs.config", "pahq.runs.store",
    "pahq.export", "pahq.tasks.preview", "pahq.models.locate", "pahq.cli",
    "pahq.viz.view", "pahq.viz.figures",
)  # fmt: skip


def tier_of(module):
    parts = module.split(".")
    name = "app" if parts[0] == "app" else (parts[1] if len(parts) > 1 else "__init__")
    return next((i for i, names in enumerate(TIERS) if name in names), None)


def imports(path):
    """Yield what a file imports, except under ``if TYPE_CHECKING``."""
    tree = ast.parse(path.read_text())
    hidden = {
        id(node)
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and "TYPE_CHECKING" in ast.dump(block.test)
        for node in ast.walk(block)
    }
    for node in ast.walk(tree):
        if id(node) in hidden:
            continue
        if isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def sources():
    return [*ROOT.glob("pahq/**/*.py"), *ROOT.glob("app/**/*.py")]


@pytest.mark.parametrize("path", sources(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_run_downwards(path):
    module = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    if module == "pahq":
        return  # the front door names what the library offers
    own = tier_of(module)
    assert own is not None, f"{module} has no tier"
    for name in imports(path):
        if name.split(".")[0] in ("pahq", "app") and name not in ("pahq.__version__", "pahq"):
            tier = tier_of(name)
            if tier is not None:
                assert tier <= own, f"{module} imports {name}, which lies above it"


@pytest.mark.parametrize("module", TORCH_FREE)
def test_it_does_not_import_torch(module):
    code = f"import sys, {module}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_this_test_can_fail():
    code = "import sys, pahq.engine.reference; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 1


def test_files_stay_short():
    long = {p.name: n for p in sources() if (n := len(p.read_text().splitlines())) > 400}
    assert not long
