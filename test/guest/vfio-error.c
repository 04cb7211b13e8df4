// SPDX-License-Identifier: Apache-2.0
/*
 * A driver on vfio-pci that waits for the error interrupt: opens the group NODE without an IOMMU, connects an
 * eventfd to VFIO_PCI_ERR_IRQ_INDEX, prints "ready", and then how often it has been signalled until then.
 *
 *   vfio-error NODE PCI-ADDRESS
 */
#include <err.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc != 3)
        errx(2, "usage: vfio-error NODE PCI-ADDRESS");
    int container = open("/dev/vfio/vfio", O_RDWR);
    int group = open(argv[1], O_RDWR);
    if (container < 0 || group < 0)
        err(1, "open %s", argv[1]);
    if (ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) < 0)
        err(1, "VFIO_GROUP_SET_CONTAINER");
    if (ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU) < 0)
        err(1, "VFIO_SET_IOMMU");
    int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
    if (device < 0)
        err(1, "VFIO_GROUP_GET_DEVICE_FD");

    int event = eventfd(0, EFD_CLOEXEC);
    struct {
        struct vfio_irq_set set;
        int32_t fd;
    } irqs = {.set = {.argsz = sizeof(irqs),
                      .flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                      .index = VFIO_PCI_ERR_IRQ_INDEX,
                      .count = 1},
            .fd = event};
    if (event < 0 || ioctl(device, VFIO_DEVICE_SET_IRQS, &irqs) < 0)
        err(1, "VFIO_DEVICE_SET_IRQS");
    puts("ready");
    fflush(stdout);
    uint64_t count;
    if (read(event, &count, sizeof(count)) != sizeof(count))
        err(1, "read");
    printf("%llu\n", (unsigned long long)count);
    return 0;
}
