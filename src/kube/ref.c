#include "kube/ref.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

enum { WORDS_MAX = 6 };

/* One segment of a path, as the API server takes it: not "." or "..", no '/' or '%'. */
static bool word_is_good(const char *word)
{
    size_t len = strlen(word);
    bool dots = strcmp(word, ".") == 0 || strcmp(word, "..") == 0;
    return len > 0 && len <= KUBE_NAME_MAX && !dots && strpbrk(word, "/%") == NULL;
}

static bool text_is_plain(const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        if (*c <= ' ' || *c > '~') {
            return false;
        }
    }
    return true;
}

/* "v1", "v1beta1", "v2alpha1": what stands between group and kind. */
static bool is_version(const char *word)
{
    return word[0] == 'v' && word[1] >= '1' && word[1] <= '9';
}

/* Cut at each '/'. Returns how many words, WORDS_MAX for too many. */
static size_t split(char *text, char *words[WORDS_MAX])
{
    size_t n = 0;
    for (char *at = text; at != NULL && n < WORDS_MAX; n++) {
        words[n] = at;
        at = strchr(at, '/');
        if (at != NULL) {
            *at++ = '\0';
        }
    }
    return n;
}

static int refuse(struct err *err, const char *text, const char *why)
{
    return err_set(err, -EINVAL,
                   "\"%.200s\" names no object: %s; expected "
                   "API/KIND/[NAMESPACE/]NAME, as apps/v1/Deployment/shop/api or "
                   "v1/Node/n1",
                   text, why);
}

/* The words behind the cluster: [GROUP/]VERSION/KIND/[NAMESPACE/]NAME. */
static const char *fill(char *words[WORDS_MAX], size_t n, struct kube_ref *ref)
{
    size_t at = n > 0 && is_version(words[0]) ? 0 : 1;
    if (n <= at || !is_version(words[at])) {
        return "no version where one belongs";
    }
    size_t rest = n - at - 1;
    if (rest < 2) {
        return "a kind and a name are wanted behind the version";
    }
    if (rest > 3) {
        return "there are too many words";
    }
    for (size_t i = 0; i < n; i++) {
        if (!word_is_good(words[i])) {
            return "a word in it is empty or cannot be a name";
        }
    }
    struct str api;
    str_init(&api);
    str_addf(&api, "%s%s%s", at > 0 ? words[0] : "", at > 0 ? "/" : "", words[at]);
    ref->api = str_take(&api);
    ref->kind = mem_strdup(words[at + 1]);
    ref->ns = mem_strdup(rest == 3 ? words[at + 2] : "");
    ref->name = mem_strdup(words[n - 1]);
    return NULL;
}

int kube_ref_parse(const char *text, struct kube_ref *ref, struct err *err)
{
    if (strlen(text) > KUBE_REF_MAX || !text_is_plain(text)) {
        return refuse(err, "...",
                      "it is too long, or has a space or a control character");
    }
    char *copy = mem_strdup(text);
    char *words[WORDS_MAX];
    struct kube_ref made = {.cluster = NULL};
    char *start = copy;
    size_t first = strcspn(copy, "/");
    char *colon = memchr(copy, ':', first);
    const char *why = NULL;
    if (colon != NULL) {
        *colon = '\0';
        start = colon + 1;
        why = colon == copy ? "there is no cluster's name before the colon" : NULL;
    }
    if (why == NULL) {
        size_t n = split(start, words);
        why = n < WORDS_MAX ? fill(words, n, &made) : "there are too many words";
    }
    int rc = 0;
    if (why != NULL) {
        rc = refuse(err, text, why);
    } else {
        made.cluster = colon != NULL ? mem_strdup(copy) : NULL;
        *ref = made;
    }
    free(copy);
    return rc;
}

void kube_ref_release(struct kube_ref *ref)
{
    free(ref->cluster);
    free(ref->api);
    free(ref->kind);
    free(ref->ns);
    free(ref->name);
    *ref = (struct kube_ref){.cluster = NULL};
}

void kube_ref_print(const struct kube_ref *ref, struct str *out)
{
    str_addf(out, "%s%s%s/%s/%s%s%s", ref->cluster != NULL ? ref->cluster : "",
             ref->cluster != NULL ? ":" : "", ref->api, ref->kind, ref->ns,
             ref->ns[0] != '\0' ? "/" : "", ref->name);
}
