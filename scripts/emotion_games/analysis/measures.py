"""The measures of a decision: the ways in which a trial's answer becomes a number.

A new measure is one entry of `MEASURES` and the column of exp_results.csv that it is read from.
"""

from dataclasses import dataclass

from emotion_games.experiment.analysis_plan import BRANCH, CHOSEN, SCORED, SCORED_AFTER


@dataclass(frozen=True)
class Measure:
    """How a number is computed from a trial.

    Attributes:
        name: The key in every file. `<name>:<choice>` is the share of one choice.
        label: What the number is based on, for sentences and figures.
        column: The column of exp_results.csv: the label of a choice, whose value is taken, or a
            JSON object of probabilities by choice, whose expected value is taken.
        is_sampled: The column holds a drawn choice, not probabilities.
        is_main: Dose response and the preferences for a position or a length are computed.
        is_rated: Rates are computed; without them it is a sensitivity check of the contrasts.
    """

    name: str
    label: str
    column: str
    is_sampled: bool = False
    is_main: bool = False
    is_rated: bool = True

    @property
    def meaning(self) -> str:
        """The definition, for the metadata of the statistics."""
        if self.is_sampled:
            return f"value in the {self.label}; an answer that could not be parsed is missing"
        return f"expected value under the {self.label}"

    def of(self, outcome: str) -> str:
        """Return what is measured, for example `cooperation in the written choices`."""
        if self.is_sampled:
            return f"{outcome} in the {self.label}"
        return f"expected {outcome} under the {self.label}"


_AFTER, _BRANCHING = "choice probabilities after the rationale", "branching tokens' probabilities"
_ALL = (
    Measure(CHOSEN, "written choices", "choice", is_sampled=True, is_main=True),
    Measure(SCORED, "choice probabilities", "choice_probabilities", is_main=True),
    Measure(SCORED_AFTER, _AFTER, "choice_probabilities_after"),
    Measure(BRANCH, _BRANCHING, "branch_probabilities", is_rated=False),
)
MEASURES = {measure.name: measure for measure in _ALL}
