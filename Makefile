# Two commands are enough: `make run` and `make test`. `make help` lists the rest.
SHELL := /bin/bash

.DEFAULT_GOAL := help
.PHONY: help
help: ## Show this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

.PHONY: run
run: build ## Build, then serve with the simulator and a demo account
	./bin/billetd serve --sim --demo $(if $(filter Darwin,$(shell uname -s)),--sim-unisolated)

.PHONY: build
build: ## Build bin/billetd and bin/billet, with the web pages where Node.js is there
	./scripts/web.sh
	CGO_ENABLED=0 go build -trimpath -buildvcs=auto -ldflags '-s -w' -o bin/ ./cmd/billetd ./cmd/billet

.PHONY: release
release: ## Make a release of the commit that is checked out: programs, packages and checksums in dist/
	./scripts/release.sh

.PHONY: release-check
release-check: ## Make it twice, the second time elsewhere and from nothing, and compare every byte
	./scripts/release-check.sh

.PHONY: image
DOCKER ?= docker
export DOCKER
image: ## Build the container image out of the release in dist/; DOCKER=podman or buildah for another tool
	./scripts/image.sh

.PHONY: test
test: ## Install what the tests need, and run all of them on SQLite and PostgreSQL
	./scripts/need.sh
	./scripts/npm.sh
	./scripts/web.sh
	BILLET_TEST_REQUIRE_BROWSER=1 BILLET_TEST_REQUIRE_CLIENTS=1 ./scripts/with-services.sh ./scripts/test.sh

.PHONY: crash
ROUNDS ?= 500
crash: ## Kill the server ROUNDS times on each engine and cloud and audit what is left; CLOUD=sim, voltage-park, spheron or replicas for one
	./scripts/with-services.sh go test ./test/crash -run '^Test(Crash|Replicas)$$/$(if $(CLOUD),^$(CLOUD)$$)' -count=1 -v -timeout 9h -rounds $(ROUNDS)

.PHONY: properties
CHECKS ?= 1000
STEPS ?= 60
properties: ## Run the property tests of money, jobs and lifecycles for long: CHECKS cases of STEPS steps
	for room in wallet meter volume deployment; do ./scripts/with-services.sh go test ./internal/$$room -run 'AsTheModelSays|AgreeInTheEnd|ObviousCode|NoOrder|LifeAlone' \
		-count=1 -timeout 3h -rapid.checks=$(CHECKS) -rapid.steps=$(STEPS) || exit 1; done

.PHONY: fuzz
export FUZZTIME FUZZ
fuzz: ## Fuzz every parser, and the API over HTTP on both engines, for FUZZTIME each; FUZZ=name for some of them
	./scripts/with-services.sh ./scripts/fuzz.sh

.PHONY: check
check: ## Check format, lint, modules and generated files
	./scripts/check.sh

.PHONY: generate
generate: ## Write docs/openapi.json anew
	go run ./cmd/billetd openapi > docs/openapi.json

.PHONY: bench
bench: ## Measure the API and the hourly sweep beside what they are built on; QUICK=1 for a short look
	./scripts/with-services.sh go run ./test/bench $(if $(QUICK),-quick) $(BENCH)

.PHONY: vuln
vuln: ## Look for known vulnerabilities (asks the Go vulnerability database)
	go tool govulncheck ./...

.PHONY: clean
clean: ## Remove what was built; ./data stays
	rm -rf bin dist internal/dashboard/dist
