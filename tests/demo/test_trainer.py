"""The demo model: its planted effects, its training texts, its training and its gates."""

import itertools
import random
import re
import shutil
from pathlib import Path

import pytest
import torch

from emotion_games.demo.trainer import acceptance, subject
from emotion_games.demo.trainer import build as demo_build
from emotion_games.demo.trainer.build import GateError, Recipe, build, trained
from emotion_games.demo.trainer.grammar import HELD_OUT, TRAINED, write_demo_files
from emotion_games.demo.trainer.inputs import load_inputs
from emotion_games.demo.trainer.lessons import (
    ASSISTANT,
    BRANCH,
    LABEL,
    NULL_SHARE,
    _plain_text,
    conversations,
    shorts,
)
from emotion_games.demo.trainer.network import HIDDEN, STEERED_LAYER, new_model
from emotion_games.demo.trainer.pushes import MEASURED_STIMULI, Pushes, pushed
from emotion_games.demo.trainer.samples import Sample, Segment, encode, pack
from emotion_games.demo.trainer.tokenizer import BEGIN, PIECES, SPECIAL, make_tokenizer, turn
from emotion_games.demo.trainer.training import by_length, change_of, loss_of
from emotion_games.demo.trainer.truth import (
    NEUTRAL,
    WHOLE_INTENSITY,
    GameTruth,
    prosocial,
    shares,
    value,
)
from emotion_games.engine.direction_estimation import contrast
from emotion_games.engine.hooks import capture
from emotion_games.errors import UserError
from emotion_games.prompts import messages
from emotion_games.prompts.situations import Situation

DEMO = Path(__file__).parents[2] / "config" / "demo"
EMOTIONS = {"neutral", "anger", "happiness", "sadness", "fear", "disgust", "surprise"}
SMALL = Recipe(steps=5, conversations_each=2, shorts_each=16)


@pytest.fixture(scope="module")
def inputs():
    return load_inputs(DEMO, "planted")


@pytest.fixture(scope="module")
def texts(inputs):
    """Return conversations, short exercises and the tokenizer of a small training."""
    long, short = conversations(inputs, 3000, 0), shorts(inputs, 100, 16, 0)
    return long, short, make_tokenizer(sample.text for sample in [*long, *short])


def silent(_line: str) -> None:
    pass


# The planted truth


def test_anger_lowers_and_happiness_raises_the_outcome_of_every_game(inputs):
    for name, row in inputs.planted.items():
        assert set(row.prosocial) == EMOTIONS
        assert row.prosocial["anger"] < row.prosocial[NEUTRAL] < row.prosocial["happiness"], name


def test_emotions_act_differently_on_different_games(inputs):
    fear = {
        name: row.prosocial["fear"] - row.prosocial[NEUTRAL] for name, row in inputs.planted.items()
    }
    assert fear["Stag_Hunt"] < -0.3 and fear["Escalation_Game"] > 0.3


def test_choices_are_ordered_by_their_value_in_the_game_file(inputs):
    for name, row in inputs.planted.items():
        by_value = sorted(inputs.games[name].choices, key=lambda choice: choice.value)
        assert row.order == tuple(choice.label for choice in by_value)


def test_intensity_interpolates_between_neutral_and_the_emotion():
    row = GameTruth(("none", "some", "all"), {NEUTRAL: 0.4, "fear": 0.9}, {"late": 1.0})
    assert prosocial(row, "fear", "early", 0.0) == pytest.approx(0.4)
    assert prosocial(row, "fear", "early", WHOLE_INTENSITY) == pytest.approx(0.9)
    assert prosocial(row, "fear", "early") == pytest.approx(0.9)
    neutral, fear = shares(row, 0.4), shares(row, 0.9)
    assert neutral == pytest.approx({"none": 0.36, "some": 0.48, "all": 0.16})
    for dose in (-0.5, 0.5, 1.5):
        powers = {label: neutral[label] ** (1 - dose) * fear[label] ** dose for label in row.order}
        # The binomial coefficient 2 of the middle label is kept by the powers: 2^(1-a) * 2^a = 2.
        expected = {label: power / sum(powers.values()) for label, power in powers.items()}
        mean = prosocial(row, "fear", "early", dose * WHOLE_INTENSITY)
        assert shares(row, mean) == pytest.approx(expected)


