#include "wire/kafka_groups.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/now.h"
#include "wire/kafka_admin_client.h"

/* --- an admin request --- */

/* Wait for the answer to what was just asked. Returns owned, or NULL with a sentence. */
static rd_kafka_event_t *answer(struct kafka_admin *a, const char *what, int ms, int *rc,
                                struct err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(a->queue, ms + KAFKA_ADMIN_STEP_MS);
    rd_kafka_poll(a->rk, 0);
    if (!event) {
        *rc = err_set(err, -ETIMEDOUT, "%s: the broker did not answer", what);
        return NULL;
    }
    rd_kafka_resp_err_t code = rd_kafka_event_error(event);
    if (code) {
        *rc = err_set(err, a->refused ? -EACCES : kafka_errno(code), "%s: %s", what,
                      rd_kafka_event_error_string(event));
        rd_kafka_event_destroy(event);
        return NULL;
    }
    return event;
}

/* --- members --- */

static int read_group(const rd_kafka_event_t *event, struct kafka_members *group,
                      struct err *err)
{
    size_t n = 0;
    const rd_kafka_ConsumerGroupDescription_t **found =
        rd_kafka_DescribeConsumerGroups_result_groups(event, &n);
    if (n != 1) {
        return err_set(err, -EIO, "the broker gave no description");
    }
    const rd_kafka_error_t *error = rd_kafka_ConsumerGroupDescription_error(found[0]);
    if (error) {
        return err_set(err, kafka_errno(rd_kafka_error_code(error)), "%s",
                       rd_kafka_error_string(error));
    }
    snprintf(group->state, sizeof group->state, "%s",
             rd_kafka_consumer_group_state_name(
                 rd_kafka_ConsumerGroupDescription_state(found[0])));
    group->count = rd_kafka_ConsumerGroupDescription_member_count(found[0]);
    group->items = mem_array(group->count + 1, sizeof *group->items);
    for (size_t i = 0; i < group->count; i++) {
        const rd_kafka_MemberDescription_t *from =
            rd_kafka_ConsumerGroupDescription_member(found[0], i);
        const rd_kafka_topic_partition_list_t *has = rd_kafka_MemberAssignment_partitions(
            rd_kafka_MemberDescription_assignment(from));
        const char *host = rd_kafka_MemberDescription_host(from);
        struct kafka_member *to = &group->items[i];
        snprintf(to->client_id, sizeof to->client_id, "%s",
                 rd_kafka_MemberDescription_client_id(from));
        snprintf(to->host, sizeof to->host, "%s", host[0] == '/' ? host + 1 : host);
        to->partitions = has ? has->cnt : 0;
    }
    return 0;
}

int kafka_members_ask(struct kafka_admin *a, const char *name, int64_t until_ms,
                      struct kafka_members *group, struct err *err)
{
    *group = (struct kafka_members){0};
    if (!kafka_admin_has_controller(a, until_ms)) {
        return err_set(err, -EIO, "group %s: this broker tells no members", name);
    }
    int ms = kafka_admin_left_ms(until_ms, KAFKA_ADMIN_REQUEST_MS_MAX);
    rd_kafka_AdminOptions_t *options =
        kafka_admin_options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONSUMERGROUPS, ms);
    rd_kafka_DescribeConsumerGroups(a->rk, &name, 1, options, a->queue);
    int rc = 0;
    rd_kafka_event_t *event = answer(a, "describing the group", ms, &rc, err);
    if (event) {
        rc = read_group(event, group, err);
        if (rc) {
            err_wrap(err, "group %s", name);
        }
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AdminOptions_destroy(options);
    return rc;
}

void kafka_members_release(struct kafka_members *group)
{
    free(group->items);
    *group = (struct kafka_members){0};
}

/* --- a group's offsets --- */

/* The partitions of one group out of an answer. Returns borrowed or NULL. */
static const rd_kafka_topic_partition_list_t *partitions_of(
    const rd_kafka_group_result_t **groups, size_t n, const char *group, int *rc,
    struct err *err)
{
    if (n != 1) {
        *rc = err_set(err, -EIO, "group %s: the broker gave no result", group);
        return NULL;
    }
    const rd_kafka_error_t *error = rd_kafka_group_result_error(groups[0]);
    if (error) {
        *rc = err_set(err, kafka_errno(rd_kafka_error_code(error)), "group %s: %s", group,
                      rd_kafka_error_string(error));
        return NULL;
    }
    return rd_kafka_group_result_partitions(groups[0]);
}

static int read_offsets(const rd_kafka_topic_partition_list_t *list, int n,
                        int64_t *offsets, struct err *err)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        if (p->err) {
            return err_set(err, kafka_errno(p->err), "topic %s [%d]: %s", p->topic,
                           p->partition, rd_kafka_err2str(p->err));
        }
        if (p->partition >= 0 && p->partition < n) {
            offsets[p->partition] = p->offset >= 0 ? p->offset : KAFKA_NO_OFFSET;
        }
    }
    return 0;
}

/* Partitions 0 to n-1; offsets: NULL for none, KAFKA_NO_OFFSET leaves one out. */
static rd_kafka_topic_partition_list_t *list_of(const char *topic, int n,
                                                const int64_t *offsets)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++) {
        if (!offsets || offsets[i] != KAFKA_NO_OFFSET) {
            rd_kafka_topic_partition_t *p =
                rd_kafka_topic_partition_list_add(list, topic, i);
            p->offset = offsets ? offsets[i] : RD_KAFKA_OFFSET_INVALID;
        }
    }
    return list;
}

