/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by all apps; see app.h. */
#define _GNU_SOURCE
#include "app.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void print_usage(FILE *to, const struct app_usage *usage)
{
    fprintf(to,
            "%s: %s\n"
            "usage: %s [options] %s\n"
            "  --device DEVICE  a PCI address or the name of a platform device; default:\n"
            "                   $GHOSTCARD_PLATFORM_DEVICE,\n"
            "                   else $GHOSTCARD_PCI_ADDRESS, else the first %04x:%04x\n"
            "  --irq MODE       intx, msi, msix, or line for platform devices; default: the best that the "
            "driver supports\n"
            "  --json           prints a line of JSON at the end of standard output\n"
            "  --help\n"
            "exit code: 0 passed, 1 a check failed, 2 wrong usage or environment\n",
            usage->name, usage->purpose, usage->name, usage->arguments, REF_VENDOR_ID, REF_DEVICE_ID);
}

static _Noreturn void wrong_usage(const struct app_usage *usage, const char *what, const char *value)
{
    fprintf(stderr, "%s: %s: %s\n", usage->name, what, value);
    print_usage(stderr, usage);
    exit(EXIT_ENVIRONMENT);
}

/* A known option with an invalid value. */
static const char *refused_option(const char *name)
{
    static char what[80];
    snprintf(what, sizeof(what), "%.40s does not accept this value", name);
    return what;
}

static bool parse_irq_mode(const char *text, enum gc_irq_mode *mode)
{
    for (enum gc_irq_mode each = GC_IRQ_INTX; each <= GC_IRQ_LINE; each++) {
        if (strcmp(text, gc_irq_mode_name(each)) == 0) {
            *mode = each;
            return true;
        }
    }
    return false;
}

/* Parses one option at `argv[*at]`, with its value. Leaves *at on the last argument used. */
static void take_option(struct app *app, const struct app_usage *usage, int argc, char **argv, int *at)
{
    const char *name = argv[*at];
    const char *value = *at + 1 < argc ? argv[*at + 1] : NULL;
    bool takes_value = false;
    if (strcmp(name, "--help") == 0) {
        print_usage(stdout, usage);
        exit(EXIT_PASSED);
    }
    if (strcmp(name, "--json") == 0) {
        app->json = true;
    } else if (strcmp(name, "--device") == 0) {
        takes_value = true;
        snprintf(app->device, sizeof(app->device), "%s", value ? value : "");
    } else if (strcmp(name, "--irq") == 0) {
        takes_value = app->irq_given = true;
        if (value && !parse_irq_mode(value, &app->irq_mode))
            wrong_usage(usage, "--irq accepts intx, msi, msix or line, not", value);
    } else if (!usage->option || !usage->option(name, value, &takes_value)) {
        if (!takes_value)
            wrong_usage(usage, "unknown option", name);
        if (value)
            wrong_usage(usage, refused_option(name), value);
    }
    if (takes_value && !value)
        wrong_usage(usage, "missing value after", name);
    *at += takes_value;
}

void app_begin(struct app *app, const struct app_usage *usage, int argc, char **argv)
{
    *app = (struct app){.name = usage->name, .driver = "", .started_ns = gc_now_ns()};
    const char *device = getenv("GHOSTCARD_PLATFORM_DEVICE");
    if (!device || *device == '\0')
        device = getenv("GHOSTCARD_PCI_ADDRESS");
    snprintf(app->device, sizeof(app->device), "%s", device ? device : "");
    app->arguments = argv; /* arguments other than options move to the front */
    for (int i = 1; i < argc; i++) {
        if (strncmp(argv[i], "--", 2) == 0)
            take_option(app, usage, argc, argv, &i);
        else
            app->arguments[app->argument_count++] = argv[i];
    }
    app->text = app->json ? stderr : stdout;
    setvbuf(app->text, NULL, _IOLBF, 0);
}

static bool find_device(struct app *app)
{
    struct gc_error error;
    if (app->device[0] == '\0' && !gc_find(REF_VENDOR_ID, REF_DEVICE_ID, app->device, &error))
        return app_give_up(app, error.message);
    return true;
}

static void note_device(struct app *app, const struct gc_device *device)
{
    app->driver = gc_driver(device);
    snprintf(app->device, sizeof(app->device), "%s", gc_name(device));
    if (!app->irq_given)
        app->irq_mode = gc_irq_best_mode(device);
}

