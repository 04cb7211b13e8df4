/** Writes into a file that is shared with an observer, as the plugin in QEMU does. */
import { closeSync, openSync, readSync, writeSync } from 'node:fs';
import * as layout from '../../instrumentation/observer/layout';
import { type DriverAccess, type ObservedRace, type Release, type SharedFile } from '../../instrumentation/observer';

const HEADER = layout.offsetsOf(layout.HEADER);
const RECORD = layout.offsetsOf(layout.RECORD);
const RECORD_BYTES = layout.bytesOf(layout.RECORD);
const RACE = layout.offsetsOf(layout.RACE);
const RACE_BYTES = layout.bytesOf(layout.RACE);
const RELEASE = layout.offsetsOf(layout.RELEASE);
const RELEASE_BYTES = layout.bytesOf(layout.RELEASE);
const CALLER = layout.offsetsOf(layout.CALLER);
const CALLER_BYTES = layout.bytesOf(layout.CALLER);
const ERROR = layout.offsetsOf(layout.ERROR);
const ERROR_BYTES = layout.bytesOf(layout.ERROR);

export const BAR_ADDRESS = 0xfe00_0000n;

export class FakePlugin implements Disposable {
  readonly #fd: number;
  readonly #written: number[] = [];
  readonly #devices: string[] = [];

  constructor(file: SharedFile) {
    this.#fd = openSync(file.path, 'r+');
  }

