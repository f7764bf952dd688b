# Sluice. `make` builds, `make demo` shows, `make check` proves; `make help` lists the rest.
SHELL := /bin/bash
CC ?= cc
CFLAGS ?= -O2 -g
WERROR ?= 0
SAN ?=
PREFIX ?= /usr/local
PKGS := rdkafka hiredis json-c libcurl libmicrohttpd yaml-0.1 libcrypto
BUILD := build$(if $(SAN),/$(SAN))
VERSION := 0.1.0

WARN := -Wall -Wextra -Wpedantic -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wwrite-strings \
        -Wformat=2 -Wundef -Wvla -fno-common $(if $(filter 1,$(WERROR)),-Werror)
HARDEN := -fstack-protector-strong -fPIE $(if $(SAN),,-D_FORTIFY_SOURCE=2)
SANFLAGS := $(if $(filter asan,$(SAN)),-fsanitize=address$(comma)undefined -fno-omit-frame-pointer) \
            $(if $(filter tsan,$(SAN)),-fsanitize=thread)
comma := ,
DEPFLAGS = -MMD -MP
PKG_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS) 2>/dev/null))
PKG_LIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null)
CPPFLAGS_ALL = -D_GNU_SOURCE -DSLUICE_VERSION='"$(VERSION)"' -iquote include -iquote src -iquote $(BUILD)/gen \
               $(PKG_CFLAGS) $(CPPFLAGS)
CFLAGS_ALL = -std=c11 $(WARN) $(HARDEN) $(SANFLAGS) $(CFLAGS) -pthread
LDFLAGS_ALL = -pie -Wl,-z,relro,-z,now $(SANFLAGS) $(LDFLAGS) -pthread
LIBS_ALL = $(PKG_LIBS) -lm $(LIBS)

LIB_SRC := $(sort $(wildcard src/*/*.c))
LIB_OBJ := $(LIB_SRC:%.c=$(BUILD)/obj/%.o)
LUA_INC := $(patsubst src/%.lua,$(BUILD)/gen/%.lua.inc,$(sort $(wildcard src/*/*.lua)))
CONSUMER_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard consumer/*.c)))
PRODUCER_OBJ := $(patsubst %.c,$(BUILD)/obj/%.o,$(sort $(wildcard producer/*.c)))
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(BUILD)/unit/%)

.PHONY: all unit clean
all: $(BUILD)/sluice-consumer $(BUILD)/sluice-producer

$(BUILD)/sluice-consumer: $(CONSUMER_OBJ) $(BUILD)/libsluice.a
	$(CC) $(LDFLAGS_ALL) -o $@ $(CONSUMER_OBJ) $(BUILD)/libsluice.a $(LIBS_ALL)

$(BUILD)/sluice-producer: $(PRODUCER_OBJ) $(BUILD)/libsluice.a
	$(CC) $(LDFLAGS_ALL) -o $@ $(PRODUCER_OBJ) $(BUILD)/libsluice.a $(LIBS_ALL)

$(BUILD)/libsluice.a: $(LIB_OBJ)
	@rm -f $@
	$(AR) rcs $@ $(LIB_OBJ)

$(BUILD)/obj/%.o: %.c | $(LUA_INC)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS_ALL) $(CFLAGS_ALL) $(DEPFLAGS) -c -o $@ $<

# A Lua text becomes C string literals, one a line: #include "fleet/ledger_claim.lua.inc"
$(BUILD)/gen/%.lua.inc: src/%.lua
	@mkdir -p $(@D)
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/"/' -e 's/$$/\\n"/' $< > $@

# A unit test is one cmocka program; `make unit T=ctx` runs one. The table of tests is read off the functions
# named <module>__<expectation>.
$(BUILD)/unit/%: tests/unit/%.c $(BUILD)/libsluice.a
	@mkdir -p $(@D)
	@sed -n 's/^\(static \)\?void \([a-z0-9_]*__[a-z0-9_]*\)(void \*\*state).*/cmocka_unit_test(\2),/p' $< > $@.tests.inc
	$(CC) $(CPPFLAGS_ALL) -DUNIT_TESTS='"$(abspath $@).tests.inc"' $(CFLAGS_ALL) $(DEPFLAGS) -MF $@.d -o $@ $< \
	      $(LDFLAGS_ALL) $(BUILD)/libsluice.a $(LIBS_ALL) -lcmocka

unit: $(if $(T),$(BUILD)/unit/test_$(T),$(UNIT_BIN))
	@set -e; for t in $^; do echo "== $$t"; $$t; done

clean:
	rm -rf build

-include $(LIB_OBJ:.o=.d) $(CONSUMER_OBJ:.o=.d) $(PRODUCER_OBJ:.o=.d) $(UNIT_BIN:=.d)
