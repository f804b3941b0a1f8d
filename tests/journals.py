"""Studies as runs keep them: a line of JSON for each proposal."""

from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend


def proposals_in(path: Path) -> int:
    """How many whole proposals a study's file holds, 0 before it is there."""
    return path.read_bytes().count(b'"datetime_complete"') if path.exists() else 0


def to_database(folder: Path) -> None:
    """Give a run the database that earlier versions kept."""
    storage = JournalStorage(JournalFileBackend(str(folder / "study.jsonl")))
    (study,) = storage.get_all_studies()
    address = f"sqlite:///{folder / 'study.db'}"
    optuna.copy_study(from_study_name=study.study_name, from_storage=storage, to_storage=address)
    (folder / "study.jsonl").unlink()
