/* SPDX-License-Identifier: Apache-2.0 */
/*
 * User-space driver for the ghostcard reference card, on top of lib/ghostcard.h. Registers, descriptors and
 * what they mean: docs/reference-card.md and include/ghostcard_ref_regs.h (generated from the card itself).
 *
 * A transfer is: ref_submit (descriptors into the ring, doorbell), ref_wait (interrupt, then the ring is
 * looked at). The card's state is read from memory, not from registers: a register read crosses the bus.
 *
 * An interrupt is a hint to look; what is done is what the descriptors in memory say. Every wait has a limit.
 * What goes wrong is mended where that can be done without loss (ref_wait), or else by resetting more and
 * more of the card (ref_recover), and it is noted (ref_note).
 */
#ifndef GHOSTCARD_REFCARD_H
#define GHOSTCARD_REFCARD_H

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

/* --------------------------------------------------------------------------------------------- channel.c */

enum ref_direction { REF_H2C, REF_C2H };

struct ref_channel {
    struct ref_card *card;
    enum ref_direction direction;
    unsigned pair;
    enum ref_source source;
    size_t block; /* offset of the channel's registers in BAR0 */
    uint32_t ring_size;
    /* Where the program sees them, where in the card's control memory they lie, where the card sees them. */
    struct ref_descriptor *ring;
    struct ref_write_back *write_back;
    size_t ring_offset, write_back_offset;
    uint64_t ring_address, write_back_address;
    uint32_t producer;      /* next descriptor to be filled */
    uint32_t last_doorbell; /* producer then: those from here on the card has not been given */
    uint32_t taken;         /* first descriptor that we have not seen complete */
    unsigned due;           /* interrupts that may still come, for what we have seen complete */
    unsigned missed;        /* interrupts that have been given up */
};

/* Descriptors of a ring when nothing else is asked for: holds one transfer of 16 MiB in any layout of
 * hugepages. */
enum { REF_DEFAULT_RING_SIZE = 64 };

/* Sets up ring and write-back, and lets the engine run. `ring_size`: a power of two from 2 to 65536. */
bool ref_channel_open(struct ref_channel *channel, struct ref_card *card, enum ref_direction direction,
        unsigned pair, uint32_t ring_size, struct gc_error *error);

/*
 * Stops the engine: it touches memory no more. One that cannot be stopped takes the card with it: a PCI
 * function is cut off from memory, a platform device, which has no bus mastering of its own, is reset.
 */
void ref_channel_close(struct ref_channel *channel);

/* True once the engine has nothing in hand, as it must when everything handed over has been completed. */
bool ref_channel_quiesce(struct ref_channel *channel, struct gc_error *error);

/*
 * Ring indexes, counters and errors to zero, engine running; the ring's contents are cleared. False: the
 * engine does not become idle, or does not take what is written to its registers.
 */
bool ref_channel_reset(struct ref_channel *channel, struct gc_error *error);
/* The same with the registers of the ring written anew, for a card that has been reset. */
bool ref_channel_set_up(struct ref_channel *channel, struct gc_error *error);

/* A register of this channel, by its offset in the block (REF_CHANNEL_…). */
uint32_t ref_channel_read(const struct ref_channel *channel, size_t offset);
void ref_channel_write(const struct ref_channel *channel, size_t offset, uint32_t value);

