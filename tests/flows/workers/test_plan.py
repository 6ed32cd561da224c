"""How the cores of a machine are shared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flows.workers.team import Plan, plan

COUNTS = st.integers(1, 200)


@pytest.mark.parametrize(
    ("cores", "expected"),
    [(1, Plan(1, 1)), (2, Plan(2, 1)), (4, Plan(4, 1)), (8, Plan(4, 2)), (64, Plan(4, 16))],
)
def test_four_models_share_the_cores(cores: int, expected: Plan) -> None:
    assert plan(4, parallel=None, cores=cores) == expected


def test_one_model_has_all_cores() -> None:
    assert plan(1, parallel=None, cores=8) == Plan(1, 8)


def test_parallel_is_the_most_at_a_time() -> None:
    assert plan(4, parallel=2, cores=8) == Plan(2, 4)
    assert plan(4, parallel=16, cores=8) == Plan(4, 2)


def test_gpus_take_one_model_each() -> None:
    assert plan(4, parallel=None, cores=16, gpus=1) == Plan(1, 16)
    assert plan(4, parallel=None, cores=16, gpus=2) == Plan(2, 8)
    assert plan(4, parallel=4, cores=16, gpus=2) == Plan(2, 8)


@given(jobs=COUNTS, parallel=st.none() | COUNTS, cores=COUNTS, gpus=st.integers(0, 16))
def test_never_more_threads_than_cores_nor_more_processes_than_wanted(
    jobs: int, parallel: int | None, cores: int, gpus: int
) -> None:
    found = plan(jobs, parallel=parallel, cores=cores, gpus=gpus)
    assert found.processes >= 1
    assert found.threads >= 1
    assert found.processes * found.threads <= cores
    assert found.processes <= jobs
    assert parallel is None or found.processes <= parallel
    assert gpus == 0 or found.processes <= gpus
