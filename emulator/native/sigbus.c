/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client may truncate the file behind memory that it passed to us. The next access to a lost page then
 * raises SIGBUS. The handler replaces it and what follows it by anonymous zero pages, and the access
 * continues; only the client's own memory is affected. A SIGBUS outside our mappings is handled as it would
 * be without this file.
 */
#include "addon.h"
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

/*
 * The handler can take this lock: no code accesses mapped memory while holding it, so no thread can fault
 * inside it.
 */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct guarded_range *ranges;
static struct sigaction previous;
static bool installed;

/*
 * How many ranges may be cut in two, into what is left of the file and zero pages: each takes the kernel two
 * mappings, of the 65530 that a process may have, and memory.c fills half of them.
 */
enum { MOST_CUT = 1024 };
static int cut_count;

static bool make_anonymous(uintptr_t start, size_t length)
{
    const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    return mmap((void *)start, length, PROT_READ | PROT_WRITE, kind, -1, 0) != MAP_FAILED;
}

/* All from the page on, as a file loses its end; a range stays in two parts at most, wherever it is cut
 * again. */
static bool cut(struct guarded_range *range, uintptr_t page)
{
    if ((!range->is_cut && cut_count >= MOST_CUT) ||
            !make_anonymous(page, range->start + range->length - page)) {
        return false;
    }
    cut_count += !range->is_cut;
    range->is_cut = true;
    return true;
}

/* Replaces the whole mapping where it cannot be cut: its pages are huge, or there are too many parts. */
static bool replace_lost(uintptr_t address)
{
    const uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    pthread_mutex_lock(&lock);
    struct guarded_range *range = ranges;
    while (range && address - range->start >= range->length) {
        range = range->next;
    }
    bool is_replaced =
            range && (cut(range, address & ~(page_size - 1)) || make_anonymous(range->start, range->length));
    pthread_mutex_unlock(&lock);
    return is_replaced;
}

static void handle(int signal, siginfo_t *info, void *context)
{
    if (info->si_code > 0 && replace_lost((uintptr_t)info->si_addr)) {
        return;
    }
    if (previous.sa_flags & SA_SIGINFO) {
        previous.sa_sigaction(signal, info, context);
    } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
        previous.sa_handler(signal);
    } else {
        /* The access is repeated on return, and then ends the process as by default. */
        sigaction(signal, &previous, NULL);
        if (info->si_code <= 0) {
            raise(signal);
        }
    }
}

void guard_range(struct guarded_range *range, void *address, size_t length)
{
    const size_t page_size = (size_t)sysconf(_SC_PAGESIZE);
    range->start = (uintptr_t)address;
    range->length = (length + page_size - 1) & ~(page_size - 1);
    range->is_cut = false;
    pthread_mutex_lock(&lock);
    if (!installed) {
        struct sigaction action = {.sa_sigaction = handle, .sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER};
        sigemptyset(&action.sa_mask);
        installed = sigaction(SIGBUS, &action, &previous) == 0;
    }
    range->next = ranges;
    range->link = &ranges;
    if (ranges) {
        ranges->link = &range->next;
    }
    ranges = range;
    pthread_mutex_unlock(&lock);
}

void release_range(struct guarded_range *range)
{
    pthread_mutex_lock(&lock);
    cut_count -= range->is_cut;
    *range->link = range->next;
    if (range->next) {
        range->next->link = range->link;
    }
    pthread_mutex_unlock(&lock);
}
