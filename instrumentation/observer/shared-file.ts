/** The file that the plugin in QEMU and this process share (layout.ts): made here, and read as the plugin writes it. */
import { type Native } from '../../emulator/native';
import {
  bytesOf,
  CALLER,
  CALLERS,
  COMM_BYTES,
  DEVICE_NAME_BYTES,
  ERROR,
  ERRORS,
  HEADER,
  IS_KERNEL,
  IS_RELEASE,
  IS_WRITE,
  LACKS_BARRIER,
  MAGIC,
  MAX_DEVICES,
  MAX_PLACES,
  MAX_VCPUS,
  offsetsOf,
  PAGE_BYTES,
  RACE,
  RACES,
  RECORD,
  RELEASE,
  RELEASES,
  RING_BYTES,
  RING_RECORDS,
  TOUCHED,
} from './layout';
import { Shadow } from './shadow';

/** What the plugin needs to know of the machine that it observes. */
export interface ObservedMachine {
  readonly vcpus: number;
  /** Its RAM, by physical address: one range or two, in the order in which they are in their file. */
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
  /** Address of `handle_irq_event`, which each interrupt of a device passes. */
  readonly irqEntry: bigint;
  /** The code of the module `ghostcard`, whose address is near that of other modules, and the function of it that is told of releases. */
  readonly ownCode: bigint;
  readonly ownCodeEnd: bigint;
  readonly releaseEntry: bigint;
  /** arm64: how many bytes `DC ZVA` clears. */
  readonly zvaBytes: number;
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
  /** Of a write: the epoch of each processor and context until then (MARK). */
  readonly before: Uint32Array;
  /** Of a write: the epoch of its processor and context that its last barrier has begun. */
  readonly barrier: number;
  /** Process and thread; 0 when they are not known. */
  readonly pid: number;
  readonly tid: number;
  /** Name of the thread; '' when it is not known. */
  readonly comm: string;
}

const AT = offsetsOf(HEADER);
const RECORD_AT = offsetsOf(RECORD);
const RECORD_BYTES = bytesOf(RECORD);
const RACE_AT = offsetsOf(RACE);
const RACE_BYTES = bytesOf(RACE);
const CALLER_AT = offsetsOf(CALLER);
const CALLER_BYTES = bytesOf(CALLER);
const ERROR_AT = offsetsOf(ERROR);
const ERROR_BYTES = bytesOf(ERROR);
const RELEASE_AT = offsetsOf(RELEASE);
const RELEASE_BYTES = bytesOf(RELEASE);
const DEVICES_BYTES = MAX_DEVICES * DEVICE_NAME_BYTES;
const upToPage = (bytes: number): number => Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;

