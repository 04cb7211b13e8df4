/* SPDX-License-Identifier: Apache-2.0 */
/* The card as a whole: opening, identity, interrupts, reset. See refcard.h; transfers are in channel.c. */
#include "refcard.h"

#include <string.h>

const struct gc_window_place REFCARD_REGISTERS = {.name = "registers", .bar = 0};
const struct gc_window_place REFCARD_MEMORY = {.name = "memory", .bar = 2};

static const uint32_t ALL_SOURCES = (1u << REF_SOURCE_COUNT) - 1;

/* The rings and write-back blocks of all channels. Most drivers round it up to a hugepage of 2 MiB. */
enum { CONTROL_BYTES = 64 << 10 };

static uint32_t field(uint32_t value, uint32_t mask, unsigned shift)
{
    return (value & mask) >> shift;
}

static bool identify(struct ref_card *card, struct gc_error *error)
{
    const char *name = gc_name(card->device);
    uint32_t id = gc_read32(&card->registers, GHOSTCARD_REF_ID);
    if (id != GHOSTCARD_REF_ID_RESET)
        return gc_fail(error,
                "%s is no ghostcard reference card: its ID register holds 0x%08x instead of 0x%08x%s", name,
                id, GHOSTCARD_REF_ID_RESET,
                id == UINT32_MAX ? " (all ones: nobody answers; is memory decoding on?)" : "");
    card->version = gc_read32(&card->registers, GHOSTCARD_REF_VERSION);
    card->capabilities = gc_read32(&card->registers, GHOSTCARD_REF_CAPABILITIES);
    uint32_t major =
            field(card->version, GHOSTCARD_REF_VERSION_MAJOR_MASK, GHOSTCARD_REF_VERSION_MAJOR_SHIFT);
    uint32_t known = field(
            GHOSTCARD_REF_VERSION_RESET, GHOSTCARD_REF_VERSION_MAJOR_MASK, GHOSTCARD_REF_VERSION_MAJOR_SHIFT);
    if (major != known)
        return gc_fail(error, "%s has version %u of the register map, this driver knows %u: rebuild it", name,
                major, known);
    card->channel_pairs = field(card->capabilities, GHOSTCARD_REF_CAPABILITIES_CHANNEL_PAIRS_MASK,
            GHOSTCARD_REF_CAPABILITIES_CHANNEL_PAIRS_SHIFT);
    return true;
}

unsigned ref_address_bits(const struct ref_card *card)
{
    return field(card->capabilities, GHOSTCARD_REF_CAPABILITIES_ADDRESS_BITS_MASK,
            GHOSTCARD_REF_CAPABILITIES_ADDRESS_BITS_SHIFT);
}

bool ref_can_reach(const struct ref_card *card, uint64_t address, size_t size)
{
    unsigned bits = ref_address_bits(card);
    return bits >= 64 || (address < UINT64_C(1) << bits && size <= (UINT64_C(1) << bits) - address);
}

/* Rings and write-back blocks are to be where the card reaches them. */
static bool alloc_control(struct ref_card *card, struct gc_error *error)
{
    if (!gc_dma_alloc(card->device, &card->control, CONTROL_BYTES, error))
        return false;
    struct gc_dma_segment part = gc_dma_segment_at(&card->control, 0, CONTROL_BYTES);
    if (ref_can_reach(card, part.address, part.size))
        return true;
    return gc_fail(error,
            "DMA memory for the rings of %s lies at 0x%llx, and the card drives %u address bits: reserve so "
            "many hugepages that some lie below (--hugepages), give the guest less memory, or let the kernel "
            "allocate (uio_dmem_genirq)",
            gc_name(card->device), (unsigned long long)part.address, ref_address_bits(card));
}

bool ref_open(struct ref_card *card, const char *name, const enum gc_irq_mode *mode, struct gc_error *error)
{
    *card = (struct ref_card){.device = gc_open(name, error)};
    if (!card->device)
        return false;
    card->irq_mode = mode ? *mode : gc_irq_best_mode(card->device);
    if (!gc_window_open(card->device, &REFCARD_REGISTERS, &card->registers, error) ||
            !gc_window_open(card->device, &REFCARD_MEMORY, &card->memory, error) || !identify(card, error) ||
            !alloc_control(card, error)) {
        ref_close(card);
        return false;
    }
    if (!ref_is_coherent(card))
        gc_dma_set_sync(card->device, ref_sync, card);
    ref_soft_reset(card);
    if (!gc_set_bus_master(card->device, true, error) || !ref_irq_enable(card, error)) {
        ref_close(card);
        return false;
    }
    return true;
}

