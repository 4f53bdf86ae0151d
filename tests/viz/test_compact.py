from made_logs import SMALL, TINY, records

from pahq.viz.compact import compact
from pahq.viz.feed import Feed, feed_of


def test_only_the_circuit_is_left_and_layers_keep_their_order():
    found = compact(TINY, [("input", "a0.h3"), ("a0.h3", "m2"), ("m2", "logits"), ("input", "m2")])
    heights = {name: y for name, (_, y) in found["places"].items()}
    assert sorted(heights, key=heights.__getitem__) == ["input", "a0.h3", "m2", "logits"]
    assert [layer for layer, _, _ in found["floors"]] == [0, 2]


def test_two_edges_that_need_not_cross_do_not():
    found = compact(TINY, [("a0.h0", "a1.h7"), ("a0.h7", "a1.h0"), ("a1.h0", "logits")])
    x = {name: x for name, (x, _) in found["places"].items()}
    assert (x["a0.h0"] < x["a0.h7"]) == (x["a1.h7"] < x["a1.h0"])


def test_nodes_of_a_row_stand_one_slot_apart_around_the_middle():
    found = compact(TINY, [("input", f"a0.h{h}") for h in (1, 4, 6)] + [("a0.h4", "logits")])
    row = sorted(x for name, (x, _) in found["places"].items() if name.startswith("a0"))
    assert row == [0.0, 1.0, 2.0]
    assert found["places"]["logits"][0] == 1.0
    assert found["width"] == 3.0


def test_a_circuit_without_edges_has_both_ends():
    assert set(compact(TINY, [])["places"]) == {"input", "logits"}


def test_crossings_become_fewer_than_in_the_grid():
    log = feed_of(records(shape=SMALL))
    pairs = sorted(set(log.kept_pairs()))
    layer = {name: (kind, level) for name, kind, level, *_ in log.header["nodes"]}
    grid = {name: x for name, _, _, _, x, _ in log.header["nodes"]}
    close = {name: x for name, (x, _) in compact(SMALL, pairs)["places"].items()}

    def crossings(x):
        found = 0
        for i, (a, b) in enumerate(pairs):
            for c, d in pairs[:i]:
                if layer[a] == layer[c] and layer[b] == layer[d]:
                    found += (x[a] - x[c]) * (x[b] - x[d]) < 0
        return found

    assert crossings(close) < 0.9 * crossings(grid)


def test_the_feed_knows_it_once_the_run_is_over():
    whole, feed = records(), Feed()
    feed.add(whole[:-1])
    assert feed.compact is None
    feed.add(whole[-1:])
    assert feed.compact["places"].keys() >= {"input", "logits"}
