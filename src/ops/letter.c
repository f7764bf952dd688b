#include "ops/letter.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "event/redact.h"
#include "fleet/intake.h"

enum { HEADERS_MAX = 1024 };

/* --- reading --- */

const char *letter_header(const struct kafka_record *record, const char *name)
{
    const struct kafka_header *h = kafka_record_header(record, name);
    return h && h->value && strlen(h->value) == h->len ? h->value : NULL;
}

static const char *text_of(const struct kafka_record *record, const char *name)
{
    const char *text = letter_header(record, name);
    return text ? text : "";
}

static int64_t number_of(const struct kafka_record *record, const char *name,
                         int64_t absent)
{
    const char *text = letter_header(record, name);
    int64_t number;
    return text && text_parse_int(text, 0, INT64_MAX, &number) == 0 ? number : absent;
}

enum event_outcome letter_decode(const struct kafka_record *r, const char *topic,
                                 int partition, int64_t offset, struct event *ev,
                                 struct event_reason *why)
{
    size_t count = r->header_count < HEADERS_MAX ? r->header_count : HEADERS_MAX;
    struct event_header *headers = mem_array(count + 1, sizeof *headers);
    for (size_t i = 0; i < count; i++) {
        headers[i] = (struct event_header){r->headers[i].name, r->headers[i].value,
                                           r->headers[i].len};
    }
    struct event_input input = {.key = r->key,
                                .key_len = r->key_len,
                                .value = r->value,
                                .value_len = r->value_len,
                                .headers = headers,
                                .header_count = count,
                                .topic = topic,
                                .partition = partition,
                                .offset = offset};
    enum event_outcome outcome = event_decode(&input, ev, why);
    free(headers);
    return outcome;
}

void letter_read(struct letter *l, int partition, const char *topic,
                 struct kafka_record *record)
{
    *l = (struct letter){
        .record = record,
        .partition = partition,
        .at_ms = record->timestamp_ms,
        .target = text_of(record, PARK_TARGET),
        .id = text_of(record, PARK_EVENT_ID),
        .reason = text_of(record, PARK_REASON),
        .detail = text_of(record, PARK_DETAIL),
        .cut = letter_header(record, PARK_CUT),
        .origin_topic = text_of(record, PARK_TOPIC),
        .round = number_of(record, PARK_ROUND, 0),
        .attempts = number_of(record, PARK_ATTEMPTS, 0),
        .first_seen_ms = number_of(record, PARK_FIRST_SEEN, 0),
        .redrive = letter_header(record, PARK_REDRIVE),
        .redrive_of = letter_header(record, PARK_REDRIVE_OF),
        .redrives = number_of(record, PARK_REDRIVE_COUNT, 0),
    };
    l->foreign = l->reason[0] == '\0' || l->origin_topic[0] == '\0';
    if (l->foreign) {
        l->origin_topic = topic;
    }
    l->origin_partition =
        (int)(l->foreign ? partition : number_of(record, PARK_PARTITION, 0));
    l->origin_offset = l->foreign ? record->offset : number_of(record, PARK_OFFSET, 0);
    l->outcome = letter_decode(record, l->origin_topic, l->origin_partition,
                               l->origin_offset, &l->event, &l->why);
    const char *again = letter_header(record, PARK_RESEND);
    if (again && l->outcome == EVENT_OK) {
        event_send_again(&l->event, again);
    }
    if (!l->foreign && l->id[0] == '\0' && l->event.fields[EVENT_ID]) {
        l->id = l->event.fields[EVENT_ID];
    }
}

void letter_release(struct letter *l)
{
    event_release(&l->event);
    kafka_record_free(l->record);
    *l = (struct letter){0};
}

/* --- choosing --- */

bool letter_matches(const struct letter *l, const struct letter_filter *f)
{
    return (!f->target || text_glob(f->target, l->target)) &&
           (!f->reason || text_glob(f->reason, l->reason)) &&
           (!f->event || strcmp(f->event, l->id) == 0) &&
           (!f->redrive || (l->redrive && strcmp(f->redrive, l->redrive) == 0)) &&
           (!f->since_ms || l->at_ms >= f->since_ms) &&
           (!f->until_ms || l->at_ms < f->until_ms) && (!f->also || f->also(f->arg, l));
}

const char *letter_unfit(const struct letter *l, bool target_is_there)
{
    if (l->foreign) {
        return "was not put there by Sluice";
    }
    if (l->cut) {
        return "was too large for its topic and is cut";
    }
    if (l->outcome != EVENT_OK) {
        return "cannot be read as an event";
    }
    if (l->target[0] == '\0') {
        return "had no target";
    }
    return target_is_there ? NULL : "is for a target that is not configured";
}

/* --- showing --- */

