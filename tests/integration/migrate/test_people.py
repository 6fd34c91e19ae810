"""The hub's users from SQLite into Postgres."""

from __future__ import annotations

import sqlite3

from infra.migrate import people, visitors
from infra.migrate.names import Names

USERS = "SELECT name, admin FROM users ORDER BY name"
PASSWORDS = "SELECT username, password FROM users_info ORDER BY username"


def as_text(rows: list[tuple]) -> dict[str, str]:
    return {name: bytes(password).decode() for name, password in rows}


def test_users_come_with_password_group_and_admin_flag(taken, hub_of_stack):
    there = hub_of_stack.look(people.WANTED)
    assert people.other_work(there, "admin") == []
    hub_of_stack.write(people.sections(taken, there, Names()))
    assert hub_of_stack.rows(USERS) == [("ada", False), ("admin", True), ("root", True), ("zoe", False)]
    assert as_text(hub_of_stack.rows(PASSWORDS)) == {
        name: f"$2b$hash of {name}" for name in ("ada", "admin", "root", "zoe")
    }
    members = "SELECT u.name FROM users u JOIN user_group_map m ON m.user_id = u.id ORDER BY 1"
    assert hub_of_stack.rows(members) == [("ada",), ("root",)]


def test_a_new_user_of_the_stack_gets_a_number_of_their_own(taken, hub_of_stack):
    hub_of_stack.write(people.sections(taken, hub_of_stack.look(people.WANTED), Names()))
    hub_of_stack.do("INSERT INTO users (name, cookie_id) VALUES ('next', 'x')")
    assert len(hub_of_stack.rows(USERS)) == 5


def test_no_token_and_no_session_comes_along(taken, hub_of_stack):
    hub_of_stack.write(people.sections(taken, hub_of_stack.look(people.WANTED), Names()))
    for table in ("api_tokens", "oauth_codes", "spawners", "servers"):
        assert hub_of_stack.rows(f"SELECT count(*) FROM {table}") == [(0,)]


def test_somebody_elses_account_is_other_work(hub_of_stack):
    hub_of_stack.do("INSERT INTO users (name, cookie_id) VALUES ('eve', 'x')")
    assert people.other_work(hub_of_stack.look(people.WANTED), "admin") == ["users (eve)"]


def test_a_name_that_is_taken_comes_in_as_another_account(taken, hub_of_stack):
    hub_of_stack.do("INSERT INTO users (name, cookie_id, admin) VALUES ('root', 'x', false)")
    hub_of_stack.do("INSERT INTO users_info (username, password) VALUES ('root', 'theirs')")
    there = hub_of_stack.look(people.WANTED)
    names = people.names_for(taken, there)
    assert names.users == {"root": "root-embedded"}
    hub_of_stack.write(people.sections(taken, there, names))
    users, passwords = dict(hub_of_stack.rows(USERS)), as_text(hub_of_stack.rows(PASSWORDS))
    assert (users["root"], users["root-embedded"]) == (False, True)
    assert (passwords["root"], passwords["root-embedded"]) == ("theirs", "$2b$hash of root")


def test_visits_are_added_to_what_the_stack_has_counted(taken, hub_of_stack):
    """The program is the same whichever database it writes to."""
    hub_of_stack.do(
        "CREATE TABLE visitors (model TEXT, version TEXT, count BIGINT, PRIMARY KEY (model, version))"
    )
    hub_of_stack.do(
        "CREATE TABLE visitor_counts (source TEXT, model TEXT, version TEXT, caller_kind TEXT, caller TEXT,"
        " count BIGINT, PRIMARY KEY (source, model, version, caller_kind, caller))"
    )
    hub_of_stack.do("INSERT INTO visitors VALUES ('red-blue', '1', 5)")
    hub_of_stack.do("INSERT INTO visitor_counts VALUES ('stack', 'red-blue', '1', 'person', 'ada', 2)")
    assert [list(section.rows) for section in visitors.sections(taken, Names())] == [[], []]
    assert visitors.total(taken) == 0
    with sqlite3.connect(taken.database("visitors")) as database:
        database.executescript(
            """
            CREATE TABLE visitors (model, version, count);
            INSERT INTO visitors VALUES ('red-blue', '1', 3), ('red-blue', '2', 4);
            CREATE TABLE visitor_counts (source, model, version, caller_kind, caller, count);
            INSERT INTO visitor_counts VALUES ('here', 'red-blue', '1', 'person', 'ada', 6);
            """
        )
    assert visitors.total(taken) == 13
    renamed = visitors.sections(taken, Names(models={"red-blue": "red-blue-embedded"}))
    assert [[row[0:2] for row in section.rows] for section in renamed] == [
        [["red-blue-embedded", "1"], ["red-blue-embedded", "2"]],
        [["here", "red-blue-embedded"]],
    ]
    hub_of_stack.write(visitors.sections(taken, Names()))
    assert hub_of_stack.rows("SELECT version, count FROM visitors ORDER BY 1") == [("1", 8), ("2", 4)]
    counts = hub_of_stack.rows("SELECT source, caller, count FROM visitor_counts ORDER BY 1")
    assert counts == [("here", "ada", 6), ("stack", "ada", 2)]
