// SPDX-License-Identifier: GPL-2.0
/*
 * What Linux' driver of the XDMA core (drivers/dma/xilinx/xdma.c) expects of a card's own driver: it has the
 * core as a platform device "xdma", with the core's BAR and consecutive interrupts as resources. Also a
 * client of it, for tests. In the PCI device's folder in sysfs:
 *
 *   echo "4 200000 10" > transfer   4 channel pairs, 10 rounds each of 200000 bytes to the card and back
 *   cat transfer                    "transfers 80 failures 0"
 *   cat user_interrupts             how often user interrupt 0 has come; each clears the first register of
 * BAR 0
 */
#include <linux/dma/amd_xdma.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/module.h>
#include <linux/pci.h>
#include <linux/platform_data/amd_xdma.h>
#include <linux/platform_device.h>

enum { CHANNELS = 4, CORE_BYTES = 0x10000, PIECE_PAGES = 3, LIMIT_MS = 10000 };

struct card {
    struct pci_dev *pdev;
    struct platform_device *core;
    void __iomem *design;
    int user_irq;
    atomic_t user_interrupts;
    unsigned int transfers, failures;
    struct mutex lock;
};

static struct xdma_chan_info to_card = {DMA_MEM_TO_DEV}, from_card = {DMA_DEV_TO_MEM};
static const char *const names[2][CHANNELS] = {
        {"h2c0", "h2c1", "h2c2", "h2c3"}, {"c2h0", "c2h1", "c2h2", "c2h3"}};

/* Bytes in pieces that are not contiguous, as those of a user are. */
struct buffer {
    struct sg_table table;
    struct dma_chan *channel;
    enum dma_data_direction direction;
    struct completion done;
    dma_cookie_t cookie;
    bool mapped;
};

static void buffer_free(struct device *dev, struct buffer *buffer)
{
    struct scatterlist *sg;
    int i;

    if (buffer->mapped)
        dma_unmap_sgtable(dev, &buffer->table, buffer->direction, 0);
    for_each_sgtable_sg(&buffer->table, sg, i) if (sg_page(sg))
            free_pages_exact(sg_virt(sg), PAGE_ALIGN(sg->offset + sg->length));
    sg_free_table(&buffer->table);
}

static int buffer_alloc(struct device *dev, struct buffer *buffer, size_t bytes, bool sends)
{
    size_t piece = PIECE_PAGES * PAGE_SIZE;
    struct scatterlist *sg;
    int i, error;

    buffer->direction = sends ? DMA_TO_DEVICE : DMA_FROM_DEVICE;
    init_completion(&buffer->done);
    error = sg_alloc_table(&buffer->table, DIV_ROUND_UP(bytes, piece), GFP_KERNEL);
    if (error)
        return error;
    for_each_sgtable_sg(&buffer->table, sg, i)
    {
        size_t part = min(bytes - i * piece, piece);
        void *memory = alloc_pages_exact(piece, GFP_KERNEL | __GFP_ZERO);

        if (!memory)
            return -ENOMEM;
        sg_set_buf(sg, memory, part);
    }
    return 0;
}

static u8 expected(unsigned int seed, size_t at)
{
    return at * 7 + (at >> 8) + seed;
}

static void buffer_fill(struct buffer *buffer, unsigned int seed)
{
    struct scatterlist *sg;
    size_t at = 0, byte;
    int i;

    for_each_sgtable_sg(&buffer->table, sg, i) for (byte = 0; byte < sg->length; byte++)(
            (u8 *)sg_virt(sg))[byte] = expected(seed, at++);
}

static bool buffer_is(struct buffer *buffer, unsigned int seed)
{
    struct scatterlist *sg;
    size_t at = 0, byte;
    int i;

    for_each_sgtable_sg(&buffer->table, sg, i) for (byte = 0; byte < sg->length;
            byte++) if (((u8 *)sg_virt(sg))[byte] != expected(seed, at++)) return false;
    return true;
}

static void transfer_done(void *done)
{
    complete(done);
}

static int transfer_start(struct device *dev, struct buffer *buffer, u64 card_address)
{
    bool sends = buffer->direction == DMA_TO_DEVICE;
    struct dma_slave_config config = {
            .direction = sends ? DMA_MEM_TO_DEV : DMA_DEV_TO_MEM,
            .src_addr = card_address,
            .dst_addr = card_address,
    };
    struct dma_async_tx_descriptor *tx;
    int error = dma_map_sgtable(dev, &buffer->table, buffer->direction, 0);

    if (error)
        return error;
    buffer->mapped = true;
    error = dmaengine_slave_config(buffer->channel, &config);
    if (error)
        return error;
    tx = dmaengine_prep_slave_sg(buffer->channel, buffer->table.sgl, buffer->table.nents, config.direction,
            DMA_PREP_INTERRUPT | DMA_CTRL_ACK);
    if (!tx)
        return -EIO;
    tx->callback = transfer_done;
    tx->callback_param = &buffer->done;
    buffer->cookie = dmaengine_submit(tx);
    dma_async_issue_pending(buffer->channel);
    return dma_submit_error(buffer->cookie);
}

