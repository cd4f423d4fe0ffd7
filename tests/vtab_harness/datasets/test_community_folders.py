import numpy as np

from vtab_harness import registry
from vtab_harness.datasets.vtab_1k import SUITE

TASKS = [registry.tasks.get(name) for name in SUITE.tasks]


def test_every_task_has_a_folder() -> None:
    folders = {folder.name for task in TASKS for folder in task.image_set.community}
    assert all(task.image_set.community for task in TASKS)
    assert len(folders) == 19


def test_values_stand_for_the_classes_of_their_task() -> None:
    for task in TASKS:
        fitting = []
        for folder in task.image_set.community:
            columns = {folder.column: np.array(folder.values, dtype=np.float32)}
            try:
                found = task.label(columns).tolist()
            except KeyError:
                continue  # The folder of the image set's other task.
            assert found == list(range(task.num_classes)), task.name
            fitting.append(folder.name)
        assert len(fitting) == 1, task.name
