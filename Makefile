# For those who have nothing yet. Who works on Pierhead uses `just` (see CONTRIBUTING.md).
.PHONY: help setup demo down test

help:
	@echo 'make setup   install what Pierhead needs from this distribution, and its Python environment'
	@echo 'make demo    start Pierhead on this machine and deploy an example app from a real commit'
	@echo 'make down    end all of it; data stays'
	@echo 'make test    run every check and every test'

setup:
	@scripts/setup

demo:
	@scripts/demo

down:
	@test ! -x .venv/bin/pier || .venv/bin/pier down

test:
	@scripts/test
