# What people who work on Pierhead do all day. `uv run just` where just is not installed.

export PYTHONPATH := "src"

_default:
    @just --list --unsorted

# Install what is missing, also what only tests need, and the Python environment
setup:
    scripts/setup --tests

# Everything that is quick and must be green before a commit
check:
    uv run ruff check .
    uv run ruff format --check .
    uv run mypy
    uv run lint-imports
    uv run python scripts/sizes.py
    uv run pytest tests/unit -q

# Repair what a program can repair
fix:
    uv run ruff check --fix .
    uv run ruff format .

# No sockets, no programs: seconds
unit *arguments:
    uv run pytest tests/unit {{arguments}}

# One protocol at a time, embedded and real
contract *arguments:
    scripts/machine contract .venv/bin/pytest tests/contract {{arguments}}

# Real engines and a whole Pierhead
lab *arguments:
    scripts/machine lab .venv/bin/pytest tests/lab {{arguments}}

# The command line as a person uses it
e2e *arguments:
    scripts/machine e2e .venv/bin/pytest tests/e2e {{arguments}}

# What is written is what is so
docs *arguments:
    uv run pytest tests/docs {{arguments}}

# One measurement, beside its rival: just bench NAME
bench name *arguments:
    uv run python bench/{{name}}.py {{arguments}}

# How large files and functions are
sizes:
    uv run python scripts/sizes.py

# The migration to what store/tables.py says now: just migration "What is now true."
migration message:
    uv run python scripts/migration.py "{{message}}"
