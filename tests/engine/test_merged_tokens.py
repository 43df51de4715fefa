"""What is scored and written is right whatever merges across the boundaries of a text.

Expected numbers come from one forward pass over each whole text, whose scored tokens are found by
decoding.
"""

import math
from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaTokenizerFast

from emotion_games.engine.backend import ModelError
from emotion_games.engine.batches import Instrument, Request, measure
from emotion_games.engine.hooks import steer
from emotion_games.engine.sampling import next_tokens, trial_uniforms
from emotion_games.engine.scoring import shared_tokens, whole_texts
from emotion_games.prompts.json_answers import answer_is_closed
from tiny import tiny_model
from vocabularies import merging_tokenizer, mistral_tokenizer, trained_tokenizer, with_vocabulary

torch.set_num_threads(1)
OPENING, CLOSING = '{"decision": "', '"}'
OPTIONS = {"pay": "$20 for Ann.", "none": "Nothing"}
STEPS = 8
# Pairs that merge: prompts with the opening, its quote with an option, an option with its closing,
# and runs of line breaks only where nothing follows.
MERGES = ["] {", "x ]{", '" $', '. "', "\n {", "\n \n"]
# A prompt whose own last 0, 1, 1 or 2 tokens are others before an answer.
PROMPTS = ["<s>Decide now:", "<s>Well [I]", "<s>Hi.\n\n", "<s>Tell me, and say what [x]"]


@torch.inference_mode()
def whole_logits(instrument, ids, push):
    """Logits after each token of a text, from one forward pass."""
    model = instrument.model
    with steer(model.model, model.layers, instrument.batch_pushes([push])):
        return model.model(torch.tensor([ids]), use_cache=False).logits[0]


def shown(tokenizer, ids):
    """The text of some tokens."""
    if not isinstance(tokenizer, LlamaTokenizerFast):
        return tokenizer.decode(ids)
    # SentencePiece begins every text with a space, which `decode` drops from any first token.
    text = "".join(tokenizer.convert_ids_to_tokens(ids)).replace("<0x0A>", "\n")
    return text.replace("▁", " ").replace("<s> ", "<s>")


def expected_logprobs(instrument, request, lead, closed):
    """The log-probabilities of each option's tokens after the text `lead`, up to `closed`."""
    found = {}
    for label, option in request.options.items():
        before = request.prompt + request.opening
        ids = instrument.model.token_ids(before + option + request.closing)
        texts = [shown(instrument.model.tokenizer, ids[:n]) for n in range(len(ids) + 1)]
        start, end = texts.index(lead), texts.index(before + option + closed)
        logs = whole_logits(instrument, ids, request.push).log_softmax(-1)
        found[label] = [float(logs[i - 1, ids[i]]) for i in range(start, end)]
    return found


def agree(scores, expected):
    totals = {label: sum(values) for label, values in expected.items()}
    mass = sum(map(math.exp, totals.values()))
    shares = {label: math.exp(total) / mass for label, total in totals.items()}
    means = {label: sum(values) / len(values) for label, values in expected.items()}
    assert scores.per_token == pytest.approx(means, abs=1e-5)
    assert scores.probabilities == pytest.approx(shares, abs=1e-5)
    assert scores.mass == pytest.approx(mass, abs=1e-5)


def expected_answer(instrument, request, uniforms):
    """What the model writes after the prompt's own tokens, one whole forward pass a token."""
    model, answer = instrument.model, []
    prompt = model.token_ids(request.prompt)
    for number in torch.from_numpy(uniforms):
        logits = whole_logits(instrument, [*prompt, *answer], request.push)[-1:]
        token = int(next_tokens(logits, number[None], instrument.temperature, instrument.top_p))
        if token in model.end_tokens:
            break
        answer.append(token)
        if answer_is_closed(model.decode(answer)):
            break
    return model.decode(answer)


def instrument_of(model):
    push = torch.randn(2, 32, generator=torch.Generator().manual_seed(0))
    reopen = lambda answer: f'{{"rationale": "{len(answer)}", "decision": "'  # noqa: E731
    return Instrument(model, [1, 2], {"anger": push}, 0.9, 0.95, reopen)


def requests_of(prompts, options=OPTIONS):
    return [
        Request(
            f"{number}/{push}",
            prompt,
            push,
            options,
            OPENING,
            CLOSING,
            uniforms=tuple(trial_uniforms((number, repeat), 0, STEPS) for repeat in range(2)),
        )
        for number, prompt in enumerate(prompts)
        for push in (None, "anger")
    ]


def check(instrument, requests, lead_cut, closed):
    """Compare everything that is measured; leads end `lead_cut` characters before the options."""
    for r, found in zip(requests, measure(instrument, requests), strict=True):
        lead = (r.prompt + r.opening)[: -lead_cut or None]
        agree(found.scores, expected_logprobs(instrument, r, lead, closed))
        assert found.answers == [expected_answer(instrument, r, u) for u in r.uniforms]
        for answer, after in zip(found.answers, found.after, strict=True):
            again = replace(r, opening=instrument.reopen(answer))
            lead = (again.prompt + again.opening)[: -lead_cut or None]
            agree(after, expected_logprobs(instrument, again, lead, closed))


# Gemma 2 has windows, which padding inside a row would fill.
@pytest.mark.parametrize("kind", ["llama", "gemma2"])
def test_prompts_of_one_batch_share_different_numbers_of_tokens_with_their_answers(kind):
    instrument = instrument_of(with_vocabulary(merging_tokenizer(MERGES), kind))
    model, requests = instrument.model, requests_of(PROMPTS)
    left = {}
    for r in requests:
        ids = model.token_ids(r.prompt)
        texts = whole_texts(model, r.prompt, OPENING, list(OPTIONS.values()), CLOSING)
        left[r.prompt] = len(ids) - shared_tokens(ids, texts)
    assert list(left.values()) == [0, 1, 1, 2]
    # `"$` is one token, and so is `."`: the quotes count for the other option, too.
    check(instrument, requests, lead_cut=1, closed='"')


