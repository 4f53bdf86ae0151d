"""KL over the tokens that hold nearly all probability; what is left over moves as its mean does.

Screening reads out this way: of a vocabulary of 50,257 tokens a few thousand decide. The sum of
exponentials of the others is known where nothing moves, and follows a change ``d`` of the input by
``exp(g . d)``, g being their mean direction: right to first order, of a thousandth of the whole.
"""

import torch
from jaxtyping import Float, Int
from torch import Tensor

from pahq.models.weights import ModelWeights
from pahq.precision.product import product

LEFT = 1e-3  # probability that may be left over for each prompt
MOST = 1 / 8  # share of the vocabulary that is read at most
SMALL = 4096  # vocabularies up to here are read whole

Rows = Float[Tensor, "row d_model"]


class LikelyTokens:
    """The columns of an unembedding that matter for some prompts.

    Attributes:
        columns: ids of the tokens; all of them where that is no more work.
    """

    def __init__(self, model: ModelWeights, log_probs: Float[Tensor, "distribution vocab"]):
        """Choose the tokens.

        Args:
            model: the weights.
            log_probs: what the model predicts on the prompts, clean and corrupt.
        """
        weight, bias = model.unembedding, model.unembedding_bias
        self.columns = _columns(log_probs)
        self.whole = len(self.columns) == weight.shape[1]
        self._all, self._all_bias = weight, bias
        self._weight = weight if self.whole else weight[:, self.columns].contiguous()
        self._bias = bias if bias is None or self.whole else bias[self.columns]
        self._left: tuple[Rows, Rows, Tensor] | None = None

    def tensors(self) -> list[Tensor]:
        """Return what is kept of the unembedding and of what stands."""
        return [*(() if self.whole else (self._weight,)), *(self._left or ())]

    def anchor(self, x: Rows) -> None:
        """Learn what the tokens left over do where nothing moves.

        Args:
            x: the normalised final residual of each target.
        """
        if self.whole:
            return
        logits = product(x, self._all, self._all_bias)
        logits[:, self.columns] = -torch.inf
        total = logits.logsumexp(-1)
        shares = logits.sub_(total[:, None]).exp_()
        self._left = x, product(shares, self._all.mT), total

    def sum_exp(
        self, x: Rows, items: Int[Tensor, " row"], shift: Float[Tensor, " row"]
    ) -> Float[Tensor, " row"]:
        """Return the sum over the vocabulary of exp(logit - shift), float64.

        Args:
            x: normalised final residuals.
            items: the target of each.
            shift: what is taken off each row's logits.
        """
        logits = product(x, self._weight, self._bias)
        found = logits.sub_(shift[:, None]).exp_().sum(-1).double()
        if self.whole:
            return found
        assert self._left is not None
        at, direction, total = (each[items] for each in self._left)
        return found + (total + (direction * (x - at)).sum(-1) - shift).double().exp()


def _columns(log_probs: Float[Tensor, "distribution vocab"]) -> Int[Tensor, " column"]:
    """Return the tokens to read, ascending."""
    vocabulary = log_probs.shape[1]
    if vocabulary <= SMALL:
        return torch.arange(vocabulary, device=log_probs.device)
    probs = log_probs.exp()
    order = probs.amax(0).argsort(descending=True)[: int(vocabulary * MOST)]
    left = 1 - probs[:, order].cumsum(-1).amin(0)
    enough = (left <= LEFT).nonzero()
    count = int(enough[0]) + 1 if len(enough) else len(order)
    return order[:count].sort().values
