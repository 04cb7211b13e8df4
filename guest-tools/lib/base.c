/* SPDX-License-Identifier: Apache-2.0 */
/* Errors and time, which every other file here uses. See ghostcard.h. */
#include "ghostcard.h"

#include <stdarg.h>
#include <stdio.h>
#include <time.h>

bool gc_fail(struct gc_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    if (error)
        vsnprintf(error->message, sizeof(error->message), format, arguments);
    va_end(arguments);
    return false;
}

uint64_t gc_now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

int gc_left_ms(uint64_t deadline_ns)
{
    uint64_t now_ns = gc_now_ns();
    return now_ns < deadline_ns ? (int)((deadline_ns - now_ns + 999999) / 1000000) : 0;
}
