"""OmegaConf's and Hydra's messages without the names of their exceptions and of their grammar."""

from __future__ import annotations

import re

_EXCEPTION = re.compile(r"\b[A-Z]\w+ (?:raised )?while resolving interpolation: ")
_GRAMMAR = re.compile(
    r"(?:mismatched|extraneous) input .* expecting .*|no viable alternative at input .*"
    r"|token recognition error .*|missing \S+ at .*"
)
_ARGUMENTS = re.compile(r"\S+\(\) (?:missing|takes) .*argument.*")
_ADVICE = ", set env var HYDRA_FULL_ERROR=1 to see chained exception."


def in_words(error: BaseException) -> str:
    """The first line of a message, for a user."""
    text = next(iter(str(error).splitlines()), "").replace(_ADVICE, "")
    text = _ARGUMENTS.sub("it takes other arguments", _EXCEPTION.sub("", text))
    if "maximum recursion depth" in text or "Recursive interpolation" in text:
        return "an interpolation that leads back to itself"
    return _GRAMMAR.sub("it cannot be read", text).strip('"') or "it cannot be read"


def short(text: str, longest: int = 200) -> str:
    """A user's own text as a message quotes it."""
    return text if len(text) <= longest else f"{text[:longest]}…"