  /** Records an access by a processor. */
  record(device: string, { vcpu = 0, comm = '', value = 0n, ...access }: Partial<DriverAccess> = {}): void {
    const number = this.#written[vcpu] ?? 0;
    const record = Buffer.alloc(RECORD_BYTES);
    record.writeBigUInt64LE(access.timeNs ?? BigInt(number), RECORD.timeNs);
    record.writeBigUInt64LE(access.address ?? BAR_ADDRESS, RECORD.address);
    record.writeBigUInt64LE(BigInt.asUintN(64, value), RECORD.value);
    record.writeBigUInt64LE(value >> 64n, RECORD.valueHigh);
    record.writeBigUInt64LE(access.pc ?? 0n, RECORD.pc);
    record.writeBigUInt64LE(access.returnAddress ?? 0n, RECORD.returnAddress);
    record.writeUInt32LE(access.barrier ?? 0, RECORD.barrier);
    if (access.before) record.set(new Uint8Array(access.before.buffer), RECORD.before);
    record.writeUInt32LE(access.pid ?? 0, RECORD.pid);
    record.writeUInt32LE(access.tid ?? 0, RECORD.tid);
    record.writeUInt16LE(this.#device(device), RECORD.device);
    record.writeUInt8(access.sizeBytes ?? 4, RECORD.sizeBytes);
    const flags = (access.isWrite === false ? 0 : layout.IS_WRITE) | (access.isKernel ? layout.IS_KERNEL : 0);
    record.writeUInt8(flags, RECORD.flags);
    record.write(comm, RECORD.comm);
    const ring = this.#number(HEADER.ringsOffset) + vcpu * layout.RING_BYTES;
    const at = ring + layout.PAGE_BYTES + (number % layout.RING_RECORDS) * RECORD_BYTES;
    writeSync(this.#fd, record, 0, RECORD_BYTES, at);
    this.#written[vcpu] = number + 1;
    writeSync(this.#fd, u64(number + 1), 0, 8, ring);
  }

  /** Numbers places of code by their addresses, from 0 on. */
  places(addresses: readonly bigint[]): void {
    const places = Buffer.concat(addresses.map((address) => u64(address)));
    writeSync(this.#fd, places, 0, places.length, this.#number(HEADER.placesOffset));
    const count = Buffer.alloc(4);
    count.writeUInt32LE(addresses.length - 1);
    writeSync(this.#fd, count, 0, 4, HEADER.places);
  }

  /** A process has written to a page. */
  owner(page: number, pid: number): void {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32LE(pid);
    writeSync(this.#fd, bytes, 0, 4, this.#number(HEADER.ownersOffset) + 4 * page);
  }

  /** Finds a race: an access of what a card has done in a step. */
  race({ step, address, isWrite = false, comm = '', ...race }: Partial<ObservedRace>): void {
    const record = Buffer.alloc(RACE_BYTES);
    record.writeBigUInt64LE(BigInt(address ?? 0), RACE.address);
    record.writeUInt32LE(step ?? 0, RACE.mark + 4);
    record.writeBigUInt64LE(race.pc ?? 0n, RACE.pc);
    record.writeBigUInt64LE(race.callers?.[0] ?? 0n, RACE.caller);
    record.writeUInt32LE(race.pid ?? 0, RACE.pid);
    const flags =
      (isWrite ? layout.IS_WRITE : 0) |
      (race.lacksBarrier ? layout.LACKS_BARRIER : 0) |
      (race.isRelease ? layout.IS_RELEASE : 0);
    record.writeUInt8(flags, RACE.flags);
    record.write(comm, RACE.comm);
    const number = this.word('races');
    writeSync(this.#fd, record, 0, RACE_BYTES, this.#number(HEADER.racesOffset) + number * RACE_BYTES);
    const count = Buffer.alloc(4);
    count.writeUInt32LE(number + 1);
    writeSync(this.#fd, count, 0, 4, HEADER.races);
  }

  /** Memory is given back: the mark is for the test to set. */
  release(number: number, { pc = 0n, callers = [], pid = 0, isKernel = false, comm = '' }: Partial<Release>): void {
    const record = Buffer.alloc(RELEASE_BYTES);
    record.writeBigUInt64LE(pc, RELEASE.pc);
    for (const [index, caller] of callers.entries()) record.writeBigUInt64LE(caller, RELEASE.caller0 + 8 * index);
    record.writeUInt32LE(number, RELEASE.number);
    record.writeUInt32LE(pid, RELEASE.pid);
    record.writeUInt32LE(isKernel ? layout.IS_KERNEL : 0, RELEASE.flags);
    record.write(comm, RELEASE.comm);
    writeSync(this.#fd, record, 0, RELEASE_BYTES, this.#number(HEADER.releasesOffset) + number * RELEASE_BYTES);
  }

  /** The code at a place that stores was called from there. */
  caller(place: number, address: bigint): void {
    const record = Buffer.alloc(CALLER_BYTES);
    record.writeBigUInt64LE(address, CALLER.caller);
    record.writeUInt32LE(place, CALLER.place);
    writeSync(this.#fd, record, 0, CALLER_BYTES, this.#number(HEADER.callersOffset) + place * CALLER_BYTES);
  }

  /** The driver loads from there, and the plugin looks whether that is an error of a card. */
  load(address: number, sizeBytes = 4): void {
    const errors = Buffer.alloc(layout.ERRORS * ERROR_BYTES);
    const first = this.#number(HEADER.errorsOffset);
    readSync(this.#fd, errors, 0, errors.length, first);
    for (let at = 0; at < errors.length; at += ERROR_BYTES) {
      const start = Number(errors.readBigUInt64LE(at + ERROR.address));
      const end = start + errors.readUInt32LE(at + ERROR.sizeBytes);
      if (start === 0 || address >= end || start >= address + sizeBytes) continue;
      writeSync(this.#fd, Uint8Array.of(1), 0, 1, first + at + ERROR.seen);
    }
  }

  /** A member of the header, of 32 bits. */
  word(name: keyof typeof HEADER): number {
    const bytes = Buffer.alloc(4);
    readSync(this.#fd, bytes, 0, 4, HEADER[name]);
    return bytes.readUInt32LE();
  }

  /** A member of the header, of 64 bits. */
  header(name: keyof typeof HEADER): number {
    return this.#number(HEADER[name]);
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd);
  }

  #device(name: string): number {
    const known = this.#devices.indexOf(name);
    if (known >= 0) return known;
    const at = this.#number(HEADER.devicesOffset) + this.#devices.length * layout.DEVICE_NAME_BYTES;
    writeSync(this.#fd, Buffer.from(`${name}\0`), 0, undefined, at);
    return this.#devices.push(name) - 1;
  }

  #number(at: number): number {
    const bytes = Buffer.alloc(8);
    readSync(this.#fd, bytes, 0, 8, at);
    return Number(bytes.readBigUInt64LE());
  }
}

function u64(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}
