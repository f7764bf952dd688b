/* Tekton Triggers: an EventListener. 202 says that it took the event; what its
 * interceptors and templates make of it is not told. */
#include "target/answer.h"

static void classify(const struct http_call *call, struct attempt_result *result)
{
    static const char *const words[] = {"/errorMessage", "/message", "/error", NULL};
    struct json_object *doc = answer_doc(call);
    if (result->class != ATTEMPT_DONE) {
        answer_say_at(result, doc, words);
        answer_say_line(result, call);
    } else {
        const char *id = json_string_at(doc, "/eventID", NULL);
        struct str text;
        str_init(
            &text); /* runs carry it as the label triggers.tekton.dev/triggers-eventid */
        str_addf(&text, "eventID %s", id != NULL ? id : "");
        answer_say(result, id != NULL ? text.data : NULL);
        str_release(&text);
    }
    json_free(doc);
}

const struct kind kind_tekton = {
    .name = "tekton",
    .title = "Tekton Triggers: an EventListener",
    .source = "tektoncd/triggers pkg/sink",
    .auth = {KIND_AUTH_BEARER, NULL},
    .rate_per_s = 20,
    .burst = 40,
    .concurrency = 8,
    .classify = classify,
    .sample =
        "  tekton-deploy:\n"
        "    kind: tekton\n"
        "    match: {branch: main}\n"
        "    url: https://listener.example.com/\n"
        "    # token: tekton_token  # Bearer, where something in front asks for it\n"
        "    # body left out: the event itself\n"
        "    limits: [tekton]\n"
        "    timeout: 5s\n",
};
