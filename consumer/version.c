/* version: ours, and what we stand on. */
#include "commands.h"

#include "wire/crypto.h"
#include "wire/http.h"
#include "wire/httpd.h"
#include "wire/json.h"
#include "wire/kafka.h"
#include "wire/redis.h"
#include "wire/yaml.h"

#ifndef SLUICE_REVISION
#define SLUICE_REVISION "unknown"
#endif

const char *version_revision(void)
{
    return SLUICE_REVISION;
}

int version_run(const struct command_line *line)
{
    const struct {
        const char *name;
        const char *version;
    } parts[] = {
        {"librdkafka", kafka_library_version()},    {"hiredis", redis_library_version()},
        {"json-c", json_library_version()},         {"libcurl", http_library_version()},
        {"libmicrohttpd", httpd_library_version()}, {"libyaml", yaml_library_version()},
        {"libcrypto", crypto_library_version()},
    };
    char features[256];
    size_t n = sizeof parts / sizeof parts[0];
    kafka_library_features(features, sizeof features);
    if (!flag_is_set(line, "json")) {
        printf("sluice-consumer %s (revision %s)\n", SLUICE_VERSION, SLUICE_REVISION);
        for (size_t i = 0; i < n; i++) {
            printf("%-14s %s\n", parts[i].name, parts[i].version);
        }
        printf("Kafka can      %s\nTLS of calls   %s\n", features, http_library_tls());
        return 0;
    }
    struct json_object *root = json_object_new_object();
    struct json_object *libraries = json_object_new_object();
    json_object_object_add(root, "version", json_object_new_string(SLUICE_VERSION));
    json_object_object_add(root, "revision", json_object_new_string(SLUICE_REVISION));
    for (size_t i = 0; i < n; i++) {
        json_object_object_add(libraries, parts[i].name,
                               json_object_new_string(parts[i].version));
    }
    json_object_object_add(root, "libraries", libraries);
    json_object_object_add(root, "kafka_features", json_object_new_string(features));
    json_object_object_add(root, "tls", json_object_new_string(http_library_tls()));
    command_print_json(root);
    json_free(root);
    return 0;
}
