/**
 * How a card author declares platform devices: memory-mapped devices, each with its own interrupt, such as the blocks of
 * an FPGA design whose drivers are not PCI drivers.
 */

/** Part of a BAR. Offset and size are multiples of a page, 4096 bytes. */
export interface PlatformWindow {
  readonly bar: 0 | 1 | 2 | 3 | 4 | 5;
  /** Offset in the BAR; default 0. */
  readonly offset?: number;
  /** Default: to the end of the BAR. */
  readonly sizeBytes?: number;
}

/** A memory-mapped device inside a card, for drivers that are not PCI drivers. */
export interface PlatformDevice<WindowName extends string = string> {
  /** The guest's kernel names the device NAME.ID. Letters, digits, '-' and '_', at most 31. */
  readonly name: string;
  /** "manufacturer,model", as in a device tree; at most 63 characters. */
  readonly compatible: string;
  /** By name, in the order of the UIO device's maps. */
  readonly windows: Readonly<Record<WindowName, PlatformWindow>>;
  /**
   * The function's INTx line, for one device of the card only; or an MSI-X vector that no other device uses. Absent: the
   * device has no interrupt.
   */
  readonly interrupt?: 'intx' | { readonly msixVector: number };
  /** Width of the host addresses that the device can drive; default 64. */
  readonly dmaMaskBits?: number;
  /** Whether the device's DMA is coherent with the CPU caches; default: as the card. */
  readonly coherent?: boolean;
  /** Sizes of the DMA buffers that the kernel is to allocate (uio_dmem_genirq), by name. Multiples of 4096 bytes. */
  readonly dmaBuffers?: Readonly<Record<string, number>>;
  /**
   * How software resets the device: it writes `value` to a 32-bit register and waits until its `busyMask` bits read 0.
   * Required by vfio-platform, which refuses a device that it cannot reset.
   */
  readonly reset?: {
    readonly window: NoInfer<WindowName>;
    /** Offset of the register in the window, in bytes. */
    readonly offset: number;
    readonly value: number;
    /** Bits that read 1 during the reset; default 0: the reset completes with the write. */
    readonly busyMask?: number;
    /** How long the kernel waits for completion; default 100 ms. */
    readonly limitMs?: number;
  };
}

/** Returns `device` unchanged; lets the compiler check that `reset.window` is one of the windows. */
export const platformDevice = <const WindowName extends string>(
  device: PlatformDevice<WindowName>,
): PlatformDevice<WindowName> => device;
