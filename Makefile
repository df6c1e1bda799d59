# make test sets up all it needs on a fresh machine and runs every test.

GO ?= go
FUZZTIME ?= 60s

.PHONY: build
build: ## Build bin/greentally.
	$(GO) build -trimpath -o bin/greentally ./cmd/greentally

.PHONY: test
test: tools ## Run all tests with the race detector, against real servers.
	$(GO) vet ./...
	$(GO) test -race -timeout 20m ./...

.PHONY: tools
tools: ## Get the servers that the tests run against: mosquitto, influxd, Mailpit, amtool and Prometheus.
	@command -v mosquitto >/dev/null || test -x /usr/sbin/mosquitto || \
		{ echo "installing mosquitto"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq mosquitto; }
	@command -v amtool >/dev/null || \
		{ echo "installing amtool"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends prometheus-alertmanager; }
	@command -v prometheus >/dev/null || \
		{ echo "installing prometheus"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends prometheus; }
	$(GO) run ./internal/testserver/setup

SUDO = $(shell test "$$(id -u)" = 0 || echo sudo)

.PHONY: check
check: ## Run the tests inside all YAML files.
	$(GO) run ./cmd/greentally check

.PHONY: fuzz
fuzz: ## Run each fuzz target for FUZZTIME.
	@set -e; grep -rlE '^func Fuzz' --include='*_test.go' . | xargs -n1 dirname | sort -u | while read -r dir; do \
		for target in $$(grep -hoE '^func (Fuzz[A-Za-z0-9_]*)' $$dir/*_test.go | cut -c6-); do \
			echo "$$dir $$target"; $(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$dir; \
		done; done

.PHONY: truth
truth: ## Hold the rates of 20 simulated months under 6 mixes of faults against the truth, and write docs/truth.md.
	$(GO) test -run '^TestTruth$$' -timeout 60m -v ./cmd/greentally -truth.seeds=20 -truth.out=$(CURDIR)/docs/truth.md

.PHONY: bench
bench: ## Run the benchmarks.
	$(GO) test -run '^$$' -bench . -benchmem ./...

.PHONY: bench-month
bench-month: ## Tally and assess a month of 2,000 devices from both stores, in a quarter of an hour; see docs/performance.md.
	$(GO) test -run '^$$' -bench '^BenchmarkMonth$$' -benchtime 5s -timeout 60m ./bench -bench.devices=2000

.PHONY: bench-alerts
bench-alerts: ## Time 400 alerts from publish to mail at 2,000 readings a second, in four minutes; see docs/performance.md.
	$(GO) test -run '^$$' -bench '^BenchmarkAlertLatency$$' -timeout 20m ./bench -bench.alerts=400

.PHONY: week
week: ## A week of 40 incidents gives exactly their mails, with the mail server down for two minutes; four minutes.
	$(GO) test -count=1 -run '^TestWeekOfIncidents$$' -timeout 20m ./cmd/greentally -week.outage=2m -week.quiet -v

.PHONY: lint
lint: ## Run golangci-lint, built from tools/lint.
	$(GO) build -C tools/lint -o ../../.cache/bin/golangci-lint github.com/golangci/golangci-lint/v2/cmd/golangci-lint
	.cache/bin/golangci-lint run ./...

.PHONY: vuln
vuln: ## Look for known vulnerabilities; needs the database at vuln.go.dev.
	$(GO) build -C tools/lint -o ../../.cache/bin/govulncheck golang.org/x/vuln/cmd/govulncheck
	.cache/bin/govulncheck ./...

.PHONY: mail-screenshots
mail-screenshots: ## Show mails in Chromium, and write their pictures to docs/screenshots.
	mkdir -p docs/screenshots
	$(GO) test -count 1 -run '^TestScreenshots$$/^(raised-(phone|dark)-(zh|en)|grouped-desktop-en|grouped-phone-zh|resolved-phone-(zh|en)|digest-(phone|desktop)-zh|digest-phone-en)$$' \
		./alerting/mail -mail.screenshots=$(CURDIR)/docs/screenshots

.PHONY: schemas
schemas: ## Write the JSON Schemas of the YAML files to docs/schema.
	$(GO) run ./cmd/greentally schema --dir docs/schema

.PHONY: clean
clean:
	rm -rf bin .cache

.PHONY: help
help: ## Show this help.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'
