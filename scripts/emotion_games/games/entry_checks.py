"""Why an entry of a scenario file cannot be used."""

import copy
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from emotion_games import schemas
from emotion_games.data_files import RepeatedKeys
from emotion_games.errors import unknown
from emotion_games.games.names import is_known, is_named
from emotion_games.games.participants import participant_problems
from emotion_games.games.records import Game, Play, moves_of_others, phrases
from emotion_games.games.shares import stated_shares
from emotion_games.games.skipped import Skipped, yaml_key

# A model cannot read halves of surrogate pairs, nor control characters but tabs and line breaks.
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
# Shares are told in whole percent: 33 percent for a third.
_TOLERANCE = 0.01


class _Choices(NamedTuple):
    """The choices of one player in an entry: the labels that they may have, and those they need."""

    name: str
    texts: Mapping[str, Any]
    allowed: tuple[str, ...]
    needed: tuple[str, ...]


def check_entry(
    place: str, entry: Any, game: Game, aliases: Mapping[str, str], show_payoffs: bool
) -> Skipped | None:
    """Return why an entry cannot be used, or None if it can.

    Args:
        place: The place of the entry.
        entry: Its content, in which the labels of choices are text.
        game: The game.
        aliases: Other names of the choices of both players.
        show_payoffs: Whether the model is told the payoffs, which the story must not contradict.
    """
    if not isinstance(entry, Mapping):
        return Skipped(place, tuple(schemas.problems(entry, schemas.read_schema("scenario"))))
    name = entry.get("game_name")
    if isinstance(name, str) and name.strip() and not is_named(game, name):
        return _of_another_game(place, name, game)
    unreadable = tuple(_unreadable(entry, game))
    if unreadable:
        return Skipped(place, unreadable)
    fields = list(_choices(entry, game, aliases))
    labels = _unknown_labels(fields, game, aliases)
    lines = schemas.problems(entry, _schema(entry, game))
    for choices in fields:
        # An unknown label may be a misspelt one, so nothing is reported as missing beside it.
        found = _choice_problems(choices, game, aliases, missing=not labels)
        lines += [f"{choices.name}: {line}" for line in found]
    lines += participant_problems(entry.get("participants"), game)
    if show_payoffs and not lines and not labels:
        lines += _contradictions(entry["description"], fields, game, aliases)
    return Skipped(place, tuple(lines), labels=labels) if lines or labels else None


def with_text_labels(entry: Any, game: Game) -> Any:
    """Return an entry with the labels of choices as text, also those that YAML reads otherwise."""
    if not isinstance(entry, Mapping):
        return entry
    # Keys that are there twice stay recorded, so that they are reported.
    changed: Any = copy.copy(entry)
    for name in map(_field_of, (None, *game.players)):
        choices = entry.get(name)
        if isinstance(choices, Mapping) and not isinstance(choices, RepeatedKeys):
            texts = {_label_text(label): text for label, text in choices.items()}
            changed[name] = texts if len(texts) == len(choices) else choices
    return changed


def _label_text(label: object) -> str:
    # The text before YAML read it is lost. Whatever stands here is what `choice_labels` names.
    if isinstance(label, bool):
        return "yes" if label else "no"
    return str(label)


def choices_field(entry: Mapping[str, Any], game: Game) -> str:
    """Return the field with the model's choices: that of its role, or the one without a role."""
    own = _field_of(game.role)
    plain = _field_of(None)
    return plain if plain in entry and own not in entry else own


def other_field(game: Game) -> str:
    """Return the field with the choices of the other role; the game has roles."""
    return _field_of(next(player for player in game.players if player != game.role))


def _field_of(player: str | None) -> str:
    return f"{player}_behavior_choices" if player else "behavior_choices"


def _of_another_game(place: str, name: str, game: Game) -> Skipped:
    root = game.folder.parent if game.folder else None
    if root and is_known(name, root):
        return Skipped(place, (f"game_name: {name!r} is another game",), other_game=name)
    reason = (
        f"game_name: {name!r} is neither {game.title} nor another game; correct it, or remove "
        "the field"
    )
    return Skipped(place, (reason,))


def _unreadable(entry: Mapping[str, Any], game: Game) -> Iterator[str]:
    """Yield a line for each text that holds a character which is no text."""
    read = {key: entry.get(key) for key in ("id", "scenario", "description", "setting")}
    for field in map(_field_of, (None, *game.players)):
        choices = entry.get(field)
        for label, text in choices.items() if isinstance(choices, Mapping) else ():
            read |= {f"a label of {field} ({label})": label, f"{field}.{label}": text}
    people = entry.get("participants")
    for index, person in enumerate(people if isinstance(people, list) else ()):
        of_person = person if isinstance(person, Mapping) else {"name": person}
        for key in ("name", "profile", "role"):
            read[f"participants[{index}].{key}"] = of_person.get(key)
    for place, text in read.items():
        found = _UNREADABLE.search(text) if isinstance(text, str) else None
        if found:
            code = f"U+{ord(found[0]):04X}"
            yield f"{place}: contains {code}, which is not a printable character; remove it"


