"""Generations: states have different tokens, and cached values belong to one state."""

from ganeti.utils.generation import Generation


def test_each_state_has_a_token_of_its_own():
    generation, other = Generation(), Generation()
    tokens = [generation.token, generation.token, other.token]
    generation.advance()
    tokens.append(generation.token)
    assert tokens[0] == tokens[1] and len(set(tokens)) == 3


def test_a_cached_value_is_made_once_for_each_state():
    generation, made = Generation(), []

    def make():
        made.append(len(made))
        return made[-1]

    assert [generation.cached("x", make) for _ in range(3)] == [0, 0, 0]
    assert generation.cached("y", make) == 1
    generation.advance()
    assert [generation.cached("x", make) for _ in range(2)] == [2, 2]


def test_a_value_made_during_a_change_is_made_again():
    generation = Generation()

    def make():
        generation.advance()
        return generation.token

    assert generation.cached("x", make) != generation.cached("x", make)
