/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all apps have in common: options, checks that are counted, a report for people and one for machines.
 *
 * Exit codes: 0 all checks passed, 1 a check failed, 2 wrong usage or environment. With --json the last line
 * of standard output is a JSON object and everything for people goes to standard error.
 */
#ifndef GHOSTCARD_APP_H
#define GHOSTCARD_APP_H

#include "../driver/refcard.h"

#include <stdio.h>

enum { EXIT_PASSED = 0, EXIT_CHECK_FAILED = 1, EXIT_ENVIRONMENT = 2 };

/* Long enough for a loaded machine under emulation; every wait of the apps has this limit. */
enum { APP_WAIT_MS = 10000 };

struct app {
    const char *name;
    /* Options and what is left of the arguments. */
    char device[GC_NAME_SIZE];
    bool irq_given, json;
    enum gc_irq_mode irq_mode;
    int argument_count;
    char **arguments;
    /* Results. */
    FILE *text; /* for people */
    struct ref_card card;
    const char *driver;
    uint64_t started_ns, dma_ns; /* dma_ns: spent between doorbell and completion */
    uint64_t bytes, interrupts;
    unsigned checks, failed, not_possible;
    bool cannot_go_on;
    /* What the driver had to cope with, each so many times; a failure, unless the app is about that. */
    uint64_t noticed[REF_EVENT_COUNT];
    bool copes;
    char first_failure[600];
    char excuses[2000];   /* what was not possible, a line each */
    char extra_json[600]; /* further members, each with a comma before it */
};

/* One line of usage for what is particular to an app; `arguments` as in "ADDRESS[=VALUE]…". */
struct app_usage {
    const char *name, *purpose, *arguments;
    /* Handles an option of its own, given as "--name value" or "--name". False: unknown, or, with
     * *takes_value set, known and not with such a value. May be NULL. */
    bool (*option)(const char *name, const char *value, bool *takes_value);
};

/* Takes the options; ends the program on --help and on wrong usage. */
void app_begin(struct app *app, const struct app_usage *usage, int argc, char **argv);

/* Opens the card found by the options, interrupts enabled. False: app_end is all that is left to do. */
bool app_open_card(struct app *app);

/* Opens the device without the card's driver. */
struct gc_device *app_open_device(struct app *app);

/* Counts a check and says how it went; returns `passed`. Failures are always shown, successes only when
 * `format` is not NULL. */
__attribute__((format(printf, 3, 4))) bool app_check(struct app *app, bool passed, const char *format, ...);

/* A check that could not be made: counts as failed with the error's message. Returns false. */
bool app_error(struct app *app, const struct gc_error *error);

/* The environment is not as it must be: exit code 2. Returns false. */
bool app_give_up(struct app *app, const char *message);

/* What the driver does not offer, and why: shown and counted once each, and no failure. */
__attribute__((format(printf, 2, 3))) void app_not_possible(struct app *app, const char *format, ...);

/* Size of each of `count` DMA buffers that are to have `wanted` bytes, as far as the driver has so much. */
size_t app_dma_size(struct app *app, size_t wanted, unsigned count);

/* Text for people. */
__attribute__((format(printf, 2, 3))) void app_say(struct app *app, const char *format, ...);

/* Adds a number to the JSON object. */
void app_json_number(struct app *app, const char *name, uint64_t value);
void app_json_text(struct app *app, const char *name, const char *value);

/* For app_end: prints the JSON object, with what the app has added. */
void app_print_json(const struct app *app, bool ok, double seconds);

/* Closes the card, reports, and returns the exit code. */
int app_end(struct app *app);

#endif
