"""Directions hold what was planted and nothing else; null directions look like the residuals."""

import pytest
import torch

from emotion_games.engine.direction_estimation import (
    WITHIN_SHARE,
    accuracies,
    agreement,
    contrast,
    cosines,
    directions,
    half_directions,
    isotropic_directions,
    null_directions,
    origin,
    shuffled_directions,
    within_components,
)

torch.set_num_threads(1)
LAYERS, HIDDEN = 2, 16
EMOTIONS = ("anger", "fear", "happiness")
# Each emotion moves the states along an axis of its own. Within emotions, the states of all of them
# spread along axis 10, and a little along every axis.
SHIFT, WITHIN, NOISE = 3.0, {10: 6.0}, 0.8


def planted(stimuli=60, emotions=EMOTIONS, seed=0):
    """States {emotion: (layers, stimuli, hidden)}; all means have a share along the axes within."""
    generator = torch.Generator().manual_seed(seed)
    states = {}
    for number, emotion in enumerate(emotions):
        own = NOISE * torch.randn(LAYERS, stimuli, HIDDEN, generator=generator)
        for axis, spread in WITHIN.items():
            own[..., axis] += spread * torch.randn(LAYERS, stimuli, generator=generator)
        own[..., number] += SHIFT
        own[..., 10] += number
        states[emotion] = own + 5
    return states


def classes(states, layer):
    """The states of all emotions less the mean of their emotion, (stimuli, hidden)."""
    return torch.cat([own[layer] - own[layer].mean(0) for own in states.values()]).double()


def test_contrast_finds_the_planted_axes_and_takes_out_the_components_within_emotions():
    states = planted()
    found = contrast(states, EMOTIONS)
    means = {emotion: own.mean(1) for emotion, own in states.items()}
    assert ((means["happiness"] - means["anger"])[:, list(WITHIN)].abs() > 0.5).any()
    for number, emotion in enumerate(EMOTIONS):
        expected = torch.zeros(LAYERS, HIDDEN)
        expected[:, : len(EMOTIONS)] = -SHIFT / len(EMOTIONS)
        expected[:, number] += SHIFT
        torch.testing.assert_close(found[emotion], expected, atol=0.4, rtol=0)
    assert all(components.shape[1] == 1 for components in within_components(states, EMOTIONS))


def test_the_components_are_the_fewest_that_hold_the_share_of_the_variance():
    states = planted()
    for layer, components in enumerate(within_components(states, EMOTIONS)):
        variances = torch.linalg.svdvals(classes(states, layer)).square()
        number = components.shape[1]
        held = variances[:number].sum() / variances.sum()
        assert held >= WITHIN_SHARE > (held - variances[number - 1] / variances.sum())
        kept = (classes(states, layer) @ components).square().sum() / variances.sum()
        assert float(kept) == pytest.approx(float(held), abs=1e-9)
        torch.testing.assert_close(
            components.T @ components, torch.eye(number, dtype=torch.float64)
        )


@pytest.mark.parametrize("stimuli", [3, 60], ids=["more dimensions", "more stimuli"])
def test_contrast_is_its_formula(stimuli):
    """A second way to compute it, with the singular value decomposition."""
    states = planted(stimuli, (*EMOTIONS, "guilt"))
    found = contrast(states, EMOTIONS)
    for layer in range(LAYERS):
        means = {e: own[layer].double().mean(0) for e, own in states.items()}
        middle = sum(means[emotion] for emotion in EMOTIONS) / len(EMOTIONS)
        reference = {emotion: states[emotion] for emotion in EMOTIONS}
        _, s, v = torch.linalg.svd(classes(reference, layer), full_matrices=False)
        shares = s.square().cumsum(0) / s.square().sum()
        taken = v[: int((shares < WITHIN_SHARE).sum()) + 1]
        for emotion in states:
            raw = means[emotion] - middle
            expected = (raw - taken.T @ (taken @ raw)).float()
            torch.testing.assert_close(found[emotion][layer], expected, atol=1e-5, rtol=1e-4)
            assert (taken.float() @ found[emotion][layer]).abs().max() < 1e-5


