// SPDX-License-Identifier: GPL-2.0
/*
 * A correct kernel driver of the reference card, with a workload. Each bug of the corpus is a change of a few
 * lines of this file (../bugs.ts). In the device's folder in sysfs:
 *
 *   echo N > echo    sends N messages through the loopback of pair 0, and compares what comes back
 *   echo N > post    sends N messages, at most 7, and does not wait for them
 */
#include <linux/dma-mapping.h>
#include <linux/interrupt.h>
#include <linux/iopoll.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/slab.h>
#include <linux/wait.h>

#include "ghostcard_ref_regs.h"

/* Of a ring; one stays empty. */
#define SLOTS 8
#define BUFFER_BYTES 2048
#define RING_BYTES (SLOTS * sizeof(struct descriptor))
#define TIMEOUT msecs_to_jiffies(2000)
#define STOP_US 500000

#define OWNER GHOSTCARD_REF_DESC_CONTROL_OWNER_MASK

struct descriptor {
    __le32 control;
    __le32 length;
    __le64 host_address;
    __le64 card_address;
    __le32 transferred;
    __le32 status;
};

struct channel {
    struct device *dev;
    void __iomem *registers; /* of this channel */
    enum dma_data_direction direction;
    struct descriptor *ring;
    dma_addr_t ring_address;
    u8 *buffers[SLOTS];
    dma_addr_t addresses[SLOTS]; /* of the buffers, while they are mapped */
    bool is_mapped[SLOTS];
    u32 producer; /* the next slot to be handed over */
    u32 taken;    /* received: the next slot to be looked at */
    wait_queue_head_t completed;
};

struct card {
    void __iomem *registers;
    struct channel send, receive;
    struct mutex lock; /* one workload at a time */
    u32 number;        /* of the next message */
};

/* The registers of H2C[0], which are the same in each channel. */
#define CHANNEL_REGISTER(name) (GHOSTCARD_REF_H2C_##name(0) - GHOSTCARD_REF_H2C(0))

/* ------------------------------------------------------------------------------------------------- ring */

static void put(struct channel *channel, u32 length)
{
    u32 slot = channel->producer;
    struct descriptor *descriptor = &channel->ring[slot];

    descriptor->length = cpu_to_le32(length);
    descriptor->host_address = cpu_to_le64(channel->addresses[slot]);
    dma_wmb();
    WRITE_ONCE(descriptor->control, cpu_to_le32(OWNER | GHOSTCARD_REF_DESC_CONTROL_INTERRUPT_MASK |
                                                GHOSTCARD_REF_DESC_CONTROL_EOP_MASK));
    channel->producer = (slot + 1) % SLOTS;
    writel(channel->producer, channel->registers + CHANNEL_REGISTER(DOORBELL));
}

static bool is_complete(struct channel *channel, u32 slot)
{
    if (READ_ONCE(channel->ring[slot].control) & cpu_to_le32(OWNER))
        return false;
    dma_rmb();
    return true;
}

static int wait_for(struct channel *channel, u32 slot)
{
    if (wait_event_timeout(channel->completed, is_complete(channel, slot), TIMEOUT))
        return 0;
    dev_err(channel->dev, "descriptor %u is not complete within 2 s\n", slot);
    return -ETIMEDOUT;
}

static irqreturn_t channel_interrupt(int irq, void *data)
{
    struct channel *channel = data;

    wake_up(&channel->completed);
    return IRQ_HANDLED;
}

/* The engine no longer accesses memory when this has returned 0. */
static int stop_engine(struct channel *channel)
{
    u32 status;

    writel(GHOSTCARD_REF_H2C_CONTROL_RESET_MASK, channel->registers + CHANNEL_REGISTER(CONTROL));
    return readl_poll_timeout(channel->registers + CHANNEL_REGISTER(STATUS), status,
            !(status & GHOSTCARD_REF_H2C_STATUS_BUSY_MASK), 10, STOP_US);
}

/* --------------------------------------------------------------------------------------------- messages */

static u32 length_of(u32 number)
{
    return 4 + number * 397 % (BUFFER_BYTES - 3);
}

static void compose(u8 *buffer, u32 number)
{
    u32 i;

    for (i = 0; i < length_of(number); i++)
        buffer[i] = (u8)(number * 7 + i * 3);
}

