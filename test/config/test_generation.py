"""What is made of a state is made once for it."""

from ganeti.config.generation import Generation


def test_a_word_for_each_state():
    changes, other = Generation(), Generation()
    words = [changes.word, changes.word, other.word]
    changes.count()
    words.append(changes.word)
    assert words[0] == words[1] and len(set(words)) == 3


def test_made_once_for_each_state():
    changes, made = Generation(), []

    def make():
        made.append(len(made))
        return made[-1]

    assert [changes.derived("x", make) for _ in range(3)] == [0, 0, 0]
    assert changes.derived("y", make) == 1
    changes.count()
    assert [changes.derived("x", make) for _ in range(2)] == [2, 2]


def test_what_is_made_while_it_changes_is_made_again():
    changes = Generation()

    def make():
        changes.count()
        return changes.word

    assert changes.derived("x", make) != changes.derived("x", make)
