/* SPDX-License-Identifier: Apache-2.0 */
/* The card as a whole: what the driver notes about it, opening and reset, registers, interrupts, coherence.
 * See refcard.h. */
#ifndef GHOSTCARD_CARD_H
#define GHOSTCARD_CARD_H

#include "../include/ghostcard_ref_regs.h"
#include "../lib/ghostcard.h"

enum { REF_VENDOR_ID = 0x1234, REF_DEVICE_ID = 0x4743 };

/* Where its windows are, on a PCI function and on a platform device. */
extern const struct gc_window_place REFCARD_REGISTERS, REFCARD_MEMORY;

/* Interrupt sources: bit in the IRQ registers, and vector with MSI and MSI-X. */
enum ref_source {
    REF_SOURCE_H2C0 = GHOSTCARD_REF_IRQ_STATUS_H2C0_SHIFT,
    REF_SOURCE_H2C1 = GHOSTCARD_REF_IRQ_STATUS_H2C1_SHIFT,
    REF_SOURCE_C2H0 = GHOSTCARD_REF_IRQ_STATUS_C2H0_SHIFT,
    REF_SOURCE_C2H1 = GHOSTCARD_REF_IRQ_STATUS_C2H1_SHIFT,
    REF_SOURCE_USER = GHOSTCARD_REF_IRQ_STATUS_USER_SHIFT,
    REF_SOURCE_COUNT,
};

/* What sits between the two channels of a pair: its processing function. */
enum ref_processing {
    REF_PROCESSING_MEMORY = GHOSTCARD_REF_PAIR_PROCESSING_SELECT_MEMORY,
    REF_PROCESSING_LOOPBACK = GHOSTCARD_REF_PAIR_PROCESSING_SELECT_LOOPBACK,
    REF_PROCESSING_CRC32C = GHOSTCARD_REF_PAIR_PROCESSING_SELECT_CRC32C,
};

/* One entry of a ring, as it lies in memory. */
struct ref_descriptor {
    volatile uint32_t control;
    volatile uint32_t length;
    volatile uint64_t host_address;
    volatile uint64_t card_address;
    volatile uint32_t transferred;
    volatile uint32_t status;
};

/* What the card writes to memory about a channel; consumer_index last. */
struct ref_write_back {
    volatile uint32_t consumer_index;
    volatile uint32_t status;
    volatile uint32_t completed;
    volatile uint32_t reserved;
};

/* ---------------------------------------------------------------------------------------------- events.c */

/* What a driver has to cope with; ref_event_name and ref_event_remedy have the words. */
enum ref_event {
    REF_IRQ_LOST,
    REF_IRQ_LATE,
    REF_IRQ_EARLY,
    REF_IRQ_SURPLUS,
    REF_WRITE_BACK_EARLY,
    REF_WRITE_BACK_LATE,
    REF_DOORBELL_LOST,
    REF_DOORBELL_LATE,
    REF_WRITE_LOST,
    REF_MISREAD,
    REF_SHORT,
    REF_SLOW,
    REF_STALLED,
    REF_STUCK,
    REF_ALL_ONES,
    REF_RESET,
    REF_GONE,
    /* Found by whoever compares what was sent with what has come. */
    REF_DATA_LATE,
    REF_DATA_WRONG,
    /* What ref_recover has done. */
    REF_CHANNEL_RESET,
    REF_SOFT_RESET,
    REF_FUNCTION_RESET,
    REF_EVENT_COUNT,
};

const char *ref_event_name(enum ref_event event);
/* What the driver does about it, as in "waits on as long as there is progress". */
const char *ref_event_remedy(enum ref_event event);
/* Also seen of a card that works, on a busy machine. */
bool ref_event_is_harmless(enum ref_event event);

struct ref_card;

/* Is told of every event, with what was seen. */
typedef void ref_listener(void *context, enum ref_event event, const char *text);
__attribute__((format(printf, 3, 4))) void ref_note(
        struct ref_card *card, enum ref_event event, const char *format, ...);

/* ------------------------------------------------------------------------------------------------ card.c */

/* The reference card has 2 pairs. */
enum { REF_MAX_PAIRS = 2 };

