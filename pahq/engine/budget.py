"""How much memory a search of the fast engine needs, and how many alternatives it tries at once."""

from collections.abc import Sequence

from pahq.engine import likely
from pahq.engine.amounts import amounts
from pahq.engine.reading import AT_HAND, wide_bytes
from pahq.graph.build import Graph
from pahq.models.weights import ModelWeights
from pahq.precision.policy import Policy
from pahq.tasks.batches import PromptBatch

FLOAT, DOUBLE = 4, 8


def search_bytes(
    model: ModelWeights, batches: Sequence[PromptBatch], policy: Policy, alternatives: int
) -> int:
    """Return the most bytes that a search holds at once, on top of the loaded model.

    An upper estimate: streams and senders' values of all prompts, the clean distribution, what a
    receiver reads under each alternative, the workspace, weights rounded to other formats, and an
    MLP's once more.
    """
    graph, at_once = Graph(model.shape), amounts(batches[0].clean.device)
    shape = graph.shape
    mlps = shape.n_layers if shape.mlp else 0
    heads = shape.n_layers * shape.n_heads * model.blocks[0].heads[0].query.shape[1]
    written = shape.d_model * (1 + mlps) + heads
    streams = shape.d_model * (1 + shape.n_layers + mlps)
    vocabulary = model.unembedding.shape[1]
    held, working = 0, 0
    for batch in batches:
        places, targets = batch.clean.numel(), len(batch.row)
        ends = len(set(batch.position.tolist()))
        # Clean and carried values, and what may follow from a raised component once more.
        held += FLOAT * places * (2 * streams + 3 * written) + DOUBLE * targets * vocabulary
        at_hand = wide_bytes(model, places)
        held += at_hand if at_hand <= AT_HAND else 0
        # Alternatives are made a few at a time, as many as are followed together.
        one = FLOAT * places * shape.d_model
        reads = 4 * max(one, min(alternatives * one, at_once.workspace))
        # Only what ``logits`` reads is made for all at once, and joined.
        reads += 3 * FLOAT * alternatives * len(batch.clean) * ends * shape.d_model
        logits = 2 * FLOAT * min(at_once.block, vocabulary) * targets * alternatives
        working = max(working, reads + logits, 3 * DOUBLE * targets * vocabulary)
    sizes, formats = model.sizes(), policy.background(graph)
    rounded = FLOAT * sum(size for name, size in sizes.items() if formats[name] != "fp32")
    packed = FLOAT * max((size for name, size in sizes.items() if name[0] == "m"), default=0)
    screening = _screening_bytes(model, batches) if policy.screens else 0
    return held + working + 2 * at_once.workspace + rounded + packed + screening


def _screening_bytes(model: ModelWeights, batches: Sequence[PromptBatch]) -> int:
    """Return the most bytes that screening holds besides: standing MLPs and likely tokens."""
    d_model, vocabulary = model.unembedding.shape
    d_mlp = max((b.mlp.into.shape[1] for b in model.blocks if b.mlp is not None), default=0)
    places = len(model.blocks) * sum(batch.clean.numel() for batch in batches)
    targets = sum(len(batch.row) for batch in batches)
    columns = 0 if vocabulary <= likely.SMALL else int(vocabulary * likely.MOST) * d_model
    distributions = 3 * DOUBLE * 2 * targets * vocabulary
    return FLOAT * (2 * places * (d_model + d_mlp) + len(batches) * columns) + distributions


def full_forward_bytes(model: ModelWeights, batches: Sequence[PromptBatch]) -> int:
    """Return the most bytes that the engines of full forwards hold at once, beside the model."""
    graph = Graph(model.shape)
    vocabulary = model.unembedding.shape[1]
    values = sum(batch.clean.numel() for batch in batches) * model.shape.d_model
    # What each sender writes on both prompts, and what each head of a layer reads.
    wide = FLOAT * values * (2 * len(graph.senders) + 6 * model.shape.n_heads)
    return wide + 4 * DOUBLE * vocabulary * sum(len(batch.row) for batch in batches)


def batch_size(
    model: ModelWeights, batches: Sequence[PromptBatch], policy: Policy, limit: int
) -> int:
    """Return how many alternatives to try at once: a power of two, 0 if not one fits ``limit``.

    It depends on sizes, the kind of device and the limit, not on a clock: the same settings give
    the same circuit.json.
    """
    targets, full = max(len(batch.row) for batch in batches), amounts(batches[0].clean.device)
    wanted = full.most
    while wanted > 1 and wanted // 2 * targets >= full.rows:
        wanted //= 2
    while wanted and search_bytes(model, batches, policy, wanted) > limit:
        wanted //= 2
    return wanted
