/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts interrupts: makes the card raise one, N times, and exactly N must arrive. Also checks that each
 * source interrupts on its own vector, that none interrupts while disabled or masked, and that a pending one
 * interrupts once enabled again.
 */
#include "app.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static unsigned count = 100;

/* How long to wait for an interrupt that must not arrive. */
enum { SILENCE_MS = 50 };

static void trigger(struct app *app, enum ref_source source)
{
    gc_write32(&app->card.registers, GHOSTCARD_REF_IRQ_TRIGGER, 1u << source);
}

/* Number of interrupts of `source` within the limit; UINT64_MAX on error. */
static uint64_t wait_for(struct app *app, enum ref_source source, int timeout_ms)
{
    uint64_t taken;
    struct gc_error error;
    if (ref_irq_wait(&app->card, source, timeout_ms, &taken, &error))
        return taken;
    app_error(app, &error);
    return UINT64_MAX;
}

static void count_interrupts(struct app *app)
{
    const struct gc_window *registers = &app->card.registers;
    uint32_t card_before = gc_read32(registers, GHOSTCARD_REF_IRQ_COUNT);
    uint64_t taken_before = app->card.interrupts;
    unsigned late = 0;
    uint64_t started_ns = gc_now_ns();
    for (unsigned i = 0; i < count && late == 0; i++) {
        trigger(app, REF_SOURCE_USER);
        late += wait_for(app, REF_SOURCE_USER, APP_WAIT_MS) != 1;
    }
    app_json_number(app, "trigger_to_handler_ns", (gc_now_ns() - started_ns) / count);
    uint64_t more = wait_for(app, REF_SOURCE_USER, SILENCE_MS);
    uint64_t taken = app->card.interrupts - taken_before;
    uint32_t raised = gc_read32(registers, GHOSTCARD_REF_IRQ_COUNT) - card_before;
    app_check(app, late == 0, "each of %u interrupts arrived alone and within %d ms", count, APP_WAIT_MS);
    app_check(
            app, taken == count && more == 0, "%" PRIu64 " interrupts taken for %u triggered", taken, count);
    app_check(app, raised == count, "the card counts %u raised for %u triggered", raised, count);
}

static void check_sources(struct app *app)
{
    for (enum ref_source source = 0; source < REF_SOURCE_COUNT; source++) {
        trigger(app, source);
        uint64_t taken = wait_for(app, source, APP_WAIT_MS);
        uint64_t elsewhere = 0;
        for (enum ref_source other = 0; other < REF_SOURCE_COUNT; other++)
            elsewhere += other != source ? wait_for(app, other, 0) : 0;
        app_check(app, taken == 1 && elsewhere == 0,
                "source %d interrupts once (%" PRIu64 "), and no other does (%" PRIu64 ")", source, taken,
                elsewhere);
    }
}

static void check_enable(struct app *app)
{
    const struct gc_window *registers = &app->card.registers;
    uint32_t enabled = gc_read32(registers, GHOSTCARD_REF_IRQ_ENABLE);
    gc_write32(registers, GHOSTCARD_REF_IRQ_STATUS, enabled);
    gc_write32(registers, GHOSTCARD_REF_IRQ_ENABLE, 0);
    trigger(app, REF_SOURCE_USER);
    app_check(app, wait_for(app, REF_SOURCE_USER, SILENCE_MS) == 0,
            "a source that is not enabled does not interrupt");
    uint32_t status = gc_read32(registers, GHOSTCARD_REF_IRQ_STATUS);
    app_check(app, status == GHOSTCARD_REF_IRQ_STATUS_USER_MASK, "but IRQ_STATUS shows it (0x%x)", status);
    gc_write32(registers, GHOSTCARD_REF_IRQ_ENABLE, enabled);
    app_check(app, wait_for(app, REF_SOURCE_USER, APP_WAIT_MS) == 1, "and it interrupts once it is enabled");
    gc_write32(registers, GHOSTCARD_REF_IRQ_STATUS, enabled);
    status = gc_read32(registers, GHOSTCARD_REF_IRQ_STATUS);
    app_check(app, status == 0, "writing 1 to IRQ_STATUS acknowledges (0x%x is left)", status);
}

/* The kernel must not deliver the line while it is masked, and must deliver it after unmasking. */
static void check_mask(struct app *app)
{
    struct gc_error error;
    if (app->irq_mode != GC_IRQ_INTX && app->irq_mode != GC_IRQ_LINE)
        return;
    if (!gc_irq_set_masked(app->card.device, true, &error)) {
        app_error(app, &error);
        return;
    }
    trigger(app, REF_SOURCE_USER);
    app_check(
            app, wait_for(app, REF_SOURCE_USER, SILENCE_MS) == 0, "none is taken while the kernel masks it");
    if (!gc_irq_set_masked(app->card.device, false, &error)) {
        app_error(app, &error);
        return;
    }
    app_check(app, wait_for(app, REF_SOURCE_USER, APP_WAIT_MS) == 1, "and it is taken once it is unmasked");
}

static bool take_option(const char *name, const char *value, bool *takes_value)
{
    if (strcmp(name, "--count") != 0)
        return false;
    *takes_value = true;
    count = value ? (unsigned)strtoul(value, NULL, 0) : count;
    return count > 0;
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-irq", "makes the card raise interrupts and counts them", "[--count N]", take_option};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app)) {
        count_interrupts(&app);
        check_sources(&app);
        check_enable(&app);
        check_mask(&app);
    }
    return app_end(&app);
}
