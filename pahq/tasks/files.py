"""Task files: prompt pairs that a user brings. No torch.

Two formats are read, told apart by the file's ending:

- ``.json`` as AutoCircuit writes it: ``{"prompts": [{"clean", "corrupt", "answers",
  "wrong_answers"}]}``; optionally ``"prepend_bos": true`` and ``"positions"`` for the whole file,
  and ``"positions"`` in a row. With several positions a row needs no answers.
- ``.csv`` as EAP-IG writes it: ``clean,corrupted,correct_idx,incorrect_idx``, token ids or JSON
  lists of them; ``incorrect_idx`` and a column ``positions`` are optional.

Prompts are text or flat lists of token ids. Unknown keys and columns are ignored. Whether the
prompts fit a model is checked later, by ``base.encode``; rows are counted from 1 in both places.
"""

import csv
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from pahq.errors import BadTaskFile
from pahq.tasks.base import PromptPair, Text

JSON_SHAPE = '{"prompts": [{"clean": ..., "corrupt": ..., "answers": [...], "wrong_answers": []}]}'
CSV_SHAPE = "clean,corrupted,correct_idx,incorrect_idx"
LAST = (-1,)


@dataclass(frozen=True)
class TaskFile:
    """A task file as its author wrote it.

    Attributes:
        title: the file's name without its ending.
        pairs: all rows, in file order.
        prepend_bos: put the begin-of-text token before every text.
        hash: SHA-256 of the file's bytes.
    """

    title: str
    pairs: tuple[PromptPair, ...]
    prepend_bos: bool
    hash: str


def load_file(path: Path) -> TaskFile:
    """Read a task file.

    Raises:
        BadTaskFile: naming the file, and the row or the line and column.
    """
    source = _Source(path.name)
    if path.is_dir():
        source.bad(
            "is a folder.",
            why="a task is a name or one file",
            fix="give the .json or .csv file that holds the prompts",
        )
    ending = path.suffix.lower()
    if ending not in (".json", ".csv"):
        source.bad(
            f"has the ending '{ending}'." if ending else "has no ending.",
            why="the ending says which of two formats a task file has",
            fix="name it .json (AutoCircuit's format) or .csv (EAP-IG's)",
        )
    content = _read(path, source)
    text = _decode(content, source, JSON_SHAPE if ending == ".json" else CSV_SHAPE)
    pairs, prepend_bos = (
        _from_json(text, source) if ending == ".json" else (_from_csv(text, source), False)
    )
    return TaskFile(path.stem, pairs, prepend_bos, hashlib.sha256(content).hexdigest())


@dataclass(frozen=True)
class _Source:
    """What an error message names: a file, and maybe one of its rows."""

    file: str
    row: int | None = None

    def at(self, row: int) -> "_Source":
        return _Source(self.file, row)

    def bad(self, what: str, *, why: str, fix: str) -> NoReturn:
        place = self.file if self.row is None else f"{self.file}, row {self.row}:"
        raise BadTaskFile(f"{place} {what}", why=why, fix=fix)


def _read(path: Path, source: _Source) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        source.bad("does not exist.", why=f"there is no file {path}", fix="check the path")
    except OSError as error:
        source.bad(
            "cannot be read.", why=error.strerror or str(error), fix="check path and permissions"
        )


def _decode(content: bytes, source: _Source, shape: str) -> str:
    try:
        text = content.decode("utf-8-sig")  # spreadsheets put a byte order mark first
    except UnicodeDecodeError as error:
        source.bad(
            "is not UTF-8 text.",
            why=f"byte {error.start} cannot be decoded",
            fix="save the file again with the encoding UTF-8",
        )
    if not text.strip():
        source.bad("is empty.", why="there are no prompts in it", fix=f"write {shape}")
    return text


def _from_json(text: str, source: _Source) -> tuple[tuple[PromptPair, ...], bool]:
    try:
        content = json.loads(text)
    except json.JSONDecodeError as error:
        source.bad(
            "is not valid JSON.",
            why=f"line {error.lineno}, column {error.colno}: {error.msg}",
            fix="correct that place; a trailing comma and single quotes are the usual causes",
        )
    except (ValueError, RecursionError) as error:  # an endless number, endless nesting
        source.bad("is not valid JSON.", why=str(error), fix=f"write {JSON_SHAPE}")
    rows = content.get("prompts") if isinstance(content, dict) else None
    if not isinstance(rows, list):
        source.bad(
            'holds no list "prompts".',
            why="its top level is "
            + (_keys(content) if isinstance(content, dict) else "no object"),
            fix=f"write {JSON_SHAPE}",
        )
    if not rows:
        source.bad("is empty.", why='its list "prompts" has no rows', fix="add prompt pairs")
    prepend_bos = content.get("prepend_bos", False)
    if not isinstance(prepend_bos, bool):
        source.bad(
            f'"prepend_bos" is {_show(prepend_bos)}.',
            why="it says yes or no",
            fix="write true or false",
        )
    common = _positions(content["positions"], source) if "positions" in content else LAST
    pairs = tuple(_json_row(row, common, source.at(i)) for i, row in enumerate(rows, start=1))
    return pairs, prepend_bos