static bool is_right(const u8 *buffer, u32 number, u32 length)
{
    u32 i;

    if (length != length_of(number))
        return false;
    for (i = 0; i < length; i++)
        if (buffer[i] != (u8)(number * 7 + i * 3))
            return false;
    return true;
}

static int map(struct channel *channel, u32 slot, u32 length)
{
    dma_addr_t address = dma_map_single(channel->dev, channel->buffers[slot], length, channel->direction);

    if (dma_mapping_error(channel->dev, address))
        return -ENOMEM;
    channel->addresses[slot] = address;
    channel->is_mapped[slot] = true;
    return 0;
}

static void unmap(struct channel *channel, u32 slot, u32 length)
{
    if (channel->is_mapped[slot])
        dma_unmap_single(channel->dev, channel->addresses[slot], length, channel->direction);
    channel->is_mapped[slot] = false;
}

static int post(struct channel *channel, u32 number)
{
    u32 slot = channel->producer;
    int error;

    compose(channel->buffers[slot], number);
    error = map(channel, slot, BUFFER_BYTES);
    if (!error)
        put(channel, length_of(number));
    return error;
}

static int send(struct channel *channel, u32 number)
{
    u32 slot = channel->producer;
    int error = post(channel, number);

    if (error)
        return error;
    error = wait_for(channel, slot);
    if (error && stop_engine(channel))
        return error; /* the engine may still read the buffer: it stays mapped */
    unmap(channel, slot, BUFFER_BYTES);
    return error;
}

static int receive(struct channel *channel, u32 number)
{
    u32 slot = channel->taken;
    u32 length;
    int error = wait_for(channel, slot);

    if (error)
        return error;
    length = le32_to_cpu(channel->ring[slot].transferred);
    if (length > BUFFER_BYTES) {
        dev_err(channel->dev, "descriptor %u says %u bytes, of %u\n", slot, length, BUFFER_BYTES);
        return -EIO;
    }
    dma_sync_single_for_cpu(channel->dev, channel->addresses[slot], BUFFER_BYTES, DMA_FROM_DEVICE);
    if (!is_right(channel->buffers[slot], number, length)) {
        dev_err(channel->dev, "message %u is not as it was sent\n", number);
        return -EIO;
    }
    dma_sync_single_for_device(channel->dev, channel->addresses[slot], BUFFER_BYTES, DMA_FROM_DEVICE);
    channel->taken = (slot + 1) % SLOTS;
    /* The free slot is the one before; its buffer is mapped. */
    put(channel, BUFFER_BYTES);
    return 0;
}

/* ------------------------------------------------------------------------------------------------ sysfs */

static ssize_t echo_store(struct device *dev, struct device_attribute *attr, const char *text, size_t length)
{
    struct card *card = dev_get_drvdata(dev);
    unsigned int count;
    int error;

    error = kstrtouint(text, 0, &count);
    mutex_lock(&card->lock);
    while (!error && count-- > 0) {
        error = send(&card->send, card->number);
        if (!error)
            error = receive(&card->receive, card->number++);
    }
    mutex_unlock(&card->lock);
    return error ? error : length;
}
static DEVICE_ATTR_WO(echo);

static ssize_t post_store(struct device *dev, struct device_attribute *attr, const char *text, size_t length)
{
    struct card *card = dev_get_drvdata(dev);
    unsigned int count;
    int error;

    error = kstrtouint(text, 0, &count);
    mutex_lock(&card->lock);
    while (!error && count-- > 0)
        error = post(&card->send, card->number++);
    mutex_unlock(&card->lock);
    return error ? error : length;
}
static DEVICE_ATTR_WO(post);

static struct attribute *card_attrs[] = {&dev_attr_echo.attr, &dev_attr_post.attr, NULL};
ATTRIBUTE_GROUPS(card);

/* ------------------------------------------------------------------------------------ probe and remove */

static int open_channel(struct channel *channel, struct card *card, struct pci_dev *pdev, u32 block,
        enum dma_data_direction direction, int vector)
{
    struct device *dev = &pdev->dev;
    int slot;

