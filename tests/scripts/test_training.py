"""Training in miniature: it can be interrupted, teaches what it says, and writes what loads."""

import random

import pytest
import torch
from transformers import GPT2LMHeadModel

from pahq.models.loading import load_model
from pahq.tasks import induction
from pahq.tokenizer import Tokenizer
from scripts.training import attn_2l, cards, data, evaluate, export, loop, scenes, tiny_gpt
from scripts.training.model import Decoder, Shape
from scripts.training.vocabulary import BEGIN, build_tokenizer, save_tokenizer, vocabulary

SHAPE = Shape(vocabulary=40, context=16, layers=2, heads=2, width=16, mlp=24)


def small_model(shape=SHAPE):
    torch.manual_seed(0)
    return Decoder(shape)


def draw(rng, step):
    rows = [[rng.randrange(40) for _ in range(17)] for _ in range(4)]
    return {"words": [(ids, [0.0] * 8 + [1.0] * 9) for ids in rows]}


SCHEDULE = loop.Schedule(
    steps=9, rate=1e-2, warm_up=2, share={"words": 1.0}, save_every=4, sparsity=0.5
)
GUIDES = (loop.Guide(layer=0, heads=1, looks_at="previous", steps=6, weight=0.3),)


def trained(folder, **more):
    model = small_model()
    return loop.train(
        model, draw, SCHEDULE, seed=1, folder=folder, guides=GUIDES, say=lambda _: None, **more
    )


@pytest.mark.parametrize("stop", [3, 4, 7])
def test_interrupted_and_resumed_gives_the_same_weights(tmp_path, stop):
    whole = trained(tmp_path / "whole")
    trained(tmp_path / "parts", stop_after=stop)
    resumed = trained(tmp_path / "parts")
    for (name, one), two in zip(whole.named_parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, two), name


def test_a_guide_looks_for_the_token_before_or_the_one_that_followed_last_time():
    ids = torch.tensor([[5, 6, 7, 5]])
    previous = loop.looked_at(ids, "previous")[0]
    assert previous.nonzero().tolist() == [[1, 0], [2, 1], [3, 2]]
    assert loop.looked_at(ids, "induction")[0].nonzero().tolist() == [[3, 1]]  # 5 6 7 5 -> 6


def test_concentrating_shortens_every_heads_values_and_outputs_by_one_length():
    model = small_model()
    block = model.blocks[0]
    before = block.out.weight.view(16, 2, 8).norm(dim=(0, 2)).detach().clone()
    queries = block.qkv.weight[:32].detach().clone()
    loop.concentrate(model, by=0.1)
    after = block.out.weight.view(16, 2, 8).norm(dim=(0, 2))
    assert torch.allclose(before - after, torch.tensor([0.1, 0.1]), atol=1e-5)
    assert torch.equal(block.qkv.weight[:32], queries)


def test_the_gpt2_layout_gives_the_same_logits_in_transformers(tmp_path):
    model = small_model()
    export.save_gpt2(model, tmp_path)
    theirs = GPT2LMHeadModel.from_pretrained(tmp_path, local_files_only=True).eval()
    ids = torch.randint(40, (3, 16))
    with torch.no_grad():
        assert torch.allclose(theirs(ids).logits, model(ids), atol=1e-5)


def test_the_native_layout_gives_the_same_logits_in_transformer_lens(tmp_path):
    words = attn_2l.tokenizer()
    model = attn_2l.new_model(words)
    export.save_attention_only(model, attn_2l.config(words.size), tmp_path)
    loaded = load_model(str(tmp_path), device=torch.device("cpu"))
    ids = torch.randint(words.size, (3, 16))
    with torch.no_grad():
        assert torch.allclose(loaded.bridge(ids), model(ids), atol=1e-5)


@pytest.mark.parametrize(
    "text",
    [
        "The war lasted from the year 1732 to 17",
        "So Mary is a really great friend, isn't she.",
        '\ndef run(self, file):\n    """river summer\n\n    :param file: bread\n    :param',
    ],
)
def test_decoding_gives_the_text_back_exactly(text, tmp_path):
    save_tokenizer(tiny_gpt.tokenizer().backend, tmp_path, context=64)
    words = Tokenizer.from_directory(tmp_path)
    assert words.decode(words.encode(text)) == text
    assert words.unknown not in words.encode(text)
    assert words.bos_id == 0


