/**
 * What a card author writes down about platform devices: memory-mapped devices with an interrupt line of their own, as
 * an FPGA design is that is no PCI card to its driver.
 */

/** Part of a BAR. Offset and size are multiples of a page, 4096 bytes. */
export interface PlatformWindow {
  readonly bar: 0 | 1 | 2 | 3 | 4 | 5;
  /** Where it begins in the BAR; default 0. */
  readonly offset?: number;
  /** Default: to the end of the BAR. */
  readonly sizeBytes?: number;
}

/** The function's INTx line, for one device of the card; or an MSI-X vector of the device's own. */
export type PlatformInterrupt = 'intx' | { readonly msixVector: number };

/** How software resets the device: `value` is written to a 32-bit register, whose `busyMask` bits then read 0. */
export interface PlatformReset<WindowName extends string = string> {
  readonly window: WindowName;
  /** Of the register, in bytes from the start of the window. */
  readonly offset: number;
  readonly value: number;
  /** Bits that stay 1 while the reset goes on; default 0: it is over when the write is. */
  readonly busyMask?: number;
  /** How long the kernel waits for it; default 100 ms. */
  readonly limitMs?: number;
}

export interface PlatformDevice<WindowName extends string = string> {
  /** The guest's kernel calls the device NAME.ID. Letters, digits, '-' and '_', at most 31. */
  readonly name: string;
  /** "manufacturer,model", as in a device tree; at most 63 characters. */
  readonly compatible: string;
  /** By name; their order is that of the maps of a UIO device. */
  readonly windows: Readonly<Record<WindowName, PlatformWindow>>;
  /** Left out: the device does not interrupt. */
  readonly interrupt?: PlatformInterrupt;
  /** Width of the host addresses that the device can drive; default 64. */
  readonly dmaMaskBits?: number;
  /** Whether what the device reads and writes is at once what the processor does; default: as the card. */
  readonly coherent?: boolean;
  /** Sizes of buffers that the kernel is to allocate, by name: what uio_dmem_genirq gives. Multiples of 4096 bytes. */
  readonly dmaBuffers?: Readonly<Record<string, number>>;
  /** Needed for vfio-platform, which takes no device that it cannot reset. */
  readonly reset?: PlatformReset<NoInfer<WindowName>>;
}

/** The device as given; with it, the compiler knows that `reset.window` is one of the windows. */
export const platformDevice = <const WindowName extends string>(
  device: PlatformDevice<WindowName>,
): PlatformDevice<WindowName> => device;
