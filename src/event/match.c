#include "event/match.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static int refuse_name(const char *name, struct err *err)
{
    const char *near = event_field_nearest(name);
    if (near != NULL) {
        return err_set(err, -EINVAL, "no event has a field '%s'; did you mean '%s'?",
                       name, near);
    }
    return err_set(err, -EINVAL,
                   "no event has a field '%s'; a JSON pointer begins with '/'", name);
}

int match_add(struct match *m, const char *name, const char *const *globs, size_t n,
              struct err *err)
{
    int field = event_field_find(name);
    if (field < 0 && *name != '/') {
        return refuse_name(name, err);
    }
    if (field < 0 && !json_pointer_is_valid(name)) {
        return err_set(err, -EINVAL, "'%.200s' is no JSON pointer", name);
    }
    if (n == 0) {
        return err_set(err, -EINVAL, "'%s' has no pattern, so nothing could match", name);
    }
    m->rules = mem_resize(m->rules, (m->count + 1) * sizeof(*m->rules));
    struct match_rule *rule = &m->rules[m->count++];
    rule->field = field;
    rule->pointer = field < 0 ? mem_strdup(name) : NULL;
    rule->globs = mem_array(n, sizeof(*rule->globs));
    rule->glob_count = n;
    for (size_t i = 0; i < n; i++) {
        rule->globs[i] = mem_strdup(globs[i]);
    }
    return 0;
}

void match_release(struct match *m)
{
    for (size_t i = 0; i < m->count; i++) {
        struct match_rule *rule = &m->rules[i];
        for (size_t j = 0; j < rule->glob_count; j++) {
            free(rule->globs[j]);
        }
        free(rule->globs);
        free(rule->pointer);
    }
    free(m->rules);
    *m = (struct match){NULL, 0};
}

static bool any_glob(const struct match_rule *rule, const char *value)
{
    for (size_t i = 0; i < rule->glob_count; i++) {
        if (text_glob(rule->globs[i], value)) {
            return true;
        }
    }
    return false;
}

/* The rule's value in this event, or NULL. *owned is to be freed. */
static const char *value_of(const struct match_rule *rule, const struct event *ev,
                            char **owned)
{
    *owned = NULL;
    if (rule->field >= 0) {
        return ev->fields[rule->field];
    }
    const char *text = json_string_at(ev->doc, rule->pointer, NULL);
    if (text == NULL) {
        *owned = json_text_at(ev->doc, rule->pointer);
        text = *owned;
    }
    return text;
}

bool match_event(const struct match *m, const struct event *ev,
                 void (*why)(void *arg, const struct match_rule *rule, const char *value,
                             bool ok),
                 void *arg)
{
    bool all = true;
    for (size_t i = 0; i < m->count && (all || why != NULL); i++) {
        char *owned;
        const char *value = value_of(&m->rules[i], ev, &owned);
        bool ok = value != NULL && any_glob(&m->rules[i], value);
        if (why != NULL) {
            why(arg, &m->rules[i], value, ok);
        }
        all = all && ok;
        free(owned);
    }
    return all;
}
