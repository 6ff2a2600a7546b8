"""Event files: the contract of trackers, read back by TensorBoard itself, and its page of hyperparameters."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.contracts.tracker import Place, TrackerContract, record
from tests.contracts.tracker_places import InEventFiles
from tools.trackers.contract import BY_COMMAND, NOTHING, NotSent

pytest.importorskip("tensorboardX", reason="pip install 'mlteam[tensorboard]'")
pytest.importorskip("tensorboard", reason="pip install tensorboard")


class TestTensorBoard(TrackerContract):
    many = False

    @pytest.fixture(scope="class")
    @classmethod
    def place(cls, tmp_path_factory: pytest.TempPathFactory) -> Place:
        return InEventFiles(tmp_path_factory.mktemp("runs"))


def test_its_page_of_hyperparameters_has_a_session_for_every_candidate(tmp_path: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams import metadata, plugin_data_pb2

    places = InEventFiles(tmp_path)
    places.tracker("r").write(record("r", "a b"), NOTHING, BY_COMMAND)
    for name in "ab":
        content = EventAccumulator(str(tmp_path / "r" / "tensorboard" / name)).Reload().PluginTagToContent("hparams")
        begun = plugin_data_pb2.HParamsPluginData.FromString(content[metadata.SESSION_START_INFO_TAG]).session_start_info
        found = {key: value.string_value or value.number_value for key, value in begun.hparams.items()}
        assert found == {"family": "linear", "param.C": 0.5}
        assert metadata.SESSION_END_INFO_TAG in content


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    places = InEventFiles(tmp_path)
    (places.run("r").path / ".tensorboard.tmp").write_text("a file in its place")
    with pytest.raises(NotSent, match=r"tensorboard/ could not be written \(Not a directory\)"):
        places.tracker("r").write(record("r"), NOTHING, BY_COMMAND)
