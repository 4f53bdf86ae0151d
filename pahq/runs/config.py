"""The settings of a run. Each field is at once a key of config.json, a flag and a form field."""

import json
import math
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pahq import catalog
from pahq.errors import BadThreshold, UsageError

FORMAT_VERSION = 1
MOST_EXAMPLES = 100_000


def knob(
    default: Any = ...,
    *,
    help: str,
    choices: str | None = None,
    negation: str | None = None,
    **limits: Any,
) -> Any:
    """Return a field that the user sets.

    Args:
        default: its value unless the user says otherwise.
        help: one sentence for lists and forms.
        choices: the catalog's list of its values.
        negation: the flag that switches it off again; a name of its own says what is then done.
        limits: what pydantic checks.
    """
    given = {"choices": choices, "negation": negation}
    extra: dict[str, Any] = {"knob": True, **{k: v for k, v in given.items() if v is not None}}
    return Field(default, description=help, json_schema_extra=extra, **limits)


class RunConfig(BaseModel):
    """Everything that decides a run's result. Equal configs on one machine give equal circuits."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())

    format_version: int = FORMAT_VERSION
    model: str = knob(help="Name of a model, or a local directory in the Hugging Face layout.")
    task: str = knob(help="Name of a task, or a task file (.json or .csv).")
    threshold: float = knob(help="An edge with an effect below it is removed; metric's unit.")
    method: str = knob("acdc", help="How edges are chosen.", choices="METHODS")
    policy: str = knob("fp32", help="Which component runs in which format: a name or a file.")
    noise_budget: float | None = knob(
        None, help="Most noise of pahq-auto's formats, KL in nats; 1/1000 of the threshold.",
        gt=0, allow_inf_nan=False,
    )  # fmt: skip
    metric: str = knob("kl", help="What counts as damage.", choices="METRICS")
    ablation: str = knob("corrupt", help="What a cut edge carries.", choices="ABLATIONS")
    order: str = knob("nearest", help="In which order a receiver's senders are tried.",
                      choices="ORDERS")  # fmt: skip
    absolute: bool = knob(
        False, help="Compare the size of the effect, not its sign.", negation="signed"
    )
    examples: int | None = knob(
        None, help="Number of prompt pairs; 50 of a named task, all rows of a file by default.",
        ge=1, le=MOST_EXAMPLES,
    )  # fmt: skip
    seed: int = knob(0, help="Which prompt pairs are drawn.", ge=0, lt=1_000_000)
    device: str = knob("auto", help="Where to compute.", choices="DEVICES")
    native_only: bool = knob(
        False, help="Refuse formats that the device can only emulate.", negation="emulate"
    )
    engine: str = knob("fast", help="How damage is computed.", choices="ENGINES")
    batch_size: int | None = knob(None, help="Cut sets evaluated at once.",
                                  ge=1)  # fmt: skip
    threads: int | None = knob(None, help="CPU threads; all cores by default.", ge=1)
    memory_limit: float | None = knob(
        None, help="Most memory the search may use, in GB; 70% of what is free by default.", gt=0
    )
    # Filled in when the run starts, so that a repeat or a resume is refused on other data.
    model_hash: str | None = None
    task_hash: str | None = None
    policy_recipe: dict[str, Any] | None = None

    @field_validator("threshold", mode="before")
    @classmethod
    def _positive(cls, value: Any) -> float:
        return check_threshold(value)

    def named(self) -> "RunConfig":
        """Return self after checking every name against the catalog.

        Raises:
            UnknownName: naming the nearest names.
        """
        for name, field in RunConfig.model_fields.items():
            extra = field.json_schema_extra
            if isinstance(extra, dict) and "choices" in extra:
                entries = getattr(catalog, str(extra["choices"]))
                catalog.find(entries, getattr(self, name), kind=name)
        return self

    def as_json(self) -> str:
        """Return config.json's text."""
        return json.dumps(self.model_dump(), indent=2, ensure_ascii=False) + "\n"


def knobs() -> dict[str, Any]:
    """Return the fields that a user sets, in order."""
    return {
        name: field
        for name, field in RunConfig.model_fields.items()
        if isinstance(field.json_schema_extra, dict) and field.json_schema_extra.get("knob")
    }


