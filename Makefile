# Two commands are enough: `make run` and `make test`. `make help` lists all targets.
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

.PHONY: run
run: build ## Build, then serve with the simulator and a demo account
	./bin/billetd serve --sim --demo $(if $(filter Darwin,$(shell uname -s)),--sim-unisolated)

.PHONY: build
build: ## Build bin/billetd and bin/billet, with the dashboard if Node.js is installed
	./scripts/web.sh
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/ ./cmd/billetd ./cmd/billet

.PHONY: release
release: ## Build a release of the checked-out commit: programs, packages and checksums in dist/
	./scripts/release.sh

.PHONY: release-check
release-check: ## Build a release twice, the second time in another directory with empty caches, and compare every byte
	./scripts/release-check.sh

.PHONY: image
DOCKER ?= docker
export DOCKER
image: ## Build the container image from the release in dist/; DOCKER=podman or buildah selects another tool
	./scripts/image.sh

.PHONY: charts
charts: ## Check packaging/helm and packaging/compose with Helm, Kubernetes' types and Compose's loader
	cd test/release/charts && go test -count=1 ./...

.PHONY: test
test: ## Install the test dependencies and run all tests, on SQLite and PostgreSQL
	./scripts/need.sh
	./scripts/npm.sh
	./scripts/web.sh
	BILLET_TEST_REQUIRE_BROWSER=1 BILLET_TEST_REQUIRE_CLIENTS=1 BILLET_TEST_REQUIRE_QEMU=$(shell command -v apt-get) \
		BILLET_TEST_REQUIRE_IRONIC=$(shell command -v apt-get) ./scripts/with-services.sh ./scripts/test.sh

.PHONY: crash
ROUNDS ?= 500
crash: ## Kill the server ROUNDS times on each engine and cloud, and audit the result; CLOUD=sim, voltage-park, spheron, replicas or racks runs one
	./scripts/with-services.sh go test ./test/crash -run '^Test(Crash|Replicas|Racks)$$/$(if $(CLOUD),^$(CLOUD)$$)' -count=1 -v -timeout 9h -rounds $(ROUNDS)

.PHONY: chaos
chaos: ROUNDS := $(if $(filter file,$(origin ROUNDS)),100,$(ROUNDS))
chaos: ## Disturb three servers, their PostgreSQL pair and Redis ROUNDS times under load, and audit the result; CHAOS_SEED=7 repeats decisions
	./scripts/with-services.sh go test ./test/chaos -count=1 -v -timeout 24h -rounds $(ROUNDS) $(if $(CHAOS_SEED),-seed $(CHAOS_SEED))

.PHONY: properties
CHECKS ?= 1000
STEPS ?= 60
properties: ## Run the property tests of money, limits, invoices and lifecycles with CHECKS cases of STEPS steps
	for package in wallet meter credit budget spendlimit payment invoice volume deployment; do ./scripts/with-services.sh go test ./internal/$$package \
		-count=1 -timeout 3h -rapid.checks=$(CHECKS) -rapid.steps=$(STEPS) || exit 1; done

.PHONY: mutate
SEED ?= 1
N ?= 500
mutate: ## Change the code in N places, one at a time, and report those that no test notices; SEED=2 PACKAGES="wallet meter"
	go run ./test/mutate -seed $(SEED) -n $(N) $(if $(PACKAGES),-packages "$(PACKAGES)")

.PHONY: fuzz
export FUZZTIME FUZZ
fuzz: ## Fuzz every parser, and the API over HTTP on both engines, for FUZZTIME each; FUZZ=name selects targets
	./scripts/with-services.sh ./scripts/fuzz.sh

.PHONY: check
check: ## Check format, lint, modules and generated files
	./scripts/check.sh

.PHONY: generate
generate: ## Generate docs/openapi.json
	go run ./cmd/billetd openapi > docs/openapi.json

.PHONY: bench
bench: ## Measure the API and the hourly sweep, beside their database alone; QUICK=1 for a short run
	./scripts/with-services.sh go run ./test/bench $(if $(QUICK),-quick) $(BENCH)

.PHONY: vuln
vuln: ## Check the dependencies for known vulnerabilities (asks the Go vulnerability database)
	go tool govulncheck ./...

.PHONY: clean
clean: ## Remove build results; ./data stays
	rm -rf bin dist internal/dashboard/dist
