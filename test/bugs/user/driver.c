/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A correct driver of the reference card in user space, on UIO or VFIO, with a workload. Each bug of the
 * corpus is a change of a few lines of this file (../bugs.ts).
 *
 * Pair 0 loops messages back: two threads send, the main thread receives. Pair 1 copies a large buffer to
 * card memory and back, in a thread of its own. One thread takes the interrupts, and the completions with
 * them. What they share, the registers included, is protected by one lock.
 */
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "driver/card.h"
#include "driver/channel.h"

enum {
    SLOTS = 8, /* of a ring; one stays empty */
    SLOT_BYTES = 2048,
    SENDERS = 2,
    MESSAGES = 48, /* of each sender */
    COPIES = 3,
    COPY_BYTES = 4 << 20, /* two hugepages */
    RETRIES = 3,
    WAIT_MS = 4000,
    STOP_MS = 500,
    QUIET_MS = 20, /* how long no message is waited for */
    TICK_MS = 20,
};

/* A channel's memory: ring, write-back block, and a buffer for each slot of the ring. */
enum { RING = 0, WRITE_BACK = 0x400, BUFFERS = 0x1000, CHANNEL_BYTES = BUFFERS + SLOTS * SLOT_BYTES };

struct channel {
    struct driver *driver;
    size_t block;    /* of its registers in BAR0 */
    uint32_t source; /* its bit in the registers for interrupts */
    struct gc_dma_buffer memory;
    struct ref_descriptor *ring;
    struct ref_write_back *write_back;
    uint32_t producer; /* the next slot to be handed over */
    uint32_t consumer; /* the first slot not seen complete */
    uint32_t taken;    /* of received messages: the next one to be looked at */
    unsigned retries;
    bool is_open, has_failed;
};

struct driver {
    struct gc_device *device;
    struct gc_window registers;
    struct channel send, receive, to_card, from_card;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* completions were taken */
    pthread_t interrupts;
    atomic_bool is_over;
    atomic_bool has_failed;
};

struct message {
    uint32_t sender, number, length;
    uint8_t bytes[SLOT_BYTES - 12];
};

/* Reports the first failure. */
__attribute__((format(printf, 2, 3))) static bool fail(struct driver *driver, const char *format, ...)
{
    va_list arguments;
    if (atomic_exchange(&driver->has_failed, true))
        return false;
    va_start(arguments, format);
    fprintf(stderr, "driver: ");
    vfprintf(stderr, format, arguments);
    fprintf(stderr, "\n");
    va_end(arguments);
    return false;
}

static uint32_t read_register(const struct channel *channel, size_t offset)
{
    return gc_read32(&channel->driver->registers, channel->block + offset);
}

static void write_register(const struct channel *channel, size_t offset, uint32_t value)
{
    gc_write32(&channel->driver->registers, channel->block + offset, value);
}

/* ------------------------------------------------------------------------------------------------- ring */

static size_t buffer_offset(uint32_t slot)
{
    return BUFFERS + slot * SLOT_BYTES;
}

static uint64_t address_of(const struct channel *channel, size_t offset)
{
    return gc_dma_segment_at(&channel->memory, offset, 1).address;
}

static uint32_t outstanding(const struct channel *channel)
{
    return (channel->producer + SLOTS - channel->consumer) % SLOTS;
}

static bool has_room(const struct channel *channel)
{
    return outstanding(channel) < SLOTS - 1;
}

static bool is_idle(const struct channel *channel)
{
    return outstanding(channel) == 0;
}

static bool has_message(const struct channel *channel)
{
    return channel->taken != channel->consumer;
}

