/* SPDX-License-Identifier: Apache-2.0 */
/* The card as a whole: events, opening and reset, registers, interrupts, coherence. See refcard.h. */
#ifndef GHOSTCARD_CARD_H
#define GHOSTCARD_CARD_H

#include "../include/ghostcard_ref_regs.h"
#include "../lib/ghostcard.h"

enum { REF_VENDOR_ID = 0x1234, REF_DEVICE_ID = 0x4743 };

/* Its windows, on a PCI function and on a platform device. */
extern const struct gc_window_place REFCARD_REGISTERS, REFCARD_MEMORY;

/* Interrupt sources: the bit in the IRQ registers, and the vector with MSI and MSI-X. */
enum ref_source {
    REF_SOURCE_H2C0 = GHOSTCARD_REF_IRQ_STATUS_H2C0_SHIFT,
    REF_SOURCE_H2C1 = GHOSTCARD_REF_IRQ_STATUS_H2C1_SHIFT,
    REF_SOURCE_C2H0 = GHOSTCARD_REF_IRQ_STATUS_C2H0_SHIFT,
    REF_SOURCE_C2H1 = GHOSTCARD_REF_IRQ_STATUS_C2H1_SHIFT,
    REF_SOURCE_USER = GHOSTCARD_REF_IRQ_STATUS_USER_SHIFT,
    REF_SOURCE_COUNT,
};

/* The processing function between the two channels of a pair. */
enum ref_processing {
    REF_PROCESSING_MEMORY = GHOSTCARD_REF_PAIR_PROCESSING_SELECT_MEMORY,
    REF_PROCESSING_LOOPBACK = GHOSTCARD_REF_PAIR_PROCESSING_SELECT_LOOPBACK,
    REF_PROCESSING_CRC32C = GHOSTCARD_REF_PAIR_PROCESSING_SELECT_CRC32C,
};

/* One entry of a ring in memory. */
struct ref_descriptor {
    volatile uint32_t control;
    volatile uint32_t length;
    volatile uint64_t host_address;
    volatile uint64_t card_address;
    volatile uint32_t transferred;
    volatile uint32_t status;
};

/* The write-back block, which the card writes for a channel; consumer_index last. */
struct ref_write_back {
    volatile uint32_t consumer_index;
    volatile uint32_t status;
    volatile uint32_t completed;
    volatile uint32_t reserved;
};

/* ---------------------------------------------------------------------------------------------- events.c */

/* Events that the driver has to handle; ref_event_name and ref_event_remedy have the texts. */
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
    /* Found by programs that compare sent and received data. */
    REF_DATA_LATE,
    REF_DATA_WRONG,
    /* Actions of ref_recover. */
    REF_CHANNEL_RESET,
    REF_SOFT_RESET,
    REF_FUNCTION_RESET,
    REF_EVENT_COUNT,
};

const char *ref_event_name(enum ref_event event);
/* What the driver does about the event, as in "keeps waiting as long as there is progress". */
const char *ref_event_remedy(enum ref_event event);
/* Whether the event also occurs with a good card on a busy machine. */
bool ref_event_is_harmless(enum ref_event event);

struct ref_card;

/* Called for every event, with a description. */
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
    /* Rings and write-back blocks of all channels, allocated from the start. */
    struct gc_dma_buffer control;
    size_t control_used;
    uint32_t pending;    /* one vector for all: bits of sources that came during a wait for another one */
    uint64_t interrupts; /* taken since ref_open */
    /* For ref_recover: what is set up, by source and by pair, and the number of resets already tried. */
    struct ref_channel *channels[REF_SOURCE_COUNT];
    enum ref_processing processing[REF_MAX_PAIRS];
    unsigned resets_tried;
    bool gone;             /* it no longer answers and is not accessed any more */
    unsigned address_bits; /* of DMA memory; 0: those that the card drives */
    int watch_ms;          /* after this long an interrupt is overdue, and the ring is checked without it */
    uint64_t events[REF_EVENT_COUNT];
    ref_listener *listener; /* may be NULL */
    void *listener_context;
    /* The first synchronisation that the card has refused, until ref_sync_check reports it. */
    bool sync_failed;
    struct gc_error sync_error;
};

