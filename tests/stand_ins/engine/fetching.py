"""A replacement for the fetching of models, which needs no network."""

import json
from pathlib import Path

from emotion_games.errors import UserError


def fetch(entry, content, models, log):
    if json.loads(Path("controls.json").read_text()).get("fetch") == entry["id"]:
        raise UserError(f"model {entry['id']}: the hub cannot be reached")
    return {"entry": entry | {"revision": "c" * 40}, "path": entry["id"]}