def test_years_are_split_in_two_and_words_bring_their_space():
    words = tiny_gpt.tokenizer()
    text = " year 1732, John"
    assert words.words(words.encode(text)) == (" year", " 17", "32", ",", " John")


KINDS = [data.scene, data.years, data.friends, data.documented]


@pytest.mark.parametrize("kind", KINDS, ids=[kind.__name__ for kind in KINDS])
def test_documents_use_known_words_and_have_something_to_learn(kind):
    words = tiny_gpt.tokenizer()
    writer = data.Writer(words, random.Random(0), 64)
    rows = [writer.row(kind) for _ in range(50)]
    assert {len(part) for row in rows for part in row} == {65}
    assert not any(words.unknown in ids for ids, _ in rows)
    assert sum(data.ANSWER in weights for _, weights in rows) > 40


def test_held_out_pairs_of_names_never_meet():
    rng = random.Random(1)
    for _ in range(300):
        names = {text.strip() for text, _ in scenes.scene(rng)} & set(scenes.NAMES)
        assert not any(pair <= names for pair in scenes.HELD_OUT_PAIRS)


def test_a_walk_counts_only_transitions_it_has_seen_before():
    ids, weights = data.repeats(range(100), random.Random(0), 60)
    for place in range(1, 60):
        seen = {(ids[i], ids[i + 1]) for i in range(place - 1)}
        if weights[place]:
            assert (ids[place - 1], ids[place]) in seen


def test_in_couples_only_the_word_before_says_what_comes():
    ids, weights = data.couples(range(60), random.Random(0), 60)
    for place in range(1, 60):
        if weights[place]:
            earlier = ids[: place - 1].index(ids[place - 1])
            assert ids[earlier + 1] == ids[place]


def looks_up(ids):
    """A model without parameters that does induction perfectly."""
    logits = torch.zeros(*ids.shape, 40)
    for row, words in enumerate(ids.tolist()):
        for place, word in enumerate(words):
            if word in words[:place]:
                logits[row, place, words[words.index(word) + 1]] = 9.0
    return logits


def test_a_model_that_looks_up_what_followed_scores_one_and_chance_does_not():
    words = Tokenizer(build_tokenizer(vocabulary(f" {c}" for c in "abcdefghijklmnopqrstuvwxyz")))
    assert words.size == 28
    scores = evaluate.scores(looks_up, ("induction",), tokenizer=words, context=32)
    assert [score.value for score in scores] == [1.0, 1.0]

    def blind(ids):
        return torch.zeros(*ids.shape, 28)

    scores = evaluate.scores(blind, ("induction",), tokenizer=words, context=32)
    assert max(score.value for score in scores) < 0.2


def test_profiles_find_a_head_that_looks_one_back_and_one_that_does_induction():
    words = Tokenizer(build_tokenizer(vocabulary(f" {c}" for c in "abcdefghijklmnopqrstuvwxyz")))

    def patterns(ids):
        previous, follows = loop.looked_at(ids, "previous"), loop.looked_at(ids, "induction")
        return torch.stack([previous, follows], dim=1)[None].float()  # one layer, two heads

    one, two = evaluate.head_profiles(patterns, tokenizer=words, context=32)
    assert (one.name, one.lags, one.induction) == ("a0.h0", (0.0, 1.0, 0.0, 0.0, 0.0), 0.0)
    assert (two.name, two.lags, two.induction) == ("a0.h1", (0.0,) * 5, 1.0)


def test_a_card_gives_its_scores_back(tmp_path):
    scores = [evaluate.Score("ioi", "accuracy", 0.9966, 300)]
    profile = evaluate.HeadProfile("a0.h0", (0.1, 0.9), 0.0)
    cards.write_card(
        tmp_path, title="x", about="y", facts=[("a", "b")], scores=scores, profiles=[profile],
        notes="",
    )  # fmt: skip
    assert cards.read_scores(tmp_path) == [evaluate.Score("ioi", "accuracy", 0.997, 300)]
    assert "| a0.h0 | 0.10 | 0.90 | 0.00 |" in (tmp_path / "README.md").read_text()


def test_begin_of_text_is_no_word_to_draw():
    words = tiny_gpt.tokenizer()
    assert words.encode(BEGIN)[0] not in induction.words(words)
