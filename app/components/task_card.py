"""One example of the chosen task: clean and corrupt prompt with the tokens that differ marked."""

from html import escape

import streamlit as st

from choices import TaskCard
from components.strip import capital
from pahq.tasks.preview import ShownPair

MOST_TOKENS = 44  # of a long prompt, its end is shown: there the answer is read
MOST_ANSWERS = 4


def task_card(card: TaskCard, *, model: str) -> None:
    """Draw the card. ``model``: the title of the chosen one."""
    parts = [f"<p>{escape(card.sentence)}</p>"]
    if card.pair:
        parts += [_prompt("clean", card.pair), _prompt("corrupt", card.pair)]
        if card.pair.wrong:
            parts.append(f'<p class="known">Wrong would be {_words(card.pair.wrong)}.</p>')
    if card.borrowed and card.pair:
        parts.append(f'<p class="known">Shown in the words of {escape(card.borrowed)}.</p>')
    if card.problem:
        parts.append(f'<p class="problem">{escape(card.problem["what"])}</p>')
        if card.borrowed:  # else a run cannot begin, and all of it stands below Run
            parts.append(f'<p class="known">{escape(capital(card.problem["fix"]))}</p>')
    if card.known:
        parts.append(f'<p class="known">{_known(card.known, model)}</p>')
    st.html(f'<div class="task-card">{"".join(parts)}</div>')


def _prompt(kind: str, pair: ShownPair) -> str:
    tokens = list(zip(getattr(pair, kind), pair.differs, strict=True))
    cut = "… " if len(tokens) > MOST_TOKENS else ""
    words = "".join(
        _marked(word) if differs else _visible(word) for word, differs in tokens[-MOST_TOKENS:]
    )
    answer = f' <u title="right answer">{_words(pair.answers)}</u>' if kind == "clean" else ""
    return f'<div class="prompt"><i>{kind}</i><span>{cut}{words}{answer}</span></div>'


def _known(text: str, model: str) -> str:
    """Return what circuit is known, and of which model where it is not the chosen one."""
    whose, colon, what = text.partition(": ")
    if colon and whose != model:
        return f"<b>Known of {escape(whose)}</b>, another model: {escape(what)}"
    return f"<b>Known circuit</b> {escape(what or text)}"


def _marked(word: str) -> str:
    """Mark a token that differs; the space before it stays outside, where it is seen as one."""
    bare = word.lstrip(" ")
    if not bare:  # the space itself differs
        return f"<mark>{'␣' * len(word)}</mark>"
    return " " * (len(word) - len(bare)) + f"<mark>{_visible(bare)}</mark>"


def _visible(word: str) -> str:
    return escape(word).replace("\n", "↵\n")


def _words(words: tuple[str, ...]) -> str:
    more = f" … ({len(words)})" if len(words) > MOST_ANSWERS else ""
    return escape(", ".join(word.strip() or "␣" for word in words[:MOST_ANSWERS])) + more
