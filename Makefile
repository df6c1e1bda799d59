# make test sets up all it needs on a fresh machine and runs every test.

GO ?= go
FUZZTIME ?= 60s

# As the program is released: one static file. Tests that start it build it in the same way, so that it is compiled once.
RELEASED = CGO_ENABLED=0 GOFLAGS="$$($(GO) env GOFLAGS) -trimpath"

.PHONY: build
build: ## Build bin/greentally.
	$(RELEASED) $(GO) build -o bin/greentally ./cmd/greentally

# What is tested without the race detector: what mostly waits, and what has no goroutines.
WAITING = ./cmd/greentally ./report ./dashboards ./alerting/mail
ALONE = ./rules/alerts ./rules/tally ./rules/schemes ./rules/factors ./internal/expression

.PHONY: test
test: tools ## Run all tests against real servers; with the race detector but for those that start the program as it is built, those of documents, mails and dashboards, and those of what has no goroutines.
	$(RELEASED) $(GO) vet ./...
	$(RELEASED) $(GO) vet -C deploy ./...
	@echo "and now the tests; those that mostly wait, beside the others"
	{ $(GO) test -race -vet=off -p 1 -timeout 20m $$($(GO) list ./... | grep -vxF "$$($(GO) list $(WAITING) $(ALONE))") && \
		$(GO) test -race -vet=off -timeout 20m -run '^TestDemoInChinese$$' ./cmd/greentally && \
		$(RELEASED) $(GO) test -vet=off -p 1 -timeout 20m $(ALONE) && \
		$(RELEASED) $(GO) test -C deploy -vet=off -count=1 -timeout 20m ./...; } & others=$$!; \
		$(RELEASED) $(GO) test -vet=off -p 1 -timeout 20m $(WAITING); waiting=$$?; wait $$others && exit $$waiting

.PHONY: tools
tools: ## Get the servers and tools that the tests run against, from Debian's packages, the Go module proxy and npm.
	@PATH="$$PATH:/usr/sbin"; for tool in $(DEBIAN); do command -v $${tool%=*} >/dev/null || missing="$$missing $${tool#*=}"; done; \
		test -z "$$missing" || { echo "installing$$missing"; $(SUDO) apt-get update -qq && $(SUDO) apt-get install -y -qq --no-install-recommends $$missing; }
	@for dir in tools/grafana tools/pages; do test -d $$dir/node_modules || npm ci --prefix $$dir --silent --no-audit --no-fund || exit; done
	$(RELEASED) $(GO) run ./internal/testserver/setup

# Programs, and Debian's packages that have them.
DEBIAN = mosquitto=mosquitto mosquitto_sub=mosquitto-clients amtool=prometheus-alertmanager prometheus=prometheus \
	npm=npm systemd-analyze=systemd pgrep=procps soffice=libreoffice-calc-nogui pdftotext=poppler-utils minisign=minisign chromium=chromium

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

.PHONY: durability
durability: ## Kill the program 21 times under load, take the store away for half a minute and NATS ten times: nothing is lost; seven minutes.
	$(RELEASED) $(GO) test -count=1 -run '^(TestKill|TestStoreOutage|TestNATS)' -timeout 20m ./cmd/greentally -durability.kills=10 -durability.outage=30s -nats.outages=10 -v

.PHONY: week
week: ## A week of 40 incidents gives exactly their mails, with the mail server down for two minutes; four minutes.
	$(RELEASED) $(GO) test -count=1 -run '^TestWeekOfIncidents$$' -timeout 20m ./cmd/greentally -week.outage=2m -week.quiet -v

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
	$(GO) test -count 1 -run '^TestScreenshots$$/^(raised-(phone|dark)-(zh|en)|grouped-desktop-en|grouped-phone-zh|resolved-phone-(zh|en)|digest-(phone|desktop)-zh|digest-phone-en|month-phone-zh|month-desktop-en)$$' \
		./alerting/mail -mail.screenshots=$(CURDIR)/docs/screenshots

.PHONY: page-screenshots
page-screenshots: ## Show all pages of a simulated community in Chromium, and write their pictures to docs/screenshots; two minutes.
	mkdir -p docs/screenshots
	$(RELEASED) $(GO) test -count 1 -run '^TestPageScreenshots$$' ./cmd/greentally -pages.screenshots=$(CURDIR)/docs/screenshots

.PHONY: bench-pages
bench-pages: ## Ask for the pages of a community with 525 devices and a month of readings, in ten minutes; see docs/performance.md.
	$(GO) test -run '^$$' -bench '^BenchmarkPages$$' -benchtime 300x -timeout 40m ./cmd/greentally

.PHONY: vendor-pages
vendor-pages: tools ## Copy the pages' scripts from npm's packages, after a change of version in tools/pages/package.json.
	cp tools/pages/node_modules/htmx.org/dist/htmx.min.js tools/pages/node_modules/htmx.org/dist/ext/hx-sse.min.js tools/pages/node_modules/echarts/dist/echarts.common.min.js web/pages/static/vendor
	cp tools/pages/node_modules/htmx.org/LICENSE web/pages/static/vendor/LICENSE-htmx
	cp tools/pages/node_modules/echarts/LICENSE web/pages/static/vendor/LICENSE-echarts
	cp tools/pages/node_modules/echarts/NOTICE web/pages/static/vendor/NOTICE-echarts
	cp tools/pages/node_modules/echarts/licenses/LICENSE-d3 web/pages/static/vendor/LICENSE-echarts-d3

.PHONY: schemas
schemas: ## Write the JSON Schemas of the YAML files to docs/schema.
	$(GO) run ./cmd/greentally schema --dir docs/schema

.PHONY: up
up: ## Start the whole system by docker-compose.yml; DEV=1 adds a simulated community and a mail server for it.
	./deploy/up.sh $(if $(DEV),dev)
	docker compose --env-file .env $(if $(DEV),--env-file deploy/dev.env --profile dev) up --build --force-recreate --detach --wait
	@echo "Grafana: http://localhost:3000  user: admin  password: $$(cat deploy/secrets/grafana_password)"
	$(if $(DEV),@echo "Mails: http://localhost:8025")

.PHONY: down
down: ## Stop it; the data stay.
	docker compose --profile dev down

.PHONY: device
device: ## Give a device a password at the broker of docker-compose.yml: make device NAME=jiayuan/bin-1
	./deploy/device.sh $(NAME)
	docker compose restart mosquitto

.PHONY: deb
deb: ## Build the Debian package in DIST, dist; GOARCH=arm64 for another machine.
	env -u GOARCH $(GO) build -C tools/nfpm -o ../../.cache/bin/nfpm github.com/goreleaser/nfpm/v2/cmd/nfpm
	GOARCH=$(GOARCH) VERSION=$(VERSION) ./deploy/debian/build.sh $(DIST)

.PHONY: clean
clean:
	rm -rf bin dist .cache

.PHONY: help
help: ## Show this help.
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/'
