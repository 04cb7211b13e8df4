/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Measures the cost of the bus for a driver in this guest, for any device bound to uio_pci_generic or
 * vfio-pci, so that a card outside QEMU can be compared with one inside:
 *
 *   gc-bench access ADDRESS BAR OFFSET read|write SAMPLES [BATCH]
 *     32-bit accesses. A sample is a run of BATCH accesses (default 16). A run of writes is followed by one
 *     read, not timed, so that posted writes do not accumulate.
 *
 *   gc-bench interrupt ADDRESS doorbell|trigger|edu SAMPLES [intx|msi|msix|line]
 *     The time from the store that causes an interrupt until it has woken this program. The store is the
 *     doorbell of a DMA channel of the reference card (one descriptor of 64 bytes), its IRQ_TRIGGER, or the
 *     interrupt register of QEMU's edu device (docs/specs/edu.rst).
 *
 *   gc-bench transfer ADDRESS SAMPLES
 *     The time that a driver takes to move a page of the program to the reference card, until the interrupt
 *     has woken it. Behind an IOMMU it maps the page for the transfer, and unmaps it afterwards.
 *
 * Prints nanoseconds (per access, per interrupt) as a line of JSON. Exit code 0, 1 on failure, 2 for wrong
 * usage.
 */
#include "../driver/refcard.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 5000, WARM_UP = 20, DEFAULT_BATCH = 16, MAX_BATCH = 100000, MAX_SAMPLES = 1000000 };
enum { TRANSFER_BYTES = 64, PAGE_BYTES = 4096 };
enum { EDU_IDENTITY = 0x00, EDU_RAISE = 0x60, EDU_ACKNOWLEDGE = 0x64 };

static struct gc_error error;

__attribute__((noreturn)) static void give_up(const char *message)
{
    fprintf(stderr, "gc-bench: %s\n", message);
    exit(1);
}

__attribute__((noreturn)) static void wrong_usage(void)
{
    fprintf(stderr, "usage: gc-bench access ADDRESS BAR OFFSET read|write SAMPLES [BATCH]\n"
                    "       gc-bench interrupt ADDRESS doorbell|trigger|edu SAMPLES [intx|msi|msix|line]\n"
                    "       gc-bench transfer ADDRESS SAMPLES\n");
    exit(2);
}

static unsigned long number(const char *text, unsigned long min, unsigned long max)
{
    char *end;
    unsigned long value = strtoul(text, &end, 0);
    if (*text == '\0' || *end != '\0' || value < min || value > max)
        wrong_usage();
    return value;
}

