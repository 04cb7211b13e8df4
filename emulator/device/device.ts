/**
 * The device interface: what a virtual machine monitor sees of a device. A vfio-user session (QEMU), the in-process host
 * (unit tests) and a replay drive it; a card implements it. It numbers regions and interrupt indexes as VFIO does, and
 * knows nothing of PCI, registers or the protocol.
 *
 * Source: Linux include/uapi/linux/vfio.h; QEMU docs/interop/vfio-user.rst.
 */
import type { DmaMapping } from '../memory/backing';

export type { DmaMapping };

/** A window of a region that a client may map instead of sending messages: offset and size in bytes, page-aligned. */
export interface MappableArea {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** One region (VFIO region index = position in `DeviceLayout.regions`). `sizeBytes` 0 means: not there. */
export interface RegionLayout {
  readonly sizeBytes: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Present when the client may map the region: the file that backs it (offset 0 = region offset 0) and where. */
  readonly mappable?: { readonly fd: number; readonly areas: readonly MappableArea[] };
}

/** One interrupt index (position in `DeviceLayout.irqs`): how many vectors, and what may be done to them. */
export interface IrqLayout {
  readonly count: number;
  readonly maskable: boolean;
  /** The device masks the vector by itself after each trigger, until the client unmasks it (level interrupts). */
  readonly autoMasked: boolean;
  /** Vectors can only be set up all together: a subset cannot be changed afterwards. */
  readonly noResize: boolean;
}

export interface DeviceLayout {
  readonly resettable: boolean;
  readonly regions: readonly RegionLayout[];
  readonly irqs: readonly IrqLayout[];
}

/** Where an interrupt goes when the device triggers it: an eventfd of a socket client, a callback of the host model. */
export interface IrqSink {
  trigger(): void;
  /** Releases what is behind it (an eventfd's descriptor). Called exactly once, by the device, when it lets go. */
  close(): void;
}

/**
 * What is to be done to the vectors `start … start + count - 1` of one interrupt index.
 * - `sinks`: connect each to a sink, `undefined` disconnects that vector; `count` 0 disconnects all and disables.
 * - `trigger`, `mask`, `unmask`: per vector, where `vectors[i]` is true (absent means all in the range).
 */
export type IrqAction =
  | { readonly kind: 'sinks'; readonly sinks: readonly (IrqSink | undefined)[] }
  | { readonly kind: 'trigger' | 'mask' | 'unmask'; readonly vectors?: readonly boolean[] };

export interface SetIrqs {
  readonly index: number;
  readonly start: number;
  readonly count: number;
  readonly action: IrqAction;
}

/** A request that the device refuses: `errno` is what the client is told, the message is for people. */
export class DeviceError extends Error {
  constructor(
    readonly errno: number,
    message: string,
  ) {
    super(message);
    this.name = 'DeviceError';
  }
}

export interface Device {
  readonly layout: DeviceLayout;
  /** Fills `data` with what the device drives at `offset` of `region`. The length of `data` is the access size. */
  readRegion(region: number, offset: number, data: Uint8Array): void;
  /** Takes `data`, whose length is the access size, at `offset` of `region`. `data` is only valid during the call. */
  writeRegion(region: number, offset: number, data: Uint8Array): void;
  /** Adds a mapping. The caller keeps ownership of the backing and releases it after `unmapDma`. */
  mapDma(mapping: DmaMapping): void;
  /** Removes every mapping that lies inside the range and returns them; cutting one in two is a DeviceError EINVAL. */
  unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[];
  setIrqs(request: SetIrqs): void;
  /** Function reset from the client (VFIO_USER_DEVICE_RESET). DMA mappings and connected interrupts survive it. */
  reset(): void;
}
