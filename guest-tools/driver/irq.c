/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupts of the card: one vector for each source, or one for all, whose sources are told apart and
 * acknowledged by IRQ_STATUS. See refcard.h.
 */
#include "refcard.h"

static const uint32_t ALL_SOURCES = (1u << REF_SOURCE_COUNT) - 1;

bool ref_irq_enable(struct ref_card *card, struct gc_error *error)
{
    gc_write32(&card->registers, GHOSTCARD_REF_IRQ_ENABLE, 0);
    gc_write32(&card->registers, GHOSTCARD_REF_IRQ_STATUS, ALL_SOURCES);
    gc_read32(&card->registers, GHOSTCARD_REF_IRQ_STATUS);
    card->pending = 0;
    card->vectors = REF_SOURCE_COUNT;
    if (!gc_irq_enable(card->device, card->irq_mode, &card->vectors, error))
        return false;
    return ref_write(card, GHOSTCARD_REF_IRQ_ENABLE, ALL_SOURCES, error);
}

void ref_irq_disable(struct ref_card *card)
{
    if (!card->gone) {
        gc_write32(&card->registers, GHOSTCARD_REF_IRQ_ENABLE, 0);
        gc_read32(&card->registers, GHOSTCARD_REF_IRQ_ENABLE);
    }
    gc_irq_disable(card->device);
}

/*
 * One vector for all: finds and acknowledges the sources, until none is left. The last read also makes sure
 * that an INTx line is deasserted before it is unmasked. Bounded: sources that are faster than their
 * acknowledgement interrupt again.
 */
static bool acknowledge(struct ref_card *card, bool *found, struct gc_error *error)
{
    enum { ROUNDS = 8 };
    *found = false;
    for (int round = 0; round < ROUNDS; round++) {
        uint32_t status;
        if (!ref_read(card, GHOSTCARD_REF_IRQ_STATUS, &status, error))
            return false;
        if (status == 0)
            return true;
        *found = true;
        gc_write32(&card->registers, GHOSTCARD_REF_IRQ_STATUS, status);
        card->pending |= status;
    }
    return true;
}

static bool wait_shared(struct ref_card *card, enum ref_source source, int timeout_ms, uint64_t *taken,
        struct gc_error *error)
{
    uint64_t deadline_ns = gc_now_ns() + (uint64_t)timeout_ms * 1000000;
    uint32_t bit = 1u << source;
    bool is_over = false; /* even if others interrupt without end, as with a stuck line */
    while (!(card->pending & bit) && !is_over) {
        int left_ms = gc_left_ms(deadline_ns);
        uint64_t interrupts;
        bool found;
        is_over = left_ms == 0;
        if (!gc_irq_wait(card->device, 0, left_ms, &interrupts, error))
            return false;
        if (interrupts == 0)
            continue;
        card->interrupts += interrupts;
        if (!acknowledge(card, &found, error) || !gc_irq_rearm(card->device, error))
            return false;
        /* Each cause sends a message, and the first may have found several causes. */
        if (!found && card->irq_mode != GC_IRQ_MSI)
            ref_note(card, REF_IRQ_SURPLUS, "received an interrupt, but IRQ_STATUS is 0");
    }
    *taken = card->pending & bit ? 1 : 0;
    card->pending &= ~bit;
    return true;
}

bool ref_irq_poll(struct ref_card *card, enum ref_source source, bool *asked, struct gc_error *error)
{
    uint32_t status, bit = 1u << source;
    bool found;
    if (!ref_read(card, GHOSTCARD_REF_IRQ_STATUS, &status, error))
        return false;
    *asked = ((status | card->pending) & bit) != 0;
    if (card->vectors == REF_SOURCE_COUNT) {
        gc_write32(&card->registers, GHOSTCARD_REF_IRQ_STATUS, status & bit);
        return true;
    }
    if (!acknowledge(card, &found, error))
        return false;
    card->pending &= ~bit;
    return true;
}

bool ref_irq_wait(struct ref_card *card, enum ref_source source, int timeout_ms, uint64_t *taken,
        struct gc_error *error)
{
    *taken = 0;
    if (card->vectors < REF_SOURCE_COUNT)
        return wait_shared(card, source, timeout_ms, taken, error);
    /* With its own vector, each cause sends a message, acknowledged or not: no register access is needed. */
    if (!gc_irq_wait(card->device, source, timeout_ms, taken, error))
        return false;
    card->interrupts += *taken;
    return true;
}