def check_threshold(value: Any) -> float:
    """Return ``value`` as a float.

    Raises:
        BadThreshold: unless it is a positive, finite number.
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not (math.isfinite(number) and number > 0) or isinstance(value, bool):
        raise BadThreshold(
            f"The threshold {value!r} is not a positive number.",
            why="an edge is kept if patching it costs at least the threshold; "
            "at zero or below every edge would stay, and NaN or infinity decide nothing",
            fix="give a number such as 0.01 (in the metric's unit)",
        )
    return number


def make_config(*, source: str = "the settings", **settings: Any) -> RunConfig:
    """Return a checked config; ``source`` is where messages say that the settings come from.

    Raises:
        UsageError: one message for whatever is wrong with the settings.
    """
    return _checked(_absolute(settings), source=source)


def _absolute(settings: dict[str, Any]) -> dict[str, Any]:
    """Make paths whole, so that a run can be resumed from any folder."""
    known = {
        "model": {entry.name for entry in catalog.MODELS},
        "task": {entry.name for entry in catalog.TASKS},
        "policy": {entry.name for entry in catalog.POLICIES},
    }
    found = dict(settings)
    for name, names in known.items():
        value = settings.get(name)
        if isinstance(value, str) and value and value not in names:
            path = Path(value).expanduser()
            found[name] = str(path.resolve()) if path.exists() else value
    return found


def read_config(path: Path) -> RunConfig:
    """Read a config.json.

    Raises:
        UsageError: if it is not there, not JSON, lacks a setting or holds something unknown.
    """
    return _checked(read_settings(path), source=str(path))


def read_settings(path: Path) -> dict[str, Any]:
    """Read a config.json as it is: some settings may be missing or wrong.

    Raises:
        UsageError: if it is not there, no JSON object, or of another version.
    """
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read.", why=str(error.strerror), fix="check the path"
        ) from None
    except ValueError as error:
        raise UsageError(
            f"{path} is not JSON.", why=str(error), fix="give the config.json of a run"
        ) from None
    if not isinstance(data, dict):
        raise UsageError(
            f"{path} holds no settings.",
            why="a config is a JSON object",
            fix="give the config.json of a run",
        )
    if data.get("format_version", FORMAT_VERSION) != FORMAT_VERSION:
        raise UsageError(
            f"{path} has format_version {data['format_version']}.",
            why=f"this pahq reads version {FORMAT_VERSION}",
            fix="use the pahq version that wrote it (see environment.json beside it)",
        )
    return data


def _checked(settings: dict[str, Any], *, source: str) -> RunConfig:
    try:
        return RunConfig(**settings).named()
    except ValidationError as error:
        raise _explained(error, source=source) from None


def _explained(error: ValidationError, *, source: str) -> UsageError:
    first = error.errors()[0]
    name = ".".join(map(str, first["loc"])) or "config"
    if first["type"] == "extra_forbidden":
        return UsageError(
            f"{source}: there is no setting called '{name}'.",
            why=f"known are: {', '.join(knobs())}",
            fix="correct or remove it",
        )
    if first["type"] == "missing":
        return UsageError(
            f"{source}: {name} is missing.",
            why="a run needs a model, a task and a threshold",
            fix=f"add it, or give --{name} as well",
        )
    field = RunConfig.model_fields.get(name)
    return UsageError(
        f"{source}: {name} = {first.get('input')!r} cannot be used.",
        why=first["msg"],
        fix=f"give {_allowed(field)}. {field.description}" if field else "correct it",
    )


def _allowed(field: Any) -> str:
    """Return in words what values a field takes."""
    kinds = get_args(field.annotation) or (field.annotation,)
    names = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
    words = next((names[kind] for kind in kinds if kind in names), "something else")
    for limit, text in (("ge", "from"), ("gt", "above"), ("le", "to"), ("lt", "and below")):
        for found in (getattr(part, limit, None) for part in field.metadata):
            words += f" {text} {found:,}" if found is not None else ""
    return words
