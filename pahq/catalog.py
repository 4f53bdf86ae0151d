"""Every name a user can choose. No torch, so that the command line and the app list them at once.

A new task, metric, policy, method or model is one line here plus the file that does the work.
"""

import difflib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from pahq.errors import UnknownName


@dataclass(frozen=True)
class Entry:
    """Something with a name; ``title`` is for lists, ``description`` one sentence for help."""

    name: str
    title: str
    description: str

    def as_dict(self) -> dict[str, Any]:
        """Return the entry as JSON writes it."""
        return asdict(self)


@dataclass(frozen=True)
class ModelEntry(Entry):
    """A model by name.

    Attributes:
        source: ``shipped`` with pahq, or ``hub``: needs a download from the Hugging Face hub.
        hub: its name there.
        layers: number of blocks.
        heads: query heads of a block.
        parameters: number of weights; four bytes each in FP32.
        tasks: names of the tasks it can do.
    """

    source: str
    layers: int
    heads: int
    parameters: int
    tasks: tuple[str, ...]
    hub: str = ""

    @property
    def fp32_bytes(self) -> int:
        """Size of the weights in FP32, in bytes."""
        return 4 * self.parameters

    @property
    def memory_bytes(self) -> int:
        """About what a search takes, in bytes: the weights and the values of every sender."""
        return MEMORY_FACTOR * self.fp32_bytes


@dataclass(frozen=True)
class TaskEntry(Entry):
    """A task; ``module`` holds its ``TASK``, ``known`` says in words which circuit is known."""

    module: str
    known: str


@dataclass(frozen=True)
class MetricEntry(Entry):
    """A damage: higher is worse. ``needs`` says which tokens a task must name for it."""

    unit: str
    needs: tuple[str, ...] = ()


@dataclass(frozen=True)
class FormatEntry(Entry):
    """A number format; ``bits`` of one stored value."""

    bits: int


MEMORY_FACTOR = 3  # of the weights; libraries come on top
ALL_TASKS = ("ioi", "greater-than", "docstring", "induction", "pronoun")
HUB_TASKS = ("ioi", "greater-than", "induction", "pronoun", "docstring")

MODELS = (
    ModelEntry(
        "tiny-gpt",
        "tiny-gpt",
        "GPT-2 architecture, 4 layers, trained on all five tasks; ships with pahq.",
        source="shipped",
        layers=4,
        heads=8,
        parameters=1_290_240,
        tasks=ALL_TASKS,
    ),
    ModelEntry(
        "attn-2l",
        "attn-2l",
        "Attention only, 2 layers, trained on induction; ships with pahq.",
        source="shipped",
        layers=2,
        heads=8,
        parameters=617_472,
        tasks=("induction",),
    ),
    ModelEntry(
        "hand-induction",
        "hand-induction",
        "Attention only, 2 layers, weights written by hand: the true circuit is known exactly.",
        source="shipped",
        layers=2,
        heads=4,
        parameters=145_152,
        tasks=("induction",),
    ),
    ModelEntry(
        "gpt2",
        "GPT-2 small",
        "The model of the IOI and Greater-Than papers.",
        source="hub",
        layers=12,
        heads=12,
        parameters=124_439_808,
        tasks=HUB_TASKS,
        hub="openai-community/gpt2",
    ),
    ModelEntry(
        "distilgpt2",
        "DistilGPT-2",
        "GPT-2 small distilled to six layers.",
        source="hub",
        layers=6,
        heads=12,
        parameters=81_912_576,
        tasks=HUB_TASKS,
        hub="distilbert/distilgpt2",
    ),
    ModelEntry(
        "gpt2-medium",
        "GPT-2 medium",
        "231,877 edges.",
        source="hub",
        layers=24,
        heads=16,
        parameters=354_823_168,
        tasks=HUB_TASKS,
        hub="openai-community/gpt2-medium",
    ),
    ModelEntry(
        "gpt2-large",
        "GPT-2 large",
        "810,703 edges.",
        source="hub",
        layers=36,
        heads=20,
        parameters=774_030_080,
        tasks=HUB_TASKS,
        hub="openai-community/gpt2-large",
    ),
    ModelEntry(
        "gpt2-xl",
        "GPT-2 XL",
        "2,235,025 edges.",
        source="hub",
        layers=48,
        heads=25,
        parameters=1_557_611_200,
        tasks=HUB_TASKS,
        hub="openai-community/gpt2-xl",
    ),
)

TASKS = (
    TaskEntry(
        "ioi",
        "Indirect object identification",
        "Who receives the object? The model must name the person mentioned only once.",
        module="pahq.tasks.ioi",
        known="GPT-2 small: 26 heads in seven groups (Wang et al. 2022).",
    ),
    TaskEntry(
        "greater-than",
        "Greater-than",
        "A war lasted from 1732 to 17..: the model must continue with a later year.",
        module="pahq.tasks.greater_than",
        known="GPT-2 small: 8 heads and 8 MLPs (Hanna et al. 2023).",
    ),
    TaskEntry(
        "docstring",
        "Docstring",
        "The model must name the next argument of a Python function in its docstring.",
        module="pahq.tasks.docstring",
        known="attn-only-4l: 6 heads, 37 edges (Heimersheim and Janiak 2023).",
    ),
    TaskEntry(
        "induction",
        "Induction",
        "A random sequence repeats: the model must continue as it went the first time.",
        module="pahq.tasks.induction",
        known="A previous-token head feeds an induction head (Olsson et al. 2022).",
    ),
    TaskEntry(
        "pronoun",
        "Gendered pronoun",
        "The model must choose he or she after a first name.",
        module="pahq.tasks.pronoun",
        known="GPT-2 small: mostly MLPs and a few late heads (Mathwin et al. 2023).",
    ),
)