int kafka_group_offsets(struct kafka_admin *a, const char *group, const char *topic,
                        int n, int64_t until_ms, int64_t *offsets, struct err *err)
{
    for (int i = 0; i < n; i++) {
        offsets[i] = KAFKA_NO_OFFSET;
    }
    int ms = kafka_admin_left_ms(until_ms, KAFKA_ADMIN_REQUEST_MS_MAX);
    rd_kafka_AdminOptions_t *options =
        kafka_admin_options(a, RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS, ms);
    rd_kafka_topic_partition_list_t *list = list_of(topic, n, NULL);
    rd_kafka_ListConsumerGroupOffsets_t *ask =
        rd_kafka_ListConsumerGroupOffsets_new(group, list);
    rd_kafka_ListConsumerGroupOffsets(a->rk, &ask, 1, options, a->queue);
    int rc = 0;
    rd_kafka_event_t *event = answer(a, "the group's offsets", ms, &rc, err);
    if (event) {
        size_t count = 0;
        const rd_kafka_group_result_t **groups =
            rd_kafka_ListConsumerGroupOffsets_result_groups(event, &count);
        const rd_kafka_topic_partition_list_t *got =
            partitions_of(groups, count, group, &rc, err);
        rc = got ? read_offsets(got, n, offsets, err) : rc;
        rd_kafka_event_destroy(event);
    }
    rd_kafka_ListConsumerGroupOffsets_destroy(ask);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AdminOptions_destroy(options);
    return rc;
}

/* A group that has members again: the request succeeds, its partitions carry why not. */
static int read_moved(const rd_kafka_topic_partition_list_t *list, struct err *err)
{
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *p = &list->elems[i];
        if (p->err == RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID ||
            p->err == RD_KAFKA_RESP_ERR_NON_EMPTY_GROUP ||
            p->err == RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS) {
            return err_set(err, -EPIPE, "the group has members");
        }
        if (p->err) {
            return err_set(err, kafka_errno(p->err), "topic %s [%d]: %s", p->topic,
                           p->partition, rd_kafka_err2str(p->err));
        }
    }
    return 0;
}

int kafka_group_move(struct kafka_admin *a, const char *group, const char *topic, int n,
                     const int64_t *offsets, int64_t until_ms, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = list_of(topic, n, offsets);
    if (list->cnt == 0) {
        rd_kafka_topic_partition_list_destroy(list);
        return 0;
    }
    if (!kafka_admin_has_controller(a, until_ms)) {
        rd_kafka_topic_partition_list_destroy(list);
        return err_set(err, -EIO, "group %s: this broker moves no groups", group);
    }
    int ms = kafka_admin_left_ms(until_ms, KAFKA_ADMIN_REQUEST_MS_MAX);
    rd_kafka_AdminOptions_t *options =
        kafka_admin_options(a, RD_KAFKA_ADMIN_OP_ALTERCONSUMERGROUPOFFSETS, ms);
    rd_kafka_AlterConsumerGroupOffsets_t *ask =
        rd_kafka_AlterConsumerGroupOffsets_new(group, list);
    rd_kafka_AlterConsumerGroupOffsets(a->rk, &ask, 1, options, a->queue);
    int rc = 0;
    rd_kafka_event_t *event = answer(a, "moving the group", ms, &rc, err);
    if (event) {
        size_t count = 0;
        const rd_kafka_group_result_t **groups =
            rd_kafka_AlterConsumerGroupOffsets_result_groups(event, &count);
        const rd_kafka_topic_partition_list_t *got =
            partitions_of(groups, count, group, &rc, err);
        rc = got ? read_moved(got, err) : rc;
        rd_kafka_event_destroy(event);
    }
    rd_kafka_AlterConsumerGroupOffsets_destroy(ask);
    rd_kafka_topic_partition_list_destroy(list);
    rd_kafka_AdminOptions_destroy(options);
    return rc;
}

/* --- a topic's offsets --- */

/* ListOffsets for all partitions at once: what is looked for stands in the place of the
 * offset. A leader that just changed is asked again until the deadline. */
static int look_up(struct kafka_admin *a, const char *topic, int n, int64_t what,
                   int64_t until_ms, int64_t *offsets, struct err *err)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(n);
    for (int i = 0; i < n; i++) {
        rd_kafka_topic_partition_list_add(list, topic, i)->offset = what;
        offsets[i] = KAFKA_NO_OFFSET;
    }
    rd_kafka_resp_err_t code;
    do {
        code =
            rd_kafka_offsets_for_times(a->rk, list,
                                       kafka_admin_left_ms(until_ms,
                                                           KAFKA_ADMIN_REQUEST_MS_MAX));
        rd_kafka_poll(a->rk, 0);
    } while (code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE && !a->refused &&
             now_ms() < until_ms);
    int rc = 0;
    if (code) {
        rc = err_set(err, a->refused ? -EACCES : kafka_errno(code), "topic %s: %s", topic,
                     a->reason[0] ? a->reason : rd_kafka_err2str(code));
    } else {
        rc = read_offsets(list, n, offsets, err);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return rc;
}

int kafka_topic_ranges(struct kafka_admin *a, const char *topic, int n, int64_t until_ms,
                       int64_t *first, int64_t *end, struct err *err)
{
    int rc = look_up(a, topic, n, RD_KAFKA_OFFSET_BEGINNING, until_ms, first, err);
    return rc ? rc : look_up(a, topic, n, RD_KAFKA_OFFSET_END, until_ms, end, err);
}

int kafka_topic_at_time(struct kafka_admin *a, const char *topic, int n, int64_t wall_ms,
                        int64_t until_ms, int64_t *offsets, struct err *err)
{
    /* below 0 stand words, not times */
    return look_up(a, topic, n, wall_ms < 0 ? 0 : wall_ms, until_ms, offsets, err);
}
