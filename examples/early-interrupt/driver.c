/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Receives messages from the reference card: driver [PCI-ADDRESS]
 *
 * Channel C2H0 has a ring of four descriptors, each with a buffer of its own. The messages are sent by H2C0,
 * and the processing function LOOPBACK returns them: a self-test, which knows what it must receive. One thing
 * in here is wrong; docs/finding-a-dma-bug.md finds it.
 */
#include "driver/refcard.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOTS = 4, SLOT_BYTES = 64, SENT_FROM = SLOTS * SLOT_BYTES, WAIT_MS = 2000 };

static const char *const MESSAGES[] = {
        "pump 1 running, 1480 rpm, 71 C",
        "pump 2 running, 1475 rpm, 69 C",
        "pump 3 stopped by the operator",
        "pump 4 running, 1490 rpm, 74 C",
        "pump 1 ok",
        "pump 2 ok",
        "pump 3 ok",
        "pump 4 ok",
};

struct driver {
    struct ref_card card;
    struct ref_channel send, receive;
    struct gc_dma_buffer memory; /* the slots' buffers, then what is sent */
};

/* Gives a slot to the card. It has its buffer since the beginning: only the owner changes. */
static void hand_over(struct driver *driver, unsigned slot)
{
    gc_write_barrier();
    driver->receive.ring[slot].control =
            GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK | GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK;
    driver->receive.producer = (slot + 1) % SLOTS;
    ref_doorbell(&driver->receive);
}

/* The next message, in this slot: its length, and its bytes. */
static bool receive(
        struct driver *driver, unsigned slot, char text[SLOT_BYTES], uint32_t *length, struct gc_error *error)
{
    const struct ref_descriptor *descriptor = &driver->receive.ring[slot];
    uint64_t interrupts;
    if (!ref_irq_wait(&driver->card, driver->receive.source, WAIT_MS, &interrupts, error))
        return false;
    if (interrupts == 0)
        return gc_fail(error, "waiting for a message: no interrupt within %d ms", WAIT_MS);
    *length = descriptor->transferred;
    gc_mark("takes descriptor %u: %u bytes", slot, *length);
    if (*length > SLOT_BYTES)
        return gc_fail(error, "descriptor %u says %u bytes, of a buffer of %d", slot, *length, SLOT_BYTES);
    gc_dma_read(&driver->memory, slot * SLOT_BYTES, text, *length);
    return true;
}

static void send(struct driver *driver, const char *text)
{
    uint32_t control = GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK | GHOSTCARD_REF_DESC_CONTROL_EOP_MASK;
    uint32_t length = (uint32_t)strlen(text);
    gc_dma_write(&driver->memory, SENT_FROM, text, length);
    ref_put(&driver->send, control, gc_dma_segment_at(&driver->memory, SENT_FROM, length).address, length, 0);
    ref_doorbell(&driver->send);
}

static bool start(struct driver *driver, const char *address, struct gc_error *error)
{
    if (!ref_open(&driver->card, address, NULL, error) ||
            !gc_dma_alloc(driver->card.device, &driver->memory, SENT_FROM + SLOT_BYTES, error))
        return false;
    ref_select_processing(&driver->card, 0, REF_PROCESSING_LOOPBACK);
    if (!ref_channel_open(&driver->send, &driver->card, REF_H2C, 0, SLOTS, error) ||
            !ref_channel_open(&driver->receive, &driver->card, REF_C2H, 0, SLOTS, error))
        return false;
    for (unsigned slot = 0; slot < SLOTS; slot++) {
        struct ref_descriptor *descriptor = &driver->receive.ring[slot];
        descriptor->host_address = gc_dma_segment_at(&driver->memory, slot * SLOT_BYTES, SLOT_BYTES).address;
        descriptor->length = SLOT_BYTES;
    }
    return true;
}

static bool self_test(struct driver *driver, struct gc_error *error)
{
    for (unsigned i = 0; i < sizeof(MESSAGES) / sizeof(MESSAGES[0]); i++) {
        unsigned slot = i % SLOTS;
        char text[SLOT_BYTES];
        uint32_t length = 0;
        hand_over(driver, slot);
        send(driver, MESSAGES[i]);
        if (!receive(driver, slot, text, &length, error))
            return false;
        printf("%.*s\n", (int)length, text);
        if (length == strlen(MESSAGES[i]) && memcmp(text, MESSAGES[i], length) == 0)
            continue;
        usleep(500000);
        return gc_fail(error,
                "message %u was \"%s\" when it was sent, and has come with %u bytes; "
                "a moment later, descriptor %u says %u bytes",
                i, MESSAGES[i], length, slot, driver->receive.ring[slot].transferred);
    }
    return true;
}

/* The engines let go of memory before it is freed. */
static void stop(struct driver *driver)
{
    if (driver->send.ring)
        ref_channel_close(&driver->send);
    if (driver->receive.ring)
        ref_channel_close(&driver->receive);
    gc_dma_free(&driver->memory);
    ref_close(&driver->card);
}

int main(int argc, char **argv)
{
    const char *address = argc > 1 ? argv[1] : getenv("GHOSTCARD_PCI_ADDRESS");
    struct driver driver = {0};
    struct gc_error error;
    if (!address) {
        fputs("usage: driver PCI-ADDRESS\n", stderr);
        return 2;
    }
    setlinebuf(stdout);
    bool ok = start(&driver, address, &error) && self_test(&driver, &error);
    if (!ok)
        fprintf(stderr, "driver: %s\n", error.message);
    stop(&driver);
    return ok ? 0 : 1;
}
