"""Lists and previews: what a model reads of a task, and what it cannot."""

import json

import pytest

SHORT = {"clean": "So Mary is", "corrupt": "So John is", "answers": [" a"]}
LONG = {"clean": "So" + " Mary" * 70, "corrupt": "So" + " John" * 70, "answers": [" a"]}


@pytest.fixture
def file(tmp_path):
    """Return a function that writes rows into a file of this name."""

    def write(*rows, name="mine.json"):
        (tmp_path / name).write_text(json.dumps({"prompts": rows}))
        return str(tmp_path / name)

    return write


def test_a_task_file_is_shown_as_the_model_reads_it(pahq, file):
    done = pahq("tasks", "show", file(SHORT, SHORT), "--model", "tiny-gpt")
    assert done.returncode == 0
    assert done.stdout.count("clean   So Mary is") == 2


def test_a_prompt_longer_than_the_models_context_is_refused_by_its_row(refused, file):
    message = refused("tasks", "show", file(SHORT, LONG), "--model", "tiny-gpt")
    assert "mine.json, row 2: the prompt has 71 tokens" in message
    assert "at most 64" in message


@pytest.mark.parametrize("name", ["mine.txt", "mine"])
@pytest.mark.parametrize("command", ["tasks show", "run"])
def test_another_ending_gets_the_endings_there_are(refused, file, name, command):
    path = file(SHORT, name=name)
    run = ["run", "--model", "tiny-gpt", "--threshold", "1", "--task", path]
    message = refused(*(run if command == "run" else ["tasks", "show", path]))
    assert message.startswith(f"pahq: {name} has ")
    assert ".json (AutoCircuit's format) or .csv (EAP-IG's)" in message


def test_formats_say_what_this_machine_multiplies_in(pahq):
    rows = {row["name"]: row for row in json.loads(pahq("formats", "--json").stdout)}
    assert rows["fp32"]["here"] == "native"
    assert {row["here"] for row in rows.values()} == {"native", "emulated"}
    assert all(row["gain"] > 0 for row in rows.values())
    assert "against FP32" in pahq("formats").stdout


def test_native_only_refuses_what_is_emulated_here(refused):
    run = ("run", "--model", "attn-2l", "--task", "induction", "--threshold", "1")
    message = refused(*run, "--policy", "rtn-fp8", "--native-only")
    assert "does not multiply in fp8-e4m3" in message
    assert "pahq formats" in message


def test_models_say_whether_they_are_here_their_size_and_what_a_search_takes(pahq):
    rows = {row["name"]: row for row in json.loads(pahq("models", "--json").stdout)}
    assert rows["tiny-gpt"]["state"] == "ready"
    medium = rows["gpt2-medium"]
    assert medium["state"] == "needs download"
    assert medium["size_bytes"] == 4 * 354_823_168
    assert medium["memory_bytes"] == 3 * medium["size_bytes"]
    [line] = [x for x in pahq("models").stdout.splitlines() if x.startswith("gpt2-medium")]
    assert all(words in line for words in ("needs download", "1.4 GB", "about 4.3 GB"))


def test_tasks_say_which_models_fit(pahq):
    """As the message for a model that lacks a task's words promises."""
    rows = {row["name"]: row["models"] for row in json.loads(pahq("tasks", "--json").stdout)}
    assert {"tiny-gpt", "attn-2l", "hand-induction"} <= set(rows["induction"])
    assert "attn-2l" not in rows["ioi"]
    [line] = [x for x in pahq("tasks").stdout.splitlines() if x.startswith("docstring")]
    assert "tiny-gpt, gpt2, " in line
