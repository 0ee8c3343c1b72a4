// SPDX-License-Identifier: Apache-2.0
// Keep a working set whose size follows a timetable, and work on it:
//
//   work-memory EACH_S COMMON_MIB (SIZE_MIB FOR_S)...
//
// The timetable begins again at its end. The whole set is worked on once in EACH_S seconds, as far as
// that can be done in time: one byte of each page is read and written. COMMON_MIB of it are pages that
// every guest has alike and nobody writes. /tmp/worked holds two numbers: the MiB that were worked on,
// and those that should have been.
#define _GNU_SOURCE
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { PAGE = 4096, PAGES_PER_MIB = 256, AT_ONCE = 64, MOST_STEPS = 64 };

static struct { long pages; double for_s; } steps[MOST_STEPS];
static int count;
static double cycle_s;

static double now_s(void)
{
    struct timespec time;
    clock_gettime(CLOCK_BOOTTIME, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static long wanted(double at_s)
{
    at_s -= cycle_s * (long)(at_s / cycle_s);
    for (int step = 0; step < count; step++) {
        if (at_s < steps[step].for_s)
            return steps[step].pages;
        at_s -= steps[step].for_s;
    }
    return steps[count - 1].pages;
}

static void tell(double done_pages, double due_pages)
{
    FILE *file = fopen("/tmp/worked.new", "w");
    if (!file)
        return;
    fprintf(file, "%.0f %.0f\n", done_pages / PAGES_PER_MIB, due_pages / PAGES_PER_MIB);
    fclose(file);
    rename("/tmp/worked.new", "/tmp/worked");
}

static volatile uint64_t sink;

static void work(char *memory, long page, long common, uint64_t mine)
{
    volatile uint64_t *words = (volatile uint64_t *)(memory + page * PAGE);
    if (words[0]) {
        sink = words[0];
        if (page >= common)
            words[1] = words[1] + 1;
    } else if (page < common) {
        words[0] = page + 1;
    } else {
        words[0] = mine + page;
    }
}

int main(int argc, char **argv)
{
    long most = 1, size = 0, page = 0;
    if (argc < 5 || argc % 2 == 0 || argc / 2 - 1 > MOST_STEPS) {
        fprintf(stderr, "usage: work-memory EACH_S COMMON_MIB (SIZE_MIB FOR_S)...\n");
        return 2;
    }
    double each_s = atof(argv[1]), done = 0, due = 0;
    long common = atol(argv[2]) * PAGES_PER_MIB;
    for (int at = 3; at < argc; at += 2, count++) {
        steps[count].pages = atol(argv[at]) * PAGES_PER_MIB;
        steps[count].for_s = atof(argv[at + 1]);
        cycle_s += steps[count].for_s;
        if (steps[count].pages > most)
            most = steps[count].pages;
    }
    char *memory = mmap(NULL, most * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (memory == MAP_FAILED) {
        perror("mmap");
        return 1;
    }
    madvise(memory, most * PAGE, MADV_NOHUGEPAGE);
    const double began_s = now_s();
    double before_s = began_s, told_s = 0, owed = 0;
    const uint64_t mine = (uint64_t)(began_s * 1e9) << 20;
    for (;;) {
        const double at_s = now_s();
        const long want = wanted(at_s - began_s);
        if (want < size)
            madvise(memory + want * PAGE, (size - want) * PAGE, MADV_DONTNEED);
        size = want;
        if (page >= size)
            page = 0;
        // what was not done in time is lost
        owed = owed + size / each_s * (at_s - before_s);
        due += size / each_s * (at_s - before_s);
        if (owed > size / each_s)
            owed = size / each_s;
        before_s = at_s;
        for (int todo = AT_ONCE; todo > 0 && owed >= 1; todo--, owed--, done++) {
            work(memory, page, common, mine);
            page = page + 1 < size ? page + 1 : 0;
        }
        if (at_s - told_s >= 1) {
            tell(done, due);
            told_s = at_s;
        }
        if (owed < 1)
            usleep(50000);
    }
}
