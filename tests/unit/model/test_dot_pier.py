from __future__ import annotations

from pierhead.model import dot_pier


def test_the_command_stays_what_it_is() -> None:
    assert dot_pier.arguments(["python", "-m", "http.server", "a b"], {"PATH": "/bin"}) == [
        *("0", "python", "-m", "http.server", "a b")
    ]


def test_variables_that_a_shell_would_lose_go_with_the_arguments() -> None:
    env = {"A": "1", "spring.url": "jdbc:x=y", "0B": ""}
    assert dot_pier.arguments(["java"], env) == ["2", "spring.url=jdbc:x=y", "0B=", "java"]
