"""Which effects are equivalent to none within the planned margin."""

from itertools import product

import numpy as np

from emotion_games.analysis.cells import Cells
from emotion_games.analysis.corrections import holm
from emotion_games.analysis.inference import equivalence
from emotion_games.analysis.mean_tests import possible
from emotion_games.analysis.measures import MEASURES
from emotion_games.analysis.statistics_records import Equivalence
from emotion_games.experiment.analysis_plan import MINIMUM_SCENARIOS, Plan
from emotion_games.experiment.conditions import Arm


def equivalence_records(cells: Cells, plan: Plan, damaged: set[str]) -> list[Equivalence]:
    """Test whether each emotion - neutral at the headline intensity is within the plan's margin.

    Holm corrects over the emotions of a measure.
    """
    neutral = cells.find(Arm.NEUTRAL)
    steered = cells.find(Arm.STEERED, intensity=plan["headline_intensity"]) if neutral else []
    margin, confidence = plan["equivalence_margin"], plan["confidence"]
    found = []
    for measure in plan["measures"]:
        family = []
        for position, history in product(steered, cells.places[:1]):
            differences = cells.difference(measure, history, position, neutral[0])
            n = int((~np.isnan(differences)).sum())
            if not n:
                continue
            who, test = cells.who(position), equivalence(differences, margin, confidence)
            few, flat = n < MINIMUM_SCENARIOS, np.isnan(test["p"])
            reason = "every scenario has the same difference: no test" if flat else None
            record = Equivalence(
                emotion=who["emotion"],
                history=history,
                measure=measure,
                intensity=who["intensity"],
                margin=margin,
                p=None if few else test["p"],
                interval=possible(test["low"], test["high"]),
                n_scenarios=n,
                damaged=who["condition"] in damaged,
                reason=f"fewer than {MINIMUM_SCENARIOS} scenarios: no test" if few else reason,
                unit=f"difference in {MEASURES[measure].of(plan['outcome'])}, -1 to 1",
                method=f"two one-sided t tests over scenarios; {2 * confidence - 1:.0%} interval",
                p_holm=None,
                equivalent=False,
            )
            family.append(record)
        for record, adjusted in zip(family, holm([r["p"] for r in family]), strict=True):
            record["p_holm"] = adjusted
            record["equivalent"] = adjusted is not None and adjusted <= 1 - confidence
        found += family
    return found
