/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds out by trying what the card's kernel driver offers to a driver author: which interrupts, whose DMA
 * memory, which addresses the card uses, and whether there is a reset. The table in docs/drivers.md is
 * generated from the reports of this program and gc-stray.
 */
#include "app.h"

#include <inttypes.h>
#include <string.h>

/* Whether an interrupt of this mode arrives. That the driver refuses the mode is a result, not a failure. */
static bool interrupts_by(struct app *app, enum gc_irq_mode mode)
{
    struct gc_error error;
    uint64_t taken;
    ref_irq_disable(&app->card);
    app->card.irq_mode = mode;
    if (!ref_irq_enable(&app->card, &error)) {
        app_say(app, "        no %s: %s\n", gc_irq_mode_name(mode), error.message);
        return false;
    }
    gc_write32(&app->card.registers, GHOSTCARD_REF_IRQ_TRIGGER, 1u << REF_SOURCE_USER);
    if (!ref_irq_wait(&app->card, REF_SOURCE_USER, APP_WAIT_MS, &taken, &error))
        return app_error(app, &error);
    return app_check(app, taken == 1, "an interrupt arrives by %s, on %u vector(s)", gc_irq_mode_name(mode),
            app->card.vectors);
}

static void try_interrupts(struct app *app)
{
    char names[64] = "";
    for (enum gc_irq_mode mode = GC_IRQ_INTX; mode <= GC_IRQ_LINE; mode++) {
        if (!interrupts_by(app, mode))
            continue;
        snprintf(names + strlen(names), sizeof(names) - strlen(names), "%s%s%s", names[0] ? ", " : "",
                gc_irq_mode_name(mode), mode == GC_IRQ_MSI && app->card.vectors == 1 ? " (1 vector)" : "");
    }
    ref_irq_disable(&app->card);
    app_check(app, names[0] != '\0', "interrupts: %s", names[0] ? names : "none");
    app_json_text(app, "interrupts_by", names);
}

/* The file that the memory at `location` is mapped from; "" if there is none. */
static void mapped_from(const volatile void *location, char name[128])
{
    char line[256];
    uint64_t from, to;
    FILE *maps = fopen("/proc/self/maps", "re");
    name[0] = '\0';
    while (maps && fgets(line, sizeof(line), maps)) {
        if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %*s %*s %*s %*s %127[^\n]", &from, &to, name) >= 2 &&
                (uintptr_t)location >= from && (uintptr_t)location < to)
            break;
        name[0] = '\0';
    }
    if (maps)
        fclose(maps);
}

static void try_memory(struct app *app)
{
    const struct gc_dma_buffer *buffer = &app->card.control;
    struct gc_error error;
    uint64_t physical, seen = gc_dma_address(buffer, 0);
    char file[128];
    mapped_from(buffer->bytes, file);
    bool is_kernels = strncmp(file, "/dev/uio", 8) == 0;
    app_check(app, is_kernels || strstr(file, "hugepage") != NULL, "DMA memory is mapped from %s", file);
    app_json_text(app, "memory_of", is_kernels ? "kernel" : "program");
    if (is_kernels) { /* pagemap does not cover such mappings; the address is from the kernel's DMA API */
        app_say(app, "        the card's address of it is 0x%" PRIx64 ", according to the kernel\n", seen);
        app_json_text(app, "card_sees", "DMA address of the kernel's");
    } else if (gc_physical_address(buffer->bytes, &physical, &error)) {
        app_say(app, "        the card's address is 0x%" PRIx64 ", the physical address is 0x%" PRIx64 "\n",
                seen, physical);
        app_json_text(app, "card_sees", seen == physical ? "physical address" : "IOVA");
    } else {
        app_error(app, &error);
    }
}

/* That there is no reset is a result, too. */
static void try_reset(struct app *app)
{
    struct gc_error error;
    gc_write32(&app->card.registers, GHOSTCARD_REF_SCRATCH, 0xdeadbeef);
    bool is_there = gc_reset(app->card.device, &error);
    if (!is_there) {
        app_say(app, "        no reset: %s\n", error.message);
    } else {
        uint32_t left = gc_read32(&app->card.registers, GHOSTCARD_REF_SCRATCH);
        app_check(app, left == 0, "a reset by the driver clears SCRATCH (reads 0x%08x)", left);
    }
    app_json_text(app, "reset", is_there ? "yes" : "no");
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-mode", "finds out what the card's kernel driver offers", "", NULL};
    struct app app;
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app)) {
        try_interrupts(&app);
        try_memory(&app);
        try_reset(&app);
    }
    return app_end(&app);
}
