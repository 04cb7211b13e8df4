/**
 * Constants of the protocol: commands, flags, sizes and offsets. No behaviour.
 *
 * Source: QEMU docs/interop/vfio-user.rst (sections "Commands" and "Header"); Linux include/uapi/linux/vfio.h.
 */

export const Command = {
  VERSION: 1,
  DMA_MAP: 2,
  DMA_UNMAP: 3,
  DEVICE_GET_INFO: 4,
  DEVICE_GET_REGION_INFO: 5,
  DEVICE_GET_REGION_IO_FDS: 6,
  DEVICE_GET_IRQ_INFO: 7,
  DEVICE_SET_IRQS: 8,
  REGION_READ: 9,
  REGION_WRITE: 10,
  DMA_READ: 11,
  DMA_WRITE: 12,
  DEVICE_RESET: 13,
  DIRTY_PAGES: 14,
  REGION_WRITE_MULTI: 15,
  DEVICE_FEATURE: 16,
  MIG_DATA_READ: 17,
  MIG_DATA_WRITE: 18,
} as const;

const names = new Map<number, string>(Object.entries(Command).map(([name, number]) => [number, name]));
export const isCommand = (command: number): boolean => names.has(command);
export const commandName = (command: number): string => names.get(command) ?? `command ${command}`;

/** Header: offsets in bytes. */
export const HEADER_BYTES = 16;
export const Header = { ID: 0, COMMAND: 2, SIZE: 4, FLAGS: 8, ERROR: 12 } as const;
export const HeaderFlag = { TYPE_MASK: 0xf, TYPE_COMMAND: 0, TYPE_REPLY: 1, NO_REPLY: 0x10, ERROR: 0x20 } as const;

/** REGION_READ, REGION_WRITE and their replies: offset u64, region u32, count u32, data. Offsets from the header. */
export const REGION_ACCESS_BYTES = 16;
export const RegionAccess = { OFFSET: 16, REGION: 24, COUNT: 28, DATA: 32 } as const;

/** DMA_READ, DMA_WRITE and their replies: address u64, count u64, data. Offsets from the header. */
export const DMA_ACCESS_BYTES = 16;
export const DmaAccess = { ADDRESS: 16, COUNT: 24, DATA: 32 } as const;

/** REGION_WRITE_MULTI: number of writes u64; for each, offset u64, region u32, count u32, 8 bytes of data. */
export const WriteMulti = { NUMBER_BYTES: 8, WRITE_BYTES: 24, OFFSET: 0, REGION: 8, COUNT: 12, DATA: 16 } as const;

export const DMA_MAP_BYTES = 32;
export const DmaMapFlag = { READ: 1, WRITE: 2 } as const;
export const DMA_UNMAP_BYTES = 24;
export const DmaUnmapFlag = { GET_DIRTY_BITMAP: 1, ALL: 2 } as const;

export const DEVICE_INFO_BYTES = 16;
export const DeviceFlag = { RESET: 1, PCI: 2 } as const;

export const REGION_INFO_BYTES = 32;
export const RegionFlag = { READ: 1, WRITE: 2, MMAP: 4, CAPS: 8 } as const;
export const SparseMmap = { CAPABILITY: 1, VERSION: 1, HEADER_BYTES: 16, AREA_BYTES: 16 } as const;
export const REGION_IO_FDS_BYTES = 16;

export const IRQ_INFO_BYTES = 16;
export const IrqFlag = { EVENTFD: 1, MASKABLE: 2, AUTOMASKED: 4, NORESIZE: 8 } as const;

export const IRQ_SET_BYTES = 20;
export const IrqSetFlag = {
  DATA_NONE: 1,
  DATA_BOOL: 2,
  DATA_EVENTFD: 4,
  ACTION_MASK: 8,
  ACTION_UNMASK: 16,
  ACTION_TRIGGER: 32,
} as const;