/* Fills the next descriptor in. The card takes it after the doorbell. */
static void put(struct channel *channel, uint64_t address, uint32_t length, uint64_t card_address)
{
    uint32_t slot = channel->producer;
    struct ref_descriptor *descriptor = &channel->ring[slot];
    descriptor->length = length;
    descriptor->host_address = address;
    descriptor->card_address = card_address;
    gc_write_barrier();
    descriptor->control = GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK | GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK |
                          GHOSTCARD_REF_DESC_CONTROL_EOP_MASK;
    gc_dma_sync_for_device(&channel->memory, RING + slot * sizeof(*descriptor), sizeof(*descriptor));
    channel->producer = (slot + 1) % SLOTS;
}

static void ring_doorbell(struct channel *channel)
{
    write_register(channel, REF_CHANNEL_DOORBELL, channel->producer);
}

/* An engine that has halted fetches the descriptor again when its error is cleared. */
static void recover(struct channel *channel)
{
    uint32_t status = read_register(channel, REF_CHANNEL_STATUS);
    if (!(status & GHOSTCARD_REF_H2C_STATUS_HALTED_MASK))
        return;
    if (channel->retries++ < RETRIES) {
        write_register(channel, REF_CHANNEL_STATUS, GHOSTCARD_REF_H2C_STATUS_ERROR_MASK);
        return;
    }
    channel->has_failed = true;
    fail(channel->driver, "the engine at 0x%zx has halted, STATUS 0x%x", channel->block, status);
}

/* Looks how far the engine has come. */
static void take_completed(struct channel *channel)
{
    gc_dma_sync_for_cpu(&channel->memory, WRITE_BACK, sizeof(*channel->write_back));
    uint32_t consumer = channel->write_back->consumer_index;
    gc_read_barrier();
    if (consumer >= SLOTS) /* not trusted */
        consumer = read_register(channel, REF_CHANNEL_CONSUMER_INDEX);
    if (consumer < SLOTS)
        channel->consumer = consumer;
    if (channel->write_back->status & GHOSTCARD_REF_H2C_STATUS_HALTED_MASK)
        recover(channel);
}

/* ------------------------------------------------------------------------------------------- interrupts */

static void *take_interrupts(void *context)
{
    struct driver *driver = context;
    struct channel *const channels[] = {
            &driver->send, &driver->receive, &driver->to_card, &driver->from_card};
    struct gc_error error;
    while (!driver->is_over) {
        uint64_t taken;
        if (!gc_irq_wait(driver->device, 0, TICK_MS, &taken, &error)) {
            fail(driver, "%s", error.message);
            break;
        }
        if (taken == 0)
            continue;
        pthread_mutex_lock(&driver->lock);
        /* Acknowledged first: what completes from now on interrupts again. */
        uint32_t status = gc_read32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS);
        gc_write32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS, status);
        gc_read32(&driver->registers, GHOSTCARD_REF_IRQ_STATUS); /* it has arrived: the line is deasserted */
        for (size_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++)
            if (channels[i]->is_open)
                take_completed(channels[i]);
        pthread_cond_broadcast(&driver->changed);
        pthread_mutex_unlock(&driver->lock);
        if (!gc_irq_rearm(driver->device, &error))
            fail(driver, "%s", error.message);
    }
    return NULL;
}

/* Waits, with the lock held, until interrupts have brought the channel there. */
static bool wait_until(struct channel *channel, bool (*is_there)(const struct channel *), int timeout_ms)
{
    struct driver *driver = channel->driver;
    struct timespec deadline;
    clock_gettime(CLOCK_MONOTONIC, &deadline);
    deadline.tv_sec += timeout_ms / 1000;
    deadline.tv_nsec += timeout_ms % 1000 * 1000000;
    if (deadline.tv_nsec >= 1000000000) {
        deadline.tv_sec++;
        deadline.tv_nsec -= 1000000000;
    }
    int expired = 0;
    while (!is_there(channel) && !channel->has_failed && expired == 0)
        expired = pthread_cond_timedwait(&driver->changed, &driver->lock, &deadline);
    return is_there(channel);
}