    channel->dev = dev;
    channel->registers = card->registers + block;
    channel->direction = direction;
    init_waitqueue_head(&channel->completed);
    channel->ring = dmam_alloc_coherent(dev, RING_BYTES, &channel->ring_address, GFP_KERNEL);
    if (!channel->ring)
        return -ENOMEM;
    for (slot = 0; slot < SLOTS; slot++) {
        channel->buffers[slot] = devm_kmalloc(dev, BUFFER_BYTES, GFP_KERNEL);
        if (!channel->buffers[slot])
            return -ENOMEM;
    }
    writeq(channel->ring_address, channel->registers + CHANNEL_REGISTER(RING_BASE));
    writel(SLOTS, channel->registers + CHANNEL_REGISTER(RING_SIZE));
    writel(GHOSTCARD_REF_H2C_CONTROL_RUN_MASK, channel->registers + CHANNEL_REGISTER(CONTROL));
    return devm_request_irq(dev, pci_irq_vector(pdev, vector), channel_interrupt, 0, KBUILD_MODNAME, channel);
}

static void unmap_all(struct channel *channel)
{
    int slot;

    for (slot = 0; slot < SLOTS; slot++)
        unmap(channel, slot, BUFFER_BYTES);
}

#define SEND_VECTOR GHOSTCARD_REF_IRQ_STATUS_H2C0_SHIFT
#define RECEIVE_VECTOR GHOSTCARD_REF_IRQ_STATUS_C2H0_SHIFT

/* What is managed is given back by the kernel, in reverse order, when this fails and after card_remove. */
static int card_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    struct device *dev = &pdev->dev;
    struct card *card = devm_kzalloc(dev, sizeof(*card), GFP_KERNEL);
    int slot, error;

    if (!card)
        return -ENOMEM;
    mutex_init(&card->lock);
    pci_set_drvdata(pdev, card);
    error = pcim_enable_device(pdev);
    if (!error)
        error = pcim_iomap_regions(pdev, BIT(0), KBUILD_MODNAME);
    if (!error)
        error = dma_set_mask_and_coherent(dev, DMA_BIT_MASK(64));
    if (error)
        return error;
    card->registers = pcim_iomap_table(pdev)[0];
    writel(GHOSTCARD_REF_CONTROL_SOFT_RESET_MASK, card->registers + GHOSTCARD_REF_CONTROL);
    readl(card->registers + GHOSTCARD_REF_CONTROL);
    pci_set_master(pdev);
    error = pci_alloc_irq_vectors(pdev, 8, 8, PCI_IRQ_MSIX);
    if (error < 0)
        return error;
    writel(GHOSTCARD_REF_PAIR_PROCESSING_SELECT_LOOPBACK, card->registers + GHOSTCARD_REF_PAIR_PROCESSING(0));
    error = open_channel(&card->send, card, pdev, GHOSTCARD_REF_H2C(0), DMA_TO_DEVICE, SEND_VECTOR);
    if (!error)
        error = open_channel(
                &card->receive, card, pdev, GHOSTCARD_REF_C2H(0), DMA_FROM_DEVICE, RECEIVE_VECTOR);
    for (slot = 0; slot < SLOTS && !error; slot++)
        error = map(&card->receive, slot, BUFFER_BYTES);
    if (error) {
        unmap_all(&card->receive);
        return dev_err_probe(dev, error, "no memory or no interrupts\n");
    }
    for (slot = 0; slot < SLOTS - 1; slot++)
        put(&card->receive, BUFFER_BYTES);
    writel(BIT(SEND_VECTOR) | BIT(RECEIVE_VECTOR), card->registers + GHOSTCARD_REF_IRQ_ENABLE);
    return 0;
}

static void card_remove(struct pci_dev *pdev)
{
    struct card *card = pci_get_drvdata(pdev);

    writel(0, card->registers + GHOSTCARD_REF_IRQ_ENABLE);
    if (stop_engine(&card->send) || stop_engine(&card->receive))
        pci_clear_master(pdev); /* whatever an engine still does must not reach memory */
    unmap_all(&card->send);
    unmap_all(&card->receive);
}

static const struct pci_device_id card_ids[] = {{PCI_DEVICE(0x1234, 0x4743)}, {}};
MODULE_DEVICE_TABLE(pci, card_ids);

static struct pci_driver card_driver = {
        .name = KBUILD_MODNAME,
        .id_table = card_ids,
        .probe = card_probe,
        .remove = card_remove,
        .dev_groups = card_groups,
};
module_pci_driver(card_driver);

MODULE_DESCRIPTION("A driver of the reference card, for the corpus of bugs");
MODULE_LICENSE("GPL");
