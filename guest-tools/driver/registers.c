/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checked register accesses: all ones are read again before they are trusted, and a written register is read
 * back. See refcard.h.
 */
#include "refcard.h"

#include <linux/pci_regs.h>
#include <time.h>

/* Nothing has answered for REF_LINK_MS. A function that still has its configuration space was reset. */
static bool fail_silent(struct ref_card *card, size_t offset, struct gc_error *error)
{
    const char *name = gc_name(card->device);
    uint32_t class_revision; /* vfio-pci emulates the ids before it, even for a missing function */
    if (offset != GHOSTCARD_REF_ID && gc_read32(&card->registers, GHOSTCARD_REF_ID) != UINT32_MAX) {
        ref_note(card, REF_ALL_ONES, "register 0x%zx reads all ones for %d ms, but ID does not", offset,
                REF_LINK_MS);
        return gc_fail(error, "register 0x%zx of %s reads all ones for %d ms, but its ID does not", offset,
                name, REF_LINK_MS);
    }
    if (gc_is_pci(card->device) &&
            gc_config_read(card->device, PCI_CLASS_REVISION, 4, &class_revision, NULL) &&
            class_revision != UINT32_MAX) {
        ref_note(card, REF_RESET, "the registers read all ones, but the configuration space does not");
        return gc_fail(error, "%s does not decode its addresses: it was reset", name);
    }
    card->gone = true;
    ref_note(card, REF_GONE, "the registers%s read all ones for %d ms",
            gc_is_pci(card->device) ? " and the configuration space" : "", REF_LINK_MS);
    return gc_fail(error,
            "%s does not answer: register 0x%zx reads all ones for %d ms. It was removed, has lost power, or "
            "its link is down",
            name, offset, REF_LINK_MS);
}

bool ref_read(struct ref_card *card, size_t offset, uint32_t *value, struct gc_error *error)
{
    const struct timespec pause = {.tv_nsec = 1000000};
    *value = UINT32_MAX;
    if (card->gone)
        return gc_fail(error, "%s is gone and is not accessed any more", gc_name(card->device));
    uint64_t started_ns = 0; /* in some guests reading the clock costs as much as an access */
    while ((*value = gc_read32(&card->registers, offset)) == UINT32_MAX) {
        if (started_ns == 0)
            started_ns = gc_now_ns();
        if (gc_now_ns() - started_ns > REF_LINK_MS * UINT64_C(1000000))
            return fail_silent(card, offset, error);
        nanosleep(&pause, NULL);
    }
    if (started_ns != 0)
        ref_note(card, REF_ALL_ONES, "register 0x%zx has read all ones for %llu us", offset,
                (unsigned long long)(gc_now_ns() - started_ns) / 1000);
    return true;
}

static bool write_and_look(
        struct ref_card *card, bool is_wide, size_t offset, uint64_t value, struct gc_error *error)
{
    enum { ATTEMPTS = 3, LOOKS = 2 }; /* the first read flushes posted writes, the second sees their effect */
    uint64_t seen = 0;
    for (int attempt = 0; attempt < ATTEMPTS; attempt++) {
        if (is_wide)
            gc_write64(&card->registers, offset, value);
        else
            gc_write32(&card->registers, offset, (uint32_t)value);
        for (int look = 0; look < LOOKS; look++) {
            uint32_t low, high = 0;
            if (!ref_read(card, offset, &low, error) ||
                    (is_wide && !ref_read(card, offset + sizeof(low), &high, error)))
                return false;
            seen = (uint64_t)high << 32 | low;
            if (seen == value)
                return true;
        }
        ref_note(card, REF_WRITE_LOST, "register 0x%zx holds 0x%llx after 0x%llx was written", offset,
                (unsigned long long)seen, (unsigned long long)value);
    }
    return gc_fail(error, "register 0x%zx of %s holds 0x%llx after 0x%llx was written %d times", offset,
            gc_name(card->device), (unsigned long long)seen, (unsigned long long)value, ATTEMPTS);
}

bool ref_write(struct ref_card *card, size_t offset, uint32_t value, struct gc_error *error)
{
    return write_and_look(card, false, offset, value, error);
}

bool ref_write64(struct ref_card *card, size_t offset, uint64_t value, struct gc_error *error)
{
    return write_and_look(card, true, offset, value, error);
}
