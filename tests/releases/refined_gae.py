"""The Refined-GAE release: its names of our modules."""

from __future__ import annotations

from tests.releases.translation import Translation
from torch import nn

from runner.models.hadamard_mlp import HadamardMLP
from runner.models.light_gcn import LightGCN
from runner.models.shared_gcn import SharedGCN


def translate(module: nn.Module) -> Translation | None:
    """What the release calls the weights of ``module``; None of a module that it has not."""
    if isinstance(module, LightGCN):
        names = {"alphas": "mixture", "conv1.weight": "first.linear.weight", **_norms(module, 1)}
        return Translation(names, ("norms.0",), transposed=frozenset({"conv1.weight"}))
    if isinstance(module, SharedGCN):
        return _shared(module)
    if isinstance(module, HadamardMLP):
        return Translation(_head(module))
    return None


def _shared(module: SharedGCN) -> Translation:
    if module.form == "linear":
        names = {f"lin.{part}": f"first.{part}" for part in module.first.state_dict()}
        names |= {"conv.weight": "shared.linear.weight", "conv.bias": "shared.bias"}
        return Translation(names | _norms(module, 0), transposed=frozenset({"conv.weight"}))
    names = _norms(module, 1)
    for theirs, ours in (("conv1", "first"), ("conv2", "shared")):
        names |= {f"{theirs}.weight": f"{ours}.linear.weight", f"{theirs}.bias": f"{ours}.bias"}
    # The release makes the first norm and the second convolution even where no step has them.
    unused = ("norms.0", *(() if module.between else ("conv2",)))
    return Translation(names, unused, transposed=frozenset({"conv1.weight", "conv2.weight"}))


def _norms(module: LightGCN | SharedGCN, first: int) -> dict[str, str]:
    return {
        f"norms.{i}.{part}": f"between.{i - first}.0.{part}"
        for i in range(first, first + len(module.between))
        for part in ("weight", "bias")
    }


def _head(module: HadamardMLP) -> dict[str, str]:
    scale = {f"scale_norm.{part}": f"scale.{part}" for part in ("weight", "bias")}
    linears, norms = (
        numbered(module.mlp, "lins", nn.Linear),
        numbered(module.mlp, "norms", nn.LayerNorm),
    )
    return scale | linears | norms


def numbered(mlp: nn.Sequential, release: str, kind: type[nn.Module]) -> dict[str, str]:
    """Names of the layers of a kind, which the release numbers by themselves."""
    places = [place for place, layer in enumerate(mlp) if isinstance(layer, kind)]
    return {
        f"{release}.{number}.{part}": f"mlp.{place}.{part}"
        for number, place in enumerate(places)
        for part in ("weight", "bias")
    }