static int transfer_wait(struct buffer *buffer)
{
    unsigned long limit = msecs_to_jiffies(LIMIT_MS);

    if (wait_for_completion_timeout(&buffer->done, limit) == 0)
        return -ETIMEDOUT;
    return dma_async_is_tx_complete(buffer->channel, buffer->cookie, NULL, NULL) == DMA_COMPLETE ? 0 : -EIO;
}

/* All channels of one direction at once. */
static int move(struct card *card, struct buffer *buffers, struct dma_chan **channels, unsigned int count,
        size_t bytes, unsigned int seed, bool sends)
{
    struct device *dev = &card->pdev->dev;
    unsigned int n, started = 0;
    int error = 0;

    memset(buffers, 0, count * sizeof(*buffers));
    for (n = 0; n < count && !error; n++) {
        buffers[n].channel = channels[n];
        error = buffer_alloc(dev, &buffers[n], bytes, sends);
        if (!error && sends)
            buffer_fill(&buffers[n], seed + n);
    }
    for (; started < count && !error; started++)
        error = transfer_start(dev, &buffers[started], started * roundup(bytes, 4096) + 64);
    for (n = 0; n < started; n++) {
        int ended = error ? dmaengine_terminate_sync(channels[n]) : transfer_wait(&buffers[n]);

        card->transfers++;
        if (ended) {
            dev_err(dev, "transfer of channel %u, %s card: error %d\n", n, sends ? "to" : "from", ended);
            dmaengine_terminate_sync(channels[n]);
            card->failures++;
        }
    }
    for (n = 0; n < count; n++) {
        if (buffers[n].mapped)
            dma_unmap_sgtable(dev, &buffers[n].table, buffers[n].direction, 0);
        buffers[n].mapped = false;
        if (!error && !sends && !buffer_is(&buffers[n], seed + n)) {
            dev_err(dev, "channel %u: other bytes came back\n", n);
            card->failures++;
        }
        buffer_free(dev, &buffers[n]);
    }
    return error;
}

static ssize_t transfer_store(
        struct device *dev, struct device_attribute *attr, const char *text, size_t length)
{
    struct card *card = dev_get_drvdata(dev);
    struct dma_chan *channels[2][CHANNELS] = {};
    struct buffer buffers[CHANNELS];
    unsigned int count, bytes, rounds, round, way, n;
    int error = 0;

    if (sscanf(text, "%u %u %u", &count, &bytes, &rounds) != 3 || !count || count > CHANNELS || !bytes)
        return -EINVAL;
    mutex_lock(&card->lock);
    card->transfers = card->failures = 0;
    for (n = 0; n < 2 * count && !error; n++) {
        struct dma_chan *channel = dma_request_chan(dev, names[n % 2][n / 2]);

        error = PTR_ERR_OR_ZERO(channel);
        channels[n % 2][n / 2] = error ? NULL : channel;
    }
    for (round = 0; round < rounds && !error; round++)
        for (way = 0; way < 2 && !error; way++)
            error = move(card, buffers, channels[way], count, bytes, round, way == 0);
    for (n = 0; n < 2 * CHANNELS; n++)
        if (channels[n % 2][n / 2])
            dma_release_channel(channels[n % 2][n / 2]);
    mutex_unlock(&card->lock);
    return error ? error : length;
}

static ssize_t transfer_show(struct device *dev, struct device_attribute *attr, char *text)
{
    struct card *card = dev_get_drvdata(dev);

    return sysfs_emit(text, "transfers %u failures %u\n", card->transfers, card->failures);
}
static DEVICE_ATTR_RW(transfer);

static ssize_t user_interrupts_show(struct device *dev, struct device_attribute *attr, char *text)
{
    struct card *card = dev_get_drvdata(dev);

    return sysfs_emit(text, "%d\n", atomic_read(&card->user_interrupts));
}
static DEVICE_ATTR_RO(user_interrupts);

static struct attribute *card_attrs[] = {&dev_attr_transfer.attr, &dev_attr_user_interrupts.attr, NULL};
ATTRIBUTE_GROUPS(card);