/* The register is shared by all channels: the lock is held. */
static void enable_interrupt(struct channel *channel, bool on)
{
    const struct gc_window *registers = &channel->driver->registers;
    uint32_t enabled = gc_read32(registers, GHOSTCARD_REF_IRQ_ENABLE);
    enabled = on ? enabled | channel->source : enabled & ~channel->source;
    gc_write32(registers, GHOSTCARD_REF_IRQ_ENABLE, enabled);
}

/* ------------------------------------------------------------------------------- starting and stopping */

static bool open_channel(struct channel *channel)
{
    struct gc_error error;
    pthread_mutex_lock(&channel->driver->lock);
    bool ok = gc_dma_alloc(channel->driver->device, &channel->memory, CHANNEL_BYTES, &error);
    if (ok) {
        channel->ring = (struct ref_descriptor *)(channel->memory.bytes + RING);
        channel->write_back = (struct ref_write_back *)(channel->memory.bytes + WRITE_BACK);
        channel->producer = channel->taken = 0;
        channel->consumer = 0;
        gc_write64(&channel->driver->registers, channel->block + REF_CHANNEL_RING_BASE,
                address_of(channel, RING));
        write_register(channel, REF_CHANNEL_RING_SIZE, SLOTS);
        gc_write64(&channel->driver->registers, channel->block + REF_CHANNEL_WRITEBACK_ADDRESS,
                address_of(channel, WRITE_BACK));
        gc_dma_sync_for_device(&channel->memory, RING, BUFFERS - RING);
        enable_interrupt(channel, true);
        write_register(channel, REF_CHANNEL_CONTROL, GHOSTCARD_REF_H2C_CONTROL_RUN_MASK);
        channel->is_open = true;
    }
    pthread_mutex_unlock(&channel->driver->lock);
    return ok || fail(channel->driver, "%s", error.message);
}

/* The engine no longer accesses memory when this has returned true. */
static bool stop_engine(struct channel *channel)
{
    uint64_t deadline_ns = gc_now_ns() + STOP_MS * UINT64_C(1000000);
    write_register(channel, REF_CHANNEL_CONTROL, GHOSTCARD_REF_H2C_CONTROL_RESET_MASK);
    while (read_register(channel, REF_CHANNEL_STATUS) & GHOSTCARD_REF_H2C_STATUS_BUSY_MASK)
        if (gc_left_ms(deadline_ns) == 0)
            return fail(channel->driver, "the engine at 0x%zx stays BUSY", channel->block);
    return true;
}

static bool close_channel(struct channel *channel)
{
    if (!channel->is_open)
        return true;
    pthread_mutex_lock(&channel->driver->lock);
    enable_interrupt(channel, false);
    bool is_stopped = stop_engine(channel);
    channel->is_open = false;
    if (is_stopped)
        gc_dma_free(&channel->memory);
    pthread_mutex_unlock(&channel->driver->lock);
    return is_stopped;
}

/* For a card that is not coherent (docs/coherence.md). Called with the lock held. */
static void synchronise(void *context, enum gc_dma_direction direction, struct gc_dma_segment part)
{
    struct driver *driver = context;
    gc_write64(&driver->registers, GHOSTCARD_REF_SYNC_ADDRESS(0), part.address);
    gc_write32(&driver->registers, GHOSTCARD_REF_SYNC_SIZE(0), (uint32_t)part.size);
    if (direction == GC_DMA_FOR_DEVICE)
        gc_write32(&driver->registers, GHOSTCARD_REF_SYNC_FOR_DEVICE(0), 1);
    else
        gc_write32(&driver->registers, GHOSTCARD_REF_SYNC_FOR_CPU(0), 1);
    uint32_t status = gc_read32(&driver->registers, GHOSTCARD_REF_SYNC_STATUS(0));
    if (status != 0)
        fail(driver, "0x%llx cannot be synchronised, STATUS 0x%x", (unsigned long long)part.address, status);
}

