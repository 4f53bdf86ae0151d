"""Model cards: what a model is, how it was made, how well it does, where its heads look."""

from collections.abc import Sequence
from pathlib import Path

from scripts.training.evaluate import HeadProfile, Score
from scripts.training.files import write_text

SCORES_HEAD = "| prompts | measure | value | number |"
SHARPEST = 0.3  # a head that gives one distance or stripe this much attention is worth a row


def write_card(
    folder: Path,
    *,
    title: str,
    about: str,
    facts: Sequence[tuple[str, str]],
    scores: Sequence[Score],
    profiles: Sequence[HeadProfile],
    notes: str,
) -> None:
    """Write ``README.md``; Hugging Face shows its first lines as tags."""
    parts = [
        "---\nlicense: mit\nlibrary_name: pahq\ntags:\n- interpretability\n---",
        f"# {title}",
        about,
        _facts(facts),
        "## How well it does",
        "On held-out prompts (task seed 1,000,000). Accuracy: the share of answers that are the "
        "most likely next token. Probability difference: p(answers) - p(wrong answers).",
        _scores(scores),
        "## Where its heads look",
        "Mean attention on random words, by distance (0 = the token itself); and, where the words "
        "repeat, on the token that followed last time (induction). Heads above "
        f"{SHARPEST} in one of these, except distance 0:",
        _profiles(profiles),
        notes,
        "Made by `python scripts/train_models.py`; docs/experiments.md says what else was tried.",
    ]
    write_text(folder / "README.md", "\n\n".join(part for part in parts if part) + "\n")


def read_scores(folder: Path) -> list[Score]:
    """Return the scores that the card in ``folder`` states."""
    lines = (folder / "README.md").read_text(encoding="utf-8").splitlines()
    start = lines.index(SCORES_HEAD) + 2
    found = []
    for line in lines[start:]:
        if not line.startswith("|"):
            break
        what, measure, value, number = (cell.strip() for cell in line.strip("|").split("|"))
        found.append(Score(what, measure, float(value), int(number)))
    return found


def _facts(facts: Sequence[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {text} |" for name, text in facts)])


def _scores(scores: Sequence[Score]) -> str:
    rows = [f"| {s.what} | {s.measure} | {s.value:.3f} | {s.prompts} |" for s in scores]
    return "\n".join([SCORES_HEAD, "|---|---|---|---|", *rows])


def _profiles(profiles: Sequence[HeadProfile]) -> str:
    lags = len(profiles[0].lags)
    rows = [
        f"| {p.name} | " + " | ".join(f"{x:.2f}" for x in p.lags) + f" | {p.induction:.2f} |"
        for p in profiles
        if max(*p.lags[1:], p.induction) >= SHARPEST
    ]
    head = "| head | " + " | ".join(f"{lag} back" for lag in range(lags)) + " | induction |"
    return "\n".join([head, "|---" * (lags + 2) + "|", *rows])
