/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resets the card: by the kernel (function-level reset through sysfs, or VFIO_DEVICE_RESET, of a PCI function
 * or a platform device) and by the card's own register. The card's state must be cleared, the PCI function
 * must still exist, and the card must work as before.
 */
#include "transfer.h"

#include <inttypes.h>
#include <linux/pci_regs.h>

/* Changes all kinds of state: registers, a ring's indexes, a latched interrupt, a DMA error. */
static bool make_state(struct app *app)
{
    struct gc_error error;
    struct pair pair;
    const struct gc_window *registers = &app->card.registers;
    if (!pair_open(app, &pair, 0, 4096))
        return false;
    gc_write32(registers, GHOSTCARD_REF_SCRATCH, 0xdeadbeef);
    gc_write64(registers, GHOSTCARD_REF_SCRATCH64, UINT64_C(0x123456789abcdef0));
    ref_select_processing(&app->card, 0, REF_PROCESSING_MEMORY);
    bool moved =
            ref_submit(&pair.h2c, &pair.source, 0, 100, 0, &error) && wait_done(app, &pair.h2c, 100, &error);
    if (!moved)
        app_error(app, &error);
    ref_select_processing(&app->card, 0, REF_PROCESSING_LOOPBACK);
    struct ref_completion completion;
    ref_put(&pair.c2h, 0, 0, 0, 0); /* not owned by the card: the engine halts and stays halted */
    ref_doorbell(&pair.c2h);
    if (moved && !ref_wait(&pair.c2h, APP_WAIT_MS, &completion, &error))
        moved = app_error(app, &error);
    gc_dma_free(&pair.source); /* both engines are idle; the channels stay open */
    gc_dma_free(&pair.sink);
    return moved;
}

static void check_register(struct app *app, const char *name, size_t offset, uint32_t expected)
{
    uint32_t seen = gc_read32(&app->card.registers, offset);
    app_check(app, seen == expected, "  %-20s 0x%08x (expected 0x%08x)", name, seen, expected);
}

static void check_state_gone(struct app *app, const char *reset)
{
    app_say(app, "after %s:\n", reset);
    check_register(app, "ID", GHOSTCARD_REF_ID, GHOSTCARD_REF_ID_RESET);
    check_register(app, "SCRATCH", GHOSTCARD_REF_SCRATCH, 0);
    check_register(app, "SCRATCH64 low", GHOSTCARD_REF_SCRATCH64, 0);
    check_register(app, "SCRATCH64 high", GHOSTCARD_REF_SCRATCH64 + 4, 0);
    check_register(app, "IRQ_STATUS", GHOSTCARD_REF_IRQ_STATUS, 0);
    check_register(app, "IRQ_ENABLE", GHOSTCARD_REF_IRQ_ENABLE, 0);
    check_register(app, "IRQ_COUNT", GHOSTCARD_REF_IRQ_COUNT, 0);
    check_register(app, "PAIR[0].PROCESSING", GHOSTCARD_REF_PAIR_PROCESSING(0), REF_PROCESSING_MEMORY);
    check_register(app, "H2C[0].CONTROL", GHOSTCARD_REF_H2C_CONTROL(0), 0);
    check_register(app, "H2C[0].RING_BASE", GHOSTCARD_REF_H2C_RING_BASE(0), 0);
    check_register(app, "H2C[0].CONSUMER", GHOSTCARD_REF_H2C_CONSUMER_INDEX(0), 0);
    check_register(app, "H2C[0].COMPLETED", GHOSTCARD_REF_H2C_COMPLETED(0), 0);
    check_register(app, "C2H[0].STATUS", GHOSTCARD_REF_C2H_STATUS(0), 0);
}

/* The command register, or 0 if this program cannot read it. */
static bool read_command(struct app *app, uint32_t *command)
{
    struct gc_error error;
    *command = 0;
    return !gc_is_pci(app->card.device) ||
           gc_config_read(app->card.device, PCI_COMMAND, 2, command, &error) || app_error(app, &error);
}

/* Configuration space must be unchanged, and data must move again. */
static void check_works(struct app *app, uint32_t command_before)
{
    struct gc_error error;
    struct pair pair;
    uint32_t command;
    if (!read_command(app, &command))
        return;
    uint32_t kept = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
    if (gc_is_pci(app->card.device))
        app_check(app, (command & kept) == (command_before & kept),
                "  memory decoding and bus mastering are unchanged (0x%x)", command);
    if (!ref_irq_enable(&app->card, &error)) {
        app_error(app, &error);
        return;
    }
    if (!pair_open(app, &pair, 0, 1 << 20))
        return;
    size_t size = pair.source.size < 1 << 20 ? pair.source.size : 1 << 20;
    ref_select_processing(&app->card, 0, REF_PROCESSING_LOOPBACK);
    fill_pattern(&pair.source, 0, size, 11);
    if (!ref_submit(&pair.c2h, &pair.sink, 0, size, 0, &error) ||
            !ref_submit(&pair.h2c, &pair.source, 0, size, 0, &error) ||
            !wait_done(app, &pair.h2c, size, &error) || !wait_done(app, &pair.c2h, size, &error)) {
        app_error(app, &error);
    } else {
        gc_dma_sync_for_cpu(&pair.sink, 0, size);
        app_check(app, is_same(&pair.source, 0, &pair.sink, 0, size),
                "  %zu bytes go through the card and back", size);
    }
    pair_close(&pair);
}

static void check_kernel_reset(struct app *app, uint32_t command)
{
    struct gc_error error;
    if (!gc_can_reset(app->card.device)) {
        app_not_possible(app, "a reset by the kernel: the driver has none");
        return;
    }
    if (!make_state(app))
        return;
    ref_irq_disable(&app->card);
    if (!gc_reset(app->card.device, &error)) {
        app_error(app, &error);
        return;
    }
    ref_forget(&app->card);
    check_state_gone(app, "a reset by the kernel");
    check_works(app, command);
}

static void check_soft_reset(struct app *app, uint32_t command)
{
    if (!make_state(app))
        return;
    ref_irq_disable(&app->card);
    ref_soft_reset(&app->card);
    check_state_gone(app, "a reset by CONTROL.SOFT_RESET");
    check_works(app, command);
}

int main(int argc, char **argv)
{
    static const struct app_usage USAGE = {
            "gc-reset", "resets the card in every possible way and checks the result", "", NULL};
    struct app app;
    uint32_t command;
    app_begin(&app, &USAGE, argc, argv);
    if (app_open_card(&app) && read_command(&app, &command)) {
        if (!gc_is_pci(app.card.device))
            app_not_possible(&app, "checking configuration space: the kernel module owns the PCI function");
        check_kernel_reset(&app, command);
        if (!app.cannot_go_on)
            check_soft_reset(&app, command);
    }
    return app_end(&app);
}
