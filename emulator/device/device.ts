/**
 * The device interface: what a virtual machine monitor sees of a device. A vfio-user session (QEMU), the in-process host
 * (unit tests) and a replay drive it; a card implements it. It numbers regions and interrupt indexes as VFIO does, and
 * does not depend on PCI, registers or the protocol.
 *
 * Source: Linux include/uapi/linux/vfio.h; QEMU docs/interop/vfio-user.rst.
 */
import type { DmaMapping } from '../memory/backing';

export type { DmaMapping };

/** Part of a region that a client may map instead of sending messages: offset and size in bytes, page-aligned. */
export interface MappableArea {
  readonly offset: number;
  readonly sizeBytes: number;
}

/** One region (VFIO region index = position in `DeviceLayout.regions`). `sizeBytes` 0: absent. */
export interface RegionLayout {
  readonly sizeBytes: number;
  readonly readable: boolean;
  readonly writable: boolean;
  /** Present when the client may map the region: the file that backs it (offset 0 = region offset 0) and the areas. */
  readonly mappable?: { readonly fd: number; readonly areas: readonly MappableArea[] };
}

/** One interrupt index (position in `DeviceLayout.irqs`): its number of vectors and their properties. */
export interface IrqLayout {
  readonly count: number;
  readonly maskable: boolean;
  /** The device masks the vector by itself after each trigger, until the client unmasks it (level interrupts). */
  readonly autoMasked: boolean;
  /** Vectors can only be set up all together: a subset cannot be changed later. */
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
  /** Releases its resources (an eventfd's descriptor). The device calls it exactly once, when it releases the sink. */
  close(): void;
}

/**
 * The action on the vectors `start … start + count - 1` of one interrupt index.
 * - `sinks`: connects each to a sink; `undefined` disconnects that vector; `count` 0 disconnects all and disables.
 * - `trigger`, `mask`, `unmask`: applies to each vector where `vectors[i]` is true (absent: all in the range).
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

/** A request that the device refuses: the client receives `errno`, the message is for users. */
export class DeviceError extends Error {
  constructor(
    readonly errno: number,
    message: string,
  ) {
    super(message);
    this.name = 'DeviceError';
  }
}

/** Default: 'device', a reset by the client. */
export type ResetCause = 'device' | 'link-down' | 'power';

export interface Device {
  readonly layout: DeviceLayout;
  /** Reads `data` from `offset` of `region`. The length of `data` is the access size. */
  readRegion(region: number, offset: number, data: Uint8Array): void;
  /** Writes `data`, whose length is the access size, to `offset` of `region`. `data` is only valid during the call. */
  writeRegion(region: number, offset: number, data: Uint8Array): void;
  /** Adds a mapping. The caller keeps ownership of the backing and releases it after `unmapDma`. */
  mapDma(mapping: DmaMapping): void;
  /** Removes and returns all mappings inside the range. A mapping partly inside is a DeviceError EINVAL. */
  unmapDma(iova: bigint, sizeBytes: bigint): readonly DmaMapping[];
  setIrqs(request: SetIrqs): void;
  /**
   * Resets the function: by the client (VFIO_USER_DEVICE_RESET), or because the link of its slot goes down or its power is
   * lost. DMA mappings and connected interrupts survive it.
   */
  reset(cause?: ResetCause): void;
}
