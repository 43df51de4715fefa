"""Tokens come from the trial's own numbers and follow the model's distribution."""

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from emotion_games.engine.sampling import next_tokens, trial_uniforms
from emotion_games.errors import UserError


def test_numbers_belong_to_the_trial():
    key = ("PD", "story", "start", ("a", "b"), 0)
    assert np.array_equal(trial_uniforms(key, 1, 5), trial_uniforms(key, 1, 9)[:5])
    assert not np.array_equal(trial_uniforms(key, 1, 5), trial_uniforms(key, 2, 5))
    assert not np.array_equal(trial_uniforms(key, 1, 5), trial_uniforms((*key[:-1], 1), 1, 5))


def test_inverse_of_the_cumulative_distribution():
    logits = torch.log(torch.tensor([[0.2, 0.5, 0.3]])).repeat(5, 1)
    numbers = torch.tensor([0.0, 0.199, 0.201, 0.699, 0.701], dtype=torch.float64)
    assert next_tokens(logits, numbers, 1.0, 1.0).tolist() == [0, 0, 1, 1, 2]


def test_nucleus_keeps_the_likeliest_tokens_until_their_mass_is_reached():
    logits = torch.log(torch.tensor([[0.1, 0.5, 0.3, 0.1]])).repeat(200, 1)
    numbers = torch.linspace(0, 0.9999, 200, dtype=torch.float64)
    found = next_tokens(logits, numbers, 1.0, 0.6).tolist()
    assert set(found) == {1, 2}
    assert found.count(1) == pytest.approx(200 * 0.5 / 0.8, abs=1)


def test_temperature_zero_takes_the_likeliest():
    assert next_tokens(
        torch.tensor([[0.0, 3.0, 1.0]]), torch.tensor([0.99]), 0.0, 0.9
    ).tolist() == [1]


def test_a_nucleus_wider_than_the_candidates_is_found_by_sorting():
    logits = torch.zeros(1, 5000)
    tokens = [
        int(next_tokens(logits, torch.tensor([u], dtype=torch.float64), 1.0, 1.0))
        for u in (0.0, 0.50001, 0.9999)
    ]
    assert tokens == [0, 2500, 4999]


def test_the_largest_number_below_one_still_finds_a_token_of_the_nucleus():
    logits = torch.log(torch.tensor([[0.3, 0.1, 0.5, 0.1]]))
    assert next_tokens(
        logits, torch.tensor([1 - 2**-53], dtype=torch.float64), 1.0, 0.6
    ).tolist() == [2]


def test_frequencies_follow_the_softened_distribution():
    probabilities = torch.tensor([0.1, 0.2, 0.3, 0.4], dtype=torch.float64)
    numbers = torch.from_numpy(np.random.default_rng(0).random(4000))
    found = next_tokens(probabilities.log().repeat(4000, 1), numbers, 0.7, 1.0)
    softened = probabilities ** (1 / 0.7)
    expected = 4000 * softened / softened.sum()
    assert chisquare(np.bincount(found, minlength=4), expected.numpy()).pvalue > 0.01


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_overflow_are_refused(number):
    with pytest.raises(UserError, match="numbers overflow"):
        next_tokens(
            torch.tensor([[0.0, number, 1.0]]), torch.tensor([0.5], dtype=torch.float64), 1.0, 0.9
        )