static void put_text(struct json_object *doc, const char *name, const char *text)
{
    struct json_object *value = NULL;
    size_t len = text ? strlen(text) : 0;
    if (len > 0) {
        value = text_is_utf8(text, len) ? json_object_new_string(text)
                                        : json_object_new_string("(not UTF-8)");
    }
    json_object_object_add(doc, name, value);
}

static void put_time(struct json_object *doc, const char *name, int64_t wall_ms)
{
    char text[NOW_TEXT_MAX];
    if (wall_ms > 0) {
        now_rfc3339(wall_ms, text);
        put_text(doc, name, text);
    } else {
        json_object_object_add(doc, name, NULL);
    }
}

/* A text as JSON can hold it, without what stands before the host of a URL. */
static struct json_object *clean_text(const char *bytes, size_t len)
{
    struct str cut;
    struct str escaped;
    struct json_object *value = NULL;
    str_init(&cut);
    if (!redact_url_users(bytes, len, &cut)) {
        str_clear(&cut);
        str_put(&cut, bytes, len);
    }
    if (text_is_utf8(cut.data, cut.len)) {
        value = json_object_new_string_len(cut.data, (int)cut.len);
    } else {
        str_init(&escaped);
        str_add_json(&escaped, cut.data, cut.len);
        value = json_object_new_string_len(escaped.data, (int)escaped.len);
        str_release(&escaped);
    }
    str_release(&cut);
    return value;
}

static struct json_object *headers_json(const struct kafka_record *r, bool ours)
{
    struct json_object *doc = json_object_new_object();
    for (size_t i = 0; i < r->header_count; i++) {
        const struct kafka_header *h = &r->headers[i];
        bool is_ours = text_starts(h->name, "sluice-");
        if (is_ours == ours && text_is_utf8(h->name, strlen(h->name))) {
            json_object_object_add(doc, h->name,
                                   h->value ? clean_text(h->value, h->len) : NULL);
        }
    }
    return doc;
}

/* The body as a document when it is one, else as text; null for a tombstone. */
static struct json_object *body_json(const struct kafka_record *r)
{
    struct str clean;
    struct json_object *doc = NULL;
    if (!r->value) {
        return NULL;
    }
    str_init(&clean);
    event_redact(r->value, r->value_len, &clean);
    if (json_parse(clean.data, clean.len, &doc, NULL) != 0) {
        doc = clean_text(clean.data, clean.len);
    }
    str_release(&clean);
    return doc;
}

static struct json_object *origin_json(const struct letter *l)
{
    struct json_object *doc = json_object_new_object();
    put_text(doc, "topic", l->origin_topic);
    json_put_number(doc, "partition", l->origin_partition);
    json_put_number(doc, "offset", l->origin_offset);
    return doc;
}

struct json_object *letter_summary(const struct letter *l)
{
    struct json_object *doc = json_object_new_object();
    const struct kafka_record *r = l->record;
    json_put_number(doc, "partition", l->partition);
    json_put_number(doc, "offset", r->offset);
    put_time(doc, "at", l->at_ms);
    json_put_number(doc, "at_ms", l->at_ms);
    put_text(doc, "event", l->id);
    put_text(doc, "repo", l->event.fields[EVENT_REPO]);
    put_text(doc, "app", l->event.fields[EVENT_APP]);
    put_text(doc, "commit", l->event.fields[EVENT_COMMIT]);
    put_text(doc, "target", l->target);
    put_text(doc, "reason", l->foreign ? "foreign" : l->reason);
    put_text(doc, "detail", l->detail);
    json_put_number(doc, "attempts", l->attempts);
    put_time(doc, "first_seen", l->first_seen_ms);
    json_object_object_add(doc, "origin", l->foreign ? NULL : origin_json(l));
    put_text(doc, "cut", l->cut);
    put_text(doc, "redrive", l->redrive);
    put_text(doc, "redrive_of", l->redrive_of);
    json_put_number(doc, "redrives", l->redrives);
    put_text(doc, "unreadable", l->outcome == EVENT_OK ? NULL : l->why.text);
    return doc;
}

struct json_object *letter_json(const struct letter *l)
{
    struct json_object *doc = letter_summary(l);
    const struct kafka_record *r = l->record;
    json_object_object_add(doc, "key", r->key ? clean_text(r->key, r->key_len) : NULL);
    json_object_object_add(doc, "story", headers_json(r, true));
    json_object_object_add(doc, "headers", headers_json(r, false));
    json_object_object_add(doc, "body", body_json(r));
    return doc;
}

struct json_object *letter_envelope(const struct letter *l)
{
    struct json_object *doc = json_object_new_object();
    const struct kafka_record *r = l->record;
    json_object_object_add(doc, "key", r->key ? clean_text(r->key, r->key_len) : NULL);
    json_object_object_add(doc, "headers", headers_json(r, false));
    json_object_object_add(doc, "value", body_json(r));
    return doc;
}
