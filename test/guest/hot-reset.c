/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resets a card behind vfio-pci (no-IOMMU) by VFIO_DEVICE_PCI_HOT_RESET, which needs the whole group of
 * functions below the port, and prints the error number. Of its arguments: the group's node, and the card's
 * PCI address.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdio.h>
#include <sys/ioctl.h>

int main(int argc, char **argv)
{
    struct {
        struct vfio_pci_hot_reset reset;
        int group;
    } request = {{.argsz = sizeof request, .count = 1}, -1};
    int container = open("/dev/vfio/vfio", O_RDWR);
    int group = argc == 3 ? open(argv[1], O_RDWR) : -1;
    if (container < 0 || group < 0 || ioctl(group, VFIO_GROUP_SET_CONTAINER, &container) != 0 ||
            ioctl(container, VFIO_SET_IOMMU, VFIO_NOIOMMU_IOMMU) != 0) {
        perror("opening the group");
        return 1;
    }
    int device = ioctl(group, VFIO_GROUP_GET_DEVICE_FD, argv[2]);
    if (device < 0) {
        perror("opening the device");
        return 1;
    }
    puts("opened");
    fflush(stdout);
    getchar(); /* the host changes the card's state */
    request.group = group;
    printf("%d\n", ioctl(device, VFIO_DEVICE_PCI_HOT_RESET, &request) == 0 ? 0 : errno);
    return 0;
}
