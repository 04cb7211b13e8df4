/** The file that the plugin in QEMU and this process share (layout.ts): made here, and read as the plugin writes it. */
import { type Native } from '../../emulator/native';
import {
  bytesOf,
  COMM_BYTES,
  DEVICE_NAME_BYTES,
  HEADER,
  IS_KERNEL,
  IS_WRITE,
  MAGIC,
  MAX_DEVICES,
  MAX_PLACES,
  MAX_VCPUS,
  offsetsOf,
  PAGE_BYTES,
  RECORD,
  RING_BYTES,
  RING_RECORDS,
} from './layout';
import { Shadow } from './shadow';

/** What the plugin needs to know of the machine that it observes. */
export interface ObservedMachine {
  readonly vcpus: number;
  /** Its RAM, by physical address: one range or two. */
  readonly ram: readonly RamRange[];
  /** Whether the addresses of cards are translated. */
  readonly hasIommu?: boolean;
}

export interface RamRange {
  readonly address: number;
  readonly sizeBytes: number;
}

/** How a kernel can be asked for the process that a processor runs. */
export interface KernelFacts {
  /** An address in its linear map minus the physical address. */
  readonly linearMap: bigint;
  /** Address of the per-processor variable that points to the current task. 0 on arm64, where a register does. */
  readonly currentTask: bigint;
  /** Offsets into task_struct. */
  readonly task: { readonly pid: number; readonly tgid: number; readonly comm: number };
}

/** An access of a BAR by a processor of the guest. */
export interface DriverAccess {
  readonly vcpu: number;
  /** Host time, CLOCK_MONOTONIC. */
  readonly timeNs: bigint;
  /** Physical. */
  readonly address: bigint;
  readonly sizeBytes: number;
  /** Little-endian. */
  readonly value: bigint;
  readonly isWrite: boolean;
  readonly isKernel: boolean;
  readonly pc: bigint;
  /** Where the function returns to, if it has stored nothing on the stack. */
  readonly returnAddress: bigint;
  /** How many BAR writes there had been before it, of all processors. */
  readonly epoch: bigint;
  /** Process and thread; 0 when they are not known. */
  readonly pid: number;
  readonly tid: number;
  /** Name of the thread; '' when it is not known. */
  readonly comm: string;
}

const AT = offsetsOf(HEADER);
const RECORD_AT = offsetsOf(RECORD);
const RECORD_BYTES = bytesOf(RECORD);
const DEVICES_BYTES = MAX_DEVICES * DEVICE_NAME_BYTES;
const upToPage = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

export class SharedFile implements Disposable {
  readonly #fd: number;
  readonly #mapped: ArrayBuffer;
  readonly #view: DataView;
  /** Who wrote what in guest RAM. */
  readonly shadow: Shadow;

