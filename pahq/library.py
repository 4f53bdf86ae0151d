"""pahq from Python: ``run`` makes a run, ``load`` opens one. torch is imported when needed."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pahq.discovery.events import Event
from pahq.graph.circuit import Circuit, read_circuit
from pahq.runs import store
from pahq.runs.config import RunConfig, make_config

if TYPE_CHECKING:
    import plotly.graph_objects as go

    from pahq.models.loading import LoadedModel
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
        found = self.summary
        if "edges_kept" not in found:
            return f"<Run {self.folder.id}: {found.get('status', 'unfinished')}>"
        kept, total = found["edges_kept"], found["edges_total"]
        if undecided := total - found["edges_decided"]:  # they count as kept
            kept, total = kept - undecided, f"{found['edges_decided']} decided"
        return f"<Run {self.folder.id}: {found['status']}, {kept} of {total} edges kept>"


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
        model: a model's name, a directory in the Hugging Face layout, or a TransformerBridge. A
            bridge is given back as it was. Its runs go on with ``pahq.resume(path, model=...)``:
            `pahq resume` cannot know where it came from.
        task: a task's name or a task file.
        threshold: an edge whose effect is below it is removed, in the metric's unit.
        out: the run's folder; by default a new one in the user's data folder.
        on_event: called with each event and its time in seconds of search.
        on_notice: called with each sentence to read before the search (a model that cannot do the
            task, a threshold below the noise floor).
        settings: any other field of ``RunConfig``, such as ``policy="pahq-int8"``. ``examples``
            is 50 for a named task and every row of a task file, unless it is given.

    Raises:
        PahqError: saying what happened, why, and how to fix it.

    Example:
        >>> import pahq
        >>> found = pahq.run(model="tiny-gpt", task="ioi", threshold=0.01)  # doctest: +SKIP
        >>> found.circuit.edges()  # doctest: +SKIP
    """
    config = make_config(model=_name_of(model), task=task, threshold=threshold, **settings)
    target = Path(out) if out is not None else None
    with _loaded(model, config) as (session, loaded):
        folder = session.start(
            config, out=target, model=loaded, on_event=on_event, on_notice=on_notice
        )
    return Run(folder)


def resume(
    path: str | Path,
    *,
    model: Any = None,
    on_event: Callable[[Event, float], None] | None = None,
) -> Run:
    """Go on with a run that was stopped or interrupted, and return it finished.

    Args:
        path: the run's folder or its id.
        model: the TransformerBridge, where the run was made with one.
        on_event: called with each new event and its time in seconds of search.

    Raises:
        PahqError: if there is no such run, another process works on it, or the model is not the
            one it was made with.
    """
    folder = store.find_run(path)
    config = folder.config
    with _loaded(config.model if model is None else model, config) as (session, loaded):
        prepared = None if loaded is None else session.prepare(config, loaded)
        session.run(folder, prepared=prepared, on_event=on_event)
    return Run(folder)


def load(path: str | Path) -> Run:
    """Open a run by its folder or its id.

    Raises:
        BadRunFolder: if there is none.
    """
    return Run(store.find_run(path))


def _name_of(model: Any) -> str:
    return str(model) if isinstance(model, str | Path) else str(model.cfg.model_name)


@contextmanager
def _loaded(model: Any, config: RunConfig) -> "Iterator[tuple[Session, LoadedModel | None]]":
    """Give the session, and a bridge that was handed in in the form that the session wants."""
    global _session
    from pahq.models.loading import borrow_bridge
    from pahq.runs.pipeline import Session, find_device

    _session = _session or Session()
    if isinstance(model, str | Path):
        yield _session, None
    else:
        device = None if config.device == "auto" else find_device(config.device)
        with borrow_bridge(model, device=device) as loaded:
            yield _session, loaded
