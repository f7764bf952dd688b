/* Made-up heartbeats, and a frame out of them: set_up, add_beat, make, tear_down. */
#ifndef TESTS_UNIT_SNAPSHOT_MADE_H
#define TESTS_UNIT_SNAPSHOT_MADE_H

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/now.h"
#include "ops/snapshot.h"

enum { BEATS_MAX = 64, NOW = 1000000000 };

static struct {
    struct snapshot_beat beats[BEATS_MAX];
    struct snapshot_pair control[4];
    struct snapshot_pair dead[4];
    struct snapshot_offset offsets[8];
    struct snapshot_input in;
    struct json_object *frame;
} t;

static void set_up(void)
{
    memset(&t, 0, sizeof t);
    t.in = (struct snapshot_input){.topic = "ci",
                                   .group = "g",
                                   .now_ms = NOW,
                                   .redis_known = true,
                                   .redis_why = "",
                                   .beats = t.beats,
                                   .control = t.control,
                                   .dead = t.dead,
                                   .offsets = t.offsets};
}

static void tear_down(void)
{
    json_free(t.frame);
    for (size_t i = 0; i < t.in.beat_count; i++) {
        free((char *)t.beats[i].json);
        free((char *)t.beats[i].id);
    }
}

/* What a made-up consumer says, beside partitions first to one before `end`. */
struct made {
    const char *state;
    const char *version;
    const char *hash;
    int first;
    int end;
    int all;
    int lag; /* of each partition */
    double in;
    double out;
    int open_ms;  /* of target argocd; -1: closed */
    int ok;       /* it took in the last minute */
    int batch_ms; /* how long its batches are open */
    const char *batch;
    const char *held;     /* members of what its target holds; NULL: no such list */
    const char *clusters; /* the members of its list; NULL: no such list */
};
static const struct made usual = {"running", "1.0", "aa", 0,  2,         4,    0,   5,
                                  5,         -1,    60,   10, "barrier", NULL, NULL};

static void add_beat(const char *id, int64_t age_ms, const struct made *m)
{
    struct str s;
    str_init(&s);
    str_addf(&s,
             "{\"v\":1,\"id\":\"%s\",\"boot\":\"00\",\"host\":\"h\",\"pid\":7,"
             "\"version\":\"%s\",\"revision\":\"r\",\"config_hash\":\"%s\",\"up_s\":60,"
             "\"state\":\"%s\",\"all_partitions\":%d,\"partitions\":[",
             id, m->version, m->hash, m->state, m->all);
    for (int p = m->first; p < m->end; p++) {
        str_addf(&s,
                 "%s{\"topic\":\"ci\",\"partition\":%d,\"source\":true,\"lag_events\":%d,"
                 "\"lag_s\":%d,\"committed\":100,\"end\":%d,\"in_per_s\":1,"
                 "\"out_per_s\":2,\"batch\":{\"state\":\"%s\",\"size\":50,\"events\":50,"
                 "\"units\":50,\"ended\":47,\"for_ms\":%d,\"waiting\":[{\"target\":"
                 "\"argocd\",\"units\":3,\"oldest_ms\":90}]}}",
                 p > m->first ? "," : "", p, m->lag, m->lag, 100 + m->lag, m->batch,
                 m->batch_ms);
    }
    str_add(&s, "],\"targets\":[{");
    if (m->held) {
        str_addf(&s, "\"held\":{%s},", m->held);
    }
    str_addf(
        &s,
        "\"name\":\"argocd\",\"kind\":\"http\",\"open_ms\":%s,\"silent_ms\":0,"
        "\"in_flight\":2,\"triggered\":%d,\"none\":0,\"c1xx\":0,\"c2xx\":%d,"
        "\"c3xx\":0,\"c4xx\":1,\"c5xx\":2,\"calls_per_s\":4.5,\"took\":{\"bounds_s\":"
        "[0.1,0.2],\"counts\":[90,10,0]},\"limits\":[\"deploys\"]}],",
        m->open_ms < 0    ? "null"
        : m->open_ms == 0 ? "0"
                          : "12000",
        m->ok, m->ok);
    if (m->clusters) {
        str_addf(&s, "\"clusters\":[%s],", m->clusters);
    }
    str_addf(&s,
             "\"limits\":[{\"name\":\"deploys\",\"rate_per_s\":10,\"burst\":20,"
             "\"tokens\":14,\"waited\":{\"bounds_s\":[0.1],\"counts\":[10,0]}}],"
             "\"lag_events\":%d,\"deferred\":0,\"in_per_s\":%g,\"out_per_s\":%g,"
             "\"in_flight\":2,\"p95_ms\":150,\"latency\":{\"bounds_s\":[1,2],\"counts\":"
             "[0,20,0]}}",
             m->lag * (m->end - m->first), m->in, m->out);
    size_t len = s.len;
    t.beats[t.in.beat_count++] =
        (struct snapshot_beat){mem_strdup(id), str_take(&s), len, NOW - age_ms};
}

static void make(void)
{
    json_free(t.frame);
    t.frame = snapshot_make(&t.in);
}

static inline const char *text(const char *pointer)
{
    const char *found = json_string_at(t.frame, pointer, NULL);
    return found ? found : "(null)";
}

static inline int64_t number(const char *pointer)
{
    struct json_object *at = json_at(t.frame, pointer);
    return at ? json_object_get_int64(at) : -999;
}

/* The note about somebody whose text has these words in it. */
static inline const char *level_of_note(const char *about, const char *words)
{
    struct json_object *notes = json_at(t.frame, "/notes");
    for (size_t i = 0; i < json_object_array_length(notes); i++) {
        struct json_object *note = json_object_array_get_idx(notes, i);
        if (strcmp(json_string_at(note, "/about", NULL), about) == 0 &&
            strstr(json_string_at(note, "/text", NULL), words)) {
            return json_string_at(note, "/level", NULL);
        }
    }
    return "none";
}

static inline void two_healthy(void)
{
    struct made other = usual;
    set_up();
    add_beat("c-1", 500, &usual);
    other.first = 2;
    other.end = 4;
    add_beat("c-2", 900, &other);
}

#endif