static irqreturn_t user_interrupt(int irq, void *data)
{
    struct card *card = data;

    atomic_inc(&card->user_interrupts);
    iowrite32(0, card->design);
    return IRQ_HANDLED;
}

static struct platform_device *register_core(struct pci_dev *pdev, struct resource *bar, int vectors)
{
    struct dma_slave_map map[2 * CHANNELS];
    struct xdma_platdata data = {
            .max_dma_channels = CHANNELS, .device_map_cnt = ARRAY_SIZE(map), .device_map = map};
    struct resource resources[] = {
            DEFINE_RES_MEM(bar->start, CORE_BYTES),
            DEFINE_RES_NAMED(pci_irq_vector(pdev, 0), vectors, NULL, IORESOURCE_IRQ),
    };
    struct platform_device_info info = {
            .parent = &pdev->dev,
            .name = "xdma",
            .id = PLATFORM_DEVID_AUTO,
            .res = resources,
            .num_res = ARRAY_SIZE(resources),
            .data = &data,
            .size_data = sizeof(data),
            .dma_mask = DMA_BIT_MASK(64),
    };
    struct dma_slave_map *kept;
    unsigned int n;

    resources[0].parent = bar;
    for (n = 0; n < ARRAY_SIZE(map); n++)
        map[n] = (struct dma_slave_map){
                dev_name(&pdev->dev), names[n % 2][n / 2], n % 2 ? &from_card : &to_card};
    kept = devm_kmemdup(&pdev->dev, map, sizeof(map), GFP_KERNEL);
    if (!kept)
        return ERR_PTR(-ENOMEM);
    data.device_map = kept;
    return platform_device_register_full(&info);
}

static int card_probe(struct pci_dev *pdev, const struct pci_device_id *id)
{
    struct card *card = devm_kzalloc(&pdev->dev, sizeof(*card), GFP_KERNEL);
    int error, vectors, n, bar = pci_resource_len(pdev, 0) == CORE_BYTES ? 0 : 1;

    if (!card)
        return -ENOMEM;
    card->pdev = pdev;
    mutex_init(&card->lock);
    pci_set_drvdata(pdev, card);
    error = pcim_enable_device(pdev);
    if (!error)
        error = dma_set_mask_and_coherent(&pdev->dev, DMA_BIT_MASK(64));
    if (error)
        return error;
    pci_set_master(pdev);
    vectors = pci_alloc_irq_vectors(pdev, 2 * CHANNELS + 1, 2 * CHANNELS + 1, PCI_IRQ_MSIX);
    if (vectors < 0)
        return vectors;
    for (n = 1; n < vectors; n++)
        if (pci_irq_vector(pdev, n) != pci_irq_vector(pdev, 0) + n)
            return dev_err_probe(
                    &pdev->dev, -EINVAL, "interrupts are not consecutive, as the driver needs them\n");
    if (bar == 1)
        card->design = pcim_iomap(pdev, 0, 0);
    card->core = register_core(pdev, &pdev->resource[bar], vectors);
    if (IS_ERR(card->core)) {
        error = PTR_ERR(card->core);
        goto no_core;
    }
    if (!card->design)
        return 0;
    card->user_irq = xdma_get_user_irq(card->core, 0);
    error = card->user_irq < 0 ? card->user_irq
                               : request_irq(card->user_irq, user_interrupt, 0, "xdma-user", card);
    if (!error) {
        error = xdma_enable_user_irq(card->core, card->user_irq);
        if (!error)
            return 0;
        free_irq(card->user_irq, card);
    }
    platform_device_unregister(card->core);
no_core:
    pci_free_irq_vectors(pdev);
    return error;
}

static void card_remove(struct pci_dev *pdev)
{
    struct card *card = pci_get_drvdata(pdev);

    if (card->design) {
        xdma_disable_user_irq(card->core, card->user_irq);
        free_irq(card->user_irq, card);
    }
    platform_device_unregister(card->core);
    pci_free_irq_vectors(pdev);
}

static const struct pci_device_id card_ids[] = {{PCI_DEVICE(0x10ee, 0x9038)}, {}};
MODULE_DEVICE_TABLE(pci, card_ids);

static struct pci_driver card_driver = {
        .name = "xdma-pci",
        .id_table = card_ids,
        .probe = card_probe,
        .remove = card_remove,
        .dev_groups = card_groups,
};
module_pci_driver(card_driver);

MODULE_DESCRIPTION("A card with the XDMA core, and a client of its channels, for tests");
MODULE_SOFTDEP("pre: xdma");
MODULE_LICENSE("GPL");
