/* SPDX-License-Identifier: Apache-2.0 */
/* The one clock that the agent's time limits are held against. */
#ifndef GHOSTCARD_AGENT_CLOCK_H
#define GHOSTCARD_AGENT_CLOCK_H

#include <stdint.h>
#include <time.h>

static inline uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

#endif
