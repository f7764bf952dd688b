#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cgroup.h"
#include "base/mem.h"

enum { MADE_MAX = 32 };

/* A made-up /sys/fs/cgroup in a folder, with /proc/self/cgroup beside it. */
struct tree {
    char root[32];
    char membership[48];
    char *made[MADE_MAX]; /* files and folders, in the order they were made */
    size_t made_count;
};

static void keep(struct tree *t, const char *path)
{
    assert_true(t->made_count < sizeof t->made / sizeof t->made[0]);
    t->made[t->made_count++] = mem_strdup(path);
}

static void write_file(struct tree *t, const char *path, const char *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    keep(t, path);
}

static void begin(struct tree *t, const char *membership)
{
    memset(t, 0, sizeof *t);
    snprintf(t->root, sizeof t->root, "/tmp/sluice-cgroup-XXXXXX");
    assert_non_null(mkdtemp(t->root));
    keep(t, t->root);
    snprintf(t->membership, sizeof t->membership, "%s/self", t->root);
    write_file(t, t->membership, membership);
}

/* "system.slice/memory.max": the folders on the way are made, too. */
static void put(struct tree *t, const char *name, const char *text)
{
    char path[256];
    size_t root_len = strlen(t->root);
    snprintf(path, sizeof path, "%s/%s", t->root, name);
    for (char *slash = strchr(path + root_len + 1, '/'); slash;
         slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        if (mkdir(path, 0700) == 0) {
            keep(t, path);
        }
        *slash = '/';
    }
    write_file(t, path, text);
}

static void end(struct tree *t)
{
    while (t->made_count > 0) {
        char *path = t->made[--t->made_count];
        assert_int_equal(remove(path), 0);
        free(path);
    }
}

static uint64_t limit(const struct tree *t)
{
    return cgroup_memory_limit(t->membership, t->root);
}

static void cgroup__nothing_there_is_no_limit(void **state)
{
    (void)state;
    struct tree t;
    begin(&t, "0::/system.slice/x.service\n");
    assert_int_equal(limit(&t), 0);
    assert_int_equal(cgroup_memory_limit("/nowhere/cgroup", t.root), 0);
    end(&t);
}

static void cgroup__max_and_nonsense_are_no_limit(void **state)
{
    (void)state;
    struct tree t;
    begin(&t, "no colon\n1:x\n0::/a\n");
    put(&t, "a/memory.max", "max\n");
    put(&t, "memory.max", "12 monkeys\n");
    assert_int_equal(limit(&t), 0);
    end(&t);
}

static void cgroup__a_service_has_the_limit_of_its_group(void **state)
{
    (void)state;
    struct tree t;
    begin(&t, "0::/system.slice/x.service\n");
    put(&t, "system.slice/x.service/memory.max", "268435456\n");
    put(&t, "system.slice/memory.max", "max\n");
    assert_int_equal(limit(&t), 268435456);
    end(&t);
}

static void cgroup__a_group_above_may_be_tighter(void **state)
{
    (void)state;
    struct tree t;
    begin(&t, "0::/system.slice/x.service\n");
    put(&t, "system.slice/x.service/memory.max", "268435456\n");
    put(&t, "system.slice/memory.max", "134217728\n");
    assert_int_equal(limit(&t), 134217728);
    end(&t);
}

static void cgroup__a_container_sees_its_group_as_the_root(void **state)
{
    (void)state;
    struct tree t;
    begin(&t, "0::/\n");
    put(&t, "memory.max", "536870912\n");
    assert_int_equal(limit(&t), 536870912);
    end(&t);
}

static void cgroup__version_1_is_asked_where_memory_is(void **state)
{
    (void)state;
    struct tree t;
    begin(&t, "7:cpu,cpuacct:/b\n5:cpu,memory:/a\n1:name=systemd:/c\n0::/\n");
    put(&t, "memory/memory.limit_in_bytes", "9223372036854771712\n");
    put(&t, "memory/a/memory.limit_in_bytes", "402653184\n");
    put(&t, "memory/b/memory.limit_in_bytes", "1\n");
    assert_int_equal(limit(&t), 402653184);
    end(&t);
}

static void cgroup__version_1_in_a_container_has_another_name_outside(void **state)
{
    (void)state;
    struct tree t;
    begin(&t, "5:memory:/docker/0123abcd\n");
    put(&t, "memory/memory.limit_in_bytes", "402653184\n");
    assert_int_equal(limit(&t), 402653184);
    end(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#include UNIT_TESTS
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
