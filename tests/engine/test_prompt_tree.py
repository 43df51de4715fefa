"""Prompts that begin alike branch off one trunk, and read what they read alone."""

from itertools import chain, permutations, product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from architectures import FAST, SLOW, UNSHARED, tiny_architecture
from emotion_games.engine.batch_plan import plan_batches
from emotion_games.engine.batches import Request
from emotion_games.engine.cached_rows import CachedRows
from emotion_games.engine.prompt_tree import branching, stories
from emotion_games.engine.windows import Window
from tiny import tiny_model

torch.set_num_threads(1)
# A story in all orders of its options, another one with two histories, and texts that have nothing
# in common with them.
TEXTS = [
    *(
        f"<s>A long story about a meadow, which all orders share. 1. {a} 2. {b} 3. {c}"
        for a, b, c in permutations(["Go", "Stay here", "Run away"])
    ),
    "<s>Another one, about a river and its bridge. You have paid before. Pay?",
    "<s>Another one, about a river and its bridge. Pay?",
    "<s>Hm",
    "You",
]
PUSHES = ("none", "anger", "joy")
OPTIONS = (" yes", " perhaps not", " perhaps never")
STEERED, STEPS = (1, 2), 4
# What sharing may change, relative to what the pushes change.
TOLERANCE = 1e-5

prompts = st.lists(st.lists(st.integers(0, 2), min_size=1, max_size=8), min_size=1, max_size=12)


@given(prompts, st.data())
def test_every_row_reads_exactly_its_own_tokens_and_leaves_one_for_the_end(rows, data):
    several = {"min_size": len(rows), "max_size": len(rows)}
    names = data.draw(st.lists(st.sampled_from("ab"), **several))
    place = st.builds(Window, st.integers(0, 9), st.integers(0, 9))
    windows = data.draw(st.just([Window()] * len(rows)) | st.lists(place, **several))
    tree = branching(rows, names, windows)
    if tree is not None:
        check_tree(tree, rows, list(zip(names, windows, strict=True)))


def acting(push, tokens):
    """What is pushed of the first tokens of a text."""
    name, window = push
    return {(name, at) for at in range(1, tokens) if window.begin <= at < window.end}


def check_tree(tree, rows, pushes):
    assert tree.tokens < len(rows) * max(map(len, rows))
    for row, push, parent in zip(rows, pushes, tree.parents, strict=True):
        trunk, kept = tree.trunks[parent], tree.kept(row)
        assert kept < len(row) and kept <= len(trunk)
        assert list(trunk) == row[: len(trunk)], "the trunk is the beginning of the prompt"
        assert list(trunk[:kept]) + row[-tree.suffix :] == row
        source = pushes[tree.sources[parent]]
        assert acting(source, len(trunk)) == acting(push, len(trunk))
    own = [pushes[source] for source in tree.sources]
    found = {
        (trunk, frozenset(acting(push, len(trunk))))
        for trunk, push in zip(tree.trunks, own, strict=True)
    }
    assert len(tree.trunks) == len(found), "no trunk is read twice under the same push"
    if tree.below:
        check_tree(tree.below, list(map(list, tree.trunks)), own)


def test_two_orders_under_three_pushes_are_three_trunks():
    story = list(range(100, 130))
    rows = [[*story, 1, 2], [*story, 2, 1]] * 3
    tree = branching(rows, [push for push in PUSHES for _ in range(2)])
    assert tree.trunks == [tuple(story)] * 3
    assert (tree.parents, tree.sources, tree.suffix) == ([0, 0, 1, 1, 2, 2], [0, 2, 4], 2)
    assert tree.tokens == 3 * 30 + 6 * 2


def test_orders_with_the_same_first_option_share_it_too():
    story, options = list(range(100, 130)), [[option] * 6 for option in range(3)]
    rows = [[*story, *chain(*order)] for order in permutations(options)]
    tree = branching(rows, ["anger"] * 6)
    assert tree.trunks == [(*story, *option) for option in options]
    assert tree.below.trunks == [tuple(story)] and tree.below.below is None
    assert tree.tokens == 30 + 3 * 6 + 6 * 12


@pytest.mark.parametrize(
    "rows", [[[1, 2, 3]], [[1, 2, 3], [2, 2, 3]], [[1], [1, 2]], [[1, 2, 3], [1, 2, 4]]]
)
def test_where_nothing_is_saved_there_is_no_tree(rows):
    assert branching(rows, range(len(rows))) is None


@given(prompts)
def test_stories_hold_every_prompt_once_and_share_half_of_it(rows):
    groups = stories(rows)
    assert sorted(p for group in groups for p in group) == sorted(set(map(tuple, rows)))
    for group in groups:
        for one, other in product(group, group):
            half = (max(len(one), len(other)) + 1) // 2
            assert one[:half] == other[:half] or one == other


def test_batches_keep_the_orders_of_a_story_together_and_split_its_pushes():
    texts = {"a1": [1] * 60 + [2] * 9, "b": [4] * 65, "a2": [1] * 60 + [3] * 11}
    asked = [Request(f"{p}/{push}", p, push, {}) for push in PUSHES for p in texts]
    batches = plan_batches(asked, texts, answer_tokens=0, budget=71 * 4)
    assert [[r.key for r in batch] for batch in batches] == [
        ["b/none", "b/anger", "b/joy", "a1/none"],
        ["a2/none", "a1/anger", "a2/anger", "a1/joy"],
        ["a2/joy"],
    ]


