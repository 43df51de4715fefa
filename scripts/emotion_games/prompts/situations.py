"""The situation in which a model decides: a game at one of its histories, as a story."""

from dataclasses import dataclass

from emotion_games.games.records import Game, History, your_player
from emotion_games.games.scenarios import Scenario


@dataclass(frozen=True)
class Situation:
    """What one prompt is about. `order` holds the labels of the options as they are shown."""

    game: Game
    scenario: Scenario
    history: History
    order: tuple[str, ...]

    @property
    def you(self) -> str:
        """The player of the game that the model is."""
        return your_player(self.game, self.history)

    @property
    def other(self) -> str:
        """The name, in the story, of the person who plays with the model.

        In a game of many it is the game's word for each of the others.
        """
        return self.game.players[1] if self.game.many else self.scenario.other.name

    @property
    def everyone_else(self) -> str:
        """All who play with the model, by their names in the story."""
        names = [person.name for person in self.scenario.others]
        if self.game.many and len(names) > 1:
            return f"{self.other} ({', '.join(names)})"
        return self.scenario.other.name
