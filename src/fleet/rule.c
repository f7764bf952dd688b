#include "fleet/rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/str.h"

static const char *const actions[] = {"read",    "pause",  "resume", "drain",
                                      "redrive", "reload", "kube",   "*"};
_Static_assert(sizeof actions / sizeof actions[0] == RULE_ACTIONS + 1, "one word each");

/* The first `named` of them are many, each with a name behind a slash. */
static const char *const kinds[] = {"apps",     "targets", "consumers",
                                    "clusters", "fleet",   "stream",
                                    "config",   "doctor",  "deadletters"};
enum { KINDS = sizeof kinds / sizeof kinds[0], NAMED = 4 };

/* What each action but reading is for. */
static const char *const objects[] = {
    [RULE_PAUSE] = "targets",       [RULE_RESUME] = "targets", [RULE_DRAIN] = "consumers",
    [RULE_REDRIVE] = "deadletters", [RULE_RELOAD] = "fleet",   [RULE_KUBE] = "clusters",
    [RULE_ACTIONS] = NULL};

const char *rule_action_name(enum rule_action action)
{
    return actions[action];
}

static int find(const char *word, size_t len, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strlen(words[i]) == len && memcmp(words[i], word, len) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int refuse(const char *what, const char *word, size_t len,
                  const char *const *words, size_t n, struct err *err)
{
    struct str known;
    char *copy = mem_strndup(word, len);
    const char *near = text_nearest(copy, words, n);
    str_init(&known);
    for (size_t i = 0; i < n; i++) {
        str_addf(&known, "%s%s", i > 0 ? ", " : "", words[i]);
    }
    int rc = err_set(err, -EINVAL, "\"%.40s\" is no %s%s%s%s", copy, what,
                     near ? " (did you mean \"" : "; known are ",
                     near ? near : known.data, near ? "\"?)" : "");
    str_release(&known);
    free(copy);
    return rc;
}

/* Could any resource match? A glob in place of the kind is taken at its word. */
static int check_glob(enum rule_action action, const char *glob, struct err *err)
{
    size_t len = strcspn(glob, "/");
    if (strcspn(glob, "*?[\\") < len) {
        return 0;
    }
    int kind = find(glob, len, kinds, KINDS);
    if (kind < 0) {
        return refuse("resource", glob, len, kinds, KINDS, err);
    }
    const char *object = objects[action];
    if (object && strcmp(object, kinds[kind]) != 0) {
        return err_set(err, -EINVAL, "there is nothing to %s in %s: write %s %s%s",
                       actions[action], glob, actions[action], object,
                       find(object, strlen(object), kinds, NAMED) < 0 ? "" : "/NAME");
    }
    if (kind < NAMED && glob[len] != '/') {
        return err_set(err, -EINVAL, "%s have names: write %s/* for all of them", glob,
                       glob);
    }
    if (kind >= NAMED && glob[len] == '/') {
        return err_set(err, -EINVAL, "there is one %s and nothing in it: write %s",
                       kinds[kind], kinds[kind]);
    }
    return 0;
}

int rule_parse(const char *text, struct rule *rule, struct err *err)
{
    const char *word = text + strspn(text, " ");
    size_t len = strcspn(word, " ");
    const char *glob = word + len + strspn(word + len, " ");
    size_t glob_len = strcspn(glob, " ");
    if (len == 0 || glob_len == 0 || glob[glob_len + strspn(glob + glob_len, " ")]) {
        return err_set(err, -EINVAL,
                       "\"%.80s\": expected an action and a resource, such as \"read "
                       "apps/payments-*\"",
                       text);
    }
    if (glob_len >= RULE_GLOB_MAX) {
        return err_set(err, -EINVAL, "the resource has more than %d characters",
                       RULE_GLOB_MAX - 1);
    }
    int action = find(word, len, actions, RULE_ACTIONS + 1);
    if (action < 0) {
        return refuse("action", word, len, actions, RULE_ACTIONS + 1, err);
    }
    char *copy = mem_strndup(glob, glob_len);
    int rc = check_glob((enum rule_action)action, copy, err);
    if (rc) {
        free(copy);
        return rc;
    }
    *rule = (struct rule){.action = (enum rule_action)action, .glob = copy};
    return 0;
}

void rule_release(struct rule *rule)
{
    free(rule->glob);
    rule->glob = NULL;
}

bool rule_allows(const struct rule *rule, enum rule_action action, const char *resource)
{
    return (rule->action == RULE_ACTIONS || rule->action == action) &&
           text_glob(rule->glob, resource);
}
