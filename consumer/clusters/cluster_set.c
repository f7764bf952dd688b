/* Design. A link is a cluster of the configuration; who uses its kube counts in it, and
 * it is closed when it is no longer configured and nobody uses it. The list is guarded by
 * `mu`, a leaf. Changes of the list (a reload, or a link that can be opened at last) are
 * made one at a time under `change`, which is held while files are read and is taken by
 * nobody who asks something.
 *
 * Lock order: change, then mu. */
#include "cluster_set.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/now.h"
#include "cluster_metrics.h"

enum { DOUBT_AGAIN_MS = 5000 };

struct link {
    struct config_cluster is; /* its texts are owned; read-only */
    struct stat file;         /* of the kubeconfig when it was opened; owned by change */
    /* guarded by mu */
    struct kube *kube; /* NULL: virtual, or why not */
    char why[CLUSTER_WHY_MAX];
    int users;
    bool gone; /* no longer configured */
    struct link *next;
};

struct cluster_set {
    struct cluster_metrics *metrics; /* NULL: none */
    bool watched;
    _Atomic int64_t took_ms; /* the last sweep */
    pthread_mutex_t change;
    /* guarded by change */
    struct http *http; /* NULL: not started */
    int64_t every_ms;
    int64_t timeout_ms;
    size_t width;
    pthread_mutex_t mu;
    /* guarded by mu */
    struct link *links; /* in the configuration's order, then those that are gone */
    struct clusters *clusters; /* NULL: not started; set once */
};

/* --- links --- */

static void link_free(struct link *link)
{
    kube_close(link->kube);
    free(link->is.name);
    free(link->is.kubeconfig);
    free(link->is.context);
    free(link);
}

static bool same_text(const char *a, const char *b)
{
    return a != NULL && b != NULL ? strcmp(a, b) == 0 : a == b;
}

static void look_at_file(const char *path, struct stat *file)
{
    memset(file, 0, sizeof *file);
    if (path != NULL && stat(path, file) != 0) {
        memset(file, 0, sizeof *file);
    }
}

/* Is it still what the configuration says, and its file the one that was read? */
static bool is_same(const struct link *link, const struct config_cluster *is)
{
    struct stat file;
    look_at_file(is->kubeconfig, &file);
    return same_text(link->is.kubeconfig, is->kubeconfig) &&
           same_text(link->is.context, is->context) &&
           link->is.in_cluster == is->in_cluster &&
           link->is.is_virtual == is->is_virtual &&
           link->is.rate_per_s == is->rate_per_s && link->is.burst == is->burst &&
           link->is.concurrency == is->concurrency && file.st_ino == link->file.st_ino &&
           file.st_size == link->file.st_size &&
           file.st_mtim.tv_sec == link->file.st_mtim.tv_sec &&
           file.st_mtim.tv_nsec == link->file.st_mtim.tv_nsec;
}

static struct kube *open_kube(struct cluster_set *set, const struct config_cluster *is,
                              struct err *err)
{
    const struct kube_options options = {.name = is->name,
                                         .kubeconfig = is->kubeconfig,
                                         .context = is->context,
                                         .in_cluster = is->in_cluster,
                                         .rate_per_s = is->rate_per_s,
                                         .burst = is->burst,
                                         .concurrency = is->concurrency};
    if (set->http == NULL) {
        err_set(err, -EIO, "cluster %s: there is no loop to call it from", is->name);
        return NULL;
    }
    return kube_open(set->http, &options, err);
}

static struct link *link_new(struct cluster_set *set, const struct config_cluster *is)
{
    struct err err = ERR_INIT;
    struct link *link = mem_zalloc(sizeof *link);
    link->is = *is;
    link->is.name = mem_strdup(is->name);
    link->is.kubeconfig = mem_strdup(is->kubeconfig);
    link->is.context = mem_strdup(is->context);
    look_at_file(is->kubeconfig, &link->file);
    if (is->is_virtual) {
        return link;
    }
    link->kube = open_kube(set, is, &err);
    if (link->kube == NULL) {
        snprintf(link->why, sizeof link->why, "%.*s", CLUSTER_WHY_MAX - 1, err.text);
        LOG(LOG_WARN, "a cluster cannot be asked", LS("cluster", is->name),
            LS("why", err.text), LEND);
    }
    return link;
}