static bool open_card(struct driver *driver, const char *address)
{
    struct gc_error error;
    const struct gc_window_place place = {.name = "registers", .bar = 0};
    const struct gc_window *registers = &driver->registers;
    driver->device = gc_open(address, &error);
    if (!driver->device || !gc_window_open(driver->device, &place, &driver->registers, &error))
        return fail(driver, "%s", error.message);
    if (gc_read32(registers, GHOSTCARD_REF_ID) != GHOSTCARD_REF_ID_RESET)
        return fail(driver, "this is no reference card");
    gc_write32(registers, GHOSTCARD_REF_CONTROL, GHOSTCARD_REF_CONTROL_SOFT_RESET_MASK);
    gc_read32(registers, GHOSTCARD_REF_CONTROL);
    if (gc_read32(registers, GHOSTCARD_REF_CAPABILITIES) & GHOSTCARD_REF_CAPABILITIES_NON_COHERENT_MASK)
        gc_dma_set_sync(driver->device, synchronise, driver);
    gc_write32(registers, GHOSTCARD_REF_PAIR_PROCESSING(0), GHOSTCARD_REF_PAIR_PROCESSING_SELECT_LOOPBACK);
    gc_write32(registers, GHOSTCARD_REF_PAIR_PROCESSING(1), GHOSTCARD_REF_PAIR_PROCESSING_SELECT_MEMORY);
    /* One interrupt for all channels: INTx, or an MSI message. */
    enum gc_irq_mode best = gc_irq_best_mode(driver->device);
    unsigned vectors = 1;
    if (!gc_irq_enable(driver->device, best == GC_IRQ_INTX ? best : GC_IRQ_MSI, &vectors, &error) ||
            !gc_set_bus_master(driver->device, true, &error))
        return fail(driver, "%s", error.message);
    if (pthread_create(&driver->interrupts, NULL, take_interrupts, driver) != 0)
        return fail(driver, "no thread for interrupts");
    return true;
}

static void close_card(struct driver *driver)
{
    driver->is_over = true;
    pthread_join(driver->interrupts, NULL);
    gc_irq_disable(driver->device);
    gc_close(driver->device);
}

/* --------------------------------------------------------------------------------------------- messages */

/* Any length from the header alone to a whole slot. */
static void compose(struct message *message, uint32_t sender, uint32_t number)
{
    message->sender = sender;
    message->number = number;
    message->length = 12 + (number * 397 + sender * 1021) % (SLOT_BYTES - 11);
    for (uint32_t i = 0; i < message->length - 12; i++)
        message->bytes[i] = (uint8_t)(sender * 101 + number * 7 + i * 3);
}

static bool send_message(struct driver *driver, uint32_t sender, uint32_t number)
{
    struct channel *channel = &driver->send;
    struct message message;
    compose(&message, sender, number);
    pthread_mutex_lock(&driver->lock);
    bool ok = wait_until(channel, has_room, WAIT_MS);
    if (ok) {
        size_t offset = buffer_offset(channel->producer);
        gc_dma_write(&channel->memory, offset, &message, message.length);
        gc_dma_sync_for_device(&channel->memory, offset, message.length);
        put(channel, address_of(channel, offset), message.length, 0);
        ring_doorbell(channel);
    }
    pthread_mutex_unlock(&driver->lock);
    return ok || fail(driver, "no room for message %u of sender %u within %d ms", number, sender, WAIT_MS);
}

/* Gives the buffer of the next slot to the card. */
static void give_buffer(struct channel *channel)
{
    size_t offset = buffer_offset(channel->producer);
    gc_dma_sync_for_device(&channel->memory, offset, SLOT_BYTES);
    put(channel, address_of(channel, offset), SLOT_BYTES, 0);
    ring_doorbell(channel);
}

static void give_buffers(struct channel *channel)
{
    pthread_mutex_lock(&channel->driver->lock);
    while (has_room(channel))
        give_buffer(channel);
    pthread_mutex_unlock(&channel->driver->lock);
}

