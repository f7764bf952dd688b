/* For the tests of fleet/config: a file in a folder of its own, an environment, and the
 * faults that were found. */
#ifndef TESTS_CONFIG_FIXTURE_H
#define TESTS_CONFIG_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "fleet/config.h"

static char folder[] = "/tmp/test_config.XXXXXX";
static char path[64];
static char *no_environment[] = {NULL};
static struct config_report report;

static inline void write_file(const char *name, const char *text)
{
    char whole[128];
    snprintf(whole, sizeof whole, "%s/%s", folder, name);
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

static inline struct config *load_with(const char *text,
                                       const struct config_override *overrides, size_t n,
                                       char *const *environment)
{
    write_file("c.yaml", text);
    return config_load(path, overrides, n, environment, &report);
}

static inline struct config *load(const char *text)
{
    return load_with(text, NULL, 0, no_environment);
}

static inline void done(struct config *config)
{
    config_free(config);
    config_report_release(&report);
}

static inline void print_report(void)
{
    for (size_t i = 0; i < report.count; i++) {
        print_message("  %s: %s %s\n", report.items[i].where, report.items[i].code,
                      report.items[i].text);
    }
}

/* "14:3" within the file, or the whole `where`. */
static inline bool has_issue(const char *place, const char *code, const char *words)
{
    char where[128];
    bool in_file = place[0] >= '0' && place[0] <= '9';
    snprintf(where, sizeof where, "%s%s%s", in_file ? path : "", in_file ? ":" : "",
             place);
    for (size_t i = 0; i < report.count; i++) {
        if (strcmp(report.items[i].where, where) == 0 &&
            strcmp(report.items[i].code, code) == 0 &&
            strstr(report.items[i].text, words) != NULL) {
            return true;
        }
    }
    return false;
}

static inline void expect_issue(const char *place, const char *code, const char *words)
{
    if (!has_issue(place, code, words)) {
        print_report();
        fail_msg("no issue %s %s \"%s\"", place, code, words);
    }
}

/* A file that must be refused, and where and how that is said. */
struct bad_config {
    const char *text;
    const char *place; /* as has_issue has it; "": the whole file */
    const char *code;
    const char *words;
};

/* All of them are tried before the test fails. */
static inline void expect_refused(const struct bad_config *bad, size_t n)
{
    size_t wrong = 0;
    for (size_t i = 0; i < n; i++) {
        struct config *config = load(bad[i].text);
        const char *place = bad[i].place[0] != '\0' ? bad[i].place : path;
        if (config != NULL || !has_issue(place, bad[i].code, bad[i].words)) {
            print_message("%sexpected %s %s \"%s\", found\n", bad[i].text, place,
                          bad[i].code, bad[i].words);
            print_report();
            wrong++;
        }
        done(config);
    }
    assert_int_equal(wrong, 0);
}

static inline struct config *load_good(const char *text)
{
    struct config *config = load(text);
    if (config == NULL) {
        print_report();
    }
    assert_non_null(config);
    return config;
}

#define TARGET "targets:\n  t:\n    url: http://localhost:1/x\n" /* 3 lines */

static inline int make_folder(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL) {
        return -1;
    }
    snprintf(path, sizeof path, "%s/c.yaml", folder);
    return 0;
}

static inline int remove_folder(void **state)
{
    (void)state;
    static const char *const names[] = {"c.yaml", "secret", "again.yaml"};
    for (size_t i = 0; i < 3; i++) {
        char whole[128];
        snprintf(whole, sizeof whole, "%s/%s", folder, names[i]);
        (void)unlink(whole);
    }
    return rmdir(folder);
}

#endif