def test_directions_of_the_reference_add_up_to_zero_and_others_are_measured_against_it():
    states = planted(emotions=(*EMOTIONS, "guilt"))
    found = contrast(states, EMOTIONS)
    total = sum(found[emotion] for emotion in EMOTIONS)
    assert total.abs().max() < 1e-5
    alone = contrast({e: states[e] for e in EMOTIONS}, EMOTIONS)
    for emotion in EMOTIONS:
        assert torch.equal(found[emotion], alone[emotion]), "guilt is no part of the reference"


def test_null_directions_have_the_covariance_of_the_states_within_emotions():
    states, number = planted(), 20_000
    nulls = null_directions(states, EMOTIONS, number, 0, "mean_difference").double()
    for layer in range(LAYERS):
        residuals = classes(states, layer)
        expected, found = residuals.T @ residuals, nulls[:, layer].T @ nulls[:, layer] / number
        # The standard error of a covariance is at most sqrt(2 / number) of the variances.
        spread = expected.diagonal().sqrt()
        error = (found - expected) / spread / spread[:, None]
        assert error.abs().max() < 5 * (2 / number) ** 0.5
        assert nulls[:, layer].mean(0).div(spread).abs().max() < 5 / number**0.5


def test_null_directions_have_the_same_weights_at_every_layer():
    states = planted()
    twice = {e: torch.stack([own[0], 2 * own[0]]) for e, own in states.items()}
    nulls = null_directions(twice, EMOTIONS, 5, 3)
    torch.testing.assert_close(nulls[:, 1], 2 * nulls[:, 0])


def test_null_directions_of_contrast_are_without_the_components_within_emotions():
    states = planted()
    nulls = null_directions(states, EMOTIONS, 50, 1)
    raw = null_directions(states, EMOTIONS, 50, 1, "mean_difference")
    for layer, components in enumerate(within_components(states, EMOTIONS)):
        taken = components.float()
        assert (nulls[:, layer] @ taken).abs().max() < 1e-4
        expected = raw[:, layer] - raw[:, layer] @ taken @ taken.T
        torch.testing.assert_close(nulls[:, layer], expected, atol=1e-4, rtol=1e-4)


def test_null_directions_depend_on_the_seed_and_not_on_their_number():
    states = planted()
    few, many = (null_directions(states, EMOTIONS, number, 4) for number in (3, 7))
    torch.testing.assert_close(many[:3], few)
    assert not torch.allclose(null_directions(states, EMOTIONS, 3, 5), few, atol=1.0)
    assert null_directions(states, EMOTIONS, 0, 4).shape == (0, LAYERS, HIDDEN)


@pytest.mark.parametrize("method", ["mean_difference", "paired_pca"])
def test_a_component_between_emotional_and_neutral_states_is_found(method):
    generator = torch.Generator().manual_seed(1)
    neutral = torch.randn(LAYERS, 40, HIDDEN, generator=generator)
    shift = torch.zeros(LAYERS, HIDDEN)
    shift[:, 3] = 6.0
    noise = 0.05 * torch.randn(LAYERS, 40, HIDDEN, generator=generator)
    states = {"anger": neutral + shift[:, None] + noise, "neutral": neutral}
    found = directions(states, ["anger"], method)
    assert list(found) == ["anger"]
    torch.testing.assert_close(found["anger"], shift, atol=0.05, rtol=0)


def test_halves_agree_where_the_stimuli_do_and_not_where_they_are_noise():
    strong = agreement(*half_directions(planted(200), EMOTIONS, "contrast"))
    assert all(min(by_layer) > 0.9 for by_layer in strong.values())
    generator = torch.Generator().manual_seed(2)
    noise = {e: torch.randn(LAYERS, 60, 400, generator=generator) for e in EMOTIONS}
    weak = agreement(*half_directions(noise, EMOTIONS, "contrast"))
    assert all(abs(cosine) < 0.3 for by_layer in weak.values() for cosine in by_layer)


