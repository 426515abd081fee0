# Two commands do it all: `make book` and `make test`. `make help` explains the others.
PYTHON ?= python3
PORT ?= 8000
BIN := .venv/bin
# A reader needs only what builds the pages; all else comes into the same .venv when a
# command first needs it. Versions are those of constraints.txt.
PIP := $(BIN)/python -m pip install --disable-pip-version-check --progress-bar on -q
FAILED := { echo "Not installed; pip says why above. See the table in book/troubleshooting.md, then run this again."; exit 1; }

.DEFAULT_GOAL := help
.PHONY: help book html test new check browser lab run lists verify lint bench bench-gpu address lock clean workshop student slides pdf room workshop-test

help: ## list these commands
	@sed -n 's/^\([a-z-]*\):.*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 18

book: html ## build the book and serve it on 127.0.0.1 until Ctrl-C
	@echo "The book is at http://127.0.0.1:$(PORT)/  (Ctrl-C stops; if the port is in use: make book PORT=8001)"
	@$(BIN)/python -m http.server $(PORT) -b 127.0.0.1 -d _build/html

html: .venv/pages ## build the book from the stored outputs, warnings as errors
	@$(BIN)/python tools/build.py

test: .venv/ready browser ## run the whole proof
	@$(BIN)/python -m pytest

new: .venv/ready ## write the files of a new tip: make new TIP=argmax_dim
	@$(BIN)/python tools/new_tip.py "$(TIP)" "$(PART)"

check: .venv/ready browser ## prove one tip in a minute: make check TIP=argmax_dim
	@$(BIN)/python tools/check_tip.py "$(TIP)"

browser: .venv/ready
	@$(BIN)/python tools/browser.py --install

lab: .venv/ready ## open the notebooks in JupyterLab
	@$(BIN)/python -m jupyter lab notebooks

run: .venv/ready ## execute the notebooks and store their outputs
	@$(BIN)/python tools/run.py

lists: .venv/ready ## write README's table of tips and CONTRIBUTING's list of rules
	@$(BIN)/python tools/listings.py

verify: .venv/ready ## run in every reader's environment; write book/versions.md: make verify ENVS=oldest
	@$(BIN)/python tools/verify.py $(ENVS)

lint: .venv/ready ## format and check the code, notebooks, scripts and style sheets included
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix . && $(BIN)/oxfmt

bench: .venv/ready browser ## measure set-up, imports, build, notebooks and page load here
	@$(BIN)/python benchmarks/book.py

bench-gpu: .venv/ready ## measure mixed precision on this machine's CUDA GPU, into book/data/gpu.json
	@$(BIN)/python benchmarks/gpu.py

address: .venv/pages ## write the repository's address everywhere: make address URL=https://...
	@$(BIN)/python tools/set_address.py "$(URL)" $(BRANCH)

student: .venv/pages ## write the learners' notebooks into _workshop: make student CHAPTERS="k_fold apex"
	@$(BIN)/python tools/workshop/student.py $(CHAPTERS)

workshop: html .venv/workshop ## write all that a room needs: make workshop CHAPTERS="k_fold apex" HOURS=3.5
	@$(BIN)/python tools/workshop/workshop.py $(if $(HOURS),--hours "$(HOURS)") $(CHAPTERS)

slides: .venv/pages ## write a deck for each chapter into _workshop: make slides CHAPTERS="k_fold apex"
	@$(BIN)/python tools/workshop/slides.py $(CHAPTERS)

pdf: html .venv/workshop ## print the recipes and the book into _workshop, with the browser
	@$(BIN)/python tools/workshop/handout.py $(CHAPTERS)

room: .venv/ready .venv/workshop .venv/proxy/ready ## start a hub for a room, with a board: make room LEARNERS=30
	@$(BIN)/python tools/workshop/room.py --learners $(or $(LEARNERS),2) $(if $(ADDRESS),--address $(ADDRESS)) \
	    --port $(PORT) $(if $(ACCOUNT),--account $(ACCOUNT)) $(CHAPTERS)

workshop-test: .venv/ready .venv/workshop .venv/proxy/ready ## prove the workshop kit on every chapter, some minutes
	@$(BIN)/python -m pytest -m workshop tests/workshop

# It keeps the versions that constraints.txt has, where the requirements let it. For the
# newest of all: make lock LOCK=--upgrade
lock: .venv/ready ## write constraints.txt from the requirements, for every system
	@grep -hv '^-' requirements-pages.txt requirements.txt requirements-workshop.txt | $(BIN)/uv pip compile - --output-file constraints.txt \
	    --universal --python-version 3.11 --no-annotate \
	    --custom-compile-command 'make lock' --quiet $(LOCK)

clean: ## delete what was built; keep .venv
	@rm -rf _build _workshop .pytest_cache .hypothesis .ruff_cache
	@find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +

# Without this mark .venv is in an unknown state, so it is made anew.
.venv/pages: requirements-pages.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0] + ". Try: make PYTHON=python3.12 ...")'
	@test -f $@ || { echo "Making .venv ..."; $(PYTHON) -m venv --clear .venv; }
	@rm -f $@
	@echo "Installing what builds the pages into .venv: about 350 MB, a minute ..."
	@$(PIP) -r requirements-pages.txt || $(FAILED)
	@touch $@

# Its absence for as long as pip works says that .venv may hold half a package; a failed
# download leaves the pages what they need.
.venv/ready: .venv/pages requirements.txt constraints.txt pyproject.toml
	@rm -f $@
	@mv .venv/pages .venv/half
	@echo "Installing PyTorch and the rest into .venv: about 7 GB, a few minutes ..."
	@$(PIP) -r requirements.txt || { mv .venv/half .venv/pages; $(FAILED); }
	@mv .venv/half .venv/pages
	@touch $@

# Into the same .venv, before or after PyTorch: neither takes anything from the other.
.venv/workshop: .venv/pages requirements-workshop.txt constraints.txt
	@echo "Installing what the workshop kit needs into .venv: about 100 MB ..."
	@$(PIP) -r requirements-workshop.txt || $(FAILED)
	@$(BIN)/python tools/browser.py --install
	@touch $@

.venv/proxy/ready: .venv/pages tools/workshop/proxy/package-lock.json
	@command -v npm > /dev/null || { echo "The hub's proxy needs Node.js with npm: install it, then run this again."; exit 1; }
	@rm -rf .venv/proxy && cp -r tools/workshop/proxy .venv/proxy
	@cd .venv/proxy && npm ci --silent
	@touch $@
