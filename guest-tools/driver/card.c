/* SPDX-License-Identifier: Apache-2.0 */
/* The card as a whole: opening, identity, reset. See refcard.h. */
#include "refcard.h"

const struct gc_window_place REFCARD_REGISTERS = {.name = "registers", .bar = 0};
const struct gc_window_place REFCARD_MEMORY = {.name = "memory", .bar = 2};

/* Size of the memory for all rings and write-back blocks. Most drivers round it up to a hugepage of 2 MiB. */
enum { CONTROL_BYTES = 64 << 10 };

/* An interrupt that has not arrived after this time will not arrive, even on a busy machine. */
enum { DEFAULT_WATCH_MS = 1000 };

static uint32_t field(uint32_t value, uint32_t mask, unsigned shift)
{
    return (value & mask) >> shift;
}

static bool identify(struct ref_card *card, struct gc_error *error)
{
    const char *name = gc_name(card->device);
    uint32_t id;
    if (!ref_read(card, GHOSTCARD_REF_ID, &id, NULL) || id != GHOSTCARD_REF_ID_RESET)
        return gc_fail(error,
                "%s is not a ghostcard reference card: its ID register holds 0x%08x instead of 0x%08x%s",
                name, id, GHOSTCARD_REF_ID_RESET,
                id == UINT32_MAX ? " (all ones: nothing answers; is memory decoding on?)" : "");
    if (!ref_read(card, GHOSTCARD_REF_VERSION, &card->version, error) ||
            !ref_read(card, GHOSTCARD_REF_CAPABILITIES, &card->capabilities, error))
        return false;
    uint32_t major =
            field(card->version, GHOSTCARD_REF_VERSION_MAJOR_MASK, GHOSTCARD_REF_VERSION_MAJOR_SHIFT);
    uint32_t known = field(
            GHOSTCARD_REF_VERSION_RESET, GHOSTCARD_REF_VERSION_MAJOR_MASK, GHOSTCARD_REF_VERSION_MAJOR_SHIFT);
    if (major != known)
        return gc_fail(error,
                "%s has version %u of the register map, but this driver supports %u: rebuild it", name, major,
                known);
    card->channel_pairs = field(card->capabilities, GHOSTCARD_REF_CAPABILITIES_CHANNEL_PAIRS_MASK,
            GHOSTCARD_REF_CAPABILITIES_CHANNEL_PAIRS_SHIFT);
    return card->channel_pairs <= REF_MAX_PAIRS ||
           gc_fail(error, "%s has %u channel pairs, but this driver supports %d: rebuild it", name,
                   card->channel_pairs, REF_MAX_PAIRS);
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

static bool alloc_control(struct ref_card *card, struct gc_error *error)
{
    gc_dma_set_mask(card->device, card->address_bits > 0 ? card->address_bits : ref_address_bits(card));
    return gc_dma_alloc(card->device, &card->control, CONTROL_BYTES, error);
}

bool ref_open(struct ref_card *card, const char *name, const enum gc_irq_mode *mode, struct gc_error *error)
{
    *card = (struct ref_card){
            .device = gc_open(name, error),
            .watch_ms = card->watch_ms > 0 ? card->watch_ms : DEFAULT_WATCH_MS,
            .listener = card->listener,
            .listener_context = card->listener_context,
            .address_bits = card->address_bits,
    };
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
    if (card->control.bytes && !card->gone) /* else it was not identified, and is not running */
        ref_soft_reset(card);
    gc_set_bus_master(card->device, false, NULL);
    gc_dma_free(&card->control);
    gc_close(card->device);
    *card = (struct ref_card){0};
}

void ref_soft_reset(struct ref_card *card)
{
    gc_write32(&card->registers, GHOSTCARD_REF_CONTROL, GHOSTCARD_REF_CONTROL_SOFT_RESET_MASK);
    gc_read32(&card->registers, GHOSTCARD_REF_CONTROL); /* flushes the write */
    ref_forget(card);
}

void ref_forget(struct ref_card *card)
{
    card->control_used = 0;
    card->pending = 0;
    for (unsigned source = 0; source < REF_SOURCE_COUNT; source++)
        card->channels[source] = NULL;
    for (unsigned pair = 0; pair < REF_MAX_PAIRS; pair++)
        card->processing[pair] = REF_PROCESSING_MEMORY;
}

void ref_select_processing(struct ref_card *card, unsigned pair, enum ref_processing processing)
{
    card->processing[pair] = processing;
    ref_write(card, GHOSTCARD_REF_PAIR_PROCESSING(pair), processing, NULL); /* recorded if it fails */
}
