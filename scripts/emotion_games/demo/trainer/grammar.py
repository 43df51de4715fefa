"""The demo model's language: stories, events and rationales drawn at random from the phrases of `grammar.yaml`.

Knows how phrases become scenarios and stimuli; knows nothing of prompts, of the planted truth or of training. The
scenario and stimulus files of the demo are made here too, with objects and frames that are kept for them. After a
change in `grammar.yaml` write them anew, in the folder `scripts`: `python -m emotion_games.demo.trainer.grammar`.
"""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from emotion_games.data_files import read_data
from emotion_games.games.catalog import Game, load_game
from emotion_games.games.scenarios import Participant, Scenario

STORIES_EACH, STIMULI_EACH = 24, 60
TRAINED, HELD_OUT = "train", "held_out"
COMMON_OBJECTS = (
    0.55  # share of training stories about one of the common objects; the others are about a filler
)


@dataclass(frozen=True)
class Grammar:
    """The phrases by place in the file; `fillers` are the objects that are rare in training, held-out ones included."""

    phrases: Mapping[str, Any]
    fillers: tuple[str, ...]

    def __getitem__(self, key: str) -> Any:
        return self.phrases[key]


def load_grammar(path: Path) -> Grammar:
    """Read the phrases of a YAML file; UserError in one line when it cannot be read."""
    phrases = read_data(path)
    objects = phrases["objects"]
    return Grammar(phrases, tuple(sorted({*objects["filler"], *objects["held_out"]})))


def draw_object(grammar: Grammar, chance: random.Random) -> str:
    """Return what a training text is about."""
    return chance.choice(
        grammar["objects"]["train"] if chance.random() < COMMON_OBJECTS else grammar.fillers
    )


def draw_scenario(grammar: Grammar, game: Game, about: str, chance: random.Random) -> Scenario:
    """Return a story of a game about one object; its id is empty.

    Three choices are worded alike (the phrases in the same place of each list), two in any combination.
    """
    parts, names = grammar["games"][game.name], grammar["names"]
    alike = chance.randrange(min(map(len, parts["choices"].values())))

    def fill(phrases: Sequence[str], worded_alike: bool = False) -> str:
        phrase = phrases[alike] if worded_alike else chance.choice(phrases)
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


def draw_stimulus(grammar: Grammar, emotion: str, frames: str, chance: random.Random) -> str:
    """Return an event of an emotion in one of the `train` or `held_out` frames."""
    parts = grammar["stimuli"]
    event = chance.choice(parts["frames"][frames]) + chance.choice(parts["events"][emotion])
    for place, words in (
        ("{p}", parts["people"]),
        ("{t}", parts["times"]),
        ("{x}", parts["things"]),
    ):
        event = event.replace(place, chance.choice(words))
    event = event.replace("{o}", draw_object(grammar, chance))
    return event[0].upper() + event[1:]


def rationales(
    grammar: Grammar, feelings: Mapping[str, float], felt_share: float
) -> dict[str, float]:
    """Return every rationale and its share: `felt_share` name a feeling, drawn from `feelings` (emotion: share)."""
    parts = grammar["rationales"]
    found = {parts["plain"]: 1 - felt_share}
    for emotion, share in feelings.items():
        words = parts["adjectives"][emotion]
        found |= {
            parts["feeling"].replace("{adjective}", word): felt_share * share / len(words)
            for word in words
        }
    return found


def write_demo_files(demo_dir: Path, games_dir: Path) -> None:
    """Write `games/<Game>/scenarios.yaml` and `emotions/<emotion>.txt` of the demo anew from its `grammar.yaml`."""
    grammar = load_grammar(demo_dir / "grammar.yaml")
    for name in grammar["games"]:
        game, chance = load_game(games_dir / name), random.Random(f"0/{name}")
        folder = demo_dir / "games" / game.name
        folder.mkdir(parents=True, exist_ok=True)
        entries = [
            _entry(number, scenario, game)
            for number, scenario in enumerate(_stories(grammar, game, chance), 1)
        ]
        text = yaml.safe_dump(entries, sort_keys=False, allow_unicode=True, width=120)
        (folder / "scenarios.yaml").write_text(text, encoding="utf-8")
    (demo_dir / "emotions").mkdir(exist_ok=True)
    for emotion in grammar["stimuli"]["events"]:
        chance = random.Random(f"0/{emotion}")
        lines: dict[str, None] = {}
        while len(lines) < STIMULI_EACH:
            lines[draw_stimulus(grammar, emotion, HELD_OUT, chance)] = None
        (demo_dir / "emotions" / f"{emotion}.txt").write_text(
            "\n".join(lines) + "\n", encoding="utf-8"
        )


def _stories(grammar: Grammar, game: Game, chance: random.Random) -> list[Scenario]:
    """Return stories about the held-out objects in turn, no two with the same description."""
    objects = grammar["objects"]["held_out"]
    found: dict[str, Scenario] = {}
    while len(found) < STORIES_EACH:
        scenario = draw_scenario(grammar, game, objects[len(found) % len(objects)], chance)
        found.setdefault(scenario.description, scenario)
    return list(found.values())


def _entry(number: int, scenario: Scenario, game: Game) -> dict[str, Any]:
    """Return a scenario as it stands in a scenario file."""
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
