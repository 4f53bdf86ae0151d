import json

from made_logs import SMALL, events, records

from pahq.discovery.events import EdgeTested, RunResumed, RunStopped, to_line
from pahq.viz.feed import Feed, feed_of


def line(event, t=0.0):
    return json.loads(to_line(event, t=t))


def test_rows_name_the_same_edges_as_the_log():
    feed = feed_of(records())
    head = feed.header
    nodes, senders, receivers = head["nodes"], head["senders"], head["receivers"]
    decisions = [row for row in feed.rows if isinstance(row[0], int)]
    names = [f"{nodes[senders[s]][0]}->{receivers[r][0]}" for s, r, *_ in decisions]
    assert names == [e.edge for e in events() if isinstance(e, EdgeTested)]


def test_the_number_of_a_decision_is_found_by_its_edge():
    numbers = feed_of(records()).decision_numbers()
    assert numbers == {e.edge: e.i for e in events() if isinstance(e, EdgeTested)}
    assert Feed().decision_numbers() == {}


def test_counts_follow_the_log():
    feed = feed_of(records())
    assert feed.decided == feed.header["edges"] == 1519
    assert feed.kept == feed.ending["summary"]["edges_kept"]


def test_every_edge_enters_and_leaves_one_drawn_node():
    head = feed_of(records()).header
    assert sum(head["incoming"]) == sum(head["outgoing"]) == head["edges"]


def test_a_skipped_decision_costs_two_numbers():
    rows = feed_of(records()).rows
    assert {len(row) for row in rows if isinstance(row[0], int)} == {2, 6}


def test_it_can_be_read_piece_by_piece():
    whole, pieces = records(), Feed()
    for i in range(0, len(whole), 97):
        pieces.add(whole[i : i + 97])
    assert pieces.rows == feed_of(whole).rows


def test_what_it_does_not_know_is_passed_over():
    odd = [{"type": "from_the_future"}, {"type": "edge_tested"}, {"nothing": 1}]
    assert feed_of(odd).header is None
    start = records()[0]
    unknown = line(EdgeTested(0, "a9.h9->a10.h1<q>", 1.0, True, 1.0))
    assert feed_of([start, unknown]).rows == []


def test_a_resumed_run_is_no_longer_at_its_end():
    feed = feed_of([*records()[:50], line(RunStopped(40))])
    assert feed.ending == {"type": "run_stopped"}
    feed.add([line(RunResumed(40))])
    assert feed.ending is None


def test_a_whole_run_of_gpt2_size_fits_into_one_message():
    feed = feed_of(records(shape=SMALL))
    assert len(json.dumps([feed.rows, feed.header])) < 1_000_000