void ref_close(struct ref_card *card)
{
    if (!card->device)
        return;
    if (card->control.bytes) /* only then it has been identified, and may be running */
        ref_soft_reset(card);
    gc_set_bus_master(card->device, false, NULL);
    gc_dma_free(&card->control);
    gc_close(card->device);
    *card = (struct ref_card){0};
}

void ref_soft_reset(struct ref_card *card)
{
    gc_write32(&card->registers, GHOSTCARD_REF_CONTROL, GHOSTCARD_REF_CONTROL_SOFT_RESET_MASK);
    gc_read32(&card->registers, GHOSTCARD_REF_CONTROL); /* the write has arrived once this comes back */
    ref_forget(card);
}

void ref_forget(struct ref_card *card)
{
    card->control_used = 0;
    card->pending = 0;
}

bool ref_irq_enable(struct ref_card *card, struct gc_error *error)
{
    gc_write32(&card->registers, GHOSTCARD_REF_IRQ_ENABLE, 0);
    gc_write32(&card->registers, GHOSTCARD_REF_IRQ_STATUS, ALL_SOURCES);
    gc_read32(&card->registers, GHOSTCARD_REF_IRQ_STATUS);
    card->pending = 0;
    card->vectors = REF_SOURCE_COUNT;
    if (!gc_irq_enable(card->device, card->irq_mode, &card->vectors, error))
        return false;
    gc_write32(&card->registers, GHOSTCARD_REF_IRQ_ENABLE, ALL_SOURCES);
    return true;
}

void ref_irq_disable(struct ref_card *card)
{
    gc_write32(&card->registers, GHOSTCARD_REF_IRQ_ENABLE, 0);
    gc_read32(&card->registers, GHOSTCARD_REF_IRQ_ENABLE);
    gc_irq_disable(card->device);
}

/*
 * One vector for all: finds out who it was and acknowledges, until nobody is left; the last read also makes
 * sure that an INTx line is down before it is unmasked. Bounded: sources that come faster than they are
 * acknowledged will interrupt again.
 */
static void acknowledge(struct ref_card *card)
{
    for (int round = 0; round < 8; round++) {
        uint32_t status = gc_read32(&card->registers, GHOSTCARD_REF_IRQ_STATUS);
        if (status == 0)
            return;
        gc_write32(&card->registers, GHOSTCARD_REF_IRQ_STATUS, status);
        card->pending |= status;
    }
}

static bool wait_shared(struct ref_card *card, enum ref_source source, int timeout_ms, uint64_t *taken,
        struct gc_error *error)
{
    uint64_t deadline_ns = gc_now_ns() + (uint64_t)timeout_ms * 1000000;
    uint32_t bit = 1u << source;
    while (!(card->pending & bit)) {
        uint64_t interrupts;
        if (!gc_irq_wait(card->device, 0, gc_left_ms(deadline_ns), &interrupts, error))
            return false;
        if (interrupts > 0) {
            card->interrupts += interrupts;
            acknowledge(card);
            if (!gc_irq_rearm(card->device, error))
                return false;
        } else if (gc_left_ms(deadline_ns) == 0) {
            break;
        }
    }
    *taken = card->pending & bit ? 1 : 0;
    card->pending &= ~bit;
    return true;
}

bool ref_irq_wait(struct ref_card *card, enum ref_source source, int timeout_ms, uint64_t *taken,
        struct gc_error *error)
{
    *taken = 0;
    if (card->vectors < REF_SOURCE_COUNT)
        return wait_shared(card, source, timeout_ms, taken, error);
    /* A vector of its own, and a message each time, acknowledged or not: no register access is needed. */
    if (!gc_irq_wait(card->device, source, timeout_ms, taken, error))
        return false;
    card->interrupts += *taken;
    return true;
}

void ref_select_kernel(struct ref_card *card, unsigned pair, enum ref_kernel kernel)
{
    gc_write32(&card->registers, GHOSTCARD_REF_PAIR_KERNEL(pair), kernel);
}
