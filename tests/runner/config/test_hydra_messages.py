import pytest

from runner.config.hydra_messages import in_words


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("Interpolation key 'x' not found\n    full_key: a", "Interpolation key 'x' not found"),
        (
            "ConfigTypeError raised while resolving interpolation: node `run` is not a container",
            "node `run` is not a container",
        ),
        (
            "MissingMandatoryValue while resolving interpolation: Missing mandatory value: seed",
            "Missing mandatory value: seed",
        ),
        (
            "GrammarParseError raised while resolving interpolation: mismatched input '<EOF>' "
            "expecting {INTER_OPEN, BRACE_OPEN}",
            "it cannot be read",
        ),
        (
            "Error locating target 'x', set env var HYDRA_FULL_ERROR=1 to see chained exception.",
            "Error locating target 'x'",
        ),
        (
            "RecursionError raised while resolving interpolation: maximum recursion depth exceeded",
            "an interpolation that leads back to itself",
        ),
        (
            "TypeError raised while resolving interpolation: f() missing 1 required argument: 'x'",
            "it takes other arguments",
        ),
        ("Recursive interpolation detected", "an interpolation that leads back to itself"),
        ("", "it cannot be read"),
    ],
)
def test_messages_without_the_insides_of_libraries(given, expected):
    assert in_words(ValueError(given)) == expected