def _json_row(row: Any, common: tuple[int, ...], source: _Source) -> PromptPair:
    if not isinstance(row, dict):
        source.bad(f"is {_show(row)}.", why="a row is an object", fix=f"write {JSON_SHAPE}")
    positions = _positions(row["positions"], source) if "positions" in row else common
    needed = ("clean", "corrupt") if len(positions) > 1 else ("clean", "corrupt", "answers")
    _need(row, needed, source)
    return PromptPair(
        clean=_text(row["clean"], "clean", source),
        corrupt=_text(row["corrupt"], "corrupt", source),
        answers=_tokens(row.get("answers", []), "answers", source),
        wrong=_tokens(row.get("wrong_answers", []), "wrong_answers", source),
        positions=positions,
    )


def _from_csv(text: str, source: _Source) -> tuple[PromptPair, ...]:
    reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
    try:
        rows = list(reader)
    except csv.Error as error:
        source.bad(
            "is not valid CSV.",
            why=f"line {reader.line_num}: {error}",
            fix="put quotes around cells that hold commas, quotes or line breaks",
        )
    missing = {"clean", "corrupted", "correct_idx"} - set(reader.fieldnames or ())
    if missing:
        source.bad(
            f"lacks the column {', '.join(sorted(missing))}.",
            why=f"its first line is {','.join(reader.fieldnames or ())!r}",
            fix=f"name the columns {CSV_SHAPE}",
        )
    if not rows:
        source.bad("is empty.", why="no rows follow the first line", fix="add prompt pairs")
    return tuple(_csv_row(row, source.at(i)) for i, row in enumerate(rows, start=1))


def _csv_row(row: Mapping[str, str | None], source: _Source) -> PromptPair:
    _need(row, ("clean", "corrupted", "correct_idx"), source)
    wrong, positions = row.get("incorrect_idx"), row.get("positions")
    return PromptPair(
        clean=_text(_cell(row["clean"]), "clean", source),
        corrupt=_text(_cell(row["corrupted"]), "corrupted", source),
        answers=_ids(row["correct_idx"], "correct_idx", source),
        wrong=_ids(wrong, "incorrect_idx", source) if wrong else (),
        positions=_positions(_parsed(positions), source) if positions else LAST,
    )


def _cell(cell: str | None) -> Any:
    """Return a cell's list of token ids if it holds one, else its text."""
    parsed = _parsed(cell)
    return parsed if isinstance(parsed, list) and all(map(_is_id, parsed)) else cell


def _ids(cell: str | None, name: str, source: _Source) -> tuple[str | int, ...]:
    parsed = _parsed(cell)
    ids = parsed if isinstance(parsed, list) else [parsed]
    if not all(map(_is_id, ids)):
        source.bad(
            f"{name} is {cell!r}.",
            why="it holds token ids: whole numbers",
            fix="write one token id, or several as a list: [318, 373]",
        )
    return tuple(ids)


def _parsed(cell: str | None) -> Any:
    try:
        return json.loads(cell or "")
    except (ValueError, RecursionError):
        return cell


def _need(row: Mapping[str, Any], names: tuple[str, ...], source: _Source) -> None:
    missing = [name for name in names if row.get(name) is None]
    empty = [name for name in names if row.get(name) == ""]
    if empty:
        source.bad(
            f"{' and '.join(empty)} {'is' if len(empty) == 1 else 'are'} empty.",
            why="there is nothing to run or to compare with",
            fix="fill it in, or remove the row",
        )
    if missing:
        source.bad(
            f"has no {' and no '.join(missing)}.",
            why=f"it holds {_keys(row)}",
            fix="add what is missing, or remove the row",
        )


def _text(value: Any, name: str, source: _Source) -> Text:
    if isinstance(value, str):
        return value
    if not (isinstance(value, list) and value and all(map(_is_id, value))):
        source.bad(
            f"{name} is {_show(value)}.",
            why="a prompt is text, or a flat list of token ids",
            fix='write "So Mary is ..." or [1, 2, 3]',
        )
    return tuple(value)


def _tokens(value: Any, name: str, source: _Source) -> tuple[str | int, ...]:
    if not (isinstance(value, list) and all(isinstance(t, str) or _is_id(t) for t in value)):
        source.bad(
            f"{name} is {_show(value)}.",
            why="it is a list of single tokens, each a text or a token id",
            fix='write [" Mary"] or [5335]',
        )
    return tuple(value)


def _positions(value: Any, source: _Source) -> tuple[int, ...]:
    positions = value if isinstance(value, list) else [value]
    if not (positions and all(map(_is_id, positions))):
        source.bad(
            f"positions is {_show(value)}.",
            why="it is a whole number or a list of them; negative ones count from the end",
            fix="write -1, or [3, 4, 5], or leave it out for the last token",
        )
    return tuple(positions)


def _is_id(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)  # true is no token id


def _show(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _keys(row: Mapping[str, Any]) -> str:
    names = [str(name) for name, value in row.items() if value not in (None, "")]
    return ", ".join(names) if names else "nothing"
