"""Hydra finds plugins in this namespace alone."""

from runner.sweeps.sweeper import LedgerSweeper as _LedgerSweeper


class LedgerSweeper(_LedgerSweeper):
    pass
