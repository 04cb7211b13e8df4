/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Recovers a card that does not work, by a ladder of resets from the mildest to the strongest. See refcard.h.
 *
 * Models: Linux drivers/ata/libata-eh.c and drivers/nvme/host/pci.c, which escalate in the same way; PCI
 * Express Base Specification 6.0, 6.6.2 (function-level reset).
 */
#include "refcard.h"

/*
 * Restores interrupts, processing functions and rings, whatever the registers hold. Each channel is reset and
 * the streams are emptied: the mildest reset.
 */
static bool set_up(struct ref_card *card, struct gc_error *error)
{
    if (!gc_set_bus_master(card->device, true, error) || !ref_irq_enable(card, error))
        return false;
    for (unsigned source = 0; source < REF_SOURCE_COUNT; source++)
        if (card->channels[source] && !ref_channel_set_up(card->channels[source], error))
            return false;
    for (unsigned pair = 0; pair < card->channel_pairs; pair++) /* which also empties the streams */
        if (!ref_write(card, GHOSTCARD_REF_PAIR_PROCESSING(pair), card->processing[pair], error))
            return false;
    return true;
}

static bool reset_card(struct ref_card *card, struct gc_error *error)
{
    uint32_t enabled;
    gc_write32(&card->registers, GHOSTCARD_REF_CONTROL, GHOSTCARD_REF_CONTROL_SOFT_RESET_MASK);
    if (!ref_read(card, GHOSTCARD_REF_IRQ_ENABLE, &enabled, error))
        return false;
    if (enabled != 0)
        return gc_fail(error, "%s is unchanged after CONTROL.SOFT_RESET (IRQ_ENABLE 0x%x)",
                gc_name(card->device), enabled);
    return set_up(card, error);
}

static bool reset_function(struct ref_card *card, struct gc_error *error)
{
    ref_irq_disable(card);
    return gc_reset(card->device, error) && set_up(card, error);
}

static const struct reset {
    enum ref_event event;
    bool (*try)(struct ref_card *card, struct gc_error *error);
} RESETS[] = {
        {REF_CHANNEL_RESET, set_up},
        {REF_SOFT_RESET, reset_card},
        {REF_FUNCTION_RESET, reset_function},
};
enum { RESET_COUNT = sizeof(RESETS) / sizeof(RESETS[0]) };

/* A function that was reset without the kernel's knowledge has lost its addresses. */
static bool make_reachable(struct ref_card *card, struct gc_error *error)
{
    uint32_t id;
    if (!ref_read(card, GHOSTCARD_REF_ID, &id, error) &&
            (card->gone || !gc_restore(card->device, error) || !ref_read(card, GHOSTCARD_REF_ID, &id, error)))
        return false;
    if (id == GHOSTCARD_REF_ID_RESET)
        return true;
    card->gone = true;
    ref_note(card, REF_GONE, "there is something else at its address: ID reads 0x%x", id);
    return gc_fail(error, "%s is gone: there is something else at its address, ID reads 0x%x",
            gc_name(card->device), id);
}

bool ref_recover(struct ref_card *card, struct gc_error *error)
{
    gc_fail(error, "%s does not work, and all resets have been tried", gc_name(card->device));
    while (card->resets_tried < RESET_COUNT && make_reachable(card, error)) {
        const struct reset *reset = &RESETS[card->resets_tried++];
        bool helped = reset->try(card, error);
        ref_note(card, reset->event, "%s%s",
                helped ? "everything is set up again" : "did not help: ", helped ? "" : error->message);
        if (helped)
            return true;
    }
    if (!card->gone)
        gc_set_bus_master(card->device, false, NULL); /* whatever it does, it can no longer reach memory */
    return false;
}