def test_byte_level_bpe_that_was_trained_on_answers():
    texts = ['{"decision": "Nothing"}', "Give it back.\n\n", 'a "$20 for Ann."}', "Hi. Decide!"]
    model = with_vocabulary(trained_tokenizer(texts * 20, 400))
    tokens = [model.tokenizer.tokenize(OPENING + option + CLOSING) for option in OPTIONS.values()]
    assert tokens[0][3:5] == ['Ġ"$', "20"] and tokens[0][-1] == '."}' and tokens[1][-1] == '"}'
    assert model.tokenizer.tokenize("Hi.\n\n")[-1] == "ĊĊ"
    assert "ĊĊ" not in model.tokenizer.tokenize("Hi.\n\n" + OPENING)
    check(instrument_of(model), requests_of(["<s>Hi.\n\n", "<s>Decide!"]), lead_cut=2, closed='"}')


@pytest.fixture(scope="module")
def mistral(request):
    return mistral_tokenizer(request.config.cache.mkdir("mistral-common"))


@pytest.mark.slow
def test_a_real_sentencepiece_vocabulary_in_which_the_prompt_merges_with_the_answer(mistral):
    model = with_vocabulary(mistral)
    prompts = ["<s>[INST] Decide now. [/INST]", "<s>[INST] Hi [/INST] ", "<s>Decide, Ann!\n\n"]
    assert "]{" in mistral.tokenize(prompts[0] + OPENING)
    # `▁"$` is one token, and so are `."` and `"}`.
    check(instrument_of(model), requests_of(prompts), lead_cut=2, closed='"}')
    # Where no option merges with a quote, the opening quote belongs to none.
    plain = {"go": "Go on", "stay": "Stay here, é 😀"}
    check(instrument_of(model), requests_of(prompts[:1], plain), lead_cut=0, closed='"}')


def test_a_rationale_may_change_tokens_that_an_answer_without_one_shares(monkeypatch):
    instrument = instrument_of(with_vocabulary(merging_tokenizer(['" r', '{ "r', '] {"r'])))
    reads, read = [], Instrument.read

    def counted(self, texts, *rest):
        reads.append([len(ids) for ids in texts])
        return read(self, texts, *rest)

    monkeypatch.setattr(Instrument, "read", counted)
    requests = requests_of(["<s>Well [I]", "<s>Decide now:"])
    check(instrument, requests, lead_cut=0, closed='"')
    # Those before `]` are read again for two answers each, one token shorter.
    assert reads == [[9, 9, 12, 12], [8] * 4]


def test_a_prompt_that_merges_with_its_answer_as_a_whole_is_refused():
    instrument = instrument_of(with_vocabulary(merging_tokenizer(["] {"])))
    with pytest.raises(ModelError, match="0/None: no token of the prompt stays the same"):
        measure(instrument, requests_of(["]"]))


def test_prompts_are_read_once_and_whole_if_nothing_merges(monkeypatch):
    instrument, reads, read = instrument_of(tiny_model("llama")), [], Instrument.read

    def counted(self, texts, *rest):
        reads.append([len(ids) for ids in texts])
        return read(self, texts, *rest)

    monkeypatch.setattr(Instrument, "read", counted)
    check(instrument, requests_of(["<s>Well [I]", "<s>Decide now:"]), lead_cut=0, closed='"')
    assert reads == [[9, 9, 12, 12]]


LETTERS = '[]{}":.$ab\n'
TEXTS = st.text(LETTERS, min_size=1, max_size=8)
RANDOM = tiny_model("llama")


@st.composite
def merges(draw):
    """Pairs of tokens that become one, of letters and of earlier pairs."""
    tokens, pairs = list(LETTERS), []
    for _ in range(draw(st.integers(0, 12))):
        pair = draw(st.sampled_from(tokens)), draw(st.sampled_from(tokens))
        if "".join(pair) not in tokens:
            tokens.append("".join(pair))
            pairs.append(" ".join(pair))
    return pairs


@settings(max_examples=200, deadline=None)
@given(merges(), TEXTS, TEXTS, st.lists(TEXTS, min_size=1, max_size=3), st.sampled_from(['"}', ""]))
def test_what_is_read_and_what_follows_are_the_tokens_of_the_whole_text(
    pairs, prompt, opening, options, closing
):
    RANDOM.tokenizer = merging_tokenizer(pairs)
    decode, prompt = RANDOM.tokenizer.decode, "<s>" + prompt
    texts = whole_texts(RANDOM, prompt, opening, options, closing)
    ids = RANDOM.token_ids(prompt)
    read, before, closed = shared_tokens(ids, texts), set(), set()
    for option, text in zip(options, texts, strict=True):
        whole = RANDOM.token_ids(prompt + opening + option + closing)
        assert (*ids[:read], *text.after(read).ids) == tuple(whole[: len(text.ids)])
        before.add(text.ids[: text.start])
        assert (prompt + opening).startswith(decode(text.ids[: text.start]))
        scored = decode(text.ids)
        assert scored.startswith(prompt + opening + option)
        closed.add(scored.removeprefix(prompt + opening + option))
    assert len(before) == 1, "all options follow the same tokens"
    assert len(closed) == 1, "all options end at the same character of the closing"
    assert closing.startswith(*closed) and bool(closing) == closed.isdisjoint({""})
