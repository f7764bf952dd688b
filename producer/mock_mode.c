#include "mock_mode.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "base/str.h"
#include "dice.h"

enum { LATENCY_MAX_MS = 3600 * 1000, RETRY_AFTER_MAX_S = 86400 * 365 };

void mock_mode_init(struct mock_mode *mode)
{
    *mode = (struct mock_mode){
        .status = 202,
        .fail_status = 503,
        .retry_after_s = -1,
        .byte_every_ms = 1000,
    };
}

/* --- texts --- */

static int read_duration(const char *text, int64_t *ms)
{
    if (strcmp(text, "0") == 0) {
        *ms = 0;
        return 0;
    }
    int rc = now_parse_duration(text, ms);
    return rc == 0 && *ms >= 0 && *ms <= LATENCY_MAX_MS ? 0 : -EINVAL;
}

static int read_latency(struct mock_mode *mode, const char *text)
{
    const char *dots = strstr(text, "..");
    char *lower = mem_strndup(text, dots ? (size_t)(dots - text) : strlen(text));
    int64_t from = 0;
    int64_t to = 0;
    int rc = read_duration(lower, &from);
    if (rc == 0) {
        rc = read_duration(dots ? dots + 2 : lower, &to);
    }
    free(lower);
    if (rc != 0 || from > to) {
        return -EINVAL;
    }
    mode->latency_ms = from;
    mode->latency_max_ms = to;
    return 0;
}

static int read_status(int *status, const char *text)
{
    int64_t value;
    if (text_parse_int(text, 200, 599, &value) != 0) {
        return -EINVAL;
    }
    *status = (int)value;
    return 0;
}

static int read_retry_after(struct mock_mode *mode, const char *text)
{
    int64_t ms = 5000;
    bool date = text_starts(text, "date");
    if (strcmp(text, "none") == 0) {
        mode->retry_after_s = -1;
        return 0;
    }
    const char *wait = date ? text + strlen("date") : text;
    if (date && *wait == ':') {
        wait++;
    }
    if (!(date && *wait == '\0') && now_parse_duration(wait, &ms) != 0) {
        return -EINVAL;
    }
    if (ms < 0 || ms / 1000 > RETRY_AFTER_MAX_S) {
        return -EINVAL;
    }
    mode->retry_after_s = (ms + 999) / 1000;
    mode->retry_after_date = date;
    return 0;
}

static int read_byte_every(struct mock_mode *mode, const char *text)
{
    int64_t ms;
    if (read_duration(text, &ms) != 0 || ms < 1) {
        return -EINVAL;
    }
    mode->byte_every_ms = ms;
    return 0;
}

/* --- names --- */

enum kind { LATENCY, SHARE, STATUS, RETRY_AFTER, BYTE_EVERY };

static const char *const expected[] = {
    [LATENCY] = "a duration such as 120ms, or a span such as 120ms..200ms",
    [SHARE] = "a share such as 2% or 0.02",
    [STATUS] = "a status from 200 to 599",
    [RETRY_AFTER] = "5s, date, date:5s or none",
    [BYTE_EVERY] = "a duration such as 1s",
};

static const struct setting {
    const char *name;
    enum kind kind;
    size_t offset; /* of a share or status in the mode */
} settings[] = {
    {"latency", LATENCY, 0},
    {"fail", SHARE, offsetof(struct mock_mode, fail)},
    {"hang", SHARE, offsetof(struct mock_mode, hang)},
    {"reset", SHARE, offsetof(struct mock_mode, reset)},
    {"slow-body", SHARE, offsetof(struct mock_mode, slow_body)},
    {"status", STATUS, offsetof(struct mock_mode, status)},
    {"fail-status", STATUS, offsetof(struct mock_mode, fail_status)},
    {"retry-after", RETRY_AFTER, 0},
    {"byte-every", BYTE_EVERY, 0},
};
enum { SETTINGS = sizeof settings / sizeof settings[0] };

static int set(struct mock_mode *mode, const struct setting *setting, const char *text)
{
    void *at = (char *)mode + setting->offset;
    switch (setting->kind) {
    case LATENCY:
        return read_latency(mode, text);
    case SHARE:
        return dice_read_share(text, at);
    case STATUS:
        return read_status(at, text);
    case RETRY_AFTER:
        return read_retry_after(mode, text);
    case BYTE_EVERY:
        return read_byte_every(mode, text);
    }
    return -EINVAL;
}

int mock_mode_set(struct mock_mode *mode, const char *name, const char *text,
                  struct err *err)
{
    const char *names[SETTINGS];
    for (size_t i = 0; i < SETTINGS; i++) {
        names[i] = settings[i].name;
        if (strcmp(names[i], name) != 0) {
            continue;
        }
        if (set(mode, &settings[i], text) != 0) {
            return err_set(err, -EINVAL, "%s: \"%.80s\": expected %s", name, text,
                           expected[settings[i].kind]);
        }
        return 0;
    }
    const char *near = text_nearest(name, names, SETTINGS);
    return err_set(err, -EINVAL, "unknown setting \"%.80s\"%s%s%s", name,
                   near ? " (did you mean \"" : "", near ? near : "", near ? "\"?)" : "");
}

