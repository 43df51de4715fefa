"""The shipped stimuli and check items have the counts, lengths, topics and wording they need.

A direction is a difference of means between two files, so every other difference between the files
becomes part of it.
"""

import re
from collections import Counter
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev

import pytest
import yaml

CONFIG = Path(__file__).parents[2] / "config"
EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")

FEELING = re.compile(
    r"""\b(?:(?:
    afraid | alarm | amaz | amus | anger | angri | angry | anguish | annoy | anxi | appal |
    asham | astonish | bitter | bliss | cheer | delight | depress | despair | despis |
    devastat | disappoint | disgust | dismay | distress | dread | ecsta | embarrass | emotion |
    enjoy | enrag | excit | fear | feel | fright | frustrat | furi | glad | gloom | grateful |
    grief | griev | grin | gross | grump | guilt | happ | hate | hatr | heartbr | hope | horri |
    horror | hostil | humiliat | irritat | jealous | jolly | joy | laugh | livid | loath |
    lonel | lovely | loving | melanchol | merr | miser | mourn | nause | nervous | offend |
    outrag | overjoy | pain(?!t) | panic | pleas | proud | pride | regret | relie | repuls |
    resent | revolt | revuls | sadde | sadl | sadn | scare | scary | scream | shock | shudder |
    sigh | smil | sob | sorrow | startl | stun | surpris | tearful | terrif | terror | thrill |
    troubl | uneas | unexpect | unhapp | upset | vile | weep | wept | wonderful | worri |
    worry | yuck
    )\w*|(?:
    bored | calm | content | cried | cries | cry | crying | felt | fun | fury | love | loved |
    mad | rage | sad | sick | tears
    )\b)""",
    re.IGNORECASE | re.VERBOSE,
)
SECOND_PERSON = re.compile(r"\byou(?:rs?|rself)?\b", re.IGNORECASE)
FUNCTION_WORD = re.compile(
    "and|been|for|from|had|her|his|into|not|out|over|that|the|them|then|they|told|was|were|where|"
    "while|who|with|you|your"
)


def read_stimuli(emotion: str) -> list[str]:
    return (CONFIG / "emotions" / f"{emotion}.txt").read_text(encoding="utf-8").splitlines()


def words(text: str) -> list[str]:
    return re.findall(r"[a-zé]+", text.lower())


def shingles(text: str) -> set[tuple[str, ...]]:
    """Return the pairs of neighbouring words."""
    return set(zip(words(text), words(text)[1:], strict=False))


def topic_stems(text: str) -> set[str]:
    return {word[:4] for word in words(text) if len(word) > 2 and not FUNCTION_WORD.fullmatch(word)}


STIMULI = {emotion: read_stimuli(emotion) for emotion in EMOTIONS}
CHECKS = yaml.safe_load((CONFIG / "checks.yaml").read_text(encoding="utf-8"))


def test_the_shipped_emotions_are_these_seven() -> None:
    assert sorted(path.stem for path in (CONFIG / "emotions").glob("*.txt")) == list(EMOTIONS)


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_120_single_sentences_in_the_second_person(emotion: str) -> None:
    lines = STIMULI[emotion]
    assert len(lines) == 120
    for line in lines:
        assert line == line.strip() and re.fullmatch(r"[A-Z][^.!?]*\.", line), line
        assert 12 <= len(line.split()) <= 24, line
        assert SECOND_PERSON.search(line), line


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_no_stimulus_names_a_feeling(emotion: str) -> None:
    for line in STIMULI[emotion]:
        assert not FEELING.search(line), line


def test_lengths_match_over_emotions() -> None:
    lengths = {emotion: [len(line.split()) for line in lines] for emotion, lines in STIMULI.items()}
    means = [mean(values) for values in lengths.values()]
    spreads = [stdev(values) for values in lengths.values()]
    assert max(means) - min(means) < 1
    assert max(spreads) / min(spreads) < 1.5


def test_commas_are_as_frequent_in_every_emotion() -> None:
    shares = [mean("," in line for line in lines) for lines in STIMULI.values()]
    assert max(shares) - min(shares) < 0.2


def test_line_k_of_every_emotion_has_the_same_topic() -> None:
    for slot, lines in enumerate(zip(*STIMULI.values(), strict=True), start=1):
        shared = set.intersection(*(topic_stems(line) for line in lines))
        assert shared, f"line {slot}: no word in common"


def test_openings_vary_alike_over_emotions() -> None:
    for emotion, lines in STIMULI.items():
        openings = Counter(line.split()[0] for line in lines)
        assert len(openings) >= 9, emotion
        assert 0.1 <= (openings["You"] + openings["Your"]) / len(lines) <= 0.4, emotion


def test_no_stimulus_is_repeated_or_nearly_repeated() -> None:
    texts = [line for lines in STIMULI.values() for line in lines]
    assert len({" ".join(words(text)) for text in texts}) == len(texts)
    parts = [shingles(text) for text in texts]
    places: dict[tuple[str, ...], list[int]] = {}
    for number, pairs in enumerate(parts):
        for pair in pairs:
            places.setdefault(pair, []).append(number)
    # Only stimuli with a pair of words in common are compared, which are few of all.
    shared = Counter(both for numbers in places.values() for both in combinations(numbers, 2))
    for (a, b), number in shared.items():
        assert number / len(parts[a] | parts[b]) < 0.5, f"{texts[a]} | {texts[b]}"


def test_contexts_are_everyday_situations_without_a_feeling_or_a_stimulus() -> None:
    contexts = CHECKS["contexts"]
    assert len(contexts) == len(set(contexts)) == 24
    stimuli = [shingles(line) for lines in STIMULI.values() for line in lines]
    for context in contexts:
        assert 15 <= len(context.split()) <= 30, context
        assert re.fullmatch(r"[A-Z][^.!?]*\.(?: [A-Z][^.!?]*\.)?", context), context
        assert SECOND_PERSON.search(context) and not FEELING.search(context), context
        parts = shingles(context)
        assert all(len(parts & other) / len(parts | other) < 0.2 for other in stimuli), context


def test_dominance_items_offer_two_like_answers() -> None:
    items = CHECKS["dominance"]
    assert len(items) == 16 and len({item["id"] for item in items}) == 16
    assert len({item["question"] for item in items}) == 16
    larger_is_better = 0
    for item in items:
        assert set(item) == {"id", "question", "better", "worse"}
        better, worse = item["better"].split(), item["worse"].split()
        differing = [(b, w) for b, w in zip(better, worse, strict=True) if b != w]
        assert len(differing) == 1, item["id"]
        larger_is_better += int(differing[0][0]) > int(differing[0][1])
    assert larger_is_better == 8


def test_neutral_texts_are_short_paragraphs_about_no_person() -> None:
    texts = CHECKS["neutral_texts"]
    assert len(texts) == len(set(texts)) == 12
    for text in texts:
        assert 40 <= len(text.split()) <= 60, text
        assert not {"i", "you", "your", "he", "she", "his", "her", "we"} & set(words(text)), text
        assert not FEELING.search(text), text


def test_check_file_has_no_other_part() -> None:
    assert set(CHECKS) == {"contexts", "dominance", "neutral_texts"}