export class SharedFile implements Disposable {
  readonly #fd: number;
  readonly #mapped: ArrayBuffer;
  readonly #view: DataView;
  readonly #words: Uint32Array;
  readonly #touched: Uint8Array;
  readonly #steps: Uint32Array;
  /** Who wrote what in guest RAM. */
  readonly shadow: Shadow;
  /** Who wrote the bytes that a mark of `shadow` is not of. It counts for those that it is of. */
  readonly others: Shadow;
  /** Who loaded what last, where a card has accessed the page, but for status. */
  readonly loads: Shadow;
  /** What cards have done there (CARD_MARK). */
  readonly cardShadow: Shadow;
  /** Who gave what back last, where a card has accessed the page: the numbers of releases. */
  readonly released: Shadow;

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
    const pages = memoryBytes / PAGE_BYTES;
    const racesOffset = upToPage(ownersOffset + pages * 4);
    const callersOffset = racesOffset + upToPage(RACES * RACE_BYTES);
    const errorsOffset = callersOffset + upToPage(CALLERS * CALLER_BYTES);
    const releasesOffset = errorsOffset + upToPage(ERRORS * ERROR_BYTES);
    const touchedOffset = releasesOffset + upToPage(RELEASES * RELEASE_BYTES);
    const stepsOffset = touchedOffset + upToPage(pages);
    const shadowOffset = stepsOffset + upToPage(pages * 4);
    const loadsOffset = shadowOffset + memoryBytes;
    const cardShadowOffset = loadsOffset + memoryBytes;
    const othersOffset = cardShadowOffset + memoryBytes;
    const releasedOffset = othersOffset + memoryBytes;
    // Most of it is never touched, and takes no memory then.
    this.#fd = native.memfdCreate('ghostcard-observer', releasedOffset + memoryBytes);
    this.#mapped = native.map(this.#fd, 0, shadowOffset, true);
    this.#words = new Uint32Array(this.#mapped);
    this.#touched = new Uint8Array(this.#mapped, touchedOffset, pages);
    this.#steps = new Uint32Array(this.#mapped, stepsOffset, pages);
    this.shadow = new Shadow(native, this.#fd, shadowOffset, memoryBytes);
    this.others = new Shadow(native, this.#fd, othersOffset, memoryBytes);
    this.loads = new Shadow(native, this.#fd, loadsOffset, memoryBytes);
    this.cardShadow = new Shadow(native, this.#fd, cardShadowOffset, memoryBytes);
    this.released = new Shadow(native, this.#fd, releasedOffset, memoryBytes);
    this.#view = new DataView(this.#mapped);
    const set = (at: number, value: number) => this.#view.setBigUint64(at, BigInt(value), true);
    this.#view.setUint32(AT.vcpus, vcpus, true);
    set(AT.devicesOffset, PAGE_BYTES);
    set(AT.placesOffset, placesOffset);
    set(AT.ringsOffset, ringsOffset);
    set(AT.ownersOffset, ownersOffset);
    set(AT.racesOffset, racesOffset);
    set(AT.callersOffset, callersOffset);
    set(AT.errorsOffset, errorsOffset);
    set(AT.releasesOffset, releasesOffset);
    set(AT.releasedOffset, releasedOffset);
    set(AT.touchedOffset, touchedOffset);
    set(AT.stepsOffset, stepsOffset);
    set(AT.shadowOffset, shadowOffset);
    set(AT.loadsOffset, loadsOffset);
    set(AT.cardShadowOffset, cardShadowOffset);
    set(AT.othersOffset, othersOffset);
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
  set kernel({ linearMap, task, zvaBytes, ...addresses }: KernelFacts) {
    for (const name of ['currentTask', 'irqEntry', 'ownCode', 'ownCodeEnd', 'releaseEntry'] as const)
      this.#view.setBigUint64(AT[name], addresses[name], true);
    this.#view.setUint32(AT.taskPid, task.pid, true);
    this.#view.setUint32(AT.taskTgid, task.tgid, true);
    this.#view.setUint32(AT.zvaBytes, zvaBytes, true);
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

  /** Where the function at a place that accesses memory has returned to the last time; undefined when it is not known. */
  callerOf(place: number): bigint | undefined {
    const at = Number(this.#view.getBigUint64(AT.callersOffset, true)) + (place % CALLERS) * CALLER_BYTES;
    const caller = this.#view.getBigUint64(at + CALLER_AT.caller, true);
    return this.#view.getUint32(at + CALLER_AT.place, true) === place && caller !== 0n ? caller : undefined;
  }

  /** The call that has given memory back; undefined when it is not known any more. */
  releaseOf(number: number): Release | undefined {
    const view = this.#view;
    const at = Number(view.getBigUint64(AT.releasesOffset, true)) + (number % RELEASES) * RELEASE_BYTES;
    if (view.getUint32(at + RELEASE_AT.number, true) !== number) return undefined;
    return {
      pc: view.getBigUint64(at + RELEASE_AT.pc, true),
      callers: (['caller0', 'caller1', 'caller2'] as const)
        .map((name) => view.getBigUint64(at + RELEASE_AT[name], true))
        .filter((caller) => caller !== 0n),
      isKernel: (view.getUint32(at + RELEASE_AT.flags, true) & IS_KERNEL) !== 0,
      pid: view.getUint32(at + RELEASE_AT.pid, true),
      comm: this.#text(at + RELEASE_AT.comm, COMM_BYTES),
    };
  }

  /** The process that was the last to write to a page from user space; 0 when it is not known. */
  ownerOf(page: number): number {
    return this.#view.getUint32(Number(this.#view.getBigUint64(AT.ownersOffset, true)) + page * 4, true);
  }

  /** Tells the plugin that everything up to a step of a card comes before what the driver does from now on, there. */
  saw(where: 'answered' | 'interrupted' | 'configured' | 'settled', step: number): void {
    Atomics.store(this.#words, AT[where] / 4, step);
  }

  /** A card accesses these pages: the plugin looks at what is done there from now on. */
  touch(address: number, sizeBytes: number, flag: number = TOUCHED.byCard): void {
    const last = Math.min(Math.floor((address + sizeBytes - 1) / PAGE_BYTES), this.#touched.length - 1);
    for (let page = Math.floor(address / PAGE_BYTES); page <= last; page++) this.#touched[page]! |= flag;
  }

  /** The next step of a card accesses these pages: what is done there is to be compared with it until it has been seen. */
  step(address: number, sizeBytes: number, number: number): void {
    const last = Math.min(Math.floor((address + sizeBytes - 1) / PAGE_BYTES), this.#steps.length - 1);
    this.#steps.fill(number, Math.floor(address / PAGE_BYTES), last + 1);
    this.touch(address, sizeBytes);
  }

  /** The plugin looks whether anybody loads these bytes from now on. Undefined when it looks after as many as it can. */
  lookAfter(address: number, sizeBytes: number): LookedAfter | undefined {
    const first = Number(this.#view.getBigUint64(AT.errorsOffset, true));
    for (let at = first; at < first + ERRORS * ERROR_BYTES; at += ERROR_BYTES) {
      if (this.#view.getBigUint64(at + ERROR_AT.address, true) !== 0n) continue;
      this.#view.setUint32(at + ERROR_AT.seen, 0, true);
      this.#view.setUint32(at + ERROR_AT.sizeBytes, sizeBytes, true);
      this.#view.setBigUint64(at + ERROR_AT.address, BigInt(address), true);
      this.touch(address, sizeBytes, TOUCHED.hasErrors);
      return {
        isSeen: () => this.#view.getUint32(at + ERROR_AT.seen, true) === 1,
        end: () => this.#view.setBigUint64(at + ERROR_AT.address, 0n, true),
      };
    }
    return undefined;
  }

  /** From now on a place is reported again. */
  beginRound(): void {
    Atomics.add(this.#words, AT.round / 4, 1);
  }

  /** The races that the plugin has found, from number `from` on, as far as they are kept. */
  races(from: number): { readonly next: number; readonly races: readonly ObservedRace[] } {
    const next = Atomics.load(this.#words, AT.races / 4);
    const races: ObservedRace[] = [];
    for (let number = Math.max(from, next - RACES); number < next; number++) races.push(this.#race(number));
    return { next, races };
  }

  /** The name of QEMU's memory region. */
  deviceName(device: number): string {
    const at = Number(this.#view.getBigUint64(AT.devicesOffset, true)) + device * DEVICE_NAME_BYTES;
    return this.#text(at, DEVICE_NAME_BYTES);
  }

  [Symbol.dispose](): void {
    this.shadow[Symbol.dispose]();
    this.others[Symbol.dispose]();
    this.loads[Symbol.dispose]();
    this.cardShadow[Symbol.dispose]();
    this.released[Symbol.dispose]();
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
      before: new Uint32Array(this.#mapped.slice(at + RECORD_AT.before, at + RECORD_AT.before + 8 * MAX_VCPUS)),
      barrier: view.getUint32(at + RECORD_AT.barrier, true),
      pid: view.getUint32(at + RECORD_AT.pid, true),
      tid: view.getUint32(at + RECORD_AT.tid, true),
      comm: this.#text(at + RECORD_AT.comm, COMM_BYTES),
      device: view.getUint16(at + RECORD_AT.device, true),
    };
  }

  #race(number: number): ObservedRace {
    const view = this.#view;
    const at = Number(view.getBigUint64(AT.racesOffset, true)) + (number % RACES) * RACE_BYTES;
    const flags = view.getUint8(at + RACE_AT.flags);
    return {
      address: Number(view.getBigUint64(at + RACE_AT.address, true)),
      step: view.getUint32(at + RACE_AT.mark + 4, true),
      seen: view.getUint32(at + RACE_AT.seen, true),
      pc: view.getBigUint64(at + RACE_AT.pc, true),
      callers: [view.getBigUint64(at + RACE_AT.caller, true)].filter((caller) => caller !== 0n),
      vcpu: view.getUint8(at + RACE_AT.vcpu),
      sizeBytes: view.getUint8(at + RACE_AT.sizeBytes),
      isWrite: (flags & IS_WRITE) !== 0,
      isRelease: (flags & IS_RELEASE) !== 0,
      isKernel: (flags & IS_KERNEL) !== 0,
      lacksBarrier: (flags & LACKS_BARRIER) !== 0,
      pid: view.getUint32(at + RACE_AT.pid, true),
      tid: view.getUint32(at + RACE_AT.tid, true),
      comm: this.#text(at + RACE_AT.comm, COMM_BYTES),
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

/** Bytes that the plugin looks after (`SharedFile.lookAfter`). */
export interface LookedAfter {
  /** Whether they have been loaded. */
  readonly isSeen: () => boolean;
  /** They are looked after no more. */
  readonly end: () => void;
}

/** An access of memory that does not come after what a card has done there. */
export interface ObservedRace {
  /** Physical. */
  readonly address: number;
  readonly sizeBytes: number;
  readonly isWrite: boolean;
  /** The memory is given back. */
  readonly isRelease: boolean;
  readonly isKernel: boolean;
  /** It would come after, on arm64, with a barrier that orders loads. */
  readonly lacksBarrier: boolean;
  /** Of the card. */
  readonly step: number;
  /** The last step that comes before. */
  readonly seen: number;
  readonly vcpu: number;
  /** The number of the release, if the memory is given back. */
  readonly pc: bigint;
  /** Where the function returns to, if that is known. */
  readonly callers: readonly bigint[];
  readonly pid: number;
  readonly tid: number;
  readonly comm: string;
}

/** A call that has given memory back. */
export interface Release {
  /** Where it was made; 0: by no code of a program or of a module that is known. */
  readonly pc: bigint;
  /** Where the function that made it returns to, and its callers, as far as they are known. */
  readonly callers: readonly bigint[];
  readonly isKernel: boolean;
  readonly pid: number;
  readonly comm: string;
}

export interface RecordedAccess extends DriverAccess {
  /** Number of the device. */
  readonly device: number;
}
