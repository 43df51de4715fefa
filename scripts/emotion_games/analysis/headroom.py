"""How many stories are at floor or ceiling in neutral, which leaves no room for some effects."""

import numpy as np

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_records import Headroom
from emotion_games.experiment.analysis_plan import Plan
from emotion_games.experiment.conditions import Arm
from emotion_games.experiment.headroom import CEILING, FLOOR, count_room


def headroom_records(cells: Cells, plan: Plan) -> list[Headroom]:
    """Count the stories at floor and at ceiling in the primary measure, by history.

    No story is left out of any other statistic for it.
    """
    records, measure = [], plan["claim"]["measure"]
    for neutral in cells.find(Arm.NEUTRAL):
        for history in cells.places:
            levels = cells.level(measure, history, neutral)
            record = Headroom(
                history=history,
                measure=measure,
                floor=FLOOR,
                ceiling=CEILING,
                **count_room(levels[~np.isnan(levels)].tolist()),
                unit=f"stories, by their {MEASURES[measure].of(plan['outcome'])} in neutral",
                method="mean over option orders and wordings",
            )
            records.append(record)
    return records
