"""Runs side by side: what differs, how near it was, and why."""

import json
import shutil
from dataclasses import dataclass

import pytest

import pahq
from pahq.errors import BadRunFolder, UsageError
from pahq.graph.circuit import read_circuit
from pahq.runs import store
from pahq.runs.compare import BORDERLINE, CAUSES, compare, differing, full_precision_twin
from pahq.runs.config import make_config
from pahq.runs.pipeline import Session
from pahq.runs.store import RunFolder

TAU = 0.01
HAND = {"model": "hand-induction", "task": "induction", "threshold": TAU, "threads": 1}


@dataclass(frozen=True)
class Said:
    """What a run is made to say of an edge."""

    effect: float
    kept: bool
    skipped: bool = False


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Return real runs, by name."""
    base = tmp_path_factory.mktemp("runs")

    def run(name, **changes):
        return pahq.run(**{**HAND, "examples": 5, "out": base / name, **changes}).folder

    return {
        "fp32": run("0-fp32"),
        "int8": run("1-int8", policy="pahq-int8"),
        "more": run("2-more", examples=6),
        "loose": run("3-loose", threshold=0.5, policy="pahq-int8"),
        "attn-2l": run("4-other", model="attn-2l", examples=2, threshold=1.0),
    }


@pytest.fixture
def edited(tmp_path):
    """Return a function that copies a run and makes it say something else of some edges."""

    def edit(folder, edges=None, *, name="edited", summary=None, config=None, undecided=()):
        copy = RunFolder(shutil.copytree(folder.path, tmp_path / name))
        circuit = copy.circuit
        for edge, said in (edges or {}).items():
            circuit["edges"][edge] = {"score": said.effect, "in_graph": said.kept}
        for edge in undecided:
            circuit["edges"][edge] = {"score": 0.0, "in_graph": True, "decided": False}
        lines = []
        for record in copy.records()[0]:
            if (said := (edges or {}).get(record.get("edge"))) is not None:
                record |= {"effect": said.effect, "kept": said.kept, "skipped": said.skipped}
            if record.get("edge") not in undecided:
                lines.append(json.dumps(record) + "\n")
        (copy.path / "events.jsonl").write_text("".join(lines))
        copy.write_json("circuit.json", circuit)
        copy.write_json("summary.json", {**copy.summary, **(summary or {})})
        changed = copy.config.model_copy(update=config or {})
        copy.write_text("config.json", changed.as_json())
        return copy

    return edit


def kept_edge(folder):
    return sorted(read_circuit(folder.path / "circuit.json").kept)[0]


def edges_of(folder):
    return list(read_circuit(folder.path / "circuit.json").effects)


def test_a_run_is_the_same_as_itself(runs):
    found = compare(runs["fp32"], runs["fp32"])
    assert found.flips == ()
    assert found.edges == 81
    assert found.kept == found.kept_reference == found.kept_both == 4
    measures = (found.precision, found.recall, found.f1, found.jaccard, found.speedup)
    assert measures == (1.0, 1.0, 1.0, 1.0, 1.0)
    assert found.rank_correlation == pytest.approx(1.0)
    assert found.differing == ()


def test_another_precision_is_compared_by_what_it_did(runs, edited):
    quick = edited(runs["int8"], summary={"wall_s": 2.0, "damage": 0.25})
    slow = edited(runs["fp32"], name="slow", summary={"wall_s": 5.0, "damage": 0.125})
    found = compare(slow, quick)
    assert (found.reference, found.other) == ("slow", "edited")
    assert found.policies == ("Full precision", "PAHQ INT8")
    assert found.damages == (0.125, 0.25)
    assert found.unit == "nats"
    assert found.speedup == 2.5
    assert found.differing == ()  # the policy is what is compared
    assert found.sentence == (
        "PAHQ INT8 keeps 4 of Full precision's 4 edges, 2.5 times as fast: the same circuit."
    )
    assert "2.5 times as slow" in compare(quick, slow).sentence
    assert 0.9 < found.rank_correlation <= 1.0


@pytest.mark.parametrize(
    ("reference", "other", "cause", "distance"),
    [
        (Said(0.011, True), Said(0.009, False), "near threshold", 0.1),
        (Said(0.0119, True), Said(-3.0, False), "near threshold", 0.19),
        (Said(0.05, True), Said(0.0095, False), "near threshold", 0.05),
        (Said(0.011, True), Said(0.0, False), "underflow", 0.1),
        (Said(0.05, True), Said(1e-13, False), "underflow", 1.0),
        (Said(0.05, True), Said(0.0, False, skipped=True), "not tested", 4.0),
        (Said(0.011, True), Said(0.0, False, skipped=True), "not tested", 0.1),
        (Said(0.05, True), Said(0.001, False), "other", 0.9),
        (Said(0.0125, True), Said(-0.01, False), "other", 0.25),
    ],
    ids=str,
)
def test_each_flip_has_its_cause(runs, edited, reference, other, cause, distance):
    edge = kept_edge(runs["fp32"])
    a = edited(runs["fp32"], {edge: reference}, name="a")
    b = edited(runs["fp32"], {edge: other}, name="b")
    for one, two, kept in ((a, b, True), (b, a, False)):
        [flip] = compare(one, two).flips
        assert (flip.edge, flip.cause) == (edge, cause)
        assert flip.cause in CAUSES
        assert flip.distance == pytest.approx(distance)
        assert (flip.reference_kept, flip.kept) == (kept, not kept)
        effects = (reference.effect, other.effect)
        assert (flip.reference_effect, flip.effect) == (effects if kept else effects[::-1])


def test_where_the_size_counts_a_negative_effect_is_as_near_as_a_positive_one(runs, edited):
    edge = kept_edge(runs["fp32"])
    a = edited(runs["fp32"], {edge: Said(-0.011, True)}, name="a", config={"absolute": True})
    b = edited(runs["fp32"], {edge: Said(0.001, False)}, name="b", config={"absolute": True})
    [flip] = compare(a, b).flips
    assert flip.cause == "near threshold"
    assert flip.distance == pytest.approx(0.1)


def test_flips_are_sorted_and_counted(runs, edited):
    kept = sorted(read_circuit(runs["fp32"].path / "circuit.json").kept)
    cut = next(e for e in edges_of(runs["fp32"]) if e not in kept)
    # Far from the threshold in the reference, whichever edge it is.
    sure = {edge: Said(0.5, True) for edge in kept} | {cut: Said(-0.5, False)}
    reference = edited(runs["fp32"], sure, name="reference")
    other = edited(
        reference,
        {
            kept[0]: Said(0.002, False),
            kept[1]: Said(0.0099, False),
            kept[2]: Said(0.0, False, skipped=True),
            cut: Said(0.0101, True),
        },
        summary={"wall_s": None},
    )
    found = compare(reference, other)
    distances = [flip.distance for flip in found.flips]
    assert len(distances) == 4
    assert distances == sorted(distances)
    assert (found.kept_reference, found.kept, found.kept_both) == (4, 2, 1)
    assert (found.precision, found.recall) == (0.5, 0.25)
    assert found.f1 == pytest.approx(2 * 0.5 * 0.25 / 0.75)
    assert found.jaccard == pytest.approx(1 / 5)
    assert found.speedup is None
    assert found.sentence == (
        "Full precision keeps 1 of Full precision's 4 edges and adds 1; of 4 that differ, 2 within "
        "20% of the threshold, the rest: not tested, other."
    )
    assert found.as_dict()["flips"][0]["cause"] == "near threshold"
    assert json.loads(json.dumps(found.as_dict()))["f1"] == found.f1


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ([Said(0.0091, False)], "; the one that differs is within 9% of the threshold."),
        ([Said(0.00999, False)], "; the one that differs is within 1% of the threshold."),
        ([Said(0.0085, False), Said(0.0091, False)],
         "; all 2 that differ are within 15% of the threshold."),
        ([Said(0.0, False, skipped=True)], "; the one that differs is not near the threshold: "
         "not tested."),
        ([Said(0.001, False), Said(0.0, False)],
         "; of 2 that differ, none is near the threshold: other, underflow."),
        ([Said(0.0091, False), Said(0.0, False)],
         "; of 2 that differ, 1 within 20% of the threshold, the rest: underflow."),
    ],
    ids=["near", "nearest", "two near", "untested", "none near", "some near"],
)  # fmt: skip
def test_the_sentence_says_how_near_the_differences_were(runs, edited, said, words):
    kept = sorted(read_circuit(runs["fp32"].path / "circuit.json").kept)
    a = edited(runs["fp32"], {edge: Said(0.5, True) for edge in kept}, name="a")
    b = edited(a, dict(zip(kept, said, strict=False)), name="b", summary={"wall_s": None})
    assert compare(a, b).sentence == (
        f"Full precision keeps {4 - len(said)} of Full precision's 4 edges{words}"
    )


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(10.0, "as fast"), (0.08, "125 times as fast"), (0.001, "10,000 times as fast"),
     (1500.0, "150 times as slow"), (34.0, "3.4 times as slow")],
)  # fmt: skip
def test_a_speedup_is_written_as_a_plain_number(runs, edited, seconds, words):
    slow = edited(runs["fp32"], name="slow", summary={"wall_s": 10.0})
    other = edited(runs["int8"], name="other", summary={"wall_s": seconds})
    assert f", {words}: the same circuit." in compare(slow, other).sentence


def test_one_edge_is_one_edge(runs, edited):
    kept = sorted(read_circuit(runs["fp32"].path / "circuit.json").kept)
    one = edited(runs["fp32"], dict.fromkeys(kept[1:], Said(0.001, False)), name="one")
    assert "keeps 1 of Full precision's 1 edge," in compare(one, one).sentence


def test_circuits_without_edges_have_no_shares(runs, edited):
    kept = read_circuit(runs["fp32"].path / "circuit.json").kept
    none = edited(runs["fp32"], dict.fromkeys(kept, Said(0.0, False)), name="none")
    found = compare(none, none)
    assert (found.precision, found.recall, found.f1, found.jaccard) == (None,) * 4
    against = compare(runs["fp32"], none)
    assert (against.precision, against.recall, against.f1, against.jaccard) == (None, 0, 0, 0)


def test_ranks_need_three_effects_that_differ(runs, edited):
    all_edges = edges_of(runs["fp32"])
    skipped = dict.fromkeys(all_edges, Said(0.0, False, skipped=True))
    two = {all_edges[0]: Said(0.5, True), all_edges[1]: Said(0.25, True)}
    equal = dict.fromkeys(all_edges[:4], Said(0.5, True))
    for number, edges in enumerate((skipped, skipped | two, skipped | equal)):
        run = edited(runs["fp32"], edges, name=str(number))
        assert compare(run, run).rank_correlation is None
    three = skipped | two | {all_edges[2]: Said(0.125, True)}
    turned = skipped | {
        all_edges[0]: Said(0.1, True), all_edges[1]: Said(0.2, True), all_edges[2]: Said(0.3, True)
    }  # fmt: skip
    a, b = edited(runs["fp32"], three, name="three"), edited(runs["fp32"], turned, name="turned")
    assert compare(a, b).rank_correlation == pytest.approx(-1.0)


# --- which runs may be compared -----------------------------------------------------------------


def test_settings_that_differ_are_named(runs):
    assert compare(runs["fp32"], runs["loose"]).differing == ("threshold",)
    assert compare(runs["fp32"], runs["more"]).differing == ("examples", "task_hash")
    assert "model_hash" in differing(runs["fp32"].config, runs["attn-2l"].config)


def test_what_changes_no_result_is_not_named(runs):
    config = runs["fp32"].config
    free = {
        "policy": "pahq-auto", "noise_budget": 1e-5, "engine": "bridge", "batch_size": 3,
        "threads": 7, "memory_limit": 2.0, "native_only": True, "device": "cpu",
    }  # fmt: skip
    assert differing(config, config.model_copy(update=free)) == ()


def test_edges_that_a_stopped_run_left_undecided_do_not_count(runs, tmp_path):
    seen = []
    stopped = Session().start(
        make_config(**HAND, examples=5, policy="pahq-int8"), out=tmp_path / "stopped",
        on_event=lambda event, t: seen.append(event), should_stop=lambda: len(seen) > 30,
    )  # fmt: skip
    assert stopped.summary["status"] == "stopped"
    undecided = read_circuit(stopped.path / "circuit.json").undecided
    assert 0 < len(undecided) < 81
    for pair in ((runs["fp32"], stopped), (stopped, runs["fp32"])):
        found = compare(*pair)
        assert found.edges == 81 - len(undecided)
        assert not {flip.edge for flip in found.flips} & undecided
        assert found.flips == ()


def test_an_edge_undecided_in_either_run_is_left_out_of_both(runs, edited):
    kept = sorted(read_circuit(runs["fp32"].path / "circuit.json").kept)
    a = edited(runs["fp32"], name="a", undecided=kept[:1])
    b = edited(runs["fp32"], name="b", undecided=kept[1:2])
    found = compare(a, b)
    assert (found.edges, found.kept_reference, found.kept, found.kept_both) == (79, 2, 2, 2)


def test_different_graphs_are_refused(runs):
    with pytest.raises(UsageError, match=r"cannot be compared(?s:.)*different graphs"):
        compare(runs["fp32"], runs["attn-2l"])


def test_a_run_without_a_circuit_is_refused_by_its_name(runs, tmp_path):
    empty = store.create(runs["fp32"].config, out=tmp_path / "empty")
    for pair in ((runs["fp32"], empty), (empty, runs["fp32"])):
        with pytest.raises(BadRunFolder, match=r"empty has no circuit yet(?s:.)*pahq resume"):
            compare(*pair)


def test_a_policy_file_is_called_by_its_name(runs, edited):
    other = edited(runs["int8"], config={"policy": "/somewhere/mine.json"})
    assert compare(runs["fp32"], other).policies == ("Full precision", "mine.json")


def test_borderline_is_what_the_causes_say():
    assert f"within {BORDERLINE:.0%} of" in CAUSES["near threshold"]


# --- the FP32 run to compare with ---------------------------------------------------------------


def test_the_twin_is_the_latest_finished_fp32_run_of_the_same_settings(runs, edited, tmp_path):
    older = edited(runs["fp32"], name="2024-older")
    newer = edited(runs["fp32"], name="2025-newer")
    stopped = edited(runs["fp32"], name="2026-stopped", summary={"status": "stopped"})
    damaged = edited(runs["fp32"], name="2027-damaged")
    (damaged.path / "config.json").write_text("{")
    lost = edited(runs["fp32"], name="2028-lost")
    (lost.path / "circuit.json").unlink()
    empty = store.create(runs["fp32"].config, out=tmp_path / "2029-empty")
    others = [stopped, damaged, lost, empty, *runs.values()]
    for among in ([older, newer, *others], [*others, newer, older]):
        assert full_precision_twin(runs["int8"], iter(among)).path == newer.path
    assert full_precision_twin(runs["int8"], others).path == runs["fp32"].path
    assert full_precision_twin(runs["int8"], [stopped, damaged, lost, empty]) is None
    assert full_precision_twin(runs["loose"], runs.values()) is None  # another threshold


def test_a_run_is_not_its_own_twin(runs, edited):
    assert full_precision_twin(runs["fp32"], runs.values()) is None
    newer = edited(runs["fp32"], name="newer")
    assert full_precision_twin(runs["fp32"], [*runs.values(), newer]).path == newer.path


def test_a_noise_budget_does_not_keep_a_run_from_its_twin(runs, edited):
    auto = edited(runs["int8"], config={"policy": "pahq-auto", "noise_budget": 1e-5})
    assert full_precision_twin(auto, runs.values()).path == runs["fp32"].path
