"""The keys of a user's own graph stand in the schema and at its reader, with the same facts."""

import pytest

from runner.config.schema import Dataset, RunConfig
from runner.config.signatures import signature
from runner.errors import RunnerError
from runner.keys import Before, Effect

OF_THE_SECTION = {"name", "own", "root", "source"}
OF_THE_READER = {"cache", "split"}


def test_the_keys_of_an_own_graph_have_the_same_facts_in_both_places():
    reader = signature("runner.data.edges.edge_file").parameters
    section = Dataset.model_fields
    assert set(section) - OF_THE_SECTION == set(reader) - OF_THE_READER
    for key in set(section) - OF_THE_SECTION:
        facts = [fact for fact in section[key].metadata if isinstance(fact, Effect | Before)]
        assert set(facts_of(reader[key])) == set(map(repr, facts)), key


def facts_of(parameter):
    return [repr(fact) for fact in (parameter.effect, parameter.before) if fact is not None]


def test_a_config_of_another_version_is_one_sentence():
    with pytest.raises(RunnerError, match=r"^\w+: .*; this config is of another version") as error:
        RunConfig.read({"seed": 0})
    assert "\n" not in str(error.value)
