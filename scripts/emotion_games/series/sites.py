"""Where the pushes of a series act: each layer set at each position is a site of its own."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from emotion_games.experiment.conditions import Position

Layers = str | list[int]


@dataclass(frozen=True)
class Site:
    """In which layers, and at which tokens of a text, the pushes of an experiment act.

    `layer_set` is the name of the layers, None without `layer_sets` in the config. `names` tell the
    sites of a series apart: there is none for what they have in common.
    """

    layers: Layers
    layer_set: str | None
    position: str
    names: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of an experiment that say where its pushes act."""
        found: dict[str, Any] = {"layers": self.layers, "position": self.position}
        return found | ({"layer_set": self.layer_set} if self.layer_set else {})


def normalise(experiment: dict[str, Any]) -> None:
    """Give equal settings one form: two orders of the same layers are the same setting."""
    experiment["layers"] = _in_order(experiment["layers"])
    sets = experiment["layer_sets"]
    experiment["layer_sets"] = {name: _in_order(layers) for name, layers in sets.items()}
    listed = _listed(experiment["position"])
    positions = [str(position) for position in Position if position in listed]
    experiment["position"] = positions if len(positions) > 1 else positions[0]


def _in_order(layers: Layers) -> Layers:
    return sorted(map(int, layers)) if isinstance(layers, list) else layers


def _listed(position: str | list[str]) -> list[str]:
    return position if isinstance(position, list) else [position]


def plan_sites(settings: Mapping[str, Any]) -> list[Site]:
    """Return every layer set of a series with every position, layer set by layer set."""
    sets: dict[str | None, Layers] = settings["layer_sets"] or {None: settings["layers"]}
    positions = _listed(settings["position"])
    sites = []
    for name, layers in sets.items():
        for position in positions:
            names = [name] * (len(sets) > 1) + [position] * (len(positions) > 1)
            sites.append(Site(layers, name, position, tuple(filter(None, names))))
    return sites