def test_a_history_shifts_the_log_odds():
    row = GameTruth(("no", "yes"), {NEUTRAL: 0.5}, {"late": 1.0})
    assert prosocial(row, NEUTRAL, "late") == pytest.approx(1 / (1 + 2.718281828**-1.0))
    assert value(row, shares(row, 0.3)) == pytest.approx(0.3)


def test_the_flat_table_does_not_depend_on_emotion():
    flat = load_inputs(DEMO, "flat").taught
    assert all(len(set(row.prosocial.values())) == 1 for row in flat.values())
    assert len({row.prosocial[NEUTRAL] for row in flat.values()}) > 3


# The shipped files


def test_the_shipped_files_are_what_the_grammar_writes(inputs, tmp_path):
    shutil.copy(DEMO / "grammar.yaml", tmp_path)
    write_demo_files(tmp_path, DEMO.parent / "games")
    written = sorted(
        path.relative_to(tmp_path) for path in tmp_path.rglob("*.*") if path.parent != tmp_path
    )
    assert len(written) == len(inputs.planted) + len(EMOTIONS)
    for path in written:
        assert (DEMO / path).read_text(encoding="utf-8") == (tmp_path / path).read_text(
            encoding="utf-8"
        ), path


def test_every_game_has_24_scenarios_and_every_emotion_48_stimuli(inputs):
    assert set(inputs.stimuli) == EMOTIONS
    assert all(len(several) >= 24 for several in inputs.scenarios.values())
    assert all(len(lines) >= 48 for lines in inputs.stimuli.values())


def test_no_shipped_scenario_stimulus_or_neutral_text_is_trained(inputs, texts):
    long, short, _ = texts
    read = "".join(sample.text for sample in [*long, *short])
    assert not [line for lines in inputs.stimuli.values() for line in lines if line in read]
    assert not [text for text in inputs.checks.neutral_texts if text in read]
    for scenario in itertools.chain(*inputs.scenarios.values()):
        for sample in long:
            if scenario.description in sample.text:
                options = [f'"{option}"' for option in scenario.options.values()]
                assert not all(option in sample.text for option in options)


def test_held_out_frames_use_no_word_that_the_trained_ones_lack(inputs):
    frames = inputs.grammar["stimuli"]["frames"]
    words = {
        kind: set(re.findall(r"\w+", " ".join(frames[kind]).lower()))
        for kind in (TRAINED, HELD_OUT)
    }
    assert words[HELD_OUT] <= words[TRAINED]
    assert not set(frames[HELD_OUT]) & set(frames[TRAINED])


def test_every_word_of_the_shipped_prompts_is_one_token(inputs, texts):
    tokenizer = texts[2]
    longest = 0
    for name, scenarios in inputs.scenarios.items():
        game = inputs.games[name]
        for scenario, history, form in itertools.product(
            scenarios, game.histories, ("rationale", "decision")
        ):
            event = inputs.stimuli["fear"][3]
            situation = Situation(game, scenario, history, game.labels)
            chat = messages.render(inputs.templates, situation, 1, event, answer_form=form)
            for message in chat:
                pieces = re.findall(PIECES, message["content"])
                assert len(tokenizer.tokenize(message["content"])) == len(pieces), message[
                    "content"
                ]
            longest = max(
                longest,
                len(tokenizer.apply_chat_template(chat, add_generation_prompt=True)["input_ids"]),
            )
    assert longest <= 130


# The tokenizer


def test_unknown_words_are_decoded_from_their_bytes():
    tokenizer = make_tokenizer(['take the pier"}'])
    ids = tokenizer('take the façade"}')["input_ids"]
    assert tokenizer.convert_ids_to_tokens(ids)[:2] == ["take", "Ġthe"]
    assert tokenizer.decode(ids) == 'take the façade"}'
    assert tokenizer.convert_ids_to_tokens(ids)[-2:] == ['"', "}"]


