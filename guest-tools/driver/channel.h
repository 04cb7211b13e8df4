/* SPDX-License-Identifier: Apache-2.0 */
/* A DMA channel of the card: set-up, ring, waiting, and recovery. See refcard.h. */
#ifndef GHOSTCARD_CHANNEL_H
#define GHOSTCARD_CHANNEL_H

#include "card.h"

/* --------------------------------------------------------------------------------------------- channel.c */

enum ref_direction { REF_H2C, REF_C2H };

struct ref_channel {
    struct ref_card *card;
    enum ref_direction direction;
    unsigned pair;
    enum ref_source source;
    size_t block; /* offset of the channel's registers in BAR0 */
    uint32_t ring_size;
    /* Addresses for the program, offsets in the card's control memory, and addresses for the card. */
    struct ref_descriptor *ring;
    struct ref_write_back *write_back;
    size_t ring_offset, write_back_offset;
    uint64_t ring_address, write_back_address;
    uint32_t producer;      /* next descriptor to be filled */
    uint32_t last_doorbell; /* producer at the last doorbell: the card was given those before it */
    uint32_t taken;         /* first descriptor not seen complete yet */
    unsigned due;           /* interrupts still expected for completed descriptors */
    unsigned missed;        /* interrupts that count as lost */
};

/* Default number of descriptors in a ring: enough for one transfer of 16 MiB in any layout of hugepages. */
enum { REF_DEFAULT_RING_SIZE = 64 };

/* Sets up ring and write-back block, and starts the engine. `ring_size`: a power of two from 2 to 65536. */
bool ref_channel_open(struct ref_channel *channel, struct ref_card *card, enum ref_direction direction,
        unsigned pair, uint32_t ring_size, struct gc_error *error);

/*
 * Stops the engine: it no longer accesses memory. If it cannot be stopped, the whole card is: a PCI function
 * loses bus mastering; a platform device, which has no bus mastering of its own, is reset.
 */
void ref_channel_close(struct ref_channel *channel);

/* True once the engine is idle, as it must be when everything handed over is complete. */
bool ref_channel_quiesce(struct ref_channel *channel, struct gc_error *error);

/*
 * Clears ring indexes, counters, errors and the contents of the ring, and restarts the engine. False: the
 * engine does not become idle, or ignores register writes.
 */
bool ref_channel_reset(struct ref_channel *channel, struct gc_error *error);
/* The same for a card that was reset: also writes the registers of the ring again. */
bool ref_channel_set_up(struct ref_channel *channel, struct gc_error *error);

/* A register of this channel, by its offset in the block (REF_CHANNEL_…). */
uint32_t ref_channel_read(const struct ref_channel *channel, size_t offset);
void ref_channel_write(const struct ref_channel *channel, size_t offset, uint32_t value);

/* Offsets of the registers in a channel's block, the same for both directions. */
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

/* Writes one descriptor, valid or not, and returns its index. The card sees it after ref_doorbell. */
uint32_t ref_put(struct ref_channel *channel, uint32_t control, uint64_t host_address, uint32_t length,
        uint64_t card_address);
void ref_doorbell(struct ref_channel *channel);

/* Synchronises descriptor `index` of a halted channel, which was changed after the doorbell. */
void ref_sync_descriptor(struct ref_channel *channel, uint32_t index);

/* The consumer index in the write-back block. */
uint32_t ref_consumer(const struct ref_channel *channel);

/*
 * Takes the descriptors that the card has handed back. A descriptor is complete if it says so itself; the
 * write-back block only tells where to look, unless `thorough`. For a card that is not coherent, the
 * write-back block is authoritative.
 */
struct ref_look {
    uint32_t completed; /* descriptors taken */
    bool all;           /* everything handed over is complete */
    bool halted;        /* the write-back block says so */
    bool is_ahead;      /* the write-back block is ahead of the descriptors */
    bool is_behind;
    bool is_short; /* a descriptor moved too few bytes without a packet end, or too many */
};
struct ref_look ref_look(struct ref_channel *channel, bool thorough);

/*
 * Hands over `size` bytes of `buffer` from `offset` on, with a descriptor for each contiguous part. The last
 * one interrupts and ends the packet. `card_address` is for MEMORY. The card owns the buffer until ref_wait
 * has returned; what it has written is then made visible by gc_dma_sync_for_cpu.
 */
bool ref_submit(struct ref_channel *channel, const struct gc_dma_buffer *buffer, size_t offset, size_t size,
        uint64_t card_address, struct gc_error *error);

struct ref_completion {
    bool halted;          /* the engine stopped on an error, described below */
    uint32_t error_code;  /* GHOSTCARD_REF_H2C_STATUS_ERROR_CODE_… */
    uint32_t error_index; /* of the descriptor that failed */
    uint64_t error_address;
};

/*
 * The number of bytes that the card reports as moved for descriptor `index`, after ref_wait. Two descriptors
 * share a cache line: with a card that is not coherent, the report for one is lost if its neighbour is handed
 * over before ref_wait.
 */
uint32_t ref_transferred(const struct ref_channel *channel, uint32_t index);

/* Clears the error. The engine fetches the failed descriptor again and continues. */
void ref_clear_error(struct ref_channel *channel);

/*
 * For an engine that has halted with NOT_OWNED or BAD_LENGTH although the descriptor in memory is valid,
 * because it misread the descriptor: clears the error. The caller limits the number of retries. False: it is
 * another error, or the descriptor is invalid.
 */
bool ref_retry_misread(struct ref_channel *channel, const struct ref_completion *completion);

/* ------------------------------------------------------------------------------------ wait.c, recovery.c */

/*
 * Waits, by interrupt, until the card has completed everything handed over, or has halted. False if there was
 * no progress for `timeout_ms`, or if there will be none: the card is gone, was reset, or has moved the wrong
 * amount of data. What can be corrected without loss is, and is recorded: lost, late and surplus interrupts,
 * a write-back block that is ahead or behind, a lost doorbell.
 */
bool ref_wait(struct ref_channel *channel, int timeout_ms, struct ref_completion *completion,
        struct gc_error *error);

/*
 * The same by reading STATUS, for a card that can neither write to memory nor interrupt: waits until it has
 * halted.
 */
bool ref_poll_halt(struct ref_channel *channel, int timeout_ms, struct ref_completion *completion,
        struct gc_error *error);

/* With no transfer in progress: collects late interrupts, for up to `timeout_ms` if one counts as lost. */
bool ref_collect_interrupts(struct ref_channel *channel, int timeout_ms, struct gc_error *error);

/*
 * Recovers a card by the mildest means not tried yet: a reset of its channels, then of the card by its own
 * register, then by the kernel; one step further each time until a channel has completed its work. Everything
 * handed over is discarded. False: nothing has helped, and bus mastering is off (for a PCI function).
 */
bool ref_recover(struct ref_card *card, struct gc_error *error);

#endif
