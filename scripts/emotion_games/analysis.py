"""Turns the trials and checks of one experiment into the content of stats_analysis.json.

Knows the order of the parts and nothing of how a part is computed, of files, or of models. Everything returned is
strict JSON: no NaN; a number that cannot be given is null and a `reason` stands beside it.

Shape of stats_analysis.json (values from a simulated experiment; every list holds flat records of one form):

    meta              {game, model, outcome, choices: [{label, value}], histories: [..], n_trials, n_trials_planned, interim,
                       n_scenarios, n_generated, n_parsed, minimum_scenarios: 12, confidence: 0.95, measures: {name: meaning},
                       conditions: [{condition, arm, emotion, intensity, n_trials}]}
    plan              {headline_intensity, layers, contrasts, measures, claim, margin, confidence, ..., hash: "sha256..."}
    rates             [{condition: "steered-anger-1.0", arm: "steered", emotion: "anger", intensity: 1.0, history: "none",
                        measure: "chosen", estimate: 0.41, interval: [0.33, 0.49], n_scenarios: 24, n_trials: 94, n_missing: 2,
                        design_effect: 1.7, shares: [{choice: "cooperate", estimate: 0.41, interval: [0.33, 0.49]}, ...],
                        unit: "expected cooperation, 0 to 1", method: "Wilson interval on the effective sample size"}]
    contrasts         [{contrast: "emotion_minus_neutral", arm: "steered", emotion: "anger", intensity: 1.0, history: "none",
                        measure: "chosen", role: "planned", estimate: -0.17, interval: [-0.25, -0.09], n_scenarios: 24,
                        n_trials: 190, sd: 0.19, t: -4.4, df: 23, p: 0.0002, p_t: 0.0002, p_holm: 0.0012, n_tests: 6,
                        worst_case: {low: -0.19, high: -0.15, interval: [-0.27, -0.07]}, descriptive_only: false,
                        damaged: false, reason: null, unit: "difference in expected cooperation, -1 to 1",
                        method: "t interval and sign-flip p over scenario differences", n_directions: null, p_rank: null,
                        odds_ratio: 0.5, cramers_v: 0.17}]
                       contrast: emotion_minus_neutral | emotion_minus_random | emotion_minus_other_emotions |
                                 prompted_minus_prompted_neutral | shuffled_minus_neutral | random_minus_neutral
                       role:     planned (the two of the claim) | secondary (planned, not in the claim) | exploratory
                       measure:  chosen | scored | scored_after | branch; for three and more choices also share:<label>
    emotion_analysis  {anger: [{history, intensity, measure, versus_neutral, versus_random, versus_other_emotions, prompted:
                       {estimate, interval, p, p_holm} or null, p_claim, p_claim_holm, claim: false, claim_reasons: ["..."],
                       damaged, branch_disagrees, sentence: "..."}]}
    intensity_analysis {"1.0": [{emotion, history, measure, estimate, interval, n_scenarios, p, headline: true, damaged}]}
    dose_response     [{emotion, history, measure, doses: [{intensity, estimate, interval, damaged}], slope, curvature:
                       {estimate, interval, p, ...} or null, page_trend: {statistic, p, direction, ...}, random_band: {intensity, low,
                       mean, high, n_directions} or null, n_scenarios, unit, method}]
    position_bias     [{condition, arm, emotion, intensity, history, measure: "chosen", estimate, interval, p, versus_neutral:
                       {estimate, interval, p}, n_scenarios, unit, method}]
    length_bias       same form; how much longer than the mean option the chosen option is
    validity          [{condition, ..., history, n_trials, n_generated, n_parsed, parse_rate, interval, reasons: {reason: n},
                       valid_mass, unit, method}]
    damage            [{condition, ..., damaged, reasons: ["..."], checks: {parse_rate: {value, neutral, limit, passed}, ...},
                       complete: true}]
    manipulation      [{check: "self_report", arm, emotion, intensity, estimate, interval, p, n_items, unit, method}]
    equivalence       [{emotion, history, measure, intensity, margin, p, p_holm, interval, equivalent, n_scenarios, unit, method}]
    rationality       {available: false, reason: "...", rows: []}
    power             {smallest_detectable_difference, from_random, assumptions: {...}, observed: [{history, sd, ...}]}
    text_description  "Plain sentences ..."
"""