/* --- JSON --- */

static int change_one(struct mock_mode *mode, const char *member,
                      struct json_object *value, struct err *err)
{
    bool is_ms = strcmp(member, "latency_ms") == 0;
    char *name = mem_strdup(is_ms ? "latency" : member);
    for (char *c = strchr(name, '_'); c; c = strchr(c, '_')) {
        *c = '-';
    }
    struct str text;
    str_init(&text);
    str_add(&text, value ? json_object_get_string(value) : "none");
    if (is_ms) {
        str_add(&text, "ms");
    }
    int rc = mock_mode_set(mode, name, text.data, err);
    str_release(&text);
    free(name);
    return rc;
}

int mock_mode_change(struct mock_mode *mode, struct json_object *doc, struct err *err)
{
    if (!json_object_is_type(doc, json_type_object)) {
        return err_set(err, -EINVAL, "expected a JSON object");
    }
    struct mock_mode changed = *mode;
    json_object_object_foreach(doc, member, value)
    {
        int rc = change_one(&changed, member, value, err);
        if (rc != 0) {
            return rc;
        }
    }
    *mode = changed;
    return 0;
}

static void add_share(struct str *out, const char *name, double share)
{
    if (share > 0) {
        str_addf(out, "%s%s %g%%", out->len > 0 ? ", " : "", name, share * 100);
    }
}

static void add_retry_after(const struct mock_mode *mode, struct str *out)
{
    str_addf(out, "%s%llds", mode->retry_after_date ? "date:" : "",
             (long long)mode->retry_after_s);
}

void mock_mode_describe(const struct mock_mode *mode, struct str *out)
{
    struct mock_mode plain;
    mock_mode_init(&plain);
    struct str text;
    str_init(&text);
    if (mode->latency_max_ms > 0) {
        str_addf(&text, "latency %lldms", (long long)mode->latency_ms);
        if (mode->latency_max_ms > mode->latency_ms) {
            str_addf(&text, "..%lldms", (long long)mode->latency_max_ms);
        }
    }
    if (mode->status != plain.status) {
        str_addf(&text, "%sstatus %d", text.len > 0 ? ", " : "", mode->status);
    }
    add_share(&text, "fail", mode->fail);
    add_share(&text, "hang", mode->hang);
    add_share(&text, "reset", mode->reset);
    add_share(&text, "slow body", mode->slow_body);
    if (mode->retry_after_s >= 0) {
        str_addf(&text, "%sretry-after ", text.len > 0 ? ", " : "");
        add_retry_after(mode, &text);
    }
    str_add(out, text.len > 0 ? text.data : "all is well");
    str_release(&text);
}

struct json_object *mock_mode_json(const struct mock_mode *mode)
{
    struct json_object *doc = json_object_new_object();
    struct str text;
    str_init(&text);
    str_addf(&text, "%lldms..%lldms", (long long)mode->latency_ms,
             (long long)mode->latency_max_ms);
    json_object_object_add(doc, "latency", json_object_new_string(text.data));
    json_object_object_add(doc, "fail", json_object_new_double(mode->fail));
    json_object_object_add(doc, "hang", json_object_new_double(mode->hang));
    json_object_object_add(doc, "reset", json_object_new_double(mode->reset));
    json_object_object_add(doc, "slow_body", json_object_new_double(mode->slow_body));
    json_object_object_add(doc, "status", json_object_new_int(mode->status));
    json_object_object_add(doc, "fail_status", json_object_new_int(mode->fail_status));
    str_clear(&text);
    add_retry_after(mode, &text);
    json_object_object_add(doc, "retry_after",
                           json_object_new_string(mode->retry_after_s < 0 ? "none"
                                                                          : text.data));
    str_release(&text);
    return doc;
}

/* --- fate --- */

struct mock_fate mock_mode_fate(const struct mock_mode *mode, uint64_t seed,
                                const char *key, uint64_t attempt)
{
    struct dice dice = dice_for(seed, key, attempt);
    uint64_t spread_us = (uint64_t)(mode->latency_max_ms - mode->latency_ms) * 1000;
    struct mock_fate fate = {.act = MOCK_ANSWER, .status = mode->status};
    fate.latency_us = mode->latency_ms * 1000 + (int64_t)dice_below(&dice, spread_us + 1);
    double throws[4];
    for (size_t i = 0; i < 4; i++) {
        throws[i] = dice_unit(&dice);
    }
    if (throws[0] < mode->hang) {
        fate.act = MOCK_HANG;
        fate.status = 0;
    } else if (throws[1] < mode->reset) {
        fate.act = MOCK_RESET;
        fate.status = 0;
    } else if (throws[2] < mode->slow_body) {
        fate.act = MOCK_SLOW_BODY;
    } else if (throws[3] < mode->fail) {
        fate.status = mode->fail_status;
    }
    return fate;
}
