"""pahq from Python: ``run`` makes a run, ``load`` opens one. torch is imported when needed."""

from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pahq.discovery.events import Event
from pahq.graph.circuit import Circuit, read_circuit
from pahq.runs import store
from pahq.runs.config import RunConfig, make_config

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from pahq.runs.pipeline import Session

_session: "Session | None" = None  # keeps the model used last between calls of ``run``


class Run:
    """A run on disk, finished or not. Shows its circuit when it is the last line of a cell."""

    def __init__(self, folder: store.RunFolder):
        self.folder = folder

    @property
    def path(self) -> Path:
        """The run's folder."""
        return self.folder.path

    @cached_property
    def config(self) -> RunConfig:
        """The settings it was made with."""
        return self.folder.config

    @cached_property
    def circuit(self) -> Circuit:
        """Which edges stayed, with the effect of each.

        Raises:
            BadRunFolder: if the run has not got so far.
        """
        path = self.path / "circuit.json"
        if not path.exists():
            raise self.folder.no_circuit()
        return read_circuit(path)

    @cached_property
    def events(self) -> list[Event]:
        """Everything that happened, in order."""
        return self.folder.events()

    @property
    def summary(self) -> dict[str, Any]:
        """summary.json's content; empty while there is none."""
        return self.folder.summary or {}

    def figure(self) -> "go.Figure":
        """Return the circuit as a Plotly figure."""
        from pahq.viz.figures import circuit_figure

        return circuit_figure(self.events)

    def _ipython_display_(self) -> None:
        self.figure().show()

    def __repr__(self) -> str:
        kept, total = self.summary.get("edges_kept", "?"), self.summary.get("edges_total", "?")
        status = self.summary.get("status", "unfinished")
        return f"<Run {self.folder.id}: {status}, {kept} of {total} edges kept>"


def run(
    model: Any,
    task: str,
    threshold: float,
    *,
    out: str | Path | None = None,
    on_event: Callable[[Event, float], None] | None = None,
    on_notice: Callable[[str], None] | None = None,
    **settings: Any,
) -> Run:
    """Search for the circuit of ``task`` in ``model`` and return the finished run.

    Args:
        model: a model's name, a directory in the Hugging Face layout, or a TransformerBridge.
        task: a task's name or a task file.
        threshold: an edge whose effect is below it is removed, in the metric's unit.
        out: the run's folder; by default a new one in the user's data folder.
        on_event: called with each event and its time in seconds of search.
        on_notice: called with each sentence to read before the search (a model that cannot do the
            task, a threshold below the noise floor).
        settings: any other field of ``RunConfig``, such as ``policy="pahq-int8"``.

    Raises:
        PahqError: saying what happened, why, and how to fix it.

    Example:
        >>> import pahq
        >>> found = pahq.run(model="tiny-gpt", task="ioi", threshold=0.01)  # doctest: +SKIP
        >>> found.circuit.edges()  # doctest: +SKIP
    """
    global _session
    from pahq.models.loading import wrap_bridge
    from pahq.runs.pipeline import Session, find_device

    named = isinstance(model, str | Path)
    name = str(model) if named else str(model.cfg.model_name)
    config = make_config(model=name, task=task, threshold=threshold, **settings)
    target = Path(out) if out is not None else None
    _session = _session or Session()
    loaded = None if named else wrap_bridge(model, device=find_device(config.device))
    folder = _session.start(
        config, out=target, model=loaded, on_event=on_event, on_notice=on_notice
    )
    return Run(folder)


def load(path: str | Path) -> Run:
    """Open a run by its folder or its id.

    Raises:
        BadRunFolder: if there is none.
    """
    return Run(store.find_run(path))
