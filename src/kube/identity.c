#include "kube/identity.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "kube/credential.h"
#include "wire/crypto.h"

/* In the order of the stamps. */
enum { FILE_CA, FILE_CERT, FILE_KEY, FILE_TOKEN };

static struct kube_material *material(struct kube_access *access, int i)
{
    struct kube_material *all[] = {&access->ca, &access->cert, &access->key,
                                   &access->token};
    return all[i];
}

static struct http_tls tls_of(const struct kube_access *access)
{
    return (struct http_tls){.ca_pem = access->ca.bytes,
                             .cert_pem = access->cert.bytes,
                             .key_pem = access->key.bytes,
                             .server_name = access->server_name,
                             .insecure = access->insecure};
}

int identity_open(struct identity *identity, struct http *http,
                  const struct kube_options *options, struct err *err)
{
    struct kube_access_options how = {.kubeconfig = options->kubeconfig,
                                      .context = options->context,
                                      .in_cluster = options->in_cluster,
                                      .root = options->root,
                                      .environment = options->environment};
    memset(identity, 0, sizeof *identity);
    int rc = kube_access_read(&how, &identity->access, err);
    if (rc != 0) {
        return rc;
    }
    struct http_tls tls = tls_of(&identity->access);
    identity->name = options->name;
    identity->pool =
        http_pool_open(http,
                       &(struct http_pool_options){.name = options->name,
                                                   .max_running = options->concurrency,
                                                   .tls = &tls},
                       err);
    if (identity->pool == NULL) {
        kube_access_release(&identity->access);
        return err->code;
    }
    for (int i = 0; i < IDENTITY_FILES; i++) {
        identity->has_files |= material(&identity->access, i)->file != NULL;
    }
    MUST(pthread_mutex_init(&identity->mu, NULL));
    return 0;
}

void identity_close(struct identity *identity)
{
    http_pool_free(identity->pool);
    kube_access_release(&identity->access);
    MUST(pthread_mutex_destroy(&identity->mu));
}

/* --- a look --- */

static bool same_stamp(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
           a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
           a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

/* Is the file another one than last time? now: out. A file that is gone is no change. */
static bool has_changed(const struct identity *identity, const char *file, int i,
                        struct stat *now)
{
    return file != NULL && stat(file, now) == 0 && !same_stamp(now, &identity->stamps[i]);
}

static void log_kept(const struct identity *identity, const struct err *err)
{
    LOG(LOG_WARN, "cluster credential not renewed", LS("cluster", identity->name),
        LS("why", err->text), LEND);
}

/* Put the new bytes in the old one's place. */
static void swap(struct identity *identity, int i, char *bytes)
{
    MUST(pthread_mutex_lock(&identity->mu));
    struct kube_material *m = material(&identity->access, i);
    char *old = m->bytes;
    m->bytes = bytes;
    identity->generation++;
    MUST(pthread_mutex_unlock(&identity->mu));
    kube_wipe(old);
}

static void look_at_token(struct identity *identity)
{
    const char *file = identity->access.token.file;
    struct stat now;
    struct err err = ERR_INIT;
    if (!has_changed(identity, file, FILE_TOKEN, &now)) {
        return;
    }
    char *token = kube_token_read(file, &err);
    if (token == NULL) {
        log_kept(identity, &err);
        return;
    }
    identity->stamps[FILE_TOKEN] = now;
    if (strcmp(token, identity->access.token.bytes) == 0) {
        kube_wipe(token);
    } else {
        swap(identity, FILE_TOKEN, token);
    }
}

/* The files of certificates that are other files than last time. */
struct fresh {
    bool changed[FILE_TOKEN];
    struct stat stamps[FILE_TOKEN];
    char *bytes[FILE_TOKEN]; /* owned; NULL: what we have */
};

/* Returns 0, or what reading one of them failed with. */
static int read_fresh(const struct identity *identity, struct fresh *fresh,
                      struct err *err)
{
    for (int i = FILE_CA; i < FILE_TOKEN; i++) {
        struct kube_access access = identity->access;
        const struct kube_material *m = material(&access, i);
        fresh->changed[i] = has_changed(identity, m->file, i, &fresh->stamps[i]);
        if (!fresh->changed[i]) {
            continue;
        }
        char *bytes = kube_file_read(m->file, KUBE_FILE_MAX, err);
        if (bytes == NULL) {
            return err->code;
        }
        if (strcmp(bytes, m->bytes) == 0) {
            kube_wipe(bytes);
        } else {
            fresh->bytes[i] = bytes;
        }
    }
    return 0;
}

/* Certificate and key change one after the other: until they fit each other nothing is
 * taken over, and the next look tries again. */
static void look_at_certificates(struct identity *identity)
{
    struct fresh fresh = {.changed = {false}};
    struct kube_access access = identity->access; /* whose texts we alone change */
    struct err err = ERR_INIT;
    bool any = false;
    int rc = read_fresh(identity, &fresh, &err);
    for (int i = FILE_CA; i < FILE_TOKEN; i++) {
        struct kube_material *m = material(&access, i);
        any = any || fresh.bytes[i] != NULL;
        m->bytes = fresh.bytes[i] != NULL ? fresh.bytes[i] : m->bytes;
    }
    if (rc == 0 && any) {
        struct http_tls tls = tls_of(&access);
        rc = http_pool_renew(identity->pool, &tls, &err);
    }
    for (int i = FILE_CA; i < FILE_TOKEN; i++) {
        if (rc != 0) {
            kube_wipe(fresh.bytes[i]);
            continue;
        }
        if (fresh.bytes[i] != NULL) {
            swap(identity, i, fresh.bytes[i]);
        }
        if (fresh.changed[i]) {
            identity->stamps[i] = fresh.stamps[i];
        }
    }
    if (rc != 0) {
        log_kept(identity, &err);
    }
}

bool identity_look(struct identity *identity, bool at_once, uint64_t generation)
{
    if (!identity->has_files) {
        return false;
    }
    int64_t now = now_ms();
    MUST(pthread_mutex_lock(&identity->mu));
    bool busy = identity->looking;
    bool due = !busy && (at_once || now - identity->looked_ms >= IDENTITY_LOOK_MS);
    if (due) {
        identity->looking = true;
        identity->looked_ms = now;
    }
    MUST(pthread_mutex_unlock(&identity->mu));
    if (due) {
        look_at_token(identity);
        look_at_certificates(identity);
    }
    MUST(pthread_mutex_lock(&identity->mu));
    if (due) {
        identity->looking = false;
    }
    bool changed = identity->generation != generation;
    MUST(pthread_mutex_unlock(&identity->mu));
    return changed || busy;
}

uint64_t identity_authorization(struct identity *identity, struct str *value)
{
    MUST(pthread_mutex_lock(&identity->mu));
    uint64_t generation = identity->generation;
    const struct kube_access *access = &identity->access;
    if (access->token.bytes != NULL) {
        str_reserve(value, strlen("Bearer ") + strlen(access->token.bytes) + 1);
        str_addf(value, "Bearer %s", access->token.bytes);
    } else if (access->basic != NULL) {
        size_t len = strlen(access->basic);
        size_t room = 4 * ((len + 2) / 3) + 1;
        char *encoded = mem_zalloc(room);
        crypto_base64(access->basic, len, encoded);
        str_reserve(value, strlen("Basic ") + room);
        str_addf(value, "Basic %s", encoded);
        kube_wipe(encoded);
    }
    MUST(pthread_mutex_unlock(&identity->mu));
    return generation;
}
