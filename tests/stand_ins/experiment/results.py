"""Stands in for the writing of result files."""

import json
import os

from emotion_games.layout import RESULT_FILES


def publish(output_dir, trials, configuration, statistics):
    output_dir.mkdir(parents=True, exist_ok=True)
    for name in RESULT_FILES:
        part = output_dir / f".{name}.part"
        content = (
            {"directions": {"weights_hash": "the only ones"}}
            if name == "exp_config.yaml"
            else trials
        )
        part.write_text(json.dumps(content))
        os.replace(part, output_dir / name)
