#include "target/jenkins.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "target/answer.h"

int jenkins_follow_item(const char *item, struct str *path)
{
    size_t len = strcspn(item, "?#");
    if (strstr(item, "/queue/item/") == NULL) {
        return -ENOENT;
    }
    str_put(path, item, len);
    str_add(path, len > 0 && item[len - 1] == '/' ? "api/json" : "/api/json");
    return 0;
}

/* The queue knows until the build begins; how that ends stands at the build's own URL. */
void jenkins_phase(int status, struct json_object *doc, struct kind_phase *out)
{
    if (!phase_is_told(status, doc, out)) {
        return;
    }
    struct json_object *cancelled = json_at(doc, "/cancelled");
    int64_t number = json_number_or(doc, "/executable/number", -1);
    if (cancelled != NULL && json_object_get_boolean(cancelled)) {
        out->phase = PHASE_CANCELLED;
    } else if (number >= 0) {
        out->phase = PHASE_RUNNING;
        snprintf(out->text, sizeof(out->text), "began as build %lld", (long long)number);
    } else {
        static const struct phase_of none[] = {{NULL, PHASE_UNKNOWN}};
        phase_read(out, none, NULL, json_text_or(doc, "/why", "in the queue"));
        out->phase = PHASE_PENDING;
    }
}
