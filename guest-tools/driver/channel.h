/* SPDX-License-Identifier: Apache-2.0 */
/* A DMA channel of the card: setting it up, its ring, waiting for it, and recovery. See refcard.h. */
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