static struct link *find_locked(struct cluster_set *set, const char *name)
{
    for (struct link *link = set->links; link != NULL; link = link->next) {
        if (!link->gone && strcmp(link->is.name, name) == 0) {
            return link;
        }
    }
    return NULL;
}

/* Take out those that are gone and unused; returns them in a list. */
static struct link *sort_out_locked(struct cluster_set *set)
{
    struct link *dead = NULL;
    struct link **at = &set->links;
    while (*at != NULL) {
        struct link *link = *at;
        if (link->gone && link->users == 0) {
            *at = link->next;
            link->next = dead;
            dead = link;
        } else {
            at = &link->next;
        }
    }
    return dead;
}

static void free_all(struct link *links)
{
    while (links != NULL) {
        struct link *next = links->next;
        link_free(links);
        links = next;
    }
}

/* --- borrowed --- */

struct kube *cluster_set_take(struct cluster_set *set, const char *name, struct err *err)
{
    struct kube *kube = NULL;
    char why[CLUSTER_WHY_MAX] = "";
    MUST(pthread_mutex_lock(&set->mu));
    struct link *link = find_locked(set, name);
    if (link != NULL && link->kube != NULL) {
        link->users++;
        kube = link->kube;
    } else if (link != NULL) {
        snprintf(why, sizeof why, "%s",
                 link->is.is_virtual ? "it is virtual" : link->why);
    }
    MUST(pthread_mutex_unlock(&set->mu));
    if (kube == NULL && text_starts(why, "cluster ")) {
        err_set(err, -EINVAL, "%s", why); /* of kube_open, which names it */
    } else if (kube == NULL) {
        err_set(err, -EINVAL, "cluster %.80s cannot be asked: %s", name,
                why[0] != '\0' ? why : "it is not configured here (yet, or any more)");
    }
    return kube;
}

void cluster_set_give(struct cluster_set *set, struct kube *kube)
{
    MUST(pthread_mutex_lock(&set->mu));
    struct link *link = set->links;
    while (link->kube != kube) {
        link = link->next;
    }
    link->users--;
    struct link *dead = sort_out_locked(set);
    MUST(pthread_mutex_unlock(&set->mu));
    free_all(dead);
}

/* --- watched --- */

/* Borrows each kube for the watch. probes: out, of the caller's room. */
static size_t lend_all_locked(struct cluster_set *set, struct cluster_probe *probes)
{
    size_t n = 0;
    for (struct link *link = set->links; link != NULL; link = link->next) {
        if (link->gone) {
            continue;
        }
        link->users += link->kube != NULL;
        probes[n++] =
            (struct cluster_probe){.name = link->is.name,
                                   .kube = link->kube,
                                   .why = link->kube == NULL && !link->is.is_virtual
                                              ? link->why
                                              : NULL};
    }
    return n;
}

/* With `change` held: nobody else takes links away, so names stay where they are. */
static void watch(struct cluster_set *set)
{
    struct cluster_probe probes[CONFIG_CLUSTERS_MAX];
    MUST(pthread_mutex_lock(&set->mu));
    struct clusters *clusters = set->clusters;
    size_t n = clusters != NULL ? lend_all_locked(set, probes) : 0;
    MUST(pthread_mutex_unlock(&set->mu));
    if (clusters != NULL) {
        clusters_set(clusters, probes, n, set->every_ms, set->timeout_ms, set->width);
    }
}

static void on_changed(void *arg, const struct cluster_view *before,
                       const struct cluster_view *now)
{
    (void)arg;
    LOG(cluster_state_is_good(now->state) ? LOG_INFO : LOG_WARN, "cluster",
        LS("cluster", now->name), LS("state", cluster_state_word(now->state)),
        LS("before", cluster_state_word(before->state)), LS("why", now->why), LEND);
}

/* Those that could not be opened; they stay while `change` is held. */
static size_t find_closed(struct cluster_set *set, struct link **closed)
{
    size_t n = 0;
    MUST(pthread_mutex_lock(&set->mu));
    for (struct link *link = set->links; link != NULL; link = link->next) {
        if (!link->gone && !link->is.is_virtual && link->kube == NULL) {
            closed[n++] = link;
        }
    }
    MUST(pthread_mutex_unlock(&set->mu));
    return n;
}