def test_halves_are_the_directions_of_every_second_stimulus():
    states = planted()
    for half, found in enumerate(half_directions(states, EMOTIONS, "contrast")):
        expected = contrast({e: own[:, half::2] for e, own in states.items()}, EMOTIONS)
        assert all(torch.equal(found[e], expected[e]) for e in EMOTIONS)


def test_isotropic_directions_are_one_draw_at_all_layers_without_a_covariance():
    few, many = (isotropic_directions((LAYERS, 40), number, 4) for number in (3, 2000))
    assert torch.equal(many[:3], few) and not torch.equal(many[0], many[1])
    assert torch.equal(many[:, 0], many[:, -1])
    covariance = many[:, 0].double().T.cov()
    assert (covariance - torch.eye(40)).abs().max() < 0.15
    assert not torch.equal(isotropic_directions((LAYERS, 40), 3, 5), few)


@pytest.mark.parametrize("method", ["contrast", "mean_difference"])
def test_held_out_stimuli_are_nearest_to_their_own_mean_only_where_emotions_differ(method):
    emotions = (*EMOTIONS, "neutral")
    states, held_out = planted(60, emotions, 0), planted(60, emotions, 1)
    for own in (states, held_out):
        for emotion in EMOTIONS:
            own[emotion][1] = own["neutral"][1] + 0.001 * own[emotion][1]
    found = directions(states, EMOTIONS, method)
    start = origin(states, EMOTIONS, method)
    right = accuracies(held_out, found, start)
    assert list(right) == list(EMOTIONS)
    by_layer = torch.stack(list(right.values())).mean(0)
    assert by_layer[0] > (0.97 if method == "contrast" else 0.5)
    assert float(by_layer[1]) == pytest.approx(1 / 3, abs=0.15)


def test_the_nearest_mean_is_that_of_the_definition():
    states, held_out = planted(60, seed=0), planted(20, seed=1)
    found, start = contrast(states, EMOTIONS), origin(states, EMOTIONS, "contrast")
    right = accuracies(held_out, found, start)
    for layer, components in enumerate(within_components(states, EMOTIONS)):
        means = torch.stack([found[e][layer] for e in EMOTIONS])
        for number, emotion in enumerate(EMOTIONS):
            own = held_out[emotion][layer] - start[layer]
            own = own - own @ components.float() @ components.float().T
            nearest = torch.cdist(own, means).argmin(-1)
            share = (nearest == number).float().mean()
            assert float(right[emotion][layer]) == pytest.approx(float(share), abs=1e-6)


def test_shuffled_directions_are_those_of_stimuli_that_were_assigned_at_random():
    states = planted()
    true = contrast(states, EMOTIONS)
    found = shuffled_directions(states, EMOTIONS, "contrast", 0)
    again = shuffled_directions(states, EMOTIONS, "contrast", 0)
    assert list(found) == list(EMOTIONS)
    for emotion in EMOTIONS:
        assert torch.equal(found[emotion], again[emotion])
        assert (found[emotion].norm(dim=-1) < 0.5 * true[emotion].norm(dim=-1)).all()


def test_contrast_never_sees_neutral_stimuli():
    states = planted()
    other = states | {"neutral": torch.full((LAYERS, 5, HIDDEN), 1e6)}
    for make in (directions, shuffled_directions):
        extra = (0,) if make is shuffled_directions else ()
        one, two = (make(s, EMOTIONS, "contrast", *extra) for s in (states, other))
        assert one.keys() == two.keys() and all(torch.equal(one[e], two[e]) for e in one)


def test_cosines_at_a_layer():
    vectors = {"a": torch.tensor([[9.0, 9.0], [2.0, 0.0]]), "b": torch.tensor([[1.0, 1], [3, 4]])}
    assert cosines(vectors, 1) == {"a": {"a": 1.0, "b": 0.6}, "b": {"a": 0.6, "b": 1.0}}