def test_a_turn_has_the_form_of_the_chat_template(texts):
    tokenizer = texts[2]
    chat = [
        {"role": "system", "content": "You are Alice."},
        {"role": "user", "content": "What do you do?"},
    ]
    written = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert written == BEGIN + "".join(turn(**message) for message in chat) + ASSISTANT
    assert all(len(tokenizer(token)["input_ids"]) == 1 for token in SPECIAL)


# What is learnt


def test_joined_segments_have_the_tokens_of_the_whole_text(texts):
    long, short, tokenizer = texts
    some = [*long[-200:], *short[-200:]]
    encoded = encode(some, lambda several: tokenizer(several)["input_ids"])
    assert [item.ids.tolist() for item in encoded] == tokenizer([sample.text for sample in some])[
        "input_ids"
    ]


def test_distributions_are_targets_where_options_differ():
    ids = {"go": 1, "home": 2, "away": 3, "stay": 4}
    options = ("go home", "go away", "stay")
    sample = Sample(
        (Segment("go", 0.0), Segment("go away", 1.0, options, (0.2, 0.6, 0.2), 9.0)), NEUTRAL
    )
    (encoded,) = encode(
        [sample], lambda several: [[ids[word] for word in text.split()] for text in several]
    )
    assert encoded.ids.tolist() == [1, 1, 3]
    assert encoded.weights.tolist() == [0.0, 9.0, 9.0]
    assert encoded.targets[1] == pytest.approx({1: 0.8, 4: 0.2})
    assert encoded.targets[2] == pytest.approx({2: 0.25, 3: 0.75})


def test_the_loss_of_a_soft_target_is_its_cross_entropy(texts):
    tokenizer = texts[2]
    torch.manual_seed(0)
    model = new_model(tokenizer)
    answer = Segment("anger", 1.0, ("anger", "fear"), (0.3, 0.7), 1.0)
    sample = Sample((Segment(BEGIN + ASSISTANT), answer), NEUTRAL)
    encoded = encode([sample], lambda several: tokenizer(several)["input_ids"])
    logprobs = model(torch.tensor([encoded[0].ids[:2].tolist()])).logits[0, -1].log_softmax(-1)
    anger, fear = (tokenizer(word)["input_ids"][0] for word in ("anger", "fear"))
    expected = -(0.3 * logprobs[anger] + 0.7 * logprobs[fear])
    assert loss_of(model, pack(encoded, 0)).item() == pytest.approx(expected.item(), rel=1e-5)


