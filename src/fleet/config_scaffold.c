/* A file to begin with. Each kind passes the check as it stands. */
#include "fleet/config_private.h"

#include <errno.h>
#include <string.h>

static const char head[] =
    "# yaml-language-server: $schema=./sluice.schema.json\n"
    "# (sluice-consumer config schema > sluice.schema.json)\n"
    "# Every key: sluice-consumer help config\n"
    "\n"
    "kafka:\n"
    "  brokers: [localhost:9092]\n"
    "  topic: ci.succeeded\n"
    "  group: sluice            # also in the names of the retry and dead-letter topics\n"
    "  start: latest            # a new group: latest | earliest\n"
    "\n"
    "batch: {size: 5, age: 200ms}\n"
    "in_flight: 64              # HTTP calls of one process at a time\n"
    "\n"
    "redis:\n"
    "  url: redis://localhost:6379/0\n"
    "  # password_file: /run/secrets/redis_password\n"
    "\n"
    "limits:                    # over the whole fleet, one bucket each\n";

static const char tail[] = "    retry: {hold: 10s, backoff: 200ms..5s, budget: 2h}\n"
                           "    on_uncertain: retry    # sent, no answer: retry | dead\n"
                           "    order: key             # per key, or none\n"
                           "\n"
                           "http: {listen: 127.0.0.1:9464}   # /livez /readyz /metrics\n";

/* --- what a kind's sample names --- */

/* The next name a sample uses after `mark`, ended by one of `ends`. name: out. Returns
 * behind it, or NULL. */
static const char *next_name(const char *text, const char *mark, const char *ends,
                             char name[OPTION_NAME_MAX])
{
    const char *at = strstr(text, mark);
    if (at == NULL) {
        return NULL;
    }
    at += strlen(mark);
    size_t len = strcspn(at, ends);
    ASSERT(len > 0 && len < OPTION_NAME_MAX);
    memcpy(name, at, len);
    name[len] = '\0';
    return at + len;
}

static void add_limit(const struct kind *kind, struct str *out)
{
    char name[OPTION_NAME_MAX];
    const char *found = next_name(kind->sample, "limits: [", "]", name);
    ASSERT(found != NULL);
    if (kind->rate_per_s > 0) {
        str_addf(out, "  %s: {rate: %g/s, burst: %g}\n", name, kind->rate_per_s,
                 kind->burst);
    } else {
        str_addf(out, "  %s: {rate: 50/s, burst: 100}\n", name);
    }
}

/* One line for each secret that the sample names. */
static void add_secrets(const struct kind *kind, struct str *out)
{
    static const char *const marks[][2] = {{"\n    token: ", " \n"},
                                           {"sign_secret: ", " \n"},
                                           {"${secret.", "}"}};
    size_t start = out->len;
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
        char name[OPTION_NAME_MAX];
        const char *at = kind->sample;
        for (at = next_name(at, marks[i][0], marks[i][1], name); at != NULL;
             at = next_name(at, marks[i][0], marks[i][1], name)) {
            str_add(out, out->len == start ? "\nsecrets:\n" : "");
            str_addf(out, "  %s: {file: /run/secrets/%s}\n", name, name);
        }
    }
}

/* --- the whole --- */

/* What was called so before there were two of them. */
static const struct kind *find(const char *word)
{
    return kind_find(strcmp(word, "github") == 0 ? "github-dispatch" : word);
}

int config_scaffold(const char *kind, struct str *out, struct err *err)
{
    const struct kind *found = find(kind);
    if (found != NULL) {
        str_add(out, head);
        add_limit(found, out);
        str_addf(out, "\ntargets:\n%s%s", found->sample, tail);
        add_secrets(found, out);
        return 0;
    }
    struct str known;
    str_init(&known);
    for (size_t i = 0; kind_at(i) != NULL; i++) {
        str_addf(&known, "%s%s", i > 0 ? ", " : "", kind_at(i)->name);
    }
    err_set(err, -EINVAL, "no sample for \"%.60s\"; there are %s", kind, known.data);
    str_release(&known);
    return -EINVAL;
}
