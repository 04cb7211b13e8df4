// SPDX-License-Identifier: GPL-2.0
/*
 * A device tree of one AXI DMA for Linux' xilinx_dma, whose nodes a guest's kernel does not have: this module
 * makes them by hand and gives them to the platform device that the module ghostcard has created, with a
 * clock and an interrupt controller for the only interrupt of that device. Then it uses the two channels:
 *
 *   echo "100 30000" > run   100 packets of 30000 bytes through the loopback; fails unless all come back
 *
 * Source: Linux Documentation/devicetree/bindings/dma/xilinx/xilinx_dma.txt.
 */
#include <linux/clk-provider.h>
#include <linux/clkdev.h>
#include <linux/dma-mapping.h>
#include <linux/dmaengine.h>
#include <linux/interrupt.h>
#include <linux/irq.h>
#include <linux/irqdomain.h>
#include <linux/module.h>
#include <linux/of.h>
#include <linux/platform_device.h>
#include <linux/random.h>
#include <linux/slab.h>

static char *device = "";
module_param(device, charp, 0444);
static unsigned int length_bits = 14;
module_param(length_bits, uint, 0444);

static struct platform_device *pdev;
static struct irq_domain *domain;

static __be32 width_cells, address_cells, data_cells, one_cell, zero_cell;

#define TEXT(property, text) {.name = property, .length = sizeof(text), .value = text}
#define CELL(property, cell) {.name = property, .length = sizeof(cell), .value = &(cell)}
#define FLAG(property) {.name = property}

/* The core is the interrupt controller of its channels too: a parent is found without the tree's handles. */
static struct property core_properties[] = {
        TEXT("compatible", "xlnx,axi-dma-1.00.a"),
        CELL("xlnx,sg-length-width", width_cells),
        CELL("xlnx,addrwidth", address_cells),
        CELL("#interrupt-cells", one_cell),
        FLAG("interrupt-controller"),
        FLAG("dma-coherent"),
};
static struct property mm2s_properties[] = {
        TEXT("compatible", "xlnx,axi-dma-mm2s-channel"),
        CELL("xlnx,datawidth", data_cells),
        CELL("interrupts", zero_cell),
        FLAG("xlnx,include-dre"),
};
static struct property s2mm_properties[] = {
        TEXT("compatible", "xlnx,axi-dma-s2mm-channel"),
        CELL("xlnx,datawidth", data_cells),
        CELL("interrupts", zero_cell),
        FLAG("xlnx,include-dre"),
};
static struct device_node core = {.name = "dma", .full_name = "dma"};
static struct device_node mm2s = {.name = "dma-channel", .full_name = "dma-channel@0", .parent = &core};
static struct device_node s2mm = {.name = "dma-channel", .full_name = "dma-channel@30", .parent = &core};

static void make_node(struct device_node *node, struct property *properties, unsigned int count)
{
    unsigned int i;

    fwnode_init(&node->fwnode, &of_fwnode_ops);
    for (i = 0; i + 1 < count; i++)
        properties[i].next = &properties[i + 1];
    node->properties = properties;
}

static int map_interrupt(struct irq_domain *unused, unsigned int virq, irq_hw_number_t number)
{
    irq_set_chip_and_handler(virq, &dummy_irq_chip, handle_simple_irq);
    return 0;
}

static const struct irq_domain_ops domain_ops = {.map = map_interrupt, .xlate = irq_domain_xlate_onecell};

static irqreturn_t pass_on(int irq, void *unused)
{
    generic_handle_domain_irq(domain, 0);
    return IRQ_HANDLED;
}

static bool is_ours(struct dma_chan *channel, void *id)
{
    return channel->device->dev == &pdev->dev && channel->chan_id == *(int *)id;
}

static struct dma_chan *request(int id)
{
    dma_cap_mask_t mask;

    dma_cap_zero(mask);
    dma_cap_set(DMA_SLAVE, mask);
    return dma_request_channel(mask, is_ours, &id);
}

static void done(void *completion)
{
    complete(completion);
}

static int start(struct dma_chan *channel, dma_addr_t address, size_t size,
        enum dma_transfer_direction direction, struct completion *completion)
{
    struct dma_async_tx_descriptor *descriptor;

