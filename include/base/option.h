/* Options: one table says everything about every setting.
 *
 * A row names a key ("batch.size"), what its values look like, its bounds, its default
 * and a sentence. Whoever reads a file, the environment or flags asks the table; so do
 * help, the schema and the docs, so they cannot differ. A key with a `*` in it stands for
 * every named thing of a section ("targets.*.timeout"). Texts are typed by the row, never
 * guessed: `no`, `1e3` and `08` are what the row says. The table is constant: any
 * thread. */
#ifndef BASE_OPTION_H
#define BASE_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"

enum { OPTION_KEY_MAX = 256, OPTION_NAME_MAX = 128 };

enum option_type {
    OPTION_TEXT,
    OPTION_BOOL,     /* true | false */
    OPTION_INT,      /* a whole decimal number */
    OPTION_NUMBER,   /* a decimal number, fraction allowed */
    OPTION_BYTES,    /* 64KiB */
    OPTION_DURATION, /* 200ms */
    OPTION_SPAN,     /* 200ms..5s */
    OPTION_RATE,     /* 50/s, 600/m, 1000/h */
    OPTION_CHOICE,   /* one word of `choices` */
    OPTION_MAP,      /* names to texts */
    OPTION_GLOBS,    /* names to a glob or a list of globs */
    OPTION_TREE,     /* anything */
};

struct option {
    const char *key;
    enum option_type type;
    bool list;     /* a list of that type; in flags and the environment with commas */
    bool secret;   /* never shown */
    bool required; /* of each thing of a section */
    bool hot;      /* a running process takes another value without a restart */
    const char *initial; /* the default as it would be written; NULL: none */
    const char *choices; /* "latest|earliest" */
    int64_t min;         /* numbers as they are, sizes in bytes, durations in ms; */
    int64_t max;         /* both 0: unbounded */
    const char *help;    /* one sentence, no full stop */
};

/* What a text turned out to be. */
struct option_value {
    int64_t
        number;    /* INT, BYTES, DURATION (ms), BOOL, SPAN's lower end, CHOICE's index */
    int64_t upper; /* SPAN's upper end (ms) */
    double real;   /* NUMBER, RATE (per second) */
};

/* Type one text (of a list: one item).
 * Returns 0, -EBADMSG when it is something else, or -EINVAL when it is out of range; both
 * with a sentence that says what is expected. */
int option_read(const struct option *option, const char *text, struct option_value *value,
                struct err *err);

/* The row of a concrete key ("targets.argocd.timeout"), or NULL. name: out, what stands
 * for the `*` ("argocd"), "" when there is none; names may hold dots. */
const struct option *option_find(const struct option *table, size_t n, const char *key,
                                 char name[OPTION_NAME_MAX]);

/* "targets.*.timeout" with "argocd" -> "targets.argocd.timeout". */
void option_key(const struct option *option, const char *name, char key[OPTION_KEY_MAX]);

/* "targets.argo-cd.timeout" -> "SLUICE_TARGETS_ARGO_CD_TIMEOUT". */
void option_env_name(const char *key, char text[OPTION_KEY_MAX]);

/* "one of latest, earliest", "a duration such as 200ms": for errors and help. */
void option_describe(const struct option *option, struct str *out);

/* Append a duration as it would be written: "200ms", "1h30m". */
void option_add_duration(struct str *out, int64_t ms);

/* A paragraph on one option: key, default, bounds, environment name, sentence. */
void option_help(const struct option *option, struct str *out);

#endif
