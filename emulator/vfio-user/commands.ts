/**
 * The set-up commands: all but region accesses, which have a path of their own. Each takes the payload of the request
 * and returns the payload of the reply. A refusal is an exception with an errno.
 *
 * Source: QEMU docs/interop/vfio-user.rst.
 */
import { type Native } from '../native';
import {
  decodeDmaMap,
  decodeDmaUnmap,
  decodeInfoRequest,
  decodeSetIrqs,
  encodeDeviceInfo,
  encodeIrqInfo,
  encodeNoRegionIoFds,
  encodeRegionInfo,
} from './codec';
import { DeviceError, type IrqLayout, type RegionLayout, type Device } from '../device';
import { type DmaWindows } from './dma-windows';
import { EINVAL, ENOSYS, ENOTTY, EOPNOTSUPP } from './errno';
import { setIrqs } from './irq-setup';
import {
  Command,
  commandName,
  DEVICE_INFO_BYTES,
  DmaUnmapFlag,
  IRQ_INFO_BYTES,
  REGION_INFO_BYTES,
  REGION_IO_FDS_BYTES,
} from './wire';

export interface Reply {
  readonly payload?: Uint8Array;
  /** Passed with the reply; the device keeps ownership. */
  readonly descriptor?: number;
}

export class Commands {
  constructor(
    private readonly native: Native,
    private readonly device: Device,
    private readonly dma: DmaWindows,
  ) {}

  /**
   * Executes one command. Removes the descriptors that it keeps from `descriptors`; the caller closes the rest. A
   * payload may be longer than defined, since later minor versions may append to it, but never shorter.
   */
  execute(command: number, payload: Uint8Array, descriptors: number[]): Reply {
    switch (command) {
      case Command.DMA_MAP:
        return this.#dmaMap(payload, descriptors);
      case Command.DMA_UNMAP:
        return this.#dmaUnmap(payload);
      case Command.DEVICE_GET_INFO:
        decodeInfoRequest(payload, commandName(command), DEVICE_INFO_BYTES);
        return { payload: encodeDeviceInfo(this.device.layout) };
      case Command.DEVICE_GET_REGION_INFO:
        return this.#regionInfo(payload);
      case Command.DEVICE_GET_REGION_IO_FDS: {
        const { index } = decodeInfoRequest(payload, commandName(command), REGION_IO_FDS_BYTES);
        this.#region(index);
        return { payload: encodeNoRegionIoFds(index) };
      }
      case Command.DEVICE_GET_IRQ_INFO: {
        const { index } = decodeInfoRequest(payload, commandName(command), IRQ_INFO_BYTES);
        return { payload: encodeIrqInfo(index, this.#irq(index)) };
      }
      case Command.DEVICE_SET_IRQS: {
        const request = decodeSetIrqs(payload, this.device.layout.irqs);
        setIrqs(this.native, this.device, request, descriptors.splice(0));
        return {};
      }
      case Command.DEVICE_RESET:
        if (!this.device.layout.resettable) throw new DeviceError(EOPNOTSUPP, 'the device cannot be reset');
        this.device.reset();
        return {};
      case Command.DEVICE_FEATURE:
        // The kernel's answer for a feature that a device does not have. QEMU takes it for "no migration".
        throw new DeviceError(ENOTTY, 'device features are not supported');
      case Command.DIRTY_PAGES:
      case Command.MIG_DATA_READ:
      case Command.MIG_DATA_WRITE:
        throw new DeviceError(EOPNOTSUPP, 'migration is not supported');
      case Command.DMA_READ:
      case Command.DMA_WRITE:
        throw new DeviceError(EINVAL, 'only the server sends this command');
      case Command.REGION_WRITE_MULTI:
        throw new DeviceError(
          EOPNOTSUPP,
          'REGION_WRITE_MULTI needs the capability write_multiple, which was not agreed',
        );
      case Command.VERSION:
        throw new DeviceError(EINVAL, 'the version has already been negotiated');
      default:
        throw new DeviceError(ENOSYS, 'unknown command');
    }
  }

  #dmaMap(payload: Uint8Array, descriptors: readonly number[]): Reply {
    const request = decodeDmaMap(payload);
    if (descriptors.length > 1) {
      throw new DeviceError(EINVAL, `DMA_MAP: received ${descriptors.length} descriptors; a range takes at most one`);
    }
    this.dma.map(request, descriptors[0]);
    return {};
  }

  /**
   * Succeeds even if nothing is mapped in the range, as in the kernel's VFIO: QEMU's virtual IOMMU unmaps whole
   * windows.
   */
  #dmaUnmap(payload: Uint8Array): Reply {
    const { flags, iova, sizeBytes } = decodeDmaUnmap(payload);
    if (flags & DmaUnmapFlag.GET_DIRTY_BITMAP) {
      throw new DeviceError(EOPNOTSUPP, 'DMA_UNMAP: tracking of dirty pages is not supported');
    }
    if (flags & ~DmaUnmapFlag.ALL) throw new DeviceError(EINVAL, `DMA_UNMAP: unknown flags 0x${flags.toString(16)}`);
    if (flags & DmaUnmapFlag.ALL) {
      if (iova !== 0n || sizeBytes !== 0n) {
        throw new DeviceError(EINVAL, 'DMA_UNMAP: with the flag ALL, address and size must be 0');
      }
      this.dma.unmapAll();
    } else {
      if (sizeBytes === 0n || iova + sizeBytes > 1n << 64n) {
        throw new DeviceError(EINVAL, `DMA_UNMAP: ${sizeBytes} bytes at 0x${iova.toString(16)} is not a valid range`);
      }
      this.dma.unmap(iova, sizeBytes);
    }
    return { payload: payload.slice(0, 24) };
  }

  #regionInfo(payload: Uint8Array): Reply {
    const { argsz, index } = decodeInfoRequest(payload, 'DEVICE_GET_REGION_INFO', REGION_INFO_BYTES);
    const region = this.#region(index);
    const mappable = region.mappable !== undefined && region.mappable.areas.length > 0;
    // The descriptor is also passed with a reply that is cut: QEMU expects it.
    return {
      payload: encodeRegionInfo(index, region, argsz),
      ...(mappable ? { descriptor: region.mappable.fd } : {}),
    };
  }

  #region(index: number): RegionLayout {
    const { regions } = this.device.layout;
    const region = regions[index];
    if (region !== undefined) return region;
    throw new DeviceError(EINVAL, `there is no region ${index}; the device has 0 to ${regions.length - 1}`);
  }

  #irq(index: number): IrqLayout {
    const { irqs } = this.device.layout;
    const irq = irqs[index];
    if (irq !== undefined) return irq;
    throw new DeviceError(EINVAL, `there is no interrupt index ${index}; the device has 0 to ${irqs.length - 1}`);
  }
}
