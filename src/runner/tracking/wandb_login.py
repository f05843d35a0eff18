"""Look up W&B credentials without a prompt."""

from __future__ import annotations

import netrc
import os
from typing import Any
from urllib.parse import urlsplit


def has_credentials(settings: Any) -> bool:
    """Whether W&B has an API key or an identity token: in environment, settings or netrc."""
    if any(os.environ.get(name) for name in ("WANDB_API_KEY", "WANDB_IDENTITY_TOKEN_FILE")):
        return True
    if settings.api_key or settings.identity_token_file:
        return True
    files = [os.environ["NETRC"]] if os.environ.get("NETRC") else ["~/.netrc", "~/_netrc"]
    for file in files:
        try:
            found = netrc.netrc(os.path.expanduser(file))
        except (OSError, netrc.NetrcParseError):
            continue
        entry = found.authenticators(urlsplit(settings.base_url).netloc)
        return bool(entry and entry[2])
    return False
