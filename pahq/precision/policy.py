"""Which component computes in which format, given the one under test (the *focus*).

A policy is a recipe of a few words, or a JSON file of the same form::

    {"name": "mine", "input": "fp32", "heads": "fp8-e4m3", "mlps": "bf16", "logits": "fp32",
     "focus": "fp32", "raises": ["heads"], "components": {"a9.h6": "bf16"}}

PAHQ (arXiv 2510.23264) keeps the head under test in high precision, everything else in low.
"""

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pahq import catalog
from pahq.errors import BadPolicy, UnknownName
from pahq.graph.build import Graph
from pahq.precision.formats import NumberFormat, find_format

KINDS = ("input", "heads", "mlps", "logits")
_SCREENS = "a policy that screens lowers MLPs alone: write fp32"


@dataclass(frozen=True)
class Policy:
    """A recipe.

    Attributes:
        name: its name.
        input: format of the token embedding.
        heads: format of heads.
        mlps: format of MLPs.
        logits: format of the unembedding.
        focus: format of the component under test; None if nothing is protected.
        raises: kinds of component that the focus raises.
        components: exceptions, by component name.
        screens: only screen with these formats; FP32 decides whatever lies near the threshold.
            Screening lowers MLPs alone.
        automatic: formats are chosen once the model and the prompts are known (assign.py).
    """

    name: str
    input: str
    heads: str
    mlps: str
    logits: str
    focus: str | None = None
    raises: tuple[str, ...] = ("heads", "mlps", "logits")
    components: dict[str, str] = field(default_factory=dict)
    screens: bool = False
    automatic: bool = False

    def background(self, graph: Graph) -> dict[str, str]:
        """Return the format of every component when nothing is under test."""
        by_kind = {kind: str(getattr(self, kind)) for kind in KINDS}
        return {
            name: self.components.get(name, by_kind[kind_of(name)]) for name in graph.components
        }

    def raised(self, graph: Graph, focus: str) -> dict[str, str]:
        """Return the components that ``focus`` moves off the background plan, and to what.

        ``input`` is never in focus: it computes nothing with a value it reads.
        """
        high = self.focus
        if high is None or kind_of(focus) not in self.raises:
            return {}
        background = self.background(graph)
        moved = [name for name in graph.readers(focus) if background[name] != high]
        return dict.fromkeys(moved, high)

    def formats_used(self, graph: Graph) -> list[str]:
        """Return the names of all formats that a search under this policy computes in."""
        used = set(self.background(graph).values()) | ({self.focus} if self.focus else set())
        return [entry.name for entry in catalog.FORMATS if entry.name in used]

    def mentions(self, fmt: str) -> bool:
        """Return whether some component may get a format."""
        if self.automatic:
            return True
        named = (*(getattr(self, kind) for kind in KINDS), self.focus, *self.components.values())
        return fmt in named

    def rounds(self, graph: Graph) -> bool:
        """Return whether anything computes in another format than FP32."""
        return self.formats_used(graph) != ["fp32"]

    def as_dict(self) -> dict[str, Any]:
        """Return the recipe in the form of a policy file."""
        found = {**asdict(self), "raises": list(self.raises)}
        return {key: value for key, value in found.items() if key != "automatic"}


def kind_of(component: str) -> str:
    """Return which of ``KINDS`` a component is: ``a0.h1`` heads, ``m2`` mlps, ..."""
    if component in ("input", "logits"):
        return component
    return "heads" if component.startswith("a") else "mlps"


def _uniform(name: str, fmt: str) -> Policy:
    return Policy(name, input=fmt, heads=fmt, mlps=fmt, logits=fmt)


_RECIPES = (
    _uniform("fp32", "fp32"),
    _uniform("bf16", "bf16"),
    _uniform("rtn-fp8", "fp8-e4m3"),
    _uniform("rtn-int8", "int8"),
    _uniform("rtn-fp8-unscaled", "fp8-e4m3-unscaled"),
    # The paper's recipe raises heads only: MLPs are BF16 and the rest FP32 anyway.
    Policy(
        "pahq-fp8", input="fp32", heads="fp8-e4m3", mlps="bf16", logits="fp32",
        focus="fp32", raises=("heads",),
    ),
    Policy("pahq-int8", input="fp32", heads="int8", mlps="int8", logits="int8", focus="fp32"),
    Policy("pahq-bf16", input="bf16", heads="bf16", mlps="bf16", logits="bf16", focus="fp32"),
    Policy(
        "pahq-auto", input="fp32", heads="fp32", mlps="fp32", logits="fp32", focus="fp32",
        automatic=True,
    ),
    # What is near is decided in FP32 anyway: protecting the focus as well gains nothing.
    Policy("exact-int8", input="fp32", heads="fp32", mlps="int8", logits="fp32", screens=True),
    Policy("exact-bf16", input="fp32", heads="fp32", mlps="bf16", logits="fp32", screens=True),
)  # fmt: skip
RECIPES = {policy.name: policy for policy in _RECIPES}