struct gc_device *app_open_device(struct app *app)
{
    struct gc_error error;
    if (!find_device(app))
        return NULL;
    struct gc_device *device = gc_open(app->device, &error);
    if (device)
        note_device(app, device);
    else
        app_give_up(app, error.message);
    return device;
}

static void notice(void *context, enum ref_event event, const char *text)
{
    struct app *app = context;
    app->noticed[event]++;
    fprintf(app->text, "noticed %s: %s\n", ref_event_name(event), text);
}

bool app_open_card(struct app *app)
{
    struct gc_error error;
    if (!find_device(app))
        return false;
    app->card.listener = notice;
    app->card.listener_context = app;
    if (!ref_open(&app->card, app->device, app->irq_given ? &app->irq_mode : NULL, &error))
        return app_give_up(app, error.message);
    note_device(app, app->card.device);
    app_say(app, "%s: reference card at %s through %s, interrupts by %s\n", app->name, app->device,
            app->driver, gc_irq_mode_name(app->irq_mode));
    return true;
}

static void note_failure(struct app *app, const char *message)
{
    fprintf(app->text, "FAILED  %s\n", message);
    app->failed++;
    if (app->first_failure[0] == '\0')
        snprintf(app->first_failure, sizeof(app->first_failure), "%s", message);
}

bool app_check(struct app *app, bool passed, const char *format, ...)
{
    char message[560];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    app->checks++;
    if (passed)
        fprintf(app->text, "ok      %s\n", message);
    else
        note_failure(app, message);
    return passed;
}

void app_not_possible(struct app *app, const char *format, ...)
{
    char message[300];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    size_t used = strlen(app->excuses), length = strlen(message);
    if (strstr(app->excuses, message))
        return;
    if (used + length + 2 <= sizeof(app->excuses))
        snprintf(app->excuses + used, sizeof(app->excuses) - used, "%s\n", message);
    fprintf(app->text, "not possible with %s: %s\n", app->driver, message);
    app->not_possible++;
}

size_t app_dma_size(struct app *app, size_t wanted, unsigned count)
{
    const size_t page = 4096;
    size_t limit = gc_dma_limit(app->card.device) / count / page * page;
    if (limit >= wanted)
        return wanted;
    app_not_possible(app,
            "%u DMA buffers of %zu bytes: the kernel owns only as much as the card declares, which is "
            "%zu bytes for each",
            count, wanted, limit);
    return limit;
}

bool app_error(struct app *app, const struct gc_error *error)
{
    app->checks++;
    note_failure(app, error->message);
    return false;
}

bool app_give_up(struct app *app, const char *message)
{
    app->cannot_go_on = true;
    fprintf(stderr, "%s: %s\n", app->name, message);
    snprintf(app->first_failure, sizeof(app->first_failure), "%s", message);
    return false;
}

void app_say(struct app *app, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(app->text, format, arguments);
    va_end(arguments);
}

/* Events are failures of an app that does not expect them, except for those that a busy machine causes. */
static void check_noticed(struct app *app)
{
    for (enum ref_event event = 0; event < REF_EVENT_COUNT && !app->copes && !app->cannot_go_on; event++) {
        if (app->noticed[event] > 0 && !ref_event_is_harmless(event))
            app_check(app, false, "the driver had to handle %s (%" PRIu64 " times): it %s",
                    ref_event_name(event), app->noticed[event], ref_event_remedy(event));
    }
}

int app_end(struct app *app)
{
    app->interrupts += app->card.interrupts;
    ref_close(&app->card);
    check_noticed(app);
    bool ok = app->failed == 0 && !app->cannot_go_on;
    double seconds = (double)(gc_now_ns() - app->started_ns) / 1e9;
    if (!app->cannot_go_on)
        app_say(app, "%s: %s, %u checks, %u failed, %" PRIu64 " bytes, %" PRIu64 " interrupts, %.3f s\n",
                app->name, ok ? "passed" : "FAILED", app->checks, app->failed, app->bytes, app->interrupts,
                seconds);
    fflush(app->text);
    if (app->json)
        app_print_json(app, ok, seconds);
    return app->cannot_go_on ? EXIT_ENVIRONMENT : ok ? EXIT_PASSED : EXIT_CHECK_FAILED;
}