/* Is it better now? */
static bool open_again(struct cluster_set *set)
{
    struct link *closed[CONFIG_CLUSTERS_MAX];
    bool any = false;
    size_t n = find_closed(set, closed);
    for (size_t i = 0; i < n; i++) {
        struct err err = ERR_INIT;
        look_at_file(closed[i]->is.kubeconfig, &closed[i]->file);
        struct kube *kube = open_kube(set, &closed[i]->is, &err);
        MUST(pthread_mutex_lock(&set->mu));
        closed[i]->kube = kube;
        snprintf(closed[i]->why, sizeof closed[i]->why, "%.*s", CLUSTER_WHY_MAX - 1,
                 err.text);
        MUST(pthread_mutex_unlock(&set->mu));
        any = any || kube != NULL;
    }
    return any;
}

static void on_swept(void *arg, int64_t took_ms)
{
    struct cluster_set *set = arg;
    atomic_store(&set->took_ms, took_ms);
    /* who changes the list now has it looked at again in any case */
    if (pthread_mutex_trylock(&set->change) == 0) {
        if (open_again(set)) {
            watch(set);
        }
        MUST(pthread_mutex_unlock(&set->change));
    }
}

static void on_released(void *arg, struct kube *kube)
{
    cluster_set_give(arg, kube);
}

/* --- the list --- */

static void start(struct cluster_set *set, const struct config *config)
{
    struct err err = ERR_INIT;
    const struct http_options options = {.in_flight = CLUSTER_SET_CALLS,
                                         .ca_file = config->ca_file,
                                         .user_agent = "sluice/" SLUICE_VERSION};
    set->http = http_start(&options, &err);
    if (set->http == NULL) {
        LOG(LOG_ERROR, "no cluster can be asked", LS("why", err.text), LEND);
    }
    if (!set->watched || set->clusters != NULL) {
        return;
    }
    const struct clusters_options watching = {.changed = on_changed,
                                              .swept = on_swept,
                                              .released = on_released,
                                              .arg = set};
    struct clusters *clusters = clusters_start(&watching);
    MUST(pthread_mutex_lock(&set->mu));
    set->clusters = clusters;
    MUST(pthread_mutex_unlock(&set->mu));
}

/* The link of this cluster: the one there is when nothing has changed, else a new one, as
 * for one that could not be opened: what it lacked may be there now. */
static struct link *link_for(struct cluster_set *set, const struct config_cluster *is)
{
    MUST(pthread_mutex_lock(&set->mu));
    struct link *link = find_locked(set, is->name);
    bool open = link != NULL && (link->kube != NULL || link->is.is_virtual);
    MUST(pthread_mutex_unlock(&set->mu));
    return open && is_same(link, is) ? link : link_new(set, is);
}

static bool is_in(const struct link *link, struct link *const *links, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (links[i] == link) {
            return true;
        }
    }
    return false;
}

/* These in their order, then those that are gone. */
static void put_locked(struct cluster_set *set, struct link *const *links, size_t n)
{
    struct link *gone = NULL;
    while (set->links != NULL) {
        struct link *link = set->links;
        set->links = link->next;
        if (!is_in(link, links, n)) {
            link->gone = true;
            link->next = gone;
            gone = link;
        }
    }
    struct link **last = &set->links;
    for (size_t i = 0; i < n; i++) {
        *last = links[i];
        last = &links[i]->next;
    }
    *last = gone;
}

void cluster_set_config(struct cluster_set *set, const struct config *config)
{
    struct link *links[CONFIG_CLUSTERS_MAX];
    size_t n = config->cluster_count;
    MUST(pthread_mutex_lock(&set->change));
    if (set->http == NULL && n > 0) {
        start(set, config);
    }
    set->every_ms = config->cluster_check.every_ms;
    set->timeout_ms = config->cluster_check.timeout_ms;
    set->width = (size_t)config->cluster_check.width;
    for (size_t i = 0; i < n; i++) {
        links[i] = link_for(set, &config->clusters[i]);
    }
    MUST(pthread_mutex_lock(&set->mu));
    put_locked(set, links, n);
    struct link *dead = sort_out_locked(set);
    MUST(pthread_mutex_unlock(&set->mu));
    free_all(dead);
    watch(set);
    MUST(pthread_mutex_unlock(&set->change));
}

struct cluster_set *cluster_set_new(struct metrics *metrics, bool watched)
{
    struct cluster_set *set = mem_zalloc(sizeof *set);
    set->watched = watched;
    MUST(pthread_mutex_init(&set->change, NULL));
    MUST(pthread_mutex_init(&set->mu, NULL));
    if (metrics != NULL) {
        set->metrics = cluster_metrics_new(metrics, set);
    }
    return set;
}

