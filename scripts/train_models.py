"""Make the shipped models: ``python scripts/train_models.py [tiny-gpt|attn-2l|...|all]``.

Each lands in assets/models/<name>/ with weights, tokenizer and model card. An interrupted
training goes on from its last checkpoint (scripts/.training/) when the command is repeated;
``--fresh`` starts over. One thread, one seed: the same command gives the same weights on the same
machine.
"""

import argparse
import shutil
import sys
from pathlib import Path

import torch

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # for `scripts.training`, wherever the command is given

from scripts.training import make  # noqa: E402

CHECKPOINTS = ROOT / "scripts" / ".training"
MODELS = ROOT / "assets" / "models"


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("name", nargs="?", default="all", choices=[*make.MAKERS, "all"])
    parser.add_argument("--fresh", action="store_true", help="forget the last checkpoint")
    parser.add_argument("--out", type=Path, default=MODELS, help="where the folders go")
    options = parser.parse_args()
    if not hasattr(torch.optim, "Muon"):
        parser.error(
            f"training needs torch 2.9 or newer (its optimiser Muon), not {torch.__version__}"
        )
    torch.set_num_threads(1)
    names = list(make.MAKERS) if options.name == "all" else [options.name]
    for name in names:
        print(f"{name}:", flush=True)
        checkpoints = CHECKPOINTS / name
        if options.fresh:
            shutil.rmtree(checkpoints, ignore_errors=True)
        make.MAKERS[name](options.out / name, checkpoints, lambda line: print(line, flush=True))
        print(f"  -> {options.out / name}", flush=True)
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        print("\nstopped; the same command goes on from the last checkpoint", file=sys.stderr)
        sys.exit(130)
