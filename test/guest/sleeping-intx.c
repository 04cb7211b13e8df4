/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VFIO driver that never accesses a BAR, for intx.test.ts: receives INTx, or the interrupt of a platform
 * device, and unmasks it N times. Prints how many interrupts have come when all of them have, and after each
 * line that it reads from standard input.
 */
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

static int device;

static int set_intx(uint32_t flags, const int32_t *fd)
{
    char request[sizeof(struct vfio_irq_set) + sizeof(*fd)];
    struct vfio_irq_set *set = (struct vfio_irq_set *)request;
    *set = (struct vfio_irq_set){
            .argsz = sizeof(request), .flags = flags, .index = VFIO_PCI_INTX_IRQ_INDEX, .count = 1};
    if (fd)
        memcpy(set->data, fd, sizeof(*fd));
    return ioctl(device, VFIO_DEVICE_SET_IRQS, set);
}

int main(int argc, char **argv)
{
    int container = open("/dev/vfio/vfio", O_RDWR);
    const char *node = getenv("GHOSTCARD_DEVICE");
    int group = open(node, O_RDWR);
    int32_t event = eventfd(0, EFD_NONBLOCK);
    if (argc != 2 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) ||
            ioctl(container, VFIO_SET_IOMMU, strstr(node, "noiommu") ? VFIO_NOIOMMU_IOMMU : VFIO_TYPE1_IOMMU))
        return 1;
    device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, getenv("GHOSTCARD_DEVICE_NAME"));
    if (device < 0 || set_intx(VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER, &event))
        return 2;
    printf("ready\n");
    fflush(stdout);
    for (int left = atoi(argv[1]); left > 0; left--) {
        struct pollfd ready = {.fd = event, .events = POLLIN};
        uint64_t count;
        if (poll(&ready, 1, 10000) != 1 || read(event, &count, sizeof(count)) != sizeof(count))
            return 3;
        printf("%u\n", (unsigned)count);
        fflush(stdout);
        /* By then the line is down. */
        if (getchar() != '\n' || set_intx(VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_UNMASK, NULL))
            return 4;
    }
    return 0;
}