void cluster_set_free(struct cluster_set *set)
{
    if (set == NULL) {
        return;
    }
    cluster_metrics_free(set->metrics);
    clusters_stop(set->clusters);
    for (struct link *link = set->links; link != NULL; link = link->next) {
        ASSERT(link->users == 0);
    }
    free_all(set->links);
    http_stop(set->http);
    MUST(pthread_mutex_destroy(&set->mu));
    MUST(pthread_mutex_destroy(&set->change));
    free(set);
}

/* --- what is known --- */

static struct clusters *clusters_of(struct cluster_set *set)
{
    MUST(pthread_mutex_lock(&set->mu));
    struct clusters *clusters = set->clusters;
    MUST(pthread_mutex_unlock(&set->mu));
    return clusters;
}

bool cluster_set_find(struct cluster_set *set, const char *name,
                      struct cluster_view *view)
{
    struct clusters *clusters = clusters_of(set);
    return clusters != NULL && clusters_find(clusters, name, view);
}

size_t cluster_set_read(struct cluster_set *set, struct cluster_view **views)
{
    struct clusters *clusters = clusters_of(set);
    *views = NULL;
    return clusters != NULL ? clusters_read(clusters, views) : 0;
}

int64_t cluster_set_swept_wall_ms(struct cluster_set *set)
{
    struct clusters *clusters = clusters_of(set);
    return clusters != NULL ? clusters_swept_wall_ms(clusters) : 0;
}

int64_t cluster_set_took_ms(const struct cluster_set *set)
{
    return atomic_load(&set->took_ms);
}

void cluster_set_doubt(struct cluster_set *set, const char *name)
{
    struct cluster_view view;
    struct clusters *clusters = clusters_of(set);
    if (clusters != NULL && clusters_find(clusters, name, &view) &&
        view.checked_wall_ms + DOUBT_AGAIN_MS < now_wall_ms()) {
        clusters_look(clusters);
    }
}

bool cluster_state_is_good(enum cluster_state state)
{
    return state == CLUSTER_CONNECTED || state == CLUSTER_VIRTUAL;
}

static void add_json(struct json_object *list, const struct cluster_view *views, size_t n,
                     bool good)
{
    for (size_t i = 0; i < n; i++) {
        if (cluster_state_is_good(views[i].state) == good &&
            json_object_array_length(list) < CLUSTER_SET_SHOWN_MAX) {
            json_object_array_add(list, cluster_view_json(&views[i]));
        }
    }
}

struct json_object *cluster_set_json(void *arg)
{
    struct cluster_view *views;
    size_t n = cluster_set_read(arg, &views);
    struct json_object *list = n > 0 ? json_object_new_array() : NULL;
    if (n > 0) {
        add_json(list, views, n, false);
        add_json(list, views, n, true);
    }
    free(views);
    return list;
}

/* --- once --- */

static void seen(void *arg, size_t i, const struct cluster_view *view)
{
    struct cluster_view *views = arg;
    char name[sizeof view->name];
    memcpy(name, views[i].name, sizeof name);
    views[i] = *view;
    memcpy(views[i].name, name, sizeof name);
}

size_t cluster_set_sweep(struct cluster_set *set, struct ctx *ctx, int64_t timeout_ms,
                         struct cluster_view **views)
{
    struct cluster_probe probes[CONFIG_CLUSTERS_MAX];
    MUST(pthread_mutex_lock(&set->change));
    MUST(pthread_mutex_lock(&set->mu));
    size_t n = lend_all_locked(set, probes);
    MUST(pthread_mutex_unlock(&set->mu));
    *views = mem_array(n + 1, sizeof **views);
    for (size_t i = 0; i < n; i++) {
        snprintf((*views)[i].name, sizeof(*views)[i].name, "%s", probes[i].name);
    }
    int rc = cluster_sweep(ctx, probes, n, timeout_ms, set->width, seen, *views);
    for (size_t i = 0; i < n; i++) {
        if (rc != 0 && (*views)[i].checked_wall_ms == 0) {
            snprintf((*views)[i].why, sizeof(*views)[i].why, "not asked in time");
        }
        if (probes[i].kube != NULL) {
            cluster_set_give(set, probes[i].kube);
        }
    }
    MUST(pthread_mutex_unlock(&set->change));
    return n;
}
