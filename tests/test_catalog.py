import importlib

import pytest

from pahq import catalog
from pahq.errors import UnknownName
from pahq.tasks.base import Task

LISTS = (
    catalog.MODELS, catalog.TASKS, catalog.METHODS, catalog.POLICIES, catalog.METRICS,
    catalog.FORMATS, catalog.ENGINES, catalog.ABLATIONS, catalog.ORDERS, catalog.DEVICES,
)  # fmt: skip


def test_names_are_unique_and_described():
    for entries in LISTS:
        names = [entry.name for entry in entries]
        assert len(set(names)) == len(names)
        assert all(entry.title and entry.description.endswith(".") for entry in entries)


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(UnknownName, match=r"'greaterthan'(?s:.)*did you mean greater-than"):
        catalog.find(catalog.TASKS, "greaterthan", kind="task")


def test_every_task_has_its_source():
    for entry in catalog.TASKS:
        task = importlib.import_module(entry.module).TASK
        assert isinstance(task, Task)
        assert task.name == entry.name


def test_models_name_tasks_that_exist():
    tasks = {entry.name for entry in catalog.TASKS}
    assert all(set(entry.tasks) <= tasks for entry in catalog.MODELS)
