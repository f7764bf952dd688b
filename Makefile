# Sluice. `make` builds, `make demo` shows, `make check` proves; `make help` lists the rest.
SHELL := /bin/bash
CC ?= cc
SAN ?=
CFLAGS ?= $(if $(SAN),-O1 -g1,-O2 -g)
WERROR ?= 0
PREFIX ?= /usr/local
KAFKA ?= 3.9.1
ONLY ?=
FOR ?= 60
V ?=
Q := $(if $(V),,@)
SAY = $(if $(V),,@echo '  $(1)  $@')
PKGS := rdkafka hiredis json-c libcurl libmicrohttpd yaml-0.1 libcrypto libssl
BUILD := build$(if $(SAN),/$(SAN))
VERSION := 0.1.0
REVISION := $(or $(shell git rev-parse --short HEAD 2>/dev/null),unknown)

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
        -Wformat=2 -Wundef -Wvla -fno-common $(if $(filter 1,$(WERROR)),-Werror)
HARDEN := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
comma := ,
space := $(subst ,, )
SANFLAGS := $(if $(filter asan,$(SAN)),-fsanitize=address$(comma)undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer) \
            $(if $(filter tsan,$(SAN)),-fsanitize=thread)
DEPFLAGS = -MMD -MP
PKG_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS) 2>/dev/null))
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CPPFLAGS_ALL = -D_GNU_SOURCE -DSLUICE_VERSION='"$(VERSION)"' -iquote include -iquote src -iquote $(BUILD)/gen \
               $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL = -std=c11 $(WARN) $(HARDEN) $(SANFLAGS) $(CFLAGS) -pthread
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now $(SANFLAGS) $(LDFLAGS) -pthread
LIBS_ALL = $(PKG_LIBS) -lm $(LIBS)

