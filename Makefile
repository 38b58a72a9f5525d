# The tasks are defined in bootstrap.py; without make, run `python bootstrap.py lab` and so on.
# ARGS is passed to the task: make lab ARGS="--no-browser --port 8899" · make train ARGS="clip --minutes 60"
PYTHON ?= python3
TASKS := setup demo lab doctor check test smoke build lint hooks train evaluate

.PHONY: $(TASKS)
$(TASKS):
	@$(PYTHON) bootstrap.py $@ $(ARGS)