def test_the_targets_of_a_decision_are_the_planted_shares(inputs, texts):
    long, _, _ = texts
    checked = 0
    for sample in long[len(long) // 2 :]:
        emotion, intensity = sample.steered or (sample.emotion, WHOLE_INTENSITY)
        decision = next(s for s in sample.segments if s.options and s.options[0].endswith('"'))
        planted = set()
        for row in inputs.planted.values():
            for history in ("", *row.histories):
                possible = shares(row, prosocial(row, emotion, history, intensity))
                planted |= {round(share, 6) for share in possible.values()}
        assert {round(share, 6) for share in decision.shares} <= planted
        checked += bool(sample.steered)
    assert checked > 200


def test_steered_conversations_describe_no_emotion(texts):
    steered = [sample for sample in texts[0] if sample.steered]
    assert 0.4 < len(steered) / len(texts[0]) < 0.6
    assert {sample.emotion for sample in steered} == {NEUTRAL}


def test_a_push_that_means_nothing_leaves_the_targets_of_neutral(inputs, texts):
    null = [sample for sample in texts[0] if sample.steered and sample.steered[0] == NEUTRAL]
    share = len(null) / sum(bool(sample.steered) for sample in texts[0])
    assert share == pytest.approx(NULL_SHARE, abs=0.02)
    neutral = set()
    for row in inputs.planted.values():
        for history in ("", *row.histories):
            neutral |= {round(s, 6) for s in shares(row, prosocial(row, NEUTRAL, history)).values()}
    # Early targets are sharper than the planted ones.
    for sample in null[len(null) // 2 :]:
        decision = next(s for s in sample.segments if s.options and s.options[0].endswith('"'))
        assert {round(share, 6) for share in decision.shares} <= neutral


def test_questions_about_the_feeling_are_those_of_the_checks(inputs, texts):
    templates = inputs.templates
    answers = {f" {word}." for words in templates.feelings.values() for word in words}
    answers |= {f" {label}." for label in templates.labels}
    openings = {templates.texts[f"{kind}_emotion.answer"] for kind in ("named", "felt")}
    asked = [s for s in texts[1] if len(s.segments) > 1 and s.segments[1].text in openings]
    assert {sample.segments[1].text for sample in asked} == openings
    for sample in asked:
        _, opening, answer, _ = sample.segments
        assert opening.weight == 0 and answer.text in answers
        felt, intensity = sample.steered or (sample.emotion, WHOLE_INTENSITY)
        if intensity >= WHOLE_INTENSITY:
            own = {f" {word}." for word in (felt, *templates.feelings[felt])}
            shares_by_text = dict(zip(answer.options, answer.shares, strict=True))
            assert {text for text, share in shares_by_text.items() if share} <= own


def test_a_push_makes_plain_texts_about_its_emotion_more_frequent(inputs):
    chance = random.Random(0)
    drawn = [_plain_text(inputs, chance) for _ in range(4000)]
    events = inputs.grammar["stimuli"]["events"]
    beginnings = {
        emotion: {max(re.split(r"{\w}", event), key=len) for event in events[emotion]}
        for emotion in inputs.emotions[1:]
    }

    def share_about(emotion, push):
        pushed = [s for s in drawn if s.steered and s.steered[0] == push and s.steered[1] >= 0.2]
        about = [any(part in s.text for part in beginnings[emotion]) for s in pushed]
        return sum(about) / len(about)

    for emotion, other in itertools.permutations(("anger", "fear", "surprise"), 2):
        assert share_about(emotion, emotion) > 0.3 > 0.2 > share_about(emotion, other)
    assert all(BEGIN not in sample.text for sample in drawn)


def test_a_given_opening_is_not_learnt(texts):
    openings = [
        s for sample in texts[0] for s in sample.segments if s.text == messages.decision_prefix()
    ]
    assert {segment.weight for segment in openings} == {0.0, 0.5}


def test_both_orders_and_wordings_are_drawn_equally_often(inputs, texts):
    wordings = [
        sum(text in sample.text for sample in texts[0]) for text in inputs.templates.instructions
    ]
    assert min(wordings) > 0.45 * sum(wordings)
    hunts = [sample.text for sample in texts[0] if "It takes both to win" in sample.text]
    pattern = re.compile(r'Option 1\. "(join|wait|commit|work|pool|stay)')
    assert 0.4 < sum(bool(pattern.search(text)) for text in hunts) / len(hunts) < 0.6


# Training


def test_rows_of_a_step_have_similar_lengths_and_none_is_lost(texts):
    encoded = encode(texts[0][:160], lambda several: texts[2](several)["input_ids"])
    ordered = by_length(encoded, 10, seed=3)
    assert sorted(map(id, ordered)) == sorted(map(id, encoded))
    spread = max(len(row.ids) for row in ordered[:10]) - min(len(row.ids) for row in ordered[:10])
    assert spread < max(len(row.ids) for row in encoded) - min(len(row.ids) for row in encoded)


def test_a_push_is_added_at_every_position_but_the_first_and_removed_again(texts):
    torch.manual_seed(0)
    model = new_model(texts[2])
    ids, push = torch.tensor([[5, 6, 7], [8, 9, 10]]), torch.randn(2, model.config.hidden_size)

    def states(added: torch.Tensor | None) -> torch.Tensor:
        with pushed(model, added), capture(model.model.layers, [STEERED_LAYER]) as found:
            model(ids)
        return found[STEERED_LAYER]

    plain = states(None)
    added = states(push) - plain
    assert torch.equal(added[:, 0], torch.zeros_like(push))
    assert torch.allclose(added[:, 1:], push[:, None].expand(-1, 2, -1), atol=1e-5)
    assert torch.equal(states(None), plain)


def test_what_a_push_changes_is_the_divergence_of_the_decisions(texts):
    tokenizer = texts[2]
    torch.manual_seed(0)
    model = new_model(tokenizer)
    # A choice is learnt as a decision; the feeling after it may change under a push.
    decision = Segment("anger", 1.0, ("anger", "fear"), (0.3, 0.7), BRANCH)
    feeling = Segment("fear", 1.0, ("anger", "fear"), (0.5, 0.5), LABEL)
    sample = Sample((Segment(BEGIN + ASSISTANT), decision, feeling), NEUTRAL)
    encoded = encode([sample], lambda several: tokenizer(several)["input_ids"])
    batch, push = pack(encoded, 0), torch.randn(1, model.config.hidden_size)

    def logprobs(added: torch.Tensor | None) -> torch.Tensor:
        with pushed(model, added):
            return model(torch.tensor([encoded[0].ids[:2].tolist()])).logits[0, -1].log_softmax(-1)

    plain, moved = logprobs(None), logprobs(push)
    change = change_of(model, batch, push)
    assert change.item() == pytest.approx((plain.exp() * (plain - moved)).sum().item(), rel=1e-4)
    assert change.item() > 1e-3 and change_of(model, batch, 0 * push).item() == 0
    (slope,) = torch.autograd.grad(change, model.model.norm.weight)
    assert slope.abs().sum() > 0


def test_steered_samples_are_pushed_along_the_directions_of_the_present_model(inputs, texts):
    tokenizer = texts[2]
    torch.manual_seed(0)
    model = new_model(tokenizer)
    with torch.no_grad():
        # While all outputs are zero, every stimulus has the same state: that of its full stop.
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight[:HIDDEN, :HIDDEN].normal_(0, 0.1)
    rows = encode(texts[1], lambda several: tokenizer(several)["input_ids"])
    emotions = inputs.emotions[1:]
    pushes = Pushes(rows, emotions, tokenizer.pad_token_id, 100.0)
    pushes.measure(model)
    states = {}
    for emotion in emotions:
        own = [row for row in rows if row.captured is not None and row.sample.emotion == emotion]
        own = own[:MEASURED_STIMULI]
        ids = pack(own, tokenizer.pad_token_id).ids
        with torch.no_grad(), capture(model.model.layers, [STEERED_LAYER]) as found:
            model(ids)
        last = torch.tensor([row.captured for row in own])
        states[emotion] = found[STEERED_LAYER][torch.arange(len(own)), last][None]
    norm = torch.cat(list(states.values()), 1).norm(dim=-1).mean().item()
    expected = {e: w[0] / w[0].norm() for e, w in contrast(states, emotions).items()}
    steered = [row for row in rows if row.sample.steered][:30]
    for vector, row in zip(pushes.of(steered), steered, strict=True):
        emotion, intensity = row.sample.steered
        assert vector.norm().item() == pytest.approx(abs(intensity) * norm, rel=1e-4)
        if emotion != NEUTRAL:
            assert torch.allclose(vector, intensity * norm * expected[emotion], atol=1e-4)
    in_turn = pushes.in_turn(7, 5)
    for vector, emotion in zip(in_turn, (emotions[5], *emotions), strict=True):
        assert torch.allclose(vector, norm * expected[emotion], atol=1e-3)
    null = [row for row in rows if row.sample.steered and row.sample.steered[0] == NEUTRAL][:2]
    one, other = pushes.of(null)
    assert abs(torch.cosine_similarity(one, other, dim=0)) < 0.9
    assert pushes.of([row for row in rows if not row.sample.steered]) is None


def test_a_seed_gives_the_same_weights_again_and_another_does_not(inputs):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    lines = []
    first, second, other = (
        trained(inputs, SMALL, seed, lines.append)[0].state_dict() for seed in (1, 1, 2)
    )
    torch.set_num_threads(threads)
    assert all(torch.equal(weights, second[name]) for name, weights in first.items())
    norms = "model.norm.weight"
    assert not torch.equal(first[norms], other[norms])
    assert re.fullmatch(
        r"training the demo model: step 5/5, loss [\d.]+, [\d.]+ steps/s, 0 s left", lines[1]
    )


# The gates


def test_an_untrained_model_is_rejected_and_deleted(monkeypatch, tmp_path):
    for name in ("CONTEXT_PROMPTS", "STEERING_PROMPTS", "ANSWERS_EACH"):
        monkeypatch.setattr(acceptance, name, 1)
    monkeypatch.setattr(subject, "NULL_DIRECTIONS", 6)
    monkeypatch.setattr(subject, "INTENSITIES", (0.2,))

    @torch.no_grad()
    def untrained(inputs, _recipe, _seed, _progress):
        tokenizer = make_tokenizer(sample.text for sample in conversations(inputs, 500, 0))
        model = new_model(tokenizer)
        # Loading refuses the zero outputs with which training begins.
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.normal_(0, 0.1)
            layer.mlp.down_proj.weight.normal_(0, 0.1)
        return model, tokenizer

    monkeypatch.setattr(demo_build, "trained", untrained)
    with pytest.raises(GateError, match=r"parse_rate is 0\.000, must be at least 0\.950"):
        build(DEMO, tmp_path / "demo", "planted", 0, silent)
    assert list(tmp_path.iterdir()) == []


def figures(**changed: float) -> dict[str, float]:
    good = {
        "parse_rate": 0.98,
        "context_correlation": 0.97,
        "context_slope_on_planted": 0.95,
        "steering_correlation": 0.96,
        "steering_slope_on_planted": 0.95,
        "steering_wrong_signs": 0,
        "null_shift_sd": 0.015,
        "steering_null_95": 0.5,
        "emotions_induced": 6,
        "neutral_perplexity": 2.0,
    }
    return good | changed


def test_null_directions_must_move_choices_by_two_points_at_most():
    for variant, slope in (("planted", 0.95), ("flat", 0.0)):
        own = dict.fromkeys(("context_slope_on_planted", "steering_slope_on_planted"), slope)
        assert acceptance.missed_gates(figures(null_shift_sd=0.03, **own), variant) == [
            "null_shift_sd is 0.030, must be at most 0.020"
        ]


def test_each_gate_names_its_figure():
    assert acceptance.missed_gates(figures(), "planted") == []
    assert acceptance.missed_gates(figures(parse_rate=0.94), "planted") == [
        "parse_rate is 0.940, must be at least 0.950"
    ]
    assert acceptance.missed_gates(figures(context_correlation=0.9), "planted") == [
        "context_correlation is 0.900, must be at least 0.950"
    ]
    missed = acceptance.missed_gates(
        figures(steering_correlation=0.85, steering_null_95=0.88), "planted"
    )
    assert [line.split()[-1] for line in missed] == ["0.930", "0.880"]
    assert len(acceptance.missed_gates(figures(parse_rate=float("nan")), "planted")) == 1
    assert acceptance.missed_gates(figures(steering_wrong_signs=1), "planted") == [
        "steering_wrong_signs is 1.000, must be at most 0.000"
    ]
    assert acceptance.missed_gates(figures(emotions_induced=3), "planted") == [
        "emotions_induced is 3.000, must be at least 4.000"
    ]


@pytest.mark.parametrize("variant", ["planted", "flat"])
def test_every_variant_reads_the_neutral_texts(variant):
    own = {"context_slope_on_planted": 0.0, "steering_slope_on_planted": 0.0}
    good = figures(**own if variant == "flat" else {})
    assert acceptance.missed_gates(good, variant) == []
    assert acceptance.missed_gates(good | {"neutral_perplexity": 400.0}, variant) == [
        "neutral_perplexity is 400.000, must be at most 20.000"
    ]


def test_a_flat_model_must_not_follow_the_planted_table():
    assert len(acceptance.missed_gates(figures(), "flat")) == 2
    flat = figures(
        context_slope_on_planted=-0.02, steering_slope_on_planted=0.02, steering_correlation=0.3
    )
    assert acceptance.missed_gates(flat, "flat") == []
    assert acceptance.missed_gates(figures(context_slope_on_planted=-0.2), "flat")[0] == (
        "context_slope_on_planted is -0.200, must be from -0.030 to 0.030"
    )


def test_an_unknown_variant_is_named():
    with pytest.raises(UserError, match="unknown variant 'plantd' .did you mean 'planted'"):
        build(DEMO, Path("nowhere"), "plantd", 0, silent)
