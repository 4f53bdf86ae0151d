import json

import pytest

from pahq import catalog
from pahq.errors import BadPolicy, UnknownName
from pahq.graph.build import Graph, GraphShape
from pahq.precision.policy import RECIPES, check_fits, find_policy, from_dict

GRAPH = Graph(GraphShape(2, 2, 8))


def test_the_catalog_lists_exactly_the_recipes():
    assert [entry.name for entry in catalog.POLICIES] == list(RECIPES)


def test_every_recipe_gives_every_component_a_format():
    for policy in RECIPES.values():
        assert list(policy.background(GRAPH)) == list(GRAPH.components)


def test_pahq_fp8_is_the_papers_recipe():
    policy = RECIPES["pahq-fp8"]
    background = policy.background(GRAPH)
    assert background["a0.h1"] == "fp8-e4m3"
    assert background["m1"] == "bf16"
    assert (background["input"], background["logits"]) == ("fp32", "fp32")
    assert policy.raised(GRAPH, "a1.h0") == {"a1.h0": "fp32"}
    assert policy.raised(GRAPH, "m0") == {}  # it raises heads only


def test_pahq_int8_raises_whatever_is_in_focus():
    policy = RECIPES["pahq-int8"]
    assert policy.raised(GRAPH, "m0") == {"m0": "fp32"}
    assert policy.raised(GRAPH, "logits") == {"logits": "fp32"}


@pytest.mark.parametrize("name", ["fp32", "bf16", "rtn-fp8", "rtn-int8"])
def test_uniform_recipes_protect_nothing(name):
    policy = RECIPES[name]
    assert len(set(policy.background(GRAPH).values())) == 1
    assert all(policy.raised(GRAPH, c) == {} for c in GRAPH.components)


def test_a_shared_key_head_raises_all_heads_that_read_it():
    graph = Graph(GraphShape(1, 4, 8, n_kv_heads=2))
    assert RECIPES["pahq-int8"].raised(graph, "a0.kv0") == {"a0.h0": "fp32", "a0.h1": "fp32"}


def test_a_policy_file_says_the_same_as_its_recipe(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text(json.dumps(RECIPES["pahq-fp8"].as_dict()))
    assert find_policy(str(path)) == RECIPES["pahq-fp8"]


def test_a_file_may_name_exceptions():
    data = {**RECIPES["pahq-int8"].as_dict(), "components": {"a0.h1": "bf16"}}
    background = from_dict(data, source="mine.json").background(GRAPH)
    assert (background["a0.h0"], background["a0.h1"]) == ("int8", "bf16")


@pytest.mark.parametrize(
    ("change", "entry"),
    [
        ({"heads": "int3"}, "heads"),
        ({"mlps": None}, "mlps"),
        ({"focus": "fp64"}, "focus"),
        ({"raises": ["embedding"]}, "raises"),
        ({"components": {"a0.h0": "nothing"}}, "components.a0.h0"),
        ({"colour": "red"}, "colour"),
    ],
)
def test_a_bad_entry_is_refused_by_name(change, entry):
    with pytest.raises(BadPolicy, match=f"'{entry}'"):
        from_dict({**RECIPES["pahq-int8"].as_dict(), **change}, source="mine.json")


@pytest.mark.parametrize(
    ("change", "entry"),
    [({"heads": "int8"}, "heads"), ({"components": {"logits": "bf16"}}, "components.logits")],
)
def test_a_policy_that_screens_lowers_mlps_alone(change, entry):
    data = RECIPES["exact-int8"].as_dict()
    assert from_dict({**data, "components": {"m0": "bf16"}}, source="mine.json").screens
    with pytest.raises(BadPolicy, match=f"'{entry}'"):
        from_dict({**data, **change}, source="mine.json")


def test_a_kind_without_a_format_is_refused():
    data = RECIPES["pahq-int8"].as_dict()
    del data["logits"]
    with pytest.raises(BadPolicy, match="'logits'"):
        from_dict(data, source="mine.json")


def test_an_exception_for_a_component_the_model_lacks_is_refused():
    data = {**RECIPES["pahq-int8"].as_dict(), "components": {"a7.h0": "bf16"}}
    with pytest.raises(BadPolicy, match=r"a7\.h0"):
        check_fits(from_dict(data, source="mine.json"), GRAPH)


def test_an_unknown_name_lists_the_nearest():
    with pytest.raises(UnknownName, match="did you mean pahq-int8"):
        find_policy("pahq-int")


def test_a_file_that_is_not_json_is_refused(tmp_path):
    path = tmp_path / "mine.json"
    path.write_text("{")
    with pytest.raises(BadPolicy, match="not JSON"):
        find_policy(str(path))
