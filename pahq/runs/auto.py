"""``pahq-auto``: formats for a model and a task, measured on a few of the prompts."""

from collections.abc import Sequence

from pahq.engine.sensitivity import CANDIDATES, NoiseMeter
from pahq.errors import UsageError
from pahq.models.loading import LoadedModel
from pahq.models.placement import placed
from pahq.precision.assign import Assignment, assign
from pahq.precision.formats import find_format
from pahq.precision.native import is_native
from pahq.runs.config import RunConfig
from pahq.tasks.base import EncodedPair
from pahq.tasks.batches import batches

MEASURED_PAIRS = 8  # prompts on which pahq-auto measures
# Share of the threshold. Noise of n nats moves a damage of D by up to 2 sqrt(n D): by about a tenth
# of the threshold where D is some times the threshold, as it is while edges are judged.
BUDGET_SHARE = 1e-3
USUAL_BUDGET = 1e-3  # nats, for metrics in other units


def assigned(config: RunConfig, model: LoadedModel, pairs: tuple[EncodedPair, ...]) -> Assignment:
    """Return formats whose noise meets the budget, measured on a few of the prompts.

    Raises:
        UsageError: for the bridge engine, which computes in FP32 only.
    """
    if config.engine == "bridge":
        raise UsageError(
            f"The bridge engine cannot run the policy '{config.policy}'.",
            why="it runs the loaded model itself, in FP32 only",
            fix="use --engine fast or reference, or --policy fp32",
        )
    budget = config.noise_budget
    if budget is None:
        budget = config.threshold * BUDGET_SHARE if config.metric == "kl" else USUAL_BUDGET
    device = model.device
    prompts = [batch.to(device) for batch in batches(pairs[:MEASURED_PAIRS])]
    weights = placed(model.weights, device)
    meter = NoiseMeter(weights, prompts, pages=model.pages)
    sensitivity = meter.sensitivity(CANDIDATES[device.type])
    useful = _useful(CANDIDATES[device.type], device.type)
    choice = {name: {fmt: each[fmt] for fmt in useful} for name, each in sensitivity.items()}
    formats, noise = assign(choice, model.weights.sizes(), budget, meter.noise)
    return Assignment(formats, noise, budget, sensitivity, meter.pairs)


def _useful(candidates: Sequence[str], device: str) -> Sequence[str]:
    """Return the formats that a device multiplies in: emulated, they save no time and no memory.

    Where it has none of them, all: the formats then serve another machine.
    """
    native = [fmt for fmt in candidates if is_native(find_format(fmt), device)]
    return native or candidates
