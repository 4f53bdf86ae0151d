import json

import pytest

from pahq.discovery.events import EdgeTested, ReceiverStarted, RunStopped, to_line
from pahq.errors import BadRunFolder, SearchFailed
from pahq.runs import store
from pahq.runs.config import make_config
from pahq.runs.store import RunFolder

CONFIG = make_config(model="tiny-gpt", task="ioi", threshold=0.01)
STARTED = ReceiverStarted("logits")
TESTED = EdgeTested(0, "m0->logits", 0.5, True, 0.0)


def with_events(folder, *events, tail=""):
    text = "".join(to_line(event, t=float(i)) for i, event in enumerate(events)) + tail
    (folder.path / "events.jsonl").write_text(text)


def test_a_run_never_overwrites_another(tmp_path):
    store.create(CONFIG, out=tmp_path / "run")
    with pytest.raises(BadRunFolder, match=r"already holds a run(?s:.)*pahq resume"):
        store.create(CONFIG, out=tmp_path / "run")


def test_a_finished_run_is_to_be_shown_not_resumed(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    folder.write_json("summary.json", {"status": "finished"})
    with pytest.raises(BadRunFolder, match="already holds a run") as error:
        store.check_free(folder.path)
    assert "pahq resume" in error.value.fix  # its circuit is missing: it can finish again
    folder.write_json("circuit.json", {"edges": {}})
    with pytest.raises(BadRunFolder, match="already holds a finished run") as error:
        store.check_free(folder.path)
    assert error.value.fix.startswith(f"look at it with `pahq show {folder.path}`")
    assert "resume" not in error.value.fix


def test_a_run_never_lies_among_other_files(tmp_path):
    out = tmp_path / "thesis"
    out.mkdir()
    (out / ".hidden").write_text("")
    store.check_free(out)
    for name in ("a.tex", "b.tex", "c.tex", "d.tex"):
        (out / name).write_text("")
    with pytest.raises(BadRunFolder, match=r"thesis is not empty(?s:.)*a\.tex, b.*and 1 more"):
        store.create(CONFIG, out=out)
    assert not (out / "config.json").exists()


def test_two_runs_with_equal_settings_have_ids_of_their_own(home):
    first, second = store.create(CONFIG), store.create(CONFIG)
    assert first.id != second.id
    assert "tiny-gpt-ioi-fp32-0.01" in first.id
    assert {folder.id for folder in store.list_runs()} == {first.id, second.id}
    assert store.find_run(first.id) == first
    assert store.find_run(first.path) == first


def test_an_unknown_run_is_an_error():
    with pytest.raises(BadRunFolder, match=r"no run 'nothing'(?s:.)*pahq list"):
        store.find_run("nothing")


def test_a_line_that_is_still_being_written_waits_for_the_next_look(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    with_events(folder, STARTED, TESTED, tail='{"type": "edge_te')
    records, offset = folder.records()
    assert [record["type"] for record in records] == ["receiver_started", "edge_tested"]
    with (folder.path / "events.jsonl").open("a") as file:
        file.write('sted", "i": 1}\n')
    assert folder.records(offset)[0] == [{"type": "edge_tested", "i": 1}]


def test_an_interrupted_log_is_cut_after_the_last_newline(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    with_events(folder, STARTED, TESTED, tail='{"type": "edge_te')
    assert folder.cut_events() == [STARTED, TESTED]
    assert (folder.path / "events.jsonl").read_text().endswith("}\n")


def test_a_damaged_line_ends_what_can_be_relied_on(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    later = to_line(TESTED, t=1.0)
    with_events(folder, STARTED, TESTED, tail='{"type": "edge_tes\n' + later)
    assert folder.cut_events() == [STARTED, TESTED]
    assert folder.events() == [STARTED, TESTED]


def test_an_event_of_a_newer_version_stays_where_it_is(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    tail = '{"type": "prefetched", "t": 0.1}\n' + to_line(TESTED, t=1.0)
    with_events(folder, STARTED, tail=tail + '{"half')
    assert folder.cut_events() == [STARTED, TESTED]
    assert (folder.path / "events.jsonl").read_text().endswith(tail)


def test_an_ending_is_cut_too_so_that_a_stopped_run_can_go_on(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    with_events(folder, STARTED, TESTED, RunStopped(1))
    assert folder.ended
    assert folder.cut_events() == [STARTED, TESTED]
    assert not folder.ended


def test_a_file_is_replaced_as_a_whole(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    folder.write_json("summary.json", {"edges_kept": 3})
    with pytest.raises(ValueError, match="Out of range"):
        folder.write_json("summary.json", {"damage": float("nan")})
    assert folder.summary == {"edges_kept": 3}
    assert [p.name for p in folder.path.iterdir() if p.name.endswith(".part")] == []


def test_a_folder_that_cannot_be_written_is_one_clear_message(tmp_path):
    folder = RunFolder(tmp_path / "gone")
    with pytest.raises(SearchFailed, match=r"could not be written(?s:.)*pahq resume"):
        folder.write_text("config.json", "{}")


def test_damaged_files_read_as_nothing(tmp_path):
    folder = store.create(CONFIG, out=tmp_path / "run")
    (folder.path / "summary.json").write_text("{")
    (folder.path / "state.json").write_text(json.dumps({"pid": 1}))
    assert folder.summary is None
    assert folder.state is None


def test_a_file_is_no_place_for_a_run(tmp_path):
    target = tmp_path / "notes.txt"
    target.write_text("mine")
    with pytest.raises(BadRunFolder, match="is a file"):
        store.create(CONFIG, out=target)
    assert target.read_text() == "mine"
