/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Synchronises memory with a card that is not coherent, by its SYNC registers, like dma_sync_single_* in a
 * kernel driver. See docs/coherence.md. A coherent card does not need it.
 */
#include "refcard.h"

/* Registers of the only SYNC block. */
enum {
    SYNC_ADDRESS = GHOSTCARD_REF_SYNC_ADDRESS(0),
    SYNC_SIZE = GHOSTCARD_REF_SYNC_SIZE(0),
    SYNC_STATUS = GHOSTCARD_REF_SYNC_STATUS(0),
};

/* Longer than any synchronisation takes, even by message. */
static const uint64_t SYNC_LIMIT_NS = UINT64_C(10000000000);

/* STATUS when the card is done, or at the timeout. */
static uint32_t wait_until_done(const struct gc_window *registers)
{
    uint64_t deadline_ns = gc_now_ns() + SYNC_LIMIT_NS;
    uint32_t status;
    do
        status = gc_read32(registers, SYNC_STATUS);
    while ((status & GHOSTCARD_REF_SYNC_STATUS_BUSY_MASK) && status != UINT32_MAX &&
            gc_now_ns() < deadline_ns);
    return status;
}

static const char *error_name(uint32_t status)
{
    static const char *const NAMES[] = {
            [GHOSTCARD_REF_SYNC_STATUS_ERROR_CODE_BAD_SIZE] = "BAD_SIZE",
            [GHOSTCARD_REF_SYNC_STATUS_ERROR_CODE_BAD_ADDRESS] = "BAD_ADDRESS",
            [GHOSTCARD_REF_SYNC_STATUS_ERROR_CODE_VIEW_FULL] =
                    "VIEW_FULL: reset the card, or give it a larger view",
            [GHOSTCARD_REF_SYNC_STATUS_ERROR_CODE_BUSY] = "BUSY",
    };
    uint32_t code = (status & GHOSTCARD_REF_SYNC_STATUS_ERROR_CODE_MASK) >>
                    GHOSTCARD_REF_SYNC_STATUS_ERROR_CODE_SHIFT;
    if (status == UINT32_MAX)
        return "nothing answers";
    if (status & GHOSTCARD_REF_SYNC_STATUS_BUSY_MASK)
        return "not finished in time";
    return code < sizeof(NAMES) / sizeof(NAMES[0]) && NAMES[code] ? NAMES[code] : "unknown";
}

void ref_sync(void *context, enum gc_dma_direction direction, struct gc_dma_segment part)
{
    struct ref_card *card = context;
    const struct gc_window *registers = &card->registers;
    bool for_device = direction == GC_DMA_FOR_DEVICE;
    gc_write64(registers, SYNC_ADDRESS, part.address);
    gc_write32(registers, SYNC_SIZE, (uint32_t)part.size);
    if (for_device)
        gc_write32(registers, GHOSTCARD_REF_SYNC_FOR_DEVICE(0), GHOSTCARD_REF_SYNC_FOR_DEVICE_GO_MASK);
    else
        gc_write32(registers, GHOSTCARD_REF_SYNC_FOR_CPU(0), GHOSTCARD_REF_SYNC_FOR_CPU_GO_MASK);
    uint32_t status = wait_until_done(registers);
    if (status == 0)
        return;
    gc_write32(registers, SYNC_STATUS, GHOSTCARD_REF_SYNC_STATUS_ERROR_MASK);
    if (!card->sync_failed)
        gc_fail(&card->sync_error, "cannot synchronise %zu bytes at 0x%llx for the %s: STATUS is 0x%x (%s)",
                part.size, (unsigned long long)part.address, for_device ? "card" : "CPU", status,
                error_name(status));
    card->sync_failed = true;
}

void ref_sync_address(struct ref_card *card, enum gc_dma_direction direction, uint64_t address, size_t size)
{
    if (!ref_is_coherent(card))
        ref_sync(card, direction, (struct gc_dma_segment){address, size});
}

bool ref_is_coherent(const struct ref_card *card)
{
    return (card->capabilities & GHOSTCARD_REF_CAPABILITIES_NON_COHERENT_MASK) == 0;
}

bool ref_sync_check(struct ref_card *card, struct gc_error *error)
{
    if (!card->sync_failed)
        return true;
    card->sync_failed = false;
    return gc_fail(error, "%s", card->sync_error.message);
}
