/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A client may truncate the file behind memory that it passed to us. The next access to a lost page then
 * raises SIGBUS. The handler replaces such a page by an anonymous zero page and the access continues; only
 * the client's own memory is affected. A SIGBUS outside our mappings is handled as it would be without this
 * file.
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

static bool make_anonymous(uintptr_t start, size_t length)
{
    const int kind = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE;
    return mmap((void *)start, length, PROT_READ | PROT_WRITE, kind, -1, 0) != MAP_FAILED;
}

/* Replaces the page, or the whole mapping if its pages are huge and cannot be split. */
static bool replace_page(uintptr_t address)
{
    const uintptr_t page_size = (uintptr_t)sysconf(_SC_PAGESIZE);
    struct guarded_range hit = {0};
    pthread_mutex_lock(&lock);
    for (struct guarded_range *range = ranges; range; range = range->next) {
        if (address - range->start < range->length) {
            hit = *range;
        }
    }
    pthread_mutex_unlock(&lock);
    return hit.length > 0 &&
           (make_anonymous(address & ~(page_size - 1), page_size) || make_anonymous(hit.start, hit.length));
}

static void handle(int signal, siginfo_t *info, void *context)
{
    if (info->si_code > 0 && replace_page((uintptr_t)info->si_addr)) {
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
    *range->link = range->next;
    if (range->next) {
        range->next->link = range->link;
    }
    pthread_mutex_unlock(&lock);
}