static int ascending(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double *new_samples(unsigned long count)
{
    double *samples = calloc(count, sizeof(*samples));
    if (!samples)
        give_up("no memory for the samples");
    return samples;
}

static void print_samples(double *samples, unsigned long count)
{
    qsort(samples, count, sizeof(*samples), ascending);
    printf("{\"samples\":%lu,\"min\":%.1f,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f}\n", count, samples[0],
            samples[count / 2], samples[count - 1 - count / 100], samples[count - 1]);
}

static struct gc_device *open_device(const char *address)
{
    struct gc_device *device = gc_open(address, &error);
    if (!device)
        give_up(error.message);
    return device;
}

static struct gc_window open_bar(struct gc_device *device, unsigned bar)
{
    struct gc_window window;
    const struct gc_window_place place = {.bar = bar};
    if (!gc_window_open(device, &place, &window, &error))
        give_up(error.message);
    return window;
}

/* ------------------------------------------------------------------------------------------------ access */

/* Median cost of reading the clock, which in some guests is half of the shortest access. */
static double clock_cost_ns(void)
{
    enum { LOOKS = 1001 };
    double costs[LOOKS];
    for (int i = 0; i < LOOKS; i++) {
        uint64_t started_ns = gc_now_ns();
        costs[i] = (double)(gc_now_ns() - started_ns);
    }
    qsort(costs, LOOKS, sizeof(costs[0]), ascending);
    return costs[LOOKS / 2];
}

static double time_accesses(const struct gc_window *window, size_t offset, bool write, unsigned long batch)
{
    uint64_t started_ns = gc_now_ns();
    for (unsigned long i = 0; i < batch; i++) {
        if (write)
            gc_write32(window, offset, (uint32_t)i);
        else
            gc_read32(window, offset);
    }
    double duration_ns = (double)(gc_now_ns() - started_ns);
    if (write)
        gc_read32(window, offset);
    return duration_ns;
}

static void measure_accesses(int argc, char **argv)
{
    if (argc < 7)
        wrong_usage();
    struct gc_device *device = open_device(argv[2]);
    struct gc_window window = open_bar(device, (unsigned)number(argv[3], 0, 5));
    size_t offset = number(argv[4], 0, window.size - sizeof(uint32_t));
    bool write = strcmp(argv[5], "write") == 0;
    if (!write && strcmp(argv[5], "read") != 0)
        wrong_usage();
    unsigned long count = number(argv[6], 1, MAX_SAMPLES);
    unsigned long batch = argc > 7 ? number(argv[7], 1, MAX_BATCH) : DEFAULT_BATCH;
    if (gc_read32(&window, offset) == UINT32_MAX)
        give_up("the register reads all ones: nothing answers");
    double *samples = new_samples(count);
    double clock_ns = clock_cost_ns();
    for (long i = -WARM_UP; i < (long)count; i++) {
        double duration_ns = time_accesses(&window, offset, write, batch);
        if (i >= 0)
            samples[i] = (duration_ns > clock_ns ? duration_ns - clock_ns : 0) / (double)batch;
    }
    print_samples(samples, count);
    free(samples);
    gc_close(device);
}

/* --------------------------------------------------------------------------------------------- interrupt */

/* A device that can be made to interrupt. */
struct source {
    struct gc_device *device;
    struct gc_window registers;
    unsigned vector;
    struct ref_card card;
    struct ref_channel channel;
    struct gc_dma_buffer buffer;
};

struct source_ops {
    const char *name;
    void (*open)(struct source *source, const char *address, const enum gc_irq_mode *mode);
    void (*prepare)(struct source *source); /* before the clock starts; may be NULL */
    void (*fire)(struct source *source);
    void (*acknowledge)(struct source *source);
    void (*close)(struct source *source);
};

static void reference_open(struct source *source, const char *address, const enum gc_irq_mode *mode)
{
    struct ref_card *card = &source->card;
    if (!ref_open(card, address, mode, &error) ||
            !ref_channel_open(&source->channel, card, REF_H2C, 0, REF_DEFAULT_RING_SIZE, &error) ||
            !gc_dma_alloc(card->device, &source->buffer, TRANSFER_BYTES, &error))
        give_up(error.message);
    source->device = card->device;
    source->registers = card->registers;
    source->vector = card->vectors < REF_SOURCE_COUNT ? 0 : source->channel.source;
}

static const uint32_t CONTROL = GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK |
                                GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK |
                                GHOSTCARD_REF_DESC_CONTROL_EOP_MASK;

static void doorbell_prepare(struct source *source)
{
    gc_dma_sync_for_device(&source->buffer, 0, TRANSFER_BYTES);
    ref_put(&source->channel, CONTROL, gc_dma_address(&source->buffer, 0), TRANSFER_BYTES, 0);
}

static void doorbell_fire(struct source *source)
{
    ref_doorbell(&source->channel);
}

static void doorbell_acknowledge(struct source *source)
{
    if (ref_consumer(&source->channel) != source->channel.producer)
        give_up("received an interrupt before the write-back of its transfer");
    gc_write32(&source->registers, GHOSTCARD_REF_IRQ_STATUS, 1u << source->channel.source);
}

static void trigger_fire(struct source *source)
{
    gc_write32(&source->registers, GHOSTCARD_REF_IRQ_TRIGGER, 1u << source->channel.source);
}

static void trigger_acknowledge(struct source *source)
{
    gc_write32(&source->registers, GHOSTCARD_REF_IRQ_STATUS, 1u << source->channel.source);
}

static void reference_close(struct source *source)
{
    ref_channel_close(&source->channel);
    gc_dma_free(&source->buffer);
    ref_close(&source->card);
}

static void edu_open(struct source *source, const char *address, const enum gc_irq_mode *mode)
{
    unsigned vectors = 1;
    source->device = open_device(address);
    source->registers = open_bar(source->device, 0);
    if ((gc_read32(&source->registers, EDU_IDENTITY) & 0xff) != 0xed)
        give_up("this is not an edu device, according to its identity register");
    enum gc_irq_mode chosen = mode ? *mode : gc_irq_best_mode(source->device);
    if (!gc_set_bus_master(source->device, true, &error) ||
            !gc_irq_enable(source->device, chosen, &vectors, &error))
        give_up(error.message);
}

static void edu_fire(struct source *source)
{
    gc_write32(&source->registers, EDU_RAISE, 1);
}

static void edu_acknowledge(struct source *source)
{
    gc_write32(&source->registers, EDU_ACKNOWLEDGE, 1);
}

static void edu_close(struct source *source)
{
    gc_irq_disable(source->device);
    gc_close(source->device);
}

static const struct source_ops SOURCES[] = {
        {"doorbell", reference_open, doorbell_prepare, doorbell_fire, doorbell_acknowledge, reference_close},
        {"trigger", reference_open, NULL, trigger_fire, trigger_acknowledge, reference_close},
        {"edu", edu_open, NULL, edu_fire, edu_acknowledge, edu_close},
};

static double time_interrupt(struct source *source, const struct source_ops *ops)
{
    uint64_t taken;
    if (ops->prepare)
        ops->prepare(source);
    uint64_t started_ns = gc_now_ns();
    ops->fire(source);
    if (!gc_irq_wait(source->device, source->vector, WAIT_MS, &taken, &error))
        give_up(error.message);
    double duration_ns = (double)(gc_now_ns() - started_ns);
    if (taken != 1)
        give_up(taken == 0 ? "no interrupt within 5 s" : "received more than one interrupt for one cause");
    ops->acknowledge(source);
    gc_read32(&source->registers, 0);          /* flushes the acknowledgement */
    if (!gc_irq_rearm(source->device, &error)) /* only necessary for a line */
        give_up(error.message);
    return duration_ns;
}

static void measure_interrupts(int argc, char **argv)
{
    const struct source_ops *ops = NULL;
    const enum gc_irq_mode modes[] = {GC_IRQ_INTX, GC_IRQ_MSI, GC_IRQ_MSIX, GC_IRQ_LINE};
    const enum gc_irq_mode *mode = NULL;
    if (argc < 5)
        wrong_usage();
    for (size_t i = 0; i < sizeof(SOURCES) / sizeof(SOURCES[0]); i++)
        if (strcmp(argv[3], SOURCES[i].name) == 0)
            ops = &SOURCES[i];
    for (size_t i = 0; argc > 5 && i < sizeof(modes) / sizeof(modes[0]); i++)
        if (strcmp(argv[5], gc_irq_mode_name(modes[i])) == 0)
            mode = &modes[i];
    if (!ops || (argc > 5 && !mode))
        wrong_usage();
    unsigned long count = number(argv[4], 1, MAX_SAMPLES);
    double *samples = new_samples(count);
    struct source source = {0};
    ops->open(&source, argv[2], mode);
    for (long i = -WARM_UP; i < (long)count; i++) {
        double duration_ns = time_interrupt(&source, ops);
        if (i >= 0)
            samples[i] = duration_ns;
    }
    ops->close(&source);
    print_samples(samples, count);
    free(samples);
}

/* -------------------------------------------------------------------------------------------- transfer */

static double time_transfer(struct source *source, struct gc_dma_buffer *page, uint64_t iova)
{
    uint64_t taken, started_ns = gc_now_ns();
    const struct gc_dma_mapping mapping = {page->bytes, PAGE_BYTES, iova, true};
    bool is_mapped = gc_has_iommu(source->device);
    if (is_mapped && !gc_dma_map(source->device, &mapping, &error))
        give_up(error.message);
    ref_put(&source->channel, CONTROL, is_mapped ? iova : gc_dma_address(page, 0), PAGE_BYTES, 0);
    doorbell_fire(source);
    if (!gc_irq_wait(source->device, source->vector, WAIT_MS, &taken, &error) ||
            (is_mapped && !gc_dma_unmap(source->device, iova, PAGE_BYTES, &error)))
        give_up(error.message);
    double duration_ns = (double)(gc_now_ns() - started_ns);
    if (taken != 1)
        give_up("no interrupt, or more than one, for one transfer");
    doorbell_acknowledge(source);
    gc_read32(&source->registers, 0); /* flushes the acknowledgement */
    if (!gc_irq_rearm(source->device, &error))
        give_up(error.message);
    return duration_ns;
}

static void measure_transfers(int argc, char **argv)
{
    if (argc != 4)
        wrong_usage();
    unsigned long count = number(argv[3], 1, MAX_SAMPLES);
    double *samples = new_samples(count);
    struct source source = {0};
    struct gc_dma_buffer page;
    uint64_t iova = 0;
    reference_open(&source, argv[2], NULL);
    if (!gc_physical_alloc(&page, PAGE_BYTES, &error) ||
            (gc_has_iommu(source.device) && !gc_iova_alloc(source.device, PAGE_BYTES, &iova, &error)))
        give_up(error.message);
    for (long i = -WARM_UP; i < (long)count; i++) {
        double duration_ns = time_transfer(&source, &page, iova);
        if (i >= 0)
            samples[i] = duration_ns;
    }
    if (gc_has_iommu(source.device))
        gc_iova_free(source.device, iova);
    gc_physical_free(&page);
    reference_close(&source);
    print_samples(samples, count);
    free(samples);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "access") == 0)
        measure_accesses(argc, argv);
    else if (argc > 1 && strcmp(argv[1], "interrupt") == 0)
        measure_interrupts(argc, argv);
    else if (argc > 1 && strcmp(argv[1], "transfer") == 0)
        measure_transfers(argc, argv);
    else
        wrong_usage();
    return 0;
}
