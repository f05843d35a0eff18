import pytest
import yaml
from tests.test_configs import CONF

from runner.config.targets import foreign_targets, is_ours, nodes

SHIPPED = sorted(
    {
        node["_target_"]
        for path in CONF.rglob("*.yaml")
        if path.relative_to(CONF).parts[0] not in ("hydra", "search")
        for name, node in nodes(yaml.safe_load(path.read_text()))
        if str(node["_target_"]).startswith("runner.") and not name.startswith("hydra.")
    }
)


@pytest.mark.parametrize(
    "target", [*SHIPPED, "torch.optim.AdamW", "torch.optim.lr_scheduler.StepLR"]
)
def test_what_is_shipped_and_torchs_optimizers_are_ours(target):
    assert is_ours(target)


@pytest.mark.parametrize(
    "target",
    [
        "shutil.rmtree",
        "runner.data.ogb.shutil.rmtree",
        "runner.data.planetoid.download",
        "runner.data.ogb_raw.convert",
        "runner.storage.download.download",
        "runner.training.ranks.os.remove",
        "torch.optim.adam.torch.load",
        "torch.load",
        "runner.data.nowhere.f",
        "runner.models_of_mine.Model",
        None,
    ],
)
def test_a_name_that_a_module_of_ours_only_imports_or_that_writes_files_is_foreign(target):
    assert not is_ours(target)
    config = {"dataset": {"source": {"_target_": target}}}
    assert foreign_targets(config) == {"dataset.source._target_": str(target)}
