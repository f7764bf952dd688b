/* Reading secrets: only here does a secret's value enter the process. */
#include "fleet/config_private.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"

enum { SECRET_BYTES_MAX = 64 * 1024 };

static int fault(const char *what, const char *path, int why, struct err *err)
{
    if (why == EACCES || why == EPERM) {
        return err_set(
            err, -EACCES,
            "%s: file %s cannot be read: %s (this process runs as uid %ld; make "
            "the file readable for it)",
            what, path, strerror(why), (long)geteuid());
    }
    return err_set(err, -ENOENT,
                   "%s: file %s cannot be read: %s (mount it, or name another one)", what,
                   path, strerror(why));
}

/* Read up to size bytes. Returns the number, or a negative errno. */
static ssize_t read_all(const char *path, char *bytes, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    size_t len = 0;
    ssize_t n = 1;
    if (fd < 0) {
        return -errno;
    }
    while (len < size && n != 0) {
        n = read(fd, bytes + len, size - len);
        if (n < 0 && errno != EINTR) {
            break;
        }
        len += n > 0 ? (size_t)n : 0;
    }
    ssize_t rc = n < 0 ? -errno : (ssize_t)len;
    (void)close(fd);
    return rc;
}

/* One newline at the end goes; nothing else is touched. value: returns owned. */
static int keep(const char *what, const char *source, char *bytes, size_t len,
                char **value, struct err *err)
{
    if (len > 0 && bytes[len - 1] == '\n') {
        len--;
        len -= len > 0 && bytes[len - 1] == '\r';
    }
    if (len == 0) {
        return err_set(err, -ENOENT, "%s: %s is empty", what, source);
    }
    if (memchr(bytes, '\0', len) != NULL) {
        return err_set(err, -ENOENT, "%s: %s holds a zero byte; expected a text", what,
                       source);
    }
    free(*value);
    *value = mem_strndup(bytes, len);
    return 0;
}

static int read_secret_file(const char *what, const char *path, char **value,
                            struct err *err)
{
    char *bytes = mem_alloc(SECRET_BYTES_MAX + 1);
    ssize_t n = read_all(path, bytes, SECRET_BYTES_MAX + 1);
    int rc;
    if (n < 0) {
        rc = fault(what, path, (int)-n, err);
    } else if (n > SECRET_BYTES_MAX) {
        rc = err_set(err, -ENOENT, "%s: file %s is larger than 64 KiB", what, path);
    } else {
        char source[256];
        snprintf(source, sizeof source, "file %.200s", path);
        rc = keep(what, source, bytes, (size_t)n, value, err);
    }
    mem_wipe(bytes, SECRET_BYTES_MAX + 1);
    free(bytes);
    return rc;
}

static int read_variable(const char *what, const char *name, char *const *environment,
                         char **value, struct err *err)
{
    size_t len = strlen(name);
    for (; environment != NULL && *environment != NULL; environment++) {
        if (strncmp(*environment, name, len) == 0 && (*environment)[len] == '=') {
            char source[256];
            char *copy = mem_strdup(*environment + len + 1);
            snprintf(source, sizeof source, "environment variable %.200s", name);
            int rc = keep(what, source, copy, strlen(copy), value, err);
            mem_wipe(copy, strlen(copy));
            free(copy);
            return rc;
        }
    }
    return err_set(err, -ENOENT, "%s: environment variable %s is not set", what, name);
}

bool config_secret_reference(const char *text, char name[OPTION_NAME_MAX])
{
    size_t front = strlen("${secret.");
    size_t len = strlen(text);
    if (!text_starts(text, "${secret.") || len < front + 2 || text[len - 1] != '}' ||
        len - front - 1 >= OPTION_NAME_MAX || strchr(text + front, '$') != NULL) {
        return false;
    }
    memcpy(name, text + front, len - front - 1);
    name[len - front - 1] = '\0';
    return true;
}

/* Kafka properties that are "${secret.NAME}" become the secret. */
static void fill_properties(struct config *config)
{
    for (size_t i = 0; i < config->kafka.property_count; i++) {
        char name[OPTION_NAME_MAX];
        struct kafka_property *property = &config->kafka.properties[i];
        if (config_secret_reference(property->value, name)) {
            const char *value = config_secret_get(config, name);
            ASSERT(value != NULL); /* config_check saw to it */
            free((char *)property->value);
            property->value = mem_strdup(value);
        }
    }
}

static int load_secret(struct config_secret *secret, char *const *environment,
                       struct err *err)
{
    char what[OPTION_NAME_MAX + 16];
    snprintf(what, sizeof what, "secret %s", secret->name);
    return secret->file != NULL
               ? read_secret_file(what, secret->file, &secret->value, err)
               : read_variable(what, secret->env, environment, &secret->value, err);
}

static int load_redis_password(struct config *config, struct err *err)
{
    return config->redis.password_file == NULL
               ? 0
               : read_secret_file("redis.password_file", config->redis.password_file,
                                  &config->redis.password, err);
}

int config_load_secrets(struct config *config, char *const *environment, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < config->secret_count; i++) {
        int one = load_secret(&config->secrets[i], environment, rc ? NULL : err);
        rc = rc ? rc : one;
    }
    rc = rc ? rc : load_redis_password(config, err);
    rc = rc ? rc : config_check_tokens(config, err);
    if (rc == 0) {
        fill_properties(config);
    }
    return rc;
}

int config_load_tokens(struct config *config, char *const *environment, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < config->access.token_count && rc == 0; i++) {
        struct config_secret *secret =
            config_secret_find(config, config->access.tokens[i].secret);
        ASSERT(secret != NULL); /* config_build_access saw to it */
        rc = load_secret(secret, environment, err);
    }
    return rc ? rc : config_check_tokens(config, err);
}

int config_load_kafka_access(struct config *config, char *const *environment,
                             struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < config->kafka.property_count && rc == 0; i++) {
        char name[OPTION_NAME_MAX];
        if (config_secret_reference(config->kafka.properties[i].value, name)) {
            struct config_secret *secret = config_secret_find(config, name);
            ASSERT(secret != NULL); /* config_check saw to it */
            rc = load_secret(secret, environment, err);
        }
    }
    if (rc == 0) {
        fill_properties(config);
    }
    return rc;
}

int config_load_access(struct config *config, char *const *environment, struct err *err)
{
    int rc = config_load_kafka_access(config, environment, err);
    return rc ? rc : load_redis_password(config, err);
}

int config_try_secrets(const struct config *config, char *const *environment,
                       struct err *err)
{
    int rc = 0;
    for (size_t i = 0; i < config->secret_count && rc == 0; i++) {
        struct config_secret tried = config->secrets[i];
        tried.value = NULL;
        rc = load_secret(&tried, environment, err);
        rc = rc ? rc : config_check_token(config, &tried, err);
        if (tried.value != NULL) {
            mem_wipe(tried.value, strlen(tried.value));
            free(tried.value);
        }
    }
    return rc;
}

const char *config_secret_get(void *config, const char *name)
{
    const struct config_secret *secret = config_secret_find(config, name);
    return secret == NULL ? NULL : secret->value;
}
