#include "ops/place.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/now.h"
#include "fleet/fleet.h"
#include "wire/kafka_producer.h"

enum { REDIS_LAST_MS = 500, SENDER_LAST_MS = 2000 };

/* The user as the system knows it: an environment may say anything. */
static void say_who(char *who, size_t len)
{
    char host[64] = "";
    char text[1024];
    struct passwd entry;
    struct passwd *found = NULL;
    gethostname(host, sizeof host - 1);
    getpwuid_r(getuid(), &entry, text, sizeof text, &found);
    if (found) {
        snprintf(who, len, "%s@%s", found->pw_name, host);
    } else {
        snprintf(who, len, "uid-%u@%s", (unsigned)getuid(), host);
    }
}

int ops_place_open(struct ops_place *place, const struct config *config, struct err *err)
{
    struct redis_options options = fleet_redis_options(config);
    *place = (struct ops_place){.config = config};
    say_who(place->who, sizeof place->who);
    place->redis = redis_start(&options, err);
    return place->redis ? 0 : -EINVAL;
}

void ops_place_close(struct ops_place *place)
{
    redis_stop(place->redis, now_ms() + REDIS_LAST_MS);
    if (place->sender) {
        kafka_producer_stop(place->sender, now_ms() + SENDER_LAST_MS);
    }
    kafka_admin_close(place->admin);
}

int ops_place_kafka(struct ops_place *place, struct err *err)
{
    const struct config *c = place->config;
    if (!place->admin) {
        place->admin = kafka_admin_open(c->kafka.brokers, c->kafka.properties,
                                        c->kafka.property_count, err);
    }
    return place->admin ? 0 : -EINVAL;
}

int ops_place_sender(struct ops_place *place, struct err *err)
{
    const struct config *c = place->config;
    struct kafka_producer_options options = {.brokers = c->kafka.brokers,
                                             .client_id = c->kafka.client_id,
                                             .properties = c->kafka.properties,
                                             .property_count = c->kafka.property_count};
    if (!place->sender) {
        place->sender = kafka_producer_start(&options, err);
    }
    return place->sender ? 0 : -EINVAL;
}