LIB_SRC := $(sort $(wildcard src/*/*.c src/*/*/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/obj/%.o)
LUA_INC := $(patsubst src/%.lua,$(BUILD)/gen/%.lua.inc,$(sort $(wildcard src/*/*.lua)))
PAGE_INC := $(foreach f,$(sort $(wildcard consumer/console/page/*)),$(f:consumer/console/%=$(BUILD)/gen/%.inc) $(f:consumer/console/%=$(BUILD)/gen/%.gz.inc))
KIND_INC := $(BUILD)/gen/target/kinds.inc $(BUILD)/gen/target/kind_choices.inc
CONSUMER_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard consumer/*.c consumer/*/*.c)))
PRODUCER_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard producer/*.c)))
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)

TOOL_BIN := $(patsubst tests/tools/%.c,$(BUILD)/tools/%,$(sort $(wildcard tests/tools/*.c)))
BENCH_BIN := $(patsubst tests/bench/%.c,$(BUILD)/bench/%,$(sort $(wildcard tests/bench/*.c)))
DEPS := tests/tools/deps.sh
SCENARIOS := python3 tests/e2e/run.py --build $(BUILD) --kafka $(KAFKA) $(if $(ONLY),--only '$(ONLY)')

# Builds use every core. What takes long (tests, lint, bench) runs one thing at a time: it measures and waits.
SUB = $(MAKE) --no-print-directory
ONE_BY_ONE := test check check-real compose-check kube-check unit lint bench demo install
ifneq (,$(filter $(ONE_BY_ONE),$(MAKECMDGOALS)))
.NOTPARALLEL:
endif
ifeq (0,$(MAKELEVEL))
MAKEFLAGS += -j$(shell nproc)
endif

.PHONY: all unit unit-bins test check check-mock check-real compose-check kube-check systemd-check lint bench fuzz demo man install uninstall help clean tools gen print-flags need-build always
all: $(BUILD)/sluice-consumer $(BUILD)/sluice-producer

# A library that is missing is said before the compiler trips over it.
ifneq (0,$(shell pkg-config --exists $(PKGS) 2>/dev/null; echo $$?))
need-build:
	@AUTO_DEPS=0 $(DEPS) build
$(LIB_OBJ) $(CONSUMER_OBJ) $(PRODUCER_OBJ): | need-build
endif

$(BUILD)/sluice-consumer: $(CONSUMER_OBJ) $(BUILD)/libsluice.a
	$(call SAY,LD)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(CONSUMER_OBJ) $(BUILD)/libsluice.a $(LIBS_ALL)

$(BUILD)/sluice-producer: $(PRODUCER_OBJ) $(BUILD)/libsluice.a
	$(call SAY,LD)
	$(Q)$(CC) $(LDFLAGS_ALL) -o $@ $(PRODUCER_OBJ) $(BUILD)/libsluice.a $(LIBS_ALL)

# What unit tests may take from the two programs: all but their main.
$(BUILD)/libconsumer.a: $(filter-out %/main.o,$(CONSUMER_OBJ))
	@rm -f $@
	$(call SAY,AR)
	$(Q)$(AR) rcs $@ $^
$(BUILD)/libproducer.a: $(filter-out %/main.o,$(PRODUCER_OBJ))
	@rm -f $@
	$(call SAY,AR)
	$(Q)$(AR) rcs $@ $^

$(BUILD)/libsluice.a: $(LIB_OBJ)
	@rm -f $@
	$(call SAY,AR)
	$(Q)$(AR) rcs $@ $(LIB_OBJ)

$(BUILD)/obj/%.o: %.c | $(LUA_INC) $(KIND_INC)
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(DEPFLAGS) -c -o $@ $<

# The revision is known to one file only, so that a commit does not rebuild the rest.
$(BUILD)/obj/consumer/version.o: CPPFLAGS_ALL += -DSLUICE_REVISION='"$(REVISION)"'
$(BUILD)/obj/consumer/version.o: $(BUILD)/gen/revision
$(BUILD)/gen/revision: always
	@mkdir -p $(@D)
	@echo $(REVISION) | cmp -s - $@ || echo $(REVISION) > $@

# A Lua text becomes C string literals, one a line: #include "fleet/ledger_claim.lua.inc"
$(BUILD)/gen/%.lua.inc: src/%.lua
	@mkdir -p $(@D)
	@sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $< > $@

# The kinds of targets there are, a KIND(argo_events, "argo-events") for each file; and as the words of a choice.
KINDS := $(basename $(notdir $(sort $(wildcard src/target/kinds/*.c))))
KIND_ROWS := $(foreach k,$(KINDS),KIND($(subst -,_,$(k)), "$(k)"))
KIND_CHOICES := "$(subst $(space),|,$(KINDS))"
$(BUILD)/gen/target/kinds.inc: always
	@mkdir -p $(@D)
	@echo '$(KIND_ROWS)' | cmp -s - $@ || echo '$(KIND_ROWS)' > $@
$(BUILD)/gen/target/kind_choices.inc: always
	@mkdir -p $(@D)
	@echo '$(KIND_CHOICES)' | cmp -s - $@ || echo '$(KIND_CHOICES)' > $@

# A file of the console's page becomes the bytes of a C array, without indentation, blank and
# comment lines: plain and compressed.
PAGE := sed -e 's/^ *//' -e '/^\/\//d' -e '/^$$/d'
BYTES := od -An -v -tx1 | sed -e 's/ \(..\)/0x\1,/g'
$(BUILD)/gen/page/%.gz.inc: consumer/console/page/%
	@mkdir -p $(@D)
	@$(PAGE) $< | gzip -9 -n | $(BYTES) > $@
$(BUILD)/gen/page/%.inc: consumer/console/page/%
	@mkdir -p $(@D)
	@$(PAGE) $< | $(BYTES) > $@
$(BUILD)/obj/consumer/console/page.o: | $(PAGE_INC)

# A unit test is one cmocka program; `make unit T=ctx` runs one. The table of tests is read off the functions
# named <module>__<expectation>.
$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libconsumer.a $(BUILD)/libproducer.a $(BUILD)/libsluice.a
	@mkdir -p $(@D)
	@sed -n 's/^\(static \)\?void \([a-z0-9_]*__[a-z0-9_]*\)(void \*\*state).*/cmocka_unit_test(\2),/p' $< > $@.tests.inc
	$(call SAY,CC)
	$(Q)$(CC) $(CPPFLAGS_ALL) -DUNIT_TESTS='"$(abspath $@).tests.inc"' $(CFLAGS_ALL) $(DEPFLAGS) -MF $@.d -o $@ $< \
	      $(LDFLAGS_ALL) $(BUILD)/libconsumer.a $(BUILD)/libproducer.a $(BUILD)/libsluice.a $(LIBS_ALL) -lcmocka

UNITS := $(if $(T),$(BUILD)/unit/test_$(T),$(UNIT_BIN))
unit-bins: $(UNITS)
unit:
	@+$(SUB) unit-bins
	@SAN=$(SAN) VERBOSE=$(if $(T),1,0) tests/tools/unit.sh $(UNITS)

# What tests need beside the product: build/tools/mock_kafka hosts librdkafka's mock cluster.
tools: $(TOOL_BIN)
$(BUILD)/tools/%: tests/tools/%.c $(BUILD)/libsluice.a
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(DEPFLAGS) -MF $@.d -o $@ $< $(LDFLAGS_ALL) $(BUILD)/libsluice.a $(LIBS_ALL)
$(BUILD)/bench/%: tests/bench/%.c $(BUILD)/libsluice.a
	@mkdir -p $(@D)
	$(call SAY,CC)
	$(Q)$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(DEPFLAGS) -MF $@.d -o $@ $< $(LDFLAGS_ALL) $(BUILD)/libsluice.a $(LIBS_ALL)

# Offline, under two minutes: unit tests, command lines, and the scenarios that the mock cluster can show.
test:
	@$(DEPS) build test
	@+$(SUB) all tools unit-bins
	@SAN=$(SAN) tests/tools/unit.sh $(UNIT_BIN)
	@tests/cli/check_cli.sh $(BUILD)
	@tests/cli/check_producer_cli.sh $(BUILD)
	@$(SCENARIOS) --brokers none,mock --jobs 6

# The same, and every scenario on a real Apache Kafka and a real Redis.
check:
	@$(DEPS) build real || [ "$${REQUIRE_REAL:-0}" = 0 ]
	@+$(SUB) test
	@+$(SUB) check-real
# The mock suite alone; under SAN=asan leaks are looked for in the unit tests only: a worker lets nobody trace it.
check-mock:
	@+$(SUB) all tools
	@ASAN_OPTIONS=detect_leaks=0 $(SCENARIOS) --brokers mock --jobs 3
check-real:
	@+$(SUB) all tools
	@$(SCENARIOS) --brokers real --jobs 4

# The compose project on a real engine: scaled, killed, restarted and looked at, judged by what its target received.
compose-check:
	@$(DEPS) build compose
	@+$(SUB) all
	@python3 tests/compose/check.py --build $(BUILD) $(if $(ONLY),--only '$(ONLY)')

# The installed unit under a real systemd, in a container: needs root and an engine.
systemd-check: all
	@tests/compose/systemd

# What asks a cluster, on the API machinery of Kubernetes itself over etcd in place of our stand-in: needs Go 1.26, and
# minutes the first time. Not played without them, and said; REQUIRE_REAL=1 makes that a failure.
kube-check:
	@$(DEPS) build test kube || [ "$${REQUIRE_REAL:-0}" = 0 ]
	@+$(SUB) all tools
	@tests/kube/build $(BUILD)/kube-api; rc=$$?; \
	if [ $$rc = 3 ]; then echo 'NOTE: the machinery scenarios were NOT played; the reason stands above'; \
	    exit "$${REQUIRE_REAL:-0}"; fi; \
	[ $$rc = 0 ] && $(SCENARIOS) --brokers none,mock --only machinery/ --long --jobs 3

demo:
	@$(DEPS) build demo
	@+$(SUB) all
	@$(BUILD)/sluice-consumer demo $(DEMO)

# The fleet in containers: `make up PROFILES=demo,observe`, `make up PROFILES=`, `make logs SERVICE=kafka`, `make down DATA=1`.
.PHONY: up scale logs down
up:
	@$(if $(filter-out undefined,$(origin PROFILES)),COMPOSE_PROFILES='$(PROFILES)' )compose/fleet up
scale:
	@compose/fleet scale '$(N)'
logs:
	@compose/fleet logs $(SERVICE)
down:
	@compose/fleet down $(if $(DATA),--data)

lint:
	@$(DEPS) build lint
	@python3 tests/tools/lint.py --self-test
	@python3 tests/tools/lint.py

bench:
	@$(DEPS) build real
	@+$(SUB) all tools $(BENCH_BIN)
	@BUILD=$(BUILD) KAFKA=$(KAFKA) tests/bench/run

# Any bytes as an event, with clang's libFuzzer: `make fuzz FOR=3600`. What it finds is left in build/fuzz/.
fuzz: gen
	@mkdir -p build/fuzz/corpus
	$(Q)clang -DLIBFUZZER -g -O1 -fsanitize=fuzzer,address,undefined -std=c11 $(CPPFLAGS_ALL) -o build/fuzz/fuzz_event \
	      tests/fuzz/fuzz_event.c $(LIB_SRC) $(LIBS_ALL)
	@build/fuzz/fuzz_event -max_total_time=$(FOR) -max_len=65536 -artifact_prefix=build/fuzz/ build/fuzz/corpus

# The manual comes from the same tables as --help.
PAGES := $(addprefix $(BUILD)/man/,sluice-consumer.1 sluice-producer.1 sluice.yaml.5)
man: $(PAGES)
$(BUILD)/man/sluice-%.1: $(BUILD)/sluice-%
	@mkdir -p $(@D)
	$(Q)$< manual > $@
$(BUILD)/man/sluice.yaml.5: $(BUILD)/sluice-consumer
	@mkdir -p $(@D)
	$(Q)$< manual sluice.yaml > $@

# DESTDIR is put before every path and known to no file.
BIN := $(PREFIX)/bin
UNITS_DIR := $(PREFIX)/lib/systemd/system
DOC := $(PREFIX)/share/doc/sluice
MAN := $(PREFIX)/share/man
SHELLS := $(PREFIX)/share
install: all man
	install -d $(DESTDIR)$(BIN) $(DESTDIR)$(UNITS_DIR) $(DESTDIR)$(DOC)
	install -m 755 $(BUILD)/sluice-consumer $(BUILD)/sluice-producer $(DESTDIR)$(BIN)
	sed 's|@PREFIX@|$(PREFIX)|g' consumer/sluice-consumer@.service.in > $(DESTDIR)$(UNITS_DIR)/sluice-consumer@.service
	$(BUILD)/sluice-consumer config init > $(DESTDIR)$(DOC)/sluice.yaml
	chmod 644 $(DESTDIR)$(UNITS_DIR)/sluice-consumer@.service $(DESTDIR)$(DOC)/sluice.yaml
	install -m 644 README.md LICENSE $(DESTDIR)$(DOC)
	install -D -m 644 -t $(DESTDIR)$(MAN)/man1 $(filter %.1,$(PAGES))
	install -D -m 644 -t $(DESTDIR)$(MAN)/man5 $(filter %.5,$(PAGES))
	install -d $(DESTDIR)$(SHELLS)/bash-completion/completions $(DESTDIR)$(SHELLS)/zsh/site-functions $(DESTDIR)$(SHELLS)/fish/vendor_completions.d
	for p in sluice-consumer sluice-producer; do \
	    $(BUILD)/$$p completion bash > $(DESTDIR)$(SHELLS)/bash-completion/completions/$$p && \
	    $(BUILD)/$$p completion zsh > $(DESTDIR)$(SHELLS)/zsh/site-functions/_$$p && \
	    $(BUILD)/$$p completion fish > $(DESTDIR)$(SHELLS)/fish/vendor_completions.d/$$p.fish || exit 1; done
	@$(if $(DESTDIR),,echo 'next: install -D -m 644 $(DOC)/sluice.yaml /etc/sluice/sluice.yaml, edit it, \
	      systemctl daemon-reload, systemctl enable --now sluice-consumer@1')

uninstall:
	rm -f $(DESTDIR)$(BIN)/sluice-consumer $(DESTDIR)$(BIN)/sluice-producer
	rm -f $(DESTDIR)$(UNITS_DIR)/sluice-consumer@.service
	rm -f $(DESTDIR)$(MAN)/man1/sluice-*.1 $(DESTDIR)$(MAN)/man5/sluice.yaml.5
	rm -f $(DESTDIR)$(SHELLS)/bash-completion/completions/sluice-* $(DESTDIR)$(SHELLS)/zsh/site-functions/_sluice-* \
	      $(DESTDIR)$(SHELLS)/fish/vendor_completions.d/sluice-*.fish
	rm -rf $(DESTDIR)$(DOC)

help:
	@echo 'make              build/sluice-consumer and build/sluice-producer'
	@echo 'make demo         the whole system in one command: no broker, no file to edit (DEMO="--for 20s")'
	@echo 'make up           the fleet in containers, on this host: compose/README.md (PROFILES=demo,observe)'
	@echo 'make scale N=6    as many consumers; also make logs, make down (DATA=1: also remove the data)'
	@echo 'make check        every test, also on a real Apache Kafka and Redis (KAFKA=4.1.2 for another version)'
	@echo 'make test         unit tests and the mock suite: offline, under two minutes'
	@echo 'make unit T=ctx   one unit test program; all without T'
	@echo 'make check-real ONLY=stop   scenarios whose name contains a word'
	@echo 'make compose-check   the compose project on a real Docker engine: scaled, killed, restarted (ONLY=kill)'
	@echo 'make kube-check      what asks a cluster, on the API machinery of Kubernetes itself over etcd (needs Go 1.26)'
	@echo 'make systemd-check   the installed unit under a real systemd, in a container'
	@echo 'make lint         rooms, sizes, banned functions, clang-format, clang-tidy'
	@echo 'make bench        throughput, CPU and memory, as ratios measured in one run'
	@echo 'make fuzz         any bytes as an event, for FOR=60 seconds (needs clang)'
	@echo 'make install      programs, systemd unit, documents, to DESTDIR and PREFIX ($(PREFIX)); make uninstall removes them'
	@echo 'make clean        remove build/'
	@echo 'SAN=asan, SAN=tsan   a build with a sanitizer, in build/asan or build/tsan; WERROR=1: warnings are errors; V=1: whole commands'
	@echo 'demo, test, check, compose-check, lint and bench first install what is missing with apt; AUTO_DEPS=0 prints the line instead'

clean:
	rm -rf build

# For clang-tidy.
gen: $(LUA_INC) $(PAGE_INC) $(KIND_INC)
print-flags:
	$(info $(CPPFLAGS_ALL) -std=c11)
	@:

-include $(LIB_OBJ:.o=.d) $(CONSUMER_OBJ:.o=.d) $(PRODUCER_OBJ:.o=.d) $(UNIT_BIN:=.d) $(TOOL_BIN:=.d) $(BENCH_BIN:=.d)
