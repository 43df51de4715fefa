"""The smallest effects that an experiment can detect, as planned and with the variation found."""

import numpy as np
import pandas as pd

from emotion_games.analysis.contrasts import PLANNED
from emotion_games.analysis.statistics_parts import narrowed
from emotion_games.analysis.statistics_records import Contrast, ObservedPower, Power
from emotion_games.experiment.analysis_plan import EMOTION_MINUS_NEUTRAL, Plan
from emotion_games.experiment.power import detectable_with_sd, planned_power


def detectable(contrasts: list[Contrast], plan: Plan, table: pd.DataFrame) -> Power:
    """Return the power of the plan and, by history, that with the observed standard deviations."""
    confidence, tests = plan["confidence"], len(plan["emotions"]) * len(plan["histories"])
    observed = []
    for history in plan["histories"]:
        sizes, sds = [], []
        for record in contrasts:
            planned = (record["contrast"], record["role"]) == (EMOTION_MINUS_NEUTRAL, PLANNED)
            if planned and record["history"] == history:
                sizes.append(record["n_scenarios"])
                sds.append(record["sd"])
        # One scenario has no standard deviation.
        if np.isnan(sds).all():
            continue
        n, sd = min(sizes), float(np.sqrt(np.nanmean(np.square(sds))))
        smallest = detectable_with_sd(sd, n, confidence)
        power = ObservedPower(
            history=history,
            measure=plan["measures"][0],
            n_scenarios=n,
            sd=sd,
            smallest_detectable_difference=smallest,
            with_holm=detectable_with_sd(sd, n, confidence, tests),
            reason=None if np.isfinite(smallest) else "too few scenarios",
            method="noncentral t, power 0.8",
        )
        observed.append(power)
    # The plan may ask for more scenarios than there are.
    orders = int(table.groupby("scenario_id")["option_order"].nunique().min())
    scenarios = int(table["scenario_id"].nunique())
    usable = plan | {"planned": plan["planned"] | {"scenarios": scenarios}}
    return narrowed(planned_power(usable, orders) | {"observed": observed}, Power)
