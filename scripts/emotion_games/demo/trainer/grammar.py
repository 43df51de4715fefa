"""The demo model's language: scenarios, events and rationales from the phrases of `grammar.yaml`.

The shipped scenario and stimulus files of the demo are made here too, from objects that are rare in
training and from sentence frames that training does not use. After a change of `grammar.yaml`,
write these files again, in the folder `scripts`: `python -m emotion_games.demo.trainer.grammar`.
"""

import itertools
import random
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emotion_games.data_files import read_data
from emotion_games.games.catalog import load_game
from emotion_games.games.participants import Participant
from emotion_games.games.records import Game
from emotion_games.games.scenarios import Scenario

STORIES_EACH, STIMULI_EACH = 24, 60
TRAINED, HELD_OUT = "train", "held_out"
# What the events of all emotions have, by its place in their phrases.
KINDS = {"{p}": "people", "{t}": "times", "{x}": "things"}
COMMON_OBJECTS = 0.55  # share of training stories about a common object; the others are fillers


@dataclass(frozen=True)
class Grammar:
    """The phrases of the grammar file, and the objects that are rare in training.

    The held-out objects are among these `fillers`: a model trained from scratch cannot write a
    word that was not in its training texts.
    """

    phrases: Mapping[str, Any]
    fillers: tuple[str, ...]

    def __getitem__(self, key: str) -> Any:
        return self.phrases[key]


def load_grammar(path: Path) -> Grammar:
    """Load the phrases of a YAML file; UserError if it is not readable."""
    phrases = read_data(path)
    objects = phrases["objects"]
    return Grammar(phrases, tuple(sorted({*objects["filler"], *objects["held_out"]})))


def draw_object(grammar: Grammar, chance: random.Random) -> str:
    """Draw the object of a training text."""
    is_common = chance.random() < COMMON_OBJECTS
    return chance.choice(grammar["objects"]["train"] if is_common else grammar.fillers)


def draw_scenario(grammar: Grammar, game: Game, about: str, chance: random.Random) -> Scenario:
    """Draw a story of a game about one object; its id is empty.

    Three choices share a wording (the phrases at one place of each list). Two choices have any
    combination of phrases.
    """
    parts, names = grammar["games"][game.name], grammar["names"]
    shared = chance.randrange(min(map(len, parts["choices"].values())))

    def fill(phrases: Sequence[str], share_wording: bool = False) -> str:
        phrase = phrases[shared] if share_wording else chance.choice(phrases)
        return phrase.replace("{o}", about).replace("{other}", names["other"])

    return Scenario(
        scenario_id="",
        title=about,
        description=fill(parts["settings"]),
        you=Participant(names["you"]),
        others=(Participant(names["other"]),),
        options={
            label: fill(phrases, len(game.choices) > 2)
            for label, phrases in parts["choices"].items()
        },
        earlier={label: fill(phrases) for label, phrases in parts.get("earlier", {}).items()},
    )


def draw_setting(grammar: Grammar, game: Game, chance: random.Random) -> str:
    """Draw the description of a story without its options."""
    about = draw_object(grammar, chance)
    setting = chance.choice(grammar["games"][game.name]["settings"])
    return setting.replace("{o}", about).replace("{other}", grammar["names"]["other"])


def draw_stimulus(grammar: Grammar, emotion: str, frames: str, chance: random.Random) -> str:
    """Draw an event of an emotion in one of the `train` or `held_out` frames."""
    parts = grammar["stimuli"]
    event = chance.choice(parts["frames"][frames]) + chance.choice(parts["events"][emotion])
    for place, kind in KINDS.items():
        event = event.replace(place, chance.choice(parts[kind]))
    event = event.replace("{o}", draw_object(grammar, chance))
    return event[0].upper() + event[1:]


def neutral_words(grammar: Grammar) -> list[list[str]]:
    """Return the persons, times and things of events by their last word.

    Without the words of a single emotion's events and of stories.
    """
    parts = grammar["stimuli"]
    events = " ".join(itertools.chain(*parts["events"].values()))
    taken = {*re.findall(r"\w+", events), *grammar["objects"]["train"], *grammar.fillers}
    kinds = ([phrase.split()[-1] for phrase in parts[kind]] for kind in KINDS.values())
    return [[word for word in kind if word not in taken] for kind in kinds]


def rationales(grammar: Grammar, words: Mapping[str, float], felt_share: float) -> dict[str, float]:
    """Return every rationale with its share.

    Args:
        grammar: The phrases.
        words: The share of each word for a feeling.
        felt_share: The share of rationales that name a feeling.
    """
    parts = grammar["rationales"]
    texts = {parts["plain"]: 1 - felt_share}
    for word, share in words.items():
        texts[parts["feeling"].replace("{adjective}", word)] = felt_share * share
    return texts


def write_demo_files(demo_dir: Path, games_dir: Path) -> None:
    """Write the demo's scenario and stimulus files from its `grammar.yaml`."""
    grammar = load_grammar(demo_dir / "grammar.yaml")
    for name in grammar["games"]:
        game = load_game(games_dir / name)
        stories = _stories(grammar, game, random.Random(f"0/{name}"))
        entries = [_entry(number, story, game) for number, story in enumerate(stories, 1)]
        text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=120)
        path = demo_dir / "games" / game.name / "scenarios.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    (demo_dir / "emotions").mkdir(exist_ok=True)
    for emotion in grammar["stimuli"]["events"]:
        chance = random.Random(f"0/{emotion}")
        # An ordered set.
        lines: dict[str, None] = {}
        while len(lines) < STIMULI_EACH:
            lines[draw_stimulus(grammar, emotion, HELD_OUT, chance)] = None
        path = demo_dir / "emotions" / f"{emotion}.txt"
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")


def _stories(grammar: Grammar, game: Game, chance: random.Random) -> list[Scenario]:
    """Draw stories about the held-out objects in turn, with different descriptions."""
    objects = grammar["objects"]["held_out"]
    stories: dict[str, Scenario] = {}
    while len(stories) < STORIES_EACH:
        scenario = draw_scenario(grammar, game, objects[len(stories) % len(objects)], chance)
        # A repeated description leaves the same object for the next draw.
        stories.setdefault(scenario.description, scenario)
    return list(stories.values())


def _entry(number: int, scenario: Scenario, game: Game) -> dict[str, Any]:
    """Return a scenario in the form of a scenario file."""
    role = f"{game.role}_" if game.role else ""
    entry = {
        "id": f"{game.name.lower()}_{number:02d}",
        "scenario": f"The {scenario.title}",
        "description": scenario.description,
        "participants": [{"name": person.name} for person in (scenario.you, *scenario.others)],
        f"{role}behavior_choices": dict(scenario.options),
    }
    if scenario.earlier:
        other = next(player for player in game.players if player != game.role)
        entry[f"{other}_behavior_choices"] = dict(scenario.earlier)
    return entry


if __name__ == "__main__":
    config = Path(__file__).parents[4] / "config"
    write_demo_files(config / "demo", config / "games")
