"""Places take what they name, whatever gaps they have."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from pahq.engine.places import Places

HERE = torch.device("cpu")
numbers = st.sets(st.integers(0, 11)).map(sorted)


@given(numbers, st.integers(0, 13))
def test_since_and_before_split_the_places(found, first):
    places = Places(found, HERE)
    later = places.since(first)
    assert list(later.numbers) == [n for n in found if n >= first]
    assert places.before(first) + len(later) == len(places) == len(found)
    assert places.index.tolist() == found


@given(numbers)
def test_take_and_put_are_those_of_an_index(found):
    x = torch.arange(2 * 12 * 3.0).view(2, 12, 3)
    places = Places(found, HERE)
    assert torch.equal(places.take(x), x[:, torch.tensor(found, dtype=torch.long)])
    other = torch.zeros_like(x)
    places.put(other, places.take(x))
    assert torch.equal(places.take(other), places.take(x))
    assert int((other != 0).any(-1).sum()) <= 2 * len(found)


@given(numbers, st.data())
def test_what_is_known_at_more_places_is_taken_at_fewer(found, data):
    own = Places(found, HERE)
    some = sorted(data.draw(st.sets(st.sampled_from(found)))) if found else []
    x = torch.randn(2, 12, 3)
    wanted = Places(some, HERE)
    assert torch.equal(wanted.within(own).take(own.take(x)), wanted.take(x))


def test_places_without_gaps_are_a_view():
    x = torch.zeros(2, 12, 3)
    assert Places([3, 4, 5], HERE).take(x).data_ptr() == x[:, 3].data_ptr()