static bool receive_message(struct channel *channel, struct message *message, int timeout_ms)
{
    pthread_mutex_lock(&channel->driver->lock);
    bool ok = wait_until(channel, has_message, timeout_ms);
    if (ok) {
        size_t offset = buffer_offset(channel->taken);
        gc_dma_sync_for_cpu(&channel->memory, offset, SLOT_BYTES);
        gc_dma_read(&channel->memory, offset, message, SLOT_BYTES);
        channel->taken = (channel->taken + 1) % SLOTS;
        give_buffer(channel);
    }
    pthread_mutex_unlock(&channel->driver->lock);
    return ok;
}

/* As it was sent, and the next one of its sender. */
static bool check_message(struct driver *driver, const struct message *message, uint32_t next[SENDERS])
{
    struct message expected;
    if (message->sender >= SENDERS)
        return fail(driver, "received a message of sender %u: there are %d", message->sender, SENDERS);
    uint32_t number = next[message->sender]++;
    compose(&expected, message->sender, number);
    if (message->number != number)
        return fail(driver, "received message %u of sender %u in place of %u", message->number,
                message->sender, number);
    if (memcmp(message, &expected, expected.length) != 0)
        return fail(
                driver, "message %u of sender %u has other bytes than were sent", number, message->sender);
    return true;
}

struct sender {
    struct driver *driver;
    uint32_t number;
    pthread_t thread;
};

static void *send_messages(void *context)
{
    struct sender *sender = context;
    for (uint32_t number = 0; number < MESSAGES; number++)
        if (!send_message(sender->driver, sender->number, number))
            break;
    return NULL;
}

static bool exchange_messages(struct driver *driver)
{
    struct sender senders[SENDERS];
    uint32_t next[SENDERS] = {0};
    bool ok = true;
    for (uint32_t i = 0; i < SENDERS; i++) {
        senders[i] = (struct sender){.driver = driver, .number = i};
        if (pthread_create(&senders[i].thread, NULL, send_messages, &senders[i]) != 0)
            abort();
    }
    for (uint32_t count = 0; ok && count < SENDERS * MESSAGES; count++) {
        struct message message;
        ok = receive_message(&driver->receive, &message, WAIT_MS)
                     ? check_message(driver, &message, next)
                     : fail(driver, "received %u messages, and no other within %d ms", count, WAIT_MS);
    }
    for (uint32_t i = 0; i < SENDERS; i++)
        pthread_join(senders[i].thread, NULL);
    return ok && !driver->has_failed;
}

/* Gives up waiting, takes the buffers back, and begins again with others. */
static bool begin_again(struct driver *driver)
{
    uint32_t next[SENDERS] = {0};
    struct message message;
    if (receive_message(&driver->receive, &message, QUIET_MS))
        return fail(driver, "received a message that was not sent");
    if (!close_channel(&driver->receive) || !open_channel(&driver->receive))
        return false;
    give_buffers(&driver->receive);
    if (!send_message(driver, 0, 0))
        return false;
    if (!receive_message(&driver->receive, &message, WAIT_MS))
        return fail(driver, "received nothing into the new buffers within %d ms", WAIT_MS);
    return check_message(driver, &message, next);
}

/* ----------------------------------------------------------------------------------------------- copies */

/* Moves a buffer to card memory, or from there; a descriptor for each contiguous part. */
static bool move(struct channel *channel, const struct gc_dma_buffer *buffer)
{
    pthread_mutex_lock(&channel->driver->lock);
    gc_dma_sync_for_device(buffer, 0, COPY_BYTES);
    for (size_t offset = 0; offset < COPY_BYTES;) {
        struct gc_dma_segment part = gc_dma_segment_at(buffer, offset, COPY_BYTES - offset);
        put(channel, part.address, (uint32_t)part.size, offset);
        offset += part.size;
    }
    ring_doorbell(channel);
    bool ok = wait_until(channel, is_idle, WAIT_MS);
    gc_dma_sync_for_cpu(buffer, 0, COPY_BYTES);
    pthread_mutex_unlock(&channel->driver->lock);
    return ok || fail(channel->driver, "a copy is not complete within %d ms", WAIT_MS);
}