    descriptor = dmaengine_prep_slave_single(channel, address, size, direction, DMA_PREP_INTERRUPT);
    if (!descriptor)
        return -ENOMEM;
    init_completion(completion);
    descriptor->callback = done;
    descriptor->callback_param = completion;
    if (dma_submit_error(dmaengine_submit(descriptor)))
        return -EIO;
    dma_async_issue_pending(channel);
    return 0;
}

/* One packet there and back. */
static int loop(struct dma_chan *tx, struct dma_chan *rx, u8 *sent, u8 *received, size_t size)
{
    struct completion sent_done, received_done;
    dma_addr_t from, to;
    int err;

    get_random_bytes(sent, size);
    memset(received, 0, size);
    from = dma_map_single(&pdev->dev, sent, size, DMA_TO_DEVICE);
    to = dma_map_single(&pdev->dev, received, size, DMA_FROM_DEVICE);
    err = start(rx, to, size, DMA_DEV_TO_MEM, &received_done);
    if (!err)
        err = start(tx, from, size, DMA_MEM_TO_DEV, &sent_done);
    if (!err && (!wait_for_completion_timeout(&sent_done, 5 * HZ) ||
                        !wait_for_completion_timeout(&received_done, 5 * HZ)))
        err = -ETIMEDOUT;
    dmaengine_terminate_sync(tx);
    dmaengine_terminate_sync(rx);
    dma_unmap_single(&pdev->dev, from, size, DMA_TO_DEVICE);
    dma_unmap_single(&pdev->dev, to, size, DMA_FROM_DEVICE);
    if (!err && memcmp(sent, received, size))
        err = -EBADMSG;
    return err;
}

static int run(const char *text, const struct kernel_param *unused)
{
    struct dma_chan *tx = request(0), *rx = request(1);
    unsigned int packets, size, i;
    u8 *sent = NULL, *received = NULL;
    int err = -ENODEV;

    if (tx && rx)
        err = sscanf(text, "%u %u", &packets, &size) == 2 ? 0 : -EINVAL;
    if (!err) {
        sent = kmalloc(size, GFP_KERNEL);
        received = kmalloc(size, GFP_KERNEL);
        err = sent && received ? 0 : -ENOMEM;
    }
    for (i = 0; !err && i < packets; i++)
        err = loop(tx, rx, sent, received, size);
    kfree(sent);
    kfree(received);
    if (tx)
        dma_release_channel(tx);
    if (rx)
        dma_release_channel(rx);
    return err;
}

static const struct kernel_param_ops run_ops = {.set = run};
module_param_cb(run, &run_ops, NULL, 0200);

static int __init make_nodes(void)
{
    struct device *found = bus_find_device_by_name(&platform_bus_type, NULL, device);
    struct clk *clock;
    int irq, err;

    if (!found)
        return -ENODEV;
    pdev = to_platform_device(found);
    width_cells = cpu_to_be32(length_bits);
    address_cells = cpu_to_be32(64);
    data_cells = cpu_to_be32(32);
    one_cell = cpu_to_be32(1);
    make_node(&core, core_properties, ARRAY_SIZE(core_properties));
    make_node(&mm2s, mm2s_properties, ARRAY_SIZE(mm2s_properties));
    make_node(&s2mm, s2mm_properties, ARRAY_SIZE(s2mm_properties));
    core.child = &mm2s;
    mm2s.sibling = &s2mm;

    clock = clk_register_fixed_rate(NULL, "axi-dma-clock", NULL, 0, 100000000);
    if (IS_ERR(clock))
        return PTR_ERR(clock);
    err = clk_register_clkdev(clock, "s_axi_lite_aclk", dev_name(&pdev->dev));
    if (err)
        return err;
    irq = platform_get_irq(pdev, 0);
    if (irq < 0)
        return irq;
    domain = irq_domain_add_linear(&core, 1, &domain_ops, NULL);
    if (!domain)
        return -ENOMEM;
    err = request_irq(irq, pass_on, 0, "axi-dma-nodes", &core);
    if (!err)
        pdev->dev.of_node = &core;
    return err;
}
/* There is no way out: the driver has the nodes. */
module_init(make_nodes);

MODULE_DESCRIPTION("Device-tree nodes of an AXI DMA, and a client of its channels");
MODULE_LICENSE("GPL");
