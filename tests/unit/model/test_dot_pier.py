from __future__ import annotations

from pathlib import Path

from pierhead.model import dot_pier


def test_the_command_stays_what_it_is() -> None:
    assert dot_pier.arguments(["python", "-m", "http.server", "a b"], {"PATH": "/bin"}) == [
        *("0", "python", "-m", "http.server", "a b")
    ]


def test_variables_that_a_shell_would_lose_go_with_the_arguments() -> None:
    env = {"A": "1", "spring.url": "jdbc:x=y", "0B": ""}
    assert dot_pier.arguments(["java"], env) == ["2", "spring.url=jdbc:x=y", "0B=", "java"]


def test_a_node_without_an_agent_says_what_to_do() -> None:
    folder = Path("/srv/dot_pier")
    error = 'invalid mount config for type "bind": bind source path does not exist: /srv/dot_pier'
    assert "start `pier agent` there" in dot_pier.explained(error, folder)
    other = error.replace("/srv/dot_pier", "/srv/photos")
    assert dot_pier.explained(other, folder) == other
