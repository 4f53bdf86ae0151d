"""A run in other programs' forms: one function, chosen by the target's ending."""

import csv
import io
import json
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from pahq.errors import UsageError
from pahq.graph.circuit import Circuit, read_circuit
from pahq.runs.store import RunFolder

BUNDLED = (
    "config.json", "environment.json", "events.jsonl", "circuit.json", "summary.json", "state.json",
)  # fmt: skip


def export(folder: RunFolder, to: Path) -> None:
    """Write a run to ``to``; its ending says in which form.

    ``.zip`` the whole run, ``.csv`` every edge, ``.graphml`` and ``.json`` (node-link) the kept
    edges, ``.html`` the figure.

    Raises:
        UsageError: for an ending that is not one of these, or a target that cannot be written.
        BadRunFolder: if the run has no circuit yet.
    """
    write = FORMS.get(to.suffix)
    if write is None:
        raise UsageError(
            f"There is no export to '{to.suffix or to.name}'.",
            why=f"known endings are: {', '.join(FORMS)}",
            fix="give the target one of these endings",
        )
    if not (folder.path / "circuit.json").exists():
        raise folder.no_circuit()
    content = write(folder)
    part = to.with_name(f".{to.name}.part")
    try:
        part.write_bytes(content)
        os.replace(part, to)
    except OSError as error:
        raise UsageError(
            f"{to} cannot be written.", why=error.strerror or str(error), fix="choose another --to"
        ) from None


def _circuit(folder: RunFolder) -> Circuit:
    return read_circuit(folder.path / "circuit.json")


def _zip(folder: RunFolder) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in BUNDLED:
            path = folder.path / name
            if path.exists():
                archive.write(path, f"{folder.id}/{name}")
    return buffer.getvalue()


def _csv(folder: RunFolder) -> bytes:
    circuit = _circuit(folder)
    text = io.StringIO()
    rows = csv.writer(text)
    rows.writerow(["sender", "receiver", "effect", "kept", "decided"])
    for name, effect in circuit.effects.items():
        sender, _, receiver = name.partition("->")
        rows.writerow(
            [sender, receiver, repr(effect), name in circuit.kept, name not in circuit.undecided]
        )
    return text.getvalue().encode()


def _graphml(folder: RunFolder) -> bytes:
    import networkx as nx

    buffer = io.BytesIO()
    nx.write_graphml(_circuit(folder).to_networkx(), buffer)
    return buffer.getvalue()


def _node_link(folder: RunFolder) -> bytes:
    import networkx as nx

    data = nx.node_link_data(_circuit(folder).to_networkx(), edges="edges")
    return json.dumps(data, indent=1).encode()


def _html(folder: RunFolder) -> bytes:
    from pahq.viz.figures import circuit_figure

    page = circuit_figure(folder.events()).to_html(
        include_plotlyjs=True, config={"showSendToCloud": False, "displaylogo": False}
    )
    return page.encode()


FORMS: dict[str, Callable[[RunFolder], bytes]] = {
    ".zip": _zip,
    ".csv": _csv,
    ".graphml": _graphml,
    ".json": _node_link,
    ".html": _html,
}
