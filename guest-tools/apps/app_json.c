/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON line at the end of an app's output; see app.h. */
#include "app.h"

#include <inttypes.h>
#include <string.h>

/* Prints a JSON string. Characters that need other escapes do not occur in the messages. */
static void print_json_text(FILE *to, const char *text)
{
    fputc('"', to);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            fputc('\\', to);
        fputc((unsigned char)*text < ' ' ? ' ' : *text, to);
    }
    fputc('"', to);
}

static void add_json(struct app *app, const char *text)
{
    size_t used = strlen(app->extra_json);
    if (used + strlen(text) < sizeof(app->extra_json))
        strcpy(app->extra_json + used, text);
}

void app_json_number(struct app *app, const char *name, uint64_t value)
{
    char text[80];
    snprintf(text, sizeof(text), ",\"%s\":%" PRIu64, name, value);
    add_json(app, text);
}

void app_json_text(struct app *app, const char *name, const char *value)
{
    char text[160];
    snprintf(text, sizeof(text), ",\"%s\":\"%s\"", name, value);
    add_json(app, text);
}

static void print_noticed(const struct app *app)
{
    const char *separator = "";
    printf(",\"noticed\":{");
    for (enum ref_event event = 0; event < REF_EVENT_COUNT; event++) {
        if (app->noticed[event] == 0)
            continue;
        printf("%s\"%s\":{\"times\":%" PRIu64 ",\"remedy\":\"%s\"}", separator, ref_event_name(event),
                app->noticed[event], ref_event_remedy(event));
        separator = ",";
    }
    printf("}");
}

void app_print_json(const struct app *app, bool ok, double seconds)
{
    printf("{\"app\":\"%s\",\"ok\":%s,\"device\":\"%s\",\"driver\":\"%s\",\"irq_mode\":\"%s\"", app->name,
            ok ? "true" : "false", app->device, app->driver,
            app->driver[0] ? gc_irq_mode_name(app->irq_mode) : "");
    printf(",\"bytes\":%" PRIu64 ",\"interrupts\":%" PRIu64 ",\"seconds\":%.6f,\"dma_seconds\":%.6f",
            app->bytes, app->interrupts, seconds, (double)app->dma_ns / 1e9);
    printf(",\"checks\":%u,\"failed\":%u,\"not_possible\":%u%s", app->checks, app->failed, app->not_possible,
            app->extra_json);
    print_noticed(app);
    if (app->first_failure[0] != '\0') {
        printf(",\"error\":");
        print_json_text(stdout, app->first_failure);
    }
    printf("}\n");
}