def _schema(entry: Mapping[str, Any], game: Game) -> dict[str, Any]:
    """Return the schema of an entry with the fields of the choices, which the game names."""
    schema, own = schemas.read_schema("scenario"), choices_field(entry, game)
    choices = schema["$defs"]["choices"]
    fields = {_field_of(player): choices for player in game.players if game.role}
    fields[own] = choices | {"description": f"{{label: text}} with {', '.join(game.labels)}"}
    return schema | {
        "required": [*schema["required"], own],
        "properties": schema["properties"] | fields,
    }


def _choices(
    entry: Mapping[str, Any], game: Game, aliases: Mapping[str, str]
) -> Iterator[_Choices]:
    """Yield the model's choices and, if the model is told moves of the other role, also those."""
    own, told = choices_field(entry, game), _told_moves(game)
    if isinstance(entry.get(own), Mapping):
        texts = {str(name): text for name, text in entry[own].items()}
        yield _Choices(own, texts, game.labels, game.labels)
    earlier = entry.get(other_field(game)) if told else None
    if isinstance(earlier, Mapping):
        texts = {str(name): text for name, text in earlier.items()}
        # Texts for more moves are no fault once each move that is told has one.
        if told.keys() <= {aliases.get(name, name) for name in texts}:
            texts = {name: text for name, text in texts.items() if aliases.get(name, name) in told}
        yield _Choices(other_field(game), texts, moves_of_others(game), ())


def _told_moves(game: Game) -> dict[str, Play]:
    """Return the moves of the other role before the model decides, with the path to each."""
    return {
        label: history.path[:end]
        for history in game.histories
        for end, (player, label) in enumerate(history.path, start=1)
        if game.role and player != game.role
    }


def _unknown_labels(
    fields: Iterable[_Choices], game: Game, aliases: Mapping[str, str]
) -> dict[str, str]:
    """Return a line for each label that is not a choice of its player."""
    return {
        name: f"{choices.name}: {unknown('choice', name, choices.allowed)}, or map it in the "
        f"config: choice_labels: {{{game.family or game.name}: {{{yaml_key(name)}: ...}}}}"
        for choices in fields
        for name in choices.texts
        if aliases.get(name, name) not in choices.allowed
    }


def _choice_problems(
    choices: _Choices, game: Game, aliases: Mapping[str, str], missing: bool
) -> list[str]:
    """Return repeated choices, equal texts and, if `missing` is true, missing choices."""
    problems = []
    found: dict[str, str] = {}
    for name, text in choices.texts.items():
        label = aliases.get(name, name)
        if label in found:
            problems.append(f"{name!r} is a second text for {label}")
        elif label in choices.allowed:
            found[label] = " ".join(text.casefold().split()) if isinstance(text, str) else ""
    absent = [label for label in choices.needed if label not in found]
    if missing and not problems and absent and not (game.subset and len(found) >= 2):
        problems.append(f"{', '.join(absent)} missing; found {', '.join(found) or 'nothing'}")
    # An answer that names one of two equal texts could not be read.
    texts = [text for text in found.values() if text]
    if len(set(texts)) < len(texts):
        problems.append("two choices have the same text")
    return problems


def _contradictions(
    story: str, fields: Iterable[_Choices], game: Game, aliases: Mapping[str, str]
) -> Iterator[str]:
    """Yield a line for each text whose shares are not those that the game counts and tells."""
    shares = {choice.label: {choice.amount} for choice in game.choices if choice.amount is not None}
    for label, path in _told_moves(game).items():
        shares[label] = stated_shares(phrases(game, path).past_other)
    for choices in fields:
        for name, text in choices.texts.items():
            stated, told = stated_shares(text, story), shares.get(aliases.get(name, name), set())
            pairs = [
                (own, other) for own in stated for other in (*told, *(1 - one for one in told))
            ]
            if pairs and not any(abs(own - other) < _TOLERANCE for own, other in pairs):
                yield (
                    f"{choices.name}.{name}: its numbers give {_percent(stated)}, and the game's "
                    f"{_percent(told)}, which show_payoffs would tell; change one of them, or set "
                    "show_payoffs: false"
                )


def _percent(shares: Iterable[float]) -> str:
    return " or ".join(f"{100 * share:.0f} %" for share in sorted(shares))
