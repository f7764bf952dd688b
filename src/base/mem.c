#include "base/mem.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"

static void *there(void *memory)
{
    if (memory == NULL) {
        err_bug(__FILE__, __LINE__, "out of memory");
    }
    return memory;
}

void *mem_alloc(size_t size)
{
    return there(malloc(size > 0 ? size : 1));
}

void *mem_zalloc(size_t size)
{
    return mem_array(1, size);
}

void *mem_array(size_t count, size_t size)
{
    ASSERT(size == 0 || count <= SIZE_MAX / size);
    size_t total = count * size;
    return there(calloc(1, total > 0 ? total : 1));
}

void *mem_resize(void *old, size_t size)
{
    return there(realloc(old, size > 0 ? size : 1));
}

void *mem_dup(const void *data, size_t len)
{
    ASSERT(len < SIZE_MAX);
    char *copy = mem_alloc(len + 1);
    if (len > 0) {
        memcpy(copy, data, len);
    }
    copy[len] = 0;
    return copy;
}

char *mem_strdup(const char *text)
{
    return text == NULL ? NULL : mem_dup(text, strlen(text));
}

char *mem_strndup(const char *text, size_t n)
{
    return text == NULL ? NULL : mem_dup(text, strnlen(text, n));
}

void mem_wipe(void *data, size_t len)
{
    if (len > 0) {
        explicit_bzero(data, len);
    }
}