struct ref_card {
    struct gc_device *device;
    struct gc_window registers;
    struct gc_window memory;
    enum gc_irq_mode irq_mode;
    unsigned vectors; /* granted: one for each source, or one for all */
    uint32_t version, capabilities;
    unsigned channel_pairs;
    /* Rings and write-back blocks of all channels, handed out from the start. */
    struct gc_dma_buffer control;
    size_t control_used;
    uint32_t pending;    /* one vector for all: sources that came while we waited for another; bit each */
    uint64_t interrupts; /* taken since ref_open */
    /* For ref_recover: what is set up, by source and by pair, and how many means it has used up. */
    struct ref_channel *channels[REF_SOURCE_COUNT];
    enum ref_processing processing[REF_MAX_PAIRS];
    unsigned resets_tried;
    bool gone;    /* it does not answer any more: nothing of it is touched */
    int watch_ms; /* an interrupt is overdue after this long, and the ring is looked at without */
    uint64_t events[REF_EVENT_COUNT];
    ref_listener *listener; /* may be NULL */
    void *listener_context;
    /* The first synchronisation that the card has refused, until it is told of by ref_sync_check. */
    bool sync_failed;
    struct gc_error sync_error;
};

/*
 * Opens the card, a PCI function or a platform device as for gc_open, makes sure that it is one, resets it,
 * turns bus mastering on, enables interrupts of every source. After this the card is idle and its registers
 * are at their reset values. `card` is zeroed before, but for watch_ms (0: 1000) and the listener.
 */
bool ref_open(struct ref_card *card, const char *name, const enum gc_irq_mode *mode, struct gc_error *error);
void ref_close(struct ref_card *card);

/*
 * The whole card back to its reset values by its own register; card memory stays. Interrupts have to be
 * enabled anew.
 */
void ref_soft_reset(struct ref_card *card);
/* The card has been reset: nothing is set up, and channels are to be opened anew. */
void ref_forget(struct ref_card *card);

/* While both channels of the pair are idle. */
void ref_select_processing(struct ref_card *card, unsigned pair, enum ref_processing processing);

/* The card's DMA mask: how many address bits it drives, and whether that reaches all of a range. */
unsigned ref_address_bits(const struct ref_card *card);
bool ref_can_reach(const struct ref_card *card, uint64_t address, size_t size);

/* ------------------------------------------------------------------------------------------- registers.c */

/*
 * Reads a register that never holds all ones: those mean that nobody has answered. Asks again until the card
 * does, at most REF_LINK_MS; false: it does not, and if it does not even know its ID any more, card->gone.
 */
enum { REF_LINK_MS = 1000 };
bool ref_read(struct ref_card *card, size_t offset, uint32_t *value, struct gc_error *error);

/* Writes a register that reads as written, and makes sure that it does; for set-up, not for the data path. */
bool ref_write(struct ref_card *card, size_t offset, uint32_t value, struct gc_error *error);
bool ref_write64(struct ref_card *card, size_t offset, uint64_t value, struct gc_error *error);

/* ------------------------------------------------------------------------------------------------- irq.c */

/* Interrupts of all sources on, in the mode given at ref_open. Leftovers from before are acknowledged. */
bool ref_irq_enable(struct ref_card *card, struct gc_error *error);
void ref_irq_disable(struct ref_card *card);

/*
 * Waits for an interrupt of `source`. True with the number taken: 0 when the time is over. Where all sources
 * share a vector (INTx, LINE, and MSI if there is one only) the number is 0 or 1.
 */
bool ref_irq_wait(struct ref_card *card, enum ref_source source, int timeout_ms, uint64_t *taken,
        struct gc_error *error);

/*
 * An interrupt that is overdue: whether `source` has asked for one, as IRQ_STATUS says; where each source has
 * a vector, since this was asked last, for nothing else acknowledges it. What was posted before it has
 * arrived when this returns; the source is acknowledged.
 */
bool ref_irq_poll(struct ref_card *card, enum ref_source source, bool *asked, struct gc_error *error);

/* ------------------------------------------------------------------------------------------- coherence.c */

/* A cache line: memory is synchronised in these. What two sides write to must not share one. */
enum { REF_LINE_BYTES = 64 };

/* True: memory is the same for the card and for us at all times, and gc_dma_sync_* do nothing. */
bool ref_is_coherent(const struct ref_card *card);

/* How a card that is not coherent is synchronised with; ref_open has set it. `context`: the ref_card. */
void ref_sync(void *context, enum gc_dma_direction direction, struct gc_dma_segment part);

/* Memory that is no DMA buffer of the library's, by the address that the card sees it at. */
void ref_sync_address(struct ref_card *card, enum gc_dma_direction direction, uint64_t address, size_t size);

/* False: the card has refused to synchronise since this was asked last. ref_wait and ref_submit ask. */
bool ref_sync_check(struct ref_card *card, struct gc_error *error);

#endif