# With windows and chunks that are shorter than the stories, ALiBi, experts and recurrent states.
TWENTY = [
    "bloom", "cohere2", "deepseek_v3", "falcon", "gemma2", "gemma3_text", "glm4", "gpt2", "gpt_oss",
    "gptj", "jamba", "llama", "llama4_text", "mamba", "mixtral", "mpt", "olmo2", "phi3", "qwen2",
    "qwen3_moe",
]  # fmt: skip


def numbers_kinds():
    fast = ("gemma3_text", "llama", "mpt")
    return [k if k in fast else pytest.param(k, marks=pytest.mark.slow) for k in TWENTY]


def architecture_ids():
    return [*FAST, *(pytest.param(kind, marks=pytest.mark.slow) for kind in SLOW)]


@pytest.mark.parametrize("kind", architecture_ids())
def test_every_architecture_reads_in_a_tree_what_it_reads_alone(kind, monkeypatch):
    model = tiny_architecture(kind)
    rows, vectors = rows_under_pushes(model, rows=21)
    read, passes = reading(model, rows, vectors, monkeypatch)
    options = [model.token_ids(option) for option in OPTIONS]
    scored = read.score(range(len(rows)), [options] * len(rows))
    written = written_after(read, range(len(rows)))
    has_tree = model.can_branch and kind not in UNSHARED
    assert len(passes) == (3 if has_tree else 1), "orders branch off an option, which has a trunk"
    for at, row in enumerate(rows):
        alone = model.read([row], {layer: v[[at]] for layer, v in vectors.items()}, share=False)
        scale = alone.logits.abs().max()
        assert (read.logits[at] - alone.logits[0]).abs().max() <= TOLERANCE * scale
        assert scored[at] == [pytest.approx(v, abs=2e-4) for v in alone.score([0], [options])[0]]
        assert written[at] == written_after(alone, [0])[0]


def rows_under_pushes(model, rows):
    """As many rows as are wanted: each text under each push, in an order that mixes both."""
    generator = torch.Generator().manual_seed(1)
    pairs = [*product(range(len(TEXTS)), range(len(PUSHES)))]
    chosen = [pairs[(7 * place) % len(pairs)] for place in range(rows)]
    stack = torch.randn(len(PUSHES), len(STEERED), model.hidden_size, generator=generator)
    stack[0] = 0
    pushed = stack[[push for _, push in chosen]]
    texts = [model.token_ids(TEXTS[text]) for text, _ in chosen]
    layers = [layer for layer in STEERED if layer < model.depth]
    return texts, {layer: pushed[:, place] for place, layer in enumerate(layers)}


def reading(model, rows, vectors, monkeypatch):
    """Read rows; return them and the shape of each pass."""
    model.explore()
    passes, honest = [], CachedRows.extend

    def counted(self, ids, *others):
        passes.append(tuple(ids.shape))
        return honest(self, ids, *others)

    monkeypatch.setattr(CachedRows, "extend", counted)
    share = model.name not in UNSHARED
    found = model.read(rows, vectors, share=share), list(passes)
    monkeypatch.undo()
    return found


def written_after(read, places):
    numbers = torch.linspace(0.1, 0.9, STEPS).expand(len(places), -1)
    return read.generate(places, numbers, 1.0, 0.95, lambda _: False)


@pytest.mark.parametrize("rows", [1, 7, 64])
@pytest.mark.parametrize("kind", numbers_kinds())
def test_rows_of_any_number_read_the_same(kind, rows, monkeypatch):
    model = tiny_architecture(kind)
    texts, vectors = rows_under_pushes(model, rows)
    read, _ = reading(model, texts, vectors, monkeypatch)
    scale = read.logits.abs().max()
    for at, text in enumerate(texts):
        alone = model.read([text], {layer: v[[at]] for layer, v in vectors.items()}, share=False)
        assert (read.logits[at] - alone.logits[0]).abs().max() <= TOLERANCE * scale


def test_layers_below_the_first_push_read_a_trunk_once_and_the_others_once_a_push(monkeypatch):
    model = tiny_model("llama")
    story = model.token_ids("<s>A long story about a meadow, which both orders share. ")
    rows = [[*story, *model.token_ids(end)] for end in ("1. Go", "2. Go")] * 3
    generator = torch.Generator().manual_seed(1)
    vectors = {2: torch.randn(3, 32, generator=generator).repeat_interleave(2, 0)}
    sizes = []
    for layer in model.layers:
        layer.register_forward_hook(
            lambda module, args, output: sizes.append(tuple(args[0].shape[:2]))
        )
    model.explore()
    sizes.clear()
    model.read(rows, vectors)
    trunk, suffix = len(story), len(rows[0]) - len(story)
    # Layer 2 itself is read before its push is added.
    assert sizes == [(1, trunk)] * 3 + [(3, trunk)] + [(2, suffix)] * 3 + [(6, suffix)]
