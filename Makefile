# Needs only python3 (3.11 to 3.13) and make. Everything is put into .venv; nothing asks for root.
PYTHON ?= python3
UV := $(or $(shell command -v uv 2>/dev/null),.uv/bin/uv)

.PHONY: demo test test-slow suites lint docs format clean

demo: .venv/ready  ## Make a small project out of handwritten digits, and train, check and use models on it
	.venv/bin/cv demo lensmith-demo

# torch and TensorFlow must not share a process, so their tests run one after the other.
test: .venv/ready  ## Run the tests
	.venv/bin/pytest -m "not torch and not keras and not slow and not gpu"
	.venv/bin/pytest -m "torch and not slow and not gpu"
	.venv/bin/pytest -m "keras and not slow and not gpu"

test-slow: .venv/ready  ## Run the long tests too
	.venv/bin/pytest -m "not torch and not keras and not gpu" --timeout 3600
	.venv/bin/pytest -m "torch and not gpu" --timeout 3600
	.venv/bin/pytest -m "keras and not gpu" --timeout 3600

suites: .venv/ready  ## All of the safety suites, of which the tests run a seventh
	CV_SUITES=all .venv/bin/pytest tests/suites --timeout 7200

lint: .venv/ready  ## What a change must pass besides the tests
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/pyright

docs: .venv/ready  ## Write docs/commands.md from the commands' own help
	.venv/bin/typer lensmith.cli.app utils docs --name cv --title "The commands" --output docs/commands.md

format: .venv/ready
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .

.venv/ready: pyproject.toml uv.lock $(filter .uv/bin/uv,$(UV))
	$(UV) sync --frozen --all-extras
	@touch .venv/ready

.uv/bin/uv:
	$(PYTHON) -m venv .uv
	.uv/bin/pip install --quiet uv

clean:  ## Remove what make has set up; what you trained stays
	rm -rf .venv .uv
