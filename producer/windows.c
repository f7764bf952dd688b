#include "windows.h"

#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "base/mem.h"

void windows_init(struct windows *w, const int64_t *length_ns, size_t count)
{
    ASSERT(count <= WINDOWS_MAX);
    *w = (struct windows){.count = count};
    memcpy(w->length_ns, length_ns, count * sizeof *length_ns);
    w->ring = mem_alloc(WINDOWS_STAMPS_MAX * sizeof *w->ring);
}

void windows_release(struct windows *w)
{
    free(w->ring);
    w->ring = NULL;
}

void windows_clear(struct windows *w)
{
    for (size_t i = 0; i < w->count; i++) {
        w->first[i] = w->next;
        w->most[i] = 0;
    }
    w->overflown = false;
}

void windows_add(struct windows *w, int64_t stamp_ns)
{
    w->ring[w->next % WINDOWS_STAMPS_MAX] = stamp_ns;
    w->next++;
    for (size_t i = 0; i < w->count; i++) {
        if (w->next - w->first[i] > WINDOWS_STAMPS_MAX) {
            w->first[i] = w->next - WINDOWS_STAMPS_MAX;
            w->overflown = true;
        }
        while (stamp_ns - w->ring[w->first[i] % WINDOWS_STAMPS_MAX] >= w->length_ns[i]) {
            w->first[i]++;
        }
        uint64_t inside = w->next - w->first[i];
        if (inside > w->most[i]) {
            w->most[i] = inside;
        }
    }
}