/*
 * Opens the card, a PCI function or a platform device as for gc_open, checks its identity, resets it, turns
 * bus mastering on, and enables the interrupts of all sources. Afterwards the card is idle and its registers
 * have their reset values. `card` must be zeroed before, except for watch_ms (0: 1000), address_bits and the
 * listener.
 */
bool ref_open(struct ref_card *card, const char *name, const enum gc_irq_mode *mode, struct gc_error *error);
void ref_close(struct ref_card *card);

/* Resets the whole card by its own register; card memory is kept. Interrupts must then be enabled again. */
void ref_soft_reset(struct ref_card *card);
/* The card was reset: discards the driver's state. Channels must be opened again. */
void ref_forget(struct ref_card *card);

/* Both channels of the pair must be idle. */
void ref_select_processing(struct ref_card *card, unsigned pair, enum ref_processing processing);

/* The card's DMA mask: the number of address bits it drives, and whether these reach all of a range. */
unsigned ref_address_bits(const struct ref_card *card);
bool ref_can_reach(const struct ref_card *card, uint64_t address, size_t size);

/* ------------------------------------------------------------------------------------------- registers.c */

/*
 * Reads a register that is never all ones; all ones mean that nothing has answered. Retries until the card
 * answers, for at most REF_LINK_MS. False: it does not, and if its ID register does not answer either,
 * card->gone is set.
 */
enum { REF_LINK_MS = 1000 };
bool ref_read(struct ref_card *card, size_t offset, uint32_t *value, struct gc_error *error);

/*
 * Writes a register that reads back as written, and checks that it does. For set-up, not for the data path.
 */
bool ref_write(struct ref_card *card, size_t offset, uint32_t value, struct gc_error *error);
bool ref_write64(struct ref_card *card, size_t offset, uint64_t value, struct gc_error *error);

/* ------------------------------------------------------------------------------------------------- irq.c */

/*
 * Enables the interrupts of all sources, in the mode given at ref_open. Pending ones are acknowledged first.
 */
bool ref_irq_enable(struct ref_card *card, struct gc_error *error);
void ref_irq_disable(struct ref_card *card);

/*
 * Waits for an interrupt of `source`. True with the number taken, or 0 after the timeout. If all sources
 * share a vector (INTx, LINE, and MSI with a single vector), the number is 0 or 1.
 */
bool ref_irq_wait(struct ref_card *card, enum ref_source source, int timeout_ms, uint64_t *taken,
        struct gc_error *error);

/*
 * For an overdue interrupt: whether `source` has raised one according to IRQ_STATUS; if each source has its
 * own vector, since the last call, because nothing else acknowledges it. When this returns, earlier posted
 * writes have arrived, and the source is acknowledged.
 */
bool ref_irq_poll(struct ref_card *card, enum ref_source source, bool *asked, struct gc_error *error);

/* ------------------------------------------------------------------------------------------- coherence.c */

/* The size of a cache line, the unit of synchronisation. Data that two sides write to must not share one. */
enum { REF_LINE_BYTES = 64 };

/* True: card and CPU always see the same memory contents, and gc_dma_sync_* do nothing. */
bool ref_is_coherent(const struct ref_card *card);

/* The synchronisation method for a card that is not coherent, set by ref_open. `context` is the ref_card. */
void ref_sync(void *context, enum gc_dma_direction direction, struct gc_dma_segment part);

/* Synchronises memory other than the library's DMA buffers, by its address for the card. */
void ref_sync_address(struct ref_card *card, enum gc_dma_direction direction, uint64_t address, size_t size);

/* False: the card has refused a synchronisation since the last call. ref_wait and ref_submit call this. */
bool ref_sync_check(struct ref_card *card, struct gc_error *error);

#endif