  /** @throws RangeError for a machine that cannot be observed */
  constructor(
    private readonly native: Native,
    readonly machine: ObservedMachine,
  ) {
    const { vcpus, ram } = machine;
    if (vcpus > MAX_VCPUS) {
      throw new RangeError(`Cannot observe a guest with ${vcpus} processors: the limit is ${MAX_VCPUS}.`);
    }
    const placesOffset = PAGE_BYTES + DEVICES_BYTES;
    const ringsOffset = placesOffset + MAX_PLACES * 8;
    const ownersOffset = ringsOffset + vcpus * RING_BYTES;
    const memoryBytes = Math.max(0, ...ram.map(({ address, sizeBytes }) => address + sizeBytes));
    const shadowOffset = upToPage(ownersOffset + (memoryBytes / PAGE_BYTES) * 4);
    // Most of it is never touched, and takes no memory then.
    this.#fd = native.memfdCreate('ghostcard-observer', shadowOffset + memoryBytes);
    this.#mapped = native.map(this.#fd, 0, shadowOffset, true);
    this.shadow = new Shadow(native, this.#fd, shadowOffset, memoryBytes);
    this.#view = new DataView(this.#mapped);
    const set = (at: number, value: number) => this.#view.setBigUint64(at, BigInt(value), true);
    this.#view.setUint32(AT.vcpus, vcpus, true);
    set(AT.devicesOffset, PAGE_BYTES);
    set(AT.placesOffset, placesOffset);
    set(AT.ringsOffset, ringsOffset);
    set(AT.ownersOffset, ownersOffset);
    set(AT.shadowOffset, shadowOffset);
    for (const [index, { address, sizeBytes }] of ram.entries()) {
      set([AT.ram0, AT.ram1][index]!, address);
      set([AT.ram0Bytes, AT.ram1Bytes][index]!, sizeBytes);
    }
    this.#view.setUint32(AT.magic, MAGIC, true);
  }

  /** Where another process of this user opens it, as long as this one has it open. */
  get path(): string {
    return `/proc/${process.pid}/fd/${this.#fd}`;
  }

  /** Whether the plugin has been loaded. */
  get isReady(): boolean {
    return this.#view.getUint32(AT.ready, true) === 1;
  }

  /** From now on, accesses have their process. */
  set kernel({ linearMap, currentTask, task }: KernelFacts) {
    this.#view.setBigUint64(AT.currentTask, currentTask, true);
    this.#view.setUint32(AT.taskPid, task.pid, true);
    this.#view.setUint32(AT.taskTgid, task.tgid, true);
    this.#view.setUint32(AT.taskComm, task.comm, true);
    this.#view.setBigUint64(AT.linearMap, linearMap, true); // the last: now the plugin uses them
  }

  /** How many accesses a processor has done. */
  written(vcpu: number): number {
    return Number(this.#view.getBigUint64(this.#ring(vcpu), true));
  }

  /** The accesses of a processor from number `from` on that are still there, with the number of the first. */
  accesses(vcpu: number, from: number): { readonly first: number; readonly accesses: readonly RecordedAccess[] } {
    const end = this.written(vcpu);
    const read: RecordedAccess[] = [];
    const start = Math.max(from, end - RING_RECORDS);
    for (let number = start; number < end; number++) read.push(this.#access(vcpu, number));
    // What the plugin has written over meanwhile.
    const first = Math.min(end, Math.max(start, this.written(vcpu) - RING_RECORDS + 1));
    return { first, accesses: read.slice(first - start) };
  }

  /** The address of a place of code; undefined for a number that the plugin has not given. */
  addressOf(place: number): bigint | undefined {
    if (place === 0 || place > this.#view.getUint32(AT.places, true)) return undefined;
    return this.#view.getBigUint64(Number(this.#view.getBigUint64(AT.placesOffset, true)) + place * 8, true);
  }

  /** The process that was the last to write to a page from user space; 0 when it is not known. */
  ownerOf(page: number): number {
    return this.#view.getUint32(Number(this.#view.getBigUint64(AT.ownersOffset, true)) + page * 4, true);
  }

  /** How many BAR writes there have been. */
  get epoch(): bigint {
    return this.#view.getBigUint64(AT.epoch, true);
  }

  /** The name of QEMU's memory region. */
  deviceName(device: number): string {
    const at = Number(this.#view.getBigUint64(AT.devicesOffset, true)) + device * DEVICE_NAME_BYTES;
    return this.#text(at, DEVICE_NAME_BYTES);
  }

  [Symbol.dispose](): void {
    this.shadow[Symbol.dispose]();
    this.native.unmap(this.#mapped);
    this.native.close(this.#fd);
  }

  #access(vcpu: number, number: number): RecordedAccess {
    const view = this.#view;
    const at = this.#ring(vcpu) + PAGE_BYTES + (number % RING_RECORDS) * RECORD_BYTES;
    const sizeBytes = view.getUint8(at + RECORD_AT.sizeBytes);
    const flags = view.getUint8(at + RECORD_AT.flags);
    const high = sizeBytes > 8 ? view.getBigUint64(at + RECORD_AT.valueHigh, true) << 64n : 0n;
    return {
      vcpu,
      timeNs: view.getBigUint64(at + RECORD_AT.timeNs, true),
      address: view.getBigUint64(at + RECORD_AT.address, true),
      sizeBytes,
      value: view.getBigUint64(at + RECORD_AT.value, true) | high,
      isWrite: (flags & IS_WRITE) !== 0,
      isKernel: (flags & IS_KERNEL) !== 0,
      pc: view.getBigUint64(at + RECORD_AT.pc, true),
      returnAddress: view.getBigUint64(at + RECORD_AT.returnAddress, true),
      epoch: view.getBigUint64(at + RECORD_AT.epoch, true),
      pid: view.getUint32(at + RECORD_AT.pid, true),
      tid: view.getUint32(at + RECORD_AT.tid, true),
      comm: this.#text(at + RECORD_AT.comm, COMM_BYTES),
      device: view.getUint16(at + RECORD_AT.device, true),
    };
  }

  #ring(vcpu: number): number {
    return Number(this.#view.getBigUint64(AT.ringsOffset, true)) + vcpu * RING_BYTES;
  }

  #text(at: number, sizeBytes: number): string {
    const bytes = new Uint8Array(this.#mapped, at, sizeBytes);
    const end = bytes.indexOf(0);
    return Buffer.from(bytes.subarray(0, end < 0 ? sizeBytes : end)).toString();
  }
}

export interface RecordedAccess extends DriverAccess {
  /** Number of the device. */
  readonly device: number;
}