/* Offsets of the registers in a channel's block: the same for both directions. */
enum {
    REF_CHANNEL_CONTROL = GHOSTCARD_REF_H2C_CONTROL(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_STATUS = GHOSTCARD_REF_H2C_STATUS(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_RING_BASE = GHOSTCARD_REF_H2C_RING_BASE(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_RING_SIZE = GHOSTCARD_REF_H2C_RING_SIZE(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_DOORBELL = GHOSTCARD_REF_H2C_DOORBELL(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_CONSUMER_INDEX = GHOSTCARD_REF_H2C_CONSUMER_INDEX(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_ERROR_INDEX = GHOSTCARD_REF_H2C_ERROR_INDEX(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_WRITEBACK_ADDRESS = GHOSTCARD_REF_H2C_WRITEBACK_ADDRESS(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_MODERATION = GHOSTCARD_REF_H2C_MODERATION(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_ERROR_ADDRESS = GHOSTCARD_REF_H2C_ERROR_ADDRESS(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_BYTES = GHOSTCARD_REF_H2C_BYTES(0) - GHOSTCARD_REF_H2C(0),
    REF_CHANNEL_COMPLETED = GHOSTCARD_REF_H2C_COMPLETED(0) - GHOSTCARD_REF_H2C(0),
};

/* "H2C0", "C2H1" ... */
const char *ref_channel_name(const struct ref_channel *channel);
const char *ref_error_name(uint32_t code);

/* ------------------------------------------------------------------------------------------------ ring.c */

/* One descriptor as the caller wants it, right or wrong; returns its index. The card learns of it by
 * ref_doorbell. */
uint32_t ref_put(struct ref_channel *channel, uint32_t control, uint64_t host_address, uint32_t length,
        uint64_t card_address);
void ref_doorbell(struct ref_channel *channel);

/* Descriptor `index` has been changed after the doorbell (of a halted channel): the card is to see it. */
void ref_sync_descriptor(struct ref_channel *channel, uint32_t index);

/* How far the card says to have come, out of the write-back block. */
uint32_t ref_consumer(const struct ref_channel *channel);

/*
 * Looks at the ring, and takes what the card has handed back. A descriptor is complete when it says so
 * itself; the write-back block only tells where to look, unless `thorough`. A card that is not coherent has
 * to be believed what the write-back block says.
 */
struct ref_look {
    uint32_t completed; /* descriptors taken */
    bool all;           /* nothing is left of what the card has been given */
    bool halted;        /* the write-back block says so */
    bool is_ahead;      /* the write-back block is, of the descriptors */
    bool is_behind;
    bool is_short; /* fewer bytes were moved than asked for, with no packet ending, or more */
};
struct ref_look ref_look(struct ref_channel *channel, bool thorough);

/*
 * Hands over `size` bytes of `buffer` from `offset` on, a descriptor for each contiguous part. The last one
 * interrupts and ends the packet. `card_address` is for MEMORY. The buffer is the card's until ref_wait has
 * returned; what the card has written to it is then to be had by gc_dma_sync_for_cpu.
 */
bool ref_submit(struct ref_channel *channel, const struct gc_dma_buffer *buffer, size_t offset, size_t size,
        uint64_t card_address, struct gc_error *error);

struct ref_completion {
    bool halted;          /* the engine stopped on an error: */
    uint32_t error_code;  /* GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_… */
    uint32_t error_index; /* of the descriptor that failed */
    uint64_t error_address;
};

/*
 * Bytes that the card reports to have moved for descriptor `index`, after ref_wait. Two descriptors share a
 * cache line: with a card that is not coherent, what it reports of one is lost if its neighbour is handed
 * over before ref_wait.
 */
uint32_t ref_transferred(const struct ref_channel *channel, uint32_t index);

/* Clears the error: the engine fetches the descriptor that failed anew and goes on. */
void ref_clear_error(struct ref_channel *channel);

/*
 * The engine has halted with NOT_OWNED or BAD_LENGTH, and in memory the descriptor is right: it has been
 * misread. Clears the error, as for a mended one; the caller limits how often. False: the error is another,
 * or the descriptor is as bad as the engine says.
 */
bool ref_retry_misread(struct ref_channel *channel, const struct ref_completion *completion);

/* ------------------------------------------------------------------------------------ wait.c, recovery.c */

/*
 * Waits, by interrupt, until the card has completed everything handed over, or has halted. False when there
 * has been no progress for `timeout_ms`, or when there will not be: the card is gone or has been reset, or
 * has moved other amounts of data than it was to. What can be mended without loss is, and noted: interrupts
 * that are lost, late or too many; a write-back block that is ahead or behind; a doorbell that is lost.
 */
bool ref_wait(struct ref_channel *channel, int timeout_ms, struct ref_completion *completion,
        struct gc_error *error);

/* The same by reading STATUS, for when the card cannot write to memory or interrupt: it has halted, or not in
 * time. */
bool ref_poll_halt(struct ref_channel *channel, int timeout_ms, struct ref_completion *completion,
        struct gc_error *error);

/* With nothing under way: interrupts that come after all, up to `timeout_ms` later if one was given up. */
bool ref_collect_interrupts(struct ref_channel *channel, int timeout_ms, struct gc_error *error);

/*
 * Makes a card work again that does not, by the mildest means that is left: its channels are reset, then the
 * card is by its own register, then by the kernel; one step further each time until a channel has completed
 * what it was given. Everything handed over is forgotten. False: nothing has helped, and bus mastering is off
 * (of a PCI function).
 */
bool ref_recover(struct ref_card *card, struct gc_error *error);

#endif