@dataclass(frozen=True)
class Plan:
    """The formats in force at one moment: the background, with the focus raised."""

    formats: dict[str, str]

    def __getitem__(self, component: str) -> NumberFormat:
        return find_format(self.formats[component])


def find_policy(name: str) -> Policy:
    """Return a named recipe, or the one in a policy file.

    Raises:
        UnknownName: for a name that is no file either.
        BadPolicy: for a file that cannot be used, naming the entry.
    """
    if name in RECIPES:
        return RECIPES[name]
    path = Path(name)
    if path.suffix != ".json" and not path.is_file():
        catalog.find(catalog.POLICIES, name, kind="policy")
    try:
        return from_dict(json.loads(path.read_text(encoding="utf-8")), source=str(path))
    except OSError as error:
        raise UnknownName(
            f"The policy file {path} cannot be read.",
            why=error.strerror or str(error),
            fix=f"check the path, or use one of: {', '.join(RECIPES)}",
        ) from None
    except ValueError as error:
        raise BadPolicy(
            f"The policy file {path} is not JSON.", why=str(error), fix="correct the file"
        ) from None


def from_dict(data: Any, *, source: str) -> Policy:
    """Return the policy that a JSON object describes.

    Raises:
        BadPolicy: naming the entry that is missing, unknown or of the wrong kind.
    """
    if not isinstance(data, dict):
        raise BadPolicy(
            f"{source} holds no policy.", why="a policy is a JSON object", fix=_example()
        )
    for key in data:
        if key not in (*KINDS, "name", "focus", "raises", "components", "screens"):
            raise _bad(source, key, "there is no such entry")
    for kind in KINDS:
        if kind not in data:
            raise _bad(source, kind, "it is missing, so some component would have no format")
        _check_format(source, kind, data[kind])
    if data.get("focus") is not None:
        _check_format(source, "focus", data["focus"])
    raises = data.get("raises", list(KINDS[1:]))
    if not isinstance(raises, list) or any(kind not in KINDS[1:] for kind in raises):
        raise _bad(source, "raises", f"it must list kinds out of {', '.join(KINDS[1:])}")
    components = data.get("components", {})
    if not isinstance(components, dict):
        raise _bad(source, "components", "it must map component names to formats")
    for name, fmt in components.items():
        _check_format(source, f"components.{name}", fmt)
        if data.get("screens") and kind_of(name) != "mlps" and fmt != "fp32":
            raise _bad(source, f"components.{name}", _SCREENS)
    if not isinstance(data.get("screens", False), bool):
        raise _bad(source, "screens", "it must be true or false")
    if data.get("screens"):
        for kind in ("input", "heads", "logits"):
            if data[kind] != "fp32":
                raise _bad(source, kind, _SCREENS)
    return Policy(
        name=str(data.get("name", Path(source).stem)),
        **{kind: data[kind] for kind in KINDS},
        focus=data.get("focus"),
        raises=tuple(raises),
        components=dict(components),
        screens=data.get("screens", False),
    )


def check_fits(policy: Policy, graph: Graph) -> None:
    """Refuse exceptions for components that the model does not have.

    Raises:
        BadPolicy: naming the entry.
    """
    for name in policy.components:
        if name not in graph.components:
            raise _bad(policy.name, f"components.{name}", "the model has no such component")


def _check_format(source: str, entry: str, name: Any) -> None:
    try:
        catalog.find(catalog.FORMATS, str(name), kind="format")
    except UnknownName as error:
        raise BadPolicy(
            f"{source}, entry '{entry}': {error.what}", why=error.why, fix=error.fix
        ) from None


def _bad(source: str, entry: str, why: str) -> BadPolicy:
    return BadPolicy(f"{source}, entry '{entry}' cannot be used.", why=why, fix=_example())


def _example() -> str:
    return f"write it like this one: {json.dumps(RECIPES['pahq-fp8'].as_dict())}"