static bool allocate(struct driver *driver, struct gc_dma_buffer *buffer)
{
    struct gc_error error;
    pthread_mutex_lock(&driver->lock);
    bool ok = gc_dma_alloc(driver->device, buffer, COPY_BYTES, &error);
    pthread_mutex_unlock(&driver->lock);
    return ok || fail(driver, "%s", error.message);
}

static void release(struct driver *driver, struct gc_dma_buffer *buffer)
{
    pthread_mutex_lock(&driver->lock);
    gc_dma_free(buffer);
    pthread_mutex_unlock(&driver->lock);
}

static bool copy(struct driver *driver, uint32_t seed)
{
    struct gc_dma_buffer source = {0}, target = {0};
    if (!allocate(driver, &source) || !allocate(driver, &target))
        return false;
    volatile uint32_t *sent = (volatile uint32_t *)source.bytes;
    volatile uint32_t *received = (volatile uint32_t *)target.bytes;
    for (size_t i = 0; i < COPY_BYTES / 4; i++)
        sent[i] = seed + (uint32_t)i;
    bool ok = move(&driver->to_card, &source) && move(&driver->from_card, &target);
    for (size_t i = 0; ok && i < COPY_BYTES / 4; i++)
        if (received[i] != seed + (uint32_t)i)
            ok = fail(driver, "the copy has 0x%x at 0x%zx, not 0x%zx", received[i], 4 * i, seed + i);
    if (ok) { /* else the card may not be done */
        release(driver, &target);
        release(driver, &source);
    }
    return ok;
}

static void *copy_again_and_again(void *context)
{
    struct driver *driver = context;
    for (uint32_t count = 1; count <= COPIES; count++) {
        bool ok = open_channel(&driver->to_card) && open_channel(&driver->from_card) &&
                  copy(driver, count << 24);
        if (!close_channel(&driver->to_card) || !close_channel(&driver->from_card) || !ok)
            break;
    }
    return NULL;
}

/* ------------------------------------------------------------------------------------------------- main */

static void initialise(struct driver *driver)
{
    pthread_condattr_t attributes;
    struct channel *const channels[] = {
            &driver->send, &driver->to_card, &driver->receive, &driver->from_card};
    for (uint32_t i = 0; i < sizeof(channels) / sizeof(channels[0]); i++) {
        channels[i]->driver = driver;
        channels[i]->source = 1u << i;
        channels[i]->block = i < 2 ? GHOSTCARD_REF_H2C(i) : GHOSTCARD_REF_C2H(i - 2);
    }
    pthread_mutex_init(&driver->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&driver->changed, &attributes);
}

static bool work(struct driver *driver)
{
    pthread_t copies;
    if (!open_channel(&driver->send) || !open_channel(&driver->receive))
        return false;
    give_buffers(&driver->receive);
    if (pthread_create(&copies, NULL, copy_again_and_again, driver) != 0)
        abort();
    bool ok = exchange_messages(driver) && begin_again(driver);
    pthread_join(copies, NULL);
    return ok && !driver->has_failed;
}

int main(int argc, char **argv)
{
    static struct driver driver;
    const char *address = argc > 1 ? argv[1] : getenv("GHOSTCARD_PCI_ADDRESS");
    initialise(&driver);
    if (!address || !open_card(&driver, address))
        return 2;
    bool ok = work(&driver);
    close_channel(&driver.send);
    close_channel(&driver.receive);
    close_card(&driver);
    if (ok)
        printf("%d messages and %d copies are correct\n", SENDERS * MESSAGES + 1, COPIES);
    return ok ? 0 : 1;
}