METHODS = (
    Entry("acdc", "ACDC", "Patch each edge from the output back; keep it if the damage grows."),
)

POLICIES = (
    Entry("fp32", "Full precision", "Everything in FP32: plain ACDC."),
    Entry("bf16", "BF16", "Everything in bfloat16, nothing protected."),
    Entry("rtn-fp8", "Uniform FP8", "Everything rounded to FP8 E4M3, nothing protected."),
    Entry("rtn-int8", "Uniform INT8", "Everything rounded to INT8, nothing protected."),
    Entry("rtn-fp8-unscaled", "Uniform FP8, no scales", "As rtn-fp8, without scales: to compare."),
    Entry("pahq-fp8", "PAHQ FP8", "The head under test in FP32, other heads FP8, MLPs BF16."),
    Entry("pahq-int8", "PAHQ INT8", "The component under test in FP32, the rest in INT8."),
    Entry("pahq-bf16", "PAHQ BF16", "The component under test in FP32, the rest in BF16."),
    Entry("pahq-auto", "PAHQ auto", "Formats by measured sensitivity, within a noise budget."),
    Entry(
        "exact-int8",
        "Exact INT8",
        "FP32's circuit: changes of MLPs tested in INT8, near the threshold in FP32.",
    ),
    Entry(
        "exact-bf16",
        "Exact BF16",
        "FP32's circuit: changes of MLPs tested in BF16, near the threshold in FP32.",
    ),
)

METRICS = (
    MetricEntry(
        "kl",
        "KL divergence",
        "KL(full model || circuit): how far the whole prediction moves.",
        unit="nats",
    ),
    MetricEntry(
        "logit-diff",
        "Logit difference",
        "Wrong answers' logit minus the right answers': lower is better.",
        unit="logits",
        needs=("answers", "wrong answers"),
    ),
    MetricEntry(
        "prob-diff",
        "Probability difference",
        "Wrong answers' probability minus the right answers': lower is better.",
        unit="probability",
        needs=("answers", "wrong answers"),
    ),
    MetricEntry(
        "nll",
        "Negative log-likelihood",
        "Minus the log of the answers' probability.",
        unit="nats",
        needs=("answers",),
    ),
    MetricEntry(
        "accuracy",
        "Error rate",
        "Share of prompts whose most likely token is not an answer.",
        unit="share of prompts",
        needs=("answers",),
    ),
)

FORMATS = (
    FormatEntry("fp32", "FP32", "IEEE single precision.", bits=32),
    FormatEntry("bf16", "BF16", "bfloat16: FP32's range, 8 bits of precision.", bits=16),
    FormatEntry("fp16", "FP16", "IEEE half precision; scaled when above its range.", bits=16),
    FormatEntry("fp8-e4m3", "FP8 E4M3", "4 bits exponent, 3 mantissa; largest 448.", bits=8),
    FormatEntry(
        "fp8-e4m3-unscaled", "FP8 E4M3, no scales", "Cut off at 448, lost below 0.001.", bits=8
    ),
    FormatEntry("fp8-e5m2", "FP8 E5M2", "5 bits exponent, 2 mantissa; largest 57344.", bits=8),
    FormatEntry("int8", "INT8", "-127 to 127, symmetric.", bits=8),
    FormatEntry("int4", "INT4", "-7 to 7, symmetric.", bits=4),
)

ENGINES = (
    Entry("fast", "Fast", "The same damages without the work that cannot matter, every policy."),
    Entry("reference", "Reference", "One plain full forward per test, for every policy."),
    Entry("bridge", "Bridge", "One full forward per test of the original model, FP32 only."),
)

ABLATIONS = (
    Entry("corrupt", "Corrupt prompt", "A cut edge carries its value from the twin prompt."),
    Entry("zero", "Zero", "A cut edge carries zeros."),
    Entry("mean", "Mean", "A cut edge carries its mean over all corrupt prompts, per position."),
)

ORDERS = (
    Entry("nearest", "Nearest first", "Senders of a receiver from the nearest layer down."),
    Entry("farthest", "Farthest first", "Senders of a receiver from the input up."),
    Entry("shuffled", "Shuffled", "Senders of a receiver in an order drawn from the seed."),
)

DEVICES = (
    Entry("auto", "Automatic", "CUDA where there is a GPU, else the CPU."),
    Entry("cpu", "CPU", "The processor."),
    Entry("cuda", "CUDA", "An NVIDIA GPU."),
)

E = TypeVar("E", bound=Entry)


def find(entries: Sequence[E], name: str, *, kind: str) -> E:
    """Return the entry called ``name``.

    Raises:
        UnknownName: naming the nearest entries.
    """
    for entry in entries:
        if entry.name == name:
            return entry
    names = [entry.name for entry in entries]
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    raise UnknownName(
        f"There is no {kind} called '{name}'.",
        why=f"known are: {', '.join(names)}",
        fix=f"did you mean {' or '.join(near)}?" if near else "choose one of these names",
    )


def task_or_none(name: str) -> TaskEntry | None:
    """Return the built-in task of this name, if there is one (else it may be a file)."""
    return next((entry for entry in TASKS if entry.name == name), None)


def model_or_none(name: str) -> ModelEntry | None:
    """Return the model of this name, if there is one (else it may be a directory)."""
    return next((entry for entry in MODELS if entry.name == name), None)


def models_for(task: str) -> tuple[str, ...]:
    """Return the names of the models that can do a task."""
    return tuple(entry.name for entry in MODELS if task in entry.tasks)


def megabytes(size: int | float) -> str:
    """Return a size as people say it."""
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{max(size / 1e6, 0.1):.3g} MB"
