"""A finished experiment, read back from its files without its model."""

from pathlib import Path

from emotion_games.errors import UserError
from emotion_games.experiment.check_records import check_table
from emotion_games.experiment.conditions import plan_conditions
from emotion_games.experiment.journal import COMPLETE, journal_fingerprint, read_journal
from emotion_games.experiment.results import Outcome, read_configuration, read_trials
from emotion_games.games.catalog import apply_settings, load_game
from emotion_games.hashing import content_hash


def read_outcome(output_dir: Path, journal: Path) -> Outcome:
    """Return everything that was measured in a finished experiment.

    Args:
        output_dir: The folder with its four result files.
        journal: Its journal, which has the answers to the checks.

    Raises:
        UserError: The journal or the game is not the one that the results were made with.
    """
    configuration = read_configuration(output_dir)
    settings, fingerprint = configuration["settings"], configuration["fingerprint"]
    if journal_fingerprint(journal) != fingerprint:
        raise UserError(
            f"{journal}: is missing, or does not belong to the results in {output_dir}; put the "
            "journal back, or delete the result files and run the experiment again"
        )
    records = {record["key"]: record for record in read_journal(journal, fingerprint)}
    if COMPLETE not in records:
        raise UserError(f"{journal}: is not complete; run the series to its end")
    folder = Path(configuration["files"]["game"])
    path = folder / "game.yaml"
    if content_hash(path) != configuration["hashes"]["game"]:
        raise UserError(f"{path}: is missing, or has changed since the experiment; put it back")
    trials = read_trials(output_dir)
    return Outcome(
        trials=trials,
        checks=check_table(records, plan_conditions(settings)),
        game=apply_settings(load_game(folder), settings["game_settings"]),
        settings=settings,
        n_planned=len(trials),
        configuration=configuration,
    )
