"""When the stack may be written to, and under which names, as its databases and an earlier run have it."""

from __future__ import annotations

import pytest

from infra.launcher.problem import PRECONDITION, Problem
from infra.migrate import merging, people, tracking
from infra.migrate.names import Names
from infra.migrate.stores import Looked


@pytest.fixture
def look(tracking_of_stack, hub_of_stack):
    nothing = Looked({}, {}, {})
    return lambda: merging.Stack(
        "no-such-project",
        "no-image",
        tracking_of_stack.look(tracking.WANTED),
        hub_of_stack.look(people.WANTED),
        nothing,
        nothing,
    )


def bring_users(taken, hub_of_stack, names: Names) -> None:
    note = {"names": names._asdict(), "source": merging.fingerprint(taken)}
    hub_of_stack.write(people.sections(taken, hub_of_stack.look(people.WANTED), names), note=note)


def test_into_a_new_stack_everything_comes_under_its_own_name(taken, look):
    assert merging.names_for(taken, look(), "one", "admin", None) == Names()


def test_other_work_is_refused_by_name_and_with_the_way_out(taken, look, client_of, tracking_of_stack):
    client_of(tracking_of_stack).create_experiment("theirs")
    with pytest.raises(Problem, match=r"experiments \(theirs\)") as refused:
        merging.names_for(taken, look(), "one", "admin", None)
    assert refused.value.status == PRECONDITION
    assert "--merge rename" in refused.value.remedy


def test_users_of_a_run_that_was_interrupted_are_not_taken_for_somebody_elses(taken, look, hub_of_stack):
    bring_users(taken, hub_of_stack, Names())
    assert merging.names_for(taken, look(), "one", "admin", None) == Names()
    with pytest.raises(Problem, match="users"):
        merging.names_for(taken, look(), "another", "admin", None)


def test_after_an_interruption_users_keep_the_names_they_were_given(taken, look, hub_of_stack):
    hub_of_stack.do("INSERT INTO users (name, cookie_id) VALUES ('ada', 'x')")
    names = merging.names_for(taken, look(), "one", "admin", "rename")
    assert names == Names(users={"ada": "ada-embedded"})
    bring_users(taken, hub_of_stack, names)
    assert merging.names_for(taken, look(), "one", "admin", "rename") == names


def test_a_platform_that_was_worked_with_since_is_not_called_done(taken, look, hub_of_stack):
    note = {"names": Names()._asdict(), "source": {**merging.fingerprint(taken), "tracking": {"runs": 1}}}
    hub_of_stack.write(people.sections(taken, hub_of_stack.look(people.WANTED), Names()), note=note)
    with pytest.raises(Problem, match=r"runs: 1 then, 3 now"):
        merging.names_for(taken, look(), "one", "admin", None)
