/**
 * The effects of the driver's writes of doorbells, which a card declares. A doorbell that is rung at an idle card without
 * effect is suspicious, and so is one whose work is done without the interrupt that its descriptors have requested. Of a
 * register that is not declared nothing is said: a write may well have no effect (a run bit that is cleared).
 */
import { type DmaEvent, type DmaLayout } from '../../emulator/pci';
import { type CardTrace, DeclaredChannels, type Doorbell } from '../trace';

export class Writes {
  readonly #channels: DeclaredChannels;
  /** Whether every time that this doorbell was rung at the idle card, that has started work. */
  readonly #startsWork = new Map<Doorbell, boolean>();
  /** The bytes of a descriptor that request an interrupt, with the bits of each. */
  readonly #requests = new Map<DmaLayout, readonly (readonly [at: number, bits: number])[]>();
  readonly #valueOf: (doorbell: Doorbell) => bigint;
  #hasWritten = false;
  /** That the last write has rung. */
  #doorbell: Doorbell | undefined;
  #wasIdle = false;
  #works = 0;
  #worksBefore = 0;
  #raises = 0;
  /** A descriptor has requested an interrupt. */
  #isRequested = false;
  #timeNs = 0;
  #fault: string | undefined;

  constructor(private readonly trace: CardTrace) {
    const { channels, registerFiles } = trace.card.inspection;
    this.#channels = new DeclaredChannels(channels());
    this.#valueOf = ({ region, path }) => BigInt(registerFiles.get(region)!.get(path));
  }

  /** The driver is about to write a register of a BAR. */
  write(region: number, offset: number, data: Uint8Array): void {
    this.#learn();
    this.#hasWritten = true;
    this.#doorbell = this.#channels.rungBy(region, offset, data, this.#valueOf);
    const { clock } = this.trace.card.inspection;
    this.#wasIdle = clock.waiting === 0;
    this.#timeNs = clock.now();
    this.#worksBefore = this.#works;
    this.#fault = undefined;
  }

  /** The card has accessed host memory. */
  dma({ channel, role, data }: DmaEvent): void {
    this.#works++;
    if (role !== 'descriptor' || data === undefined || this.#isRequested) return;
    const layout = this.#channels.layoutOf(channel, role);
    if (layout?.requestsInterrupt !== undefined) this.#isRequested = this.#hasRequest(layout, data);
  }

  raised(): void {
    this.#works++;
    this.#raises++;
  }

  /** A fault has fired: on the last write, if that was just now. */
  fault(name: string, nowNs: number): void {
    if (this.#timeNs === nowNs && !this.#hasWorked) this.#fault ??= name;
  }

  /** The driver has set up its interrupts again. */
  interruptsChanged(): void {
    this.#raises = 0;
    this.#isRequested = false;
  }

  /** Why the last write will cause no interrupt, although the driver may wait for one. */
  get suspicion(): 'disturbed' | 'without-effect' | 'without-interrupt' | undefined {
    if (!this.#hasWritten) return undefined;
    if (this.#fault !== undefined && !this.#hasWorked) return 'disturbed';
    if (!this.#wasIdle || this.#doorbell === undefined) return undefined;
    if (!this.#hasWorked) return this.#startsWork.get(this.#doorbell) === true ? 'without-effect' : undefined;
    return this.#raises === 0 && this.#isRequested ? 'without-interrupt' : undefined;
  }

  /** The fault that has fired on the last write, if that had no effect. */
  get lastFault(): string | undefined {
    return this.#fault;
  }

  get #hasWorked(): boolean {
    return this.#works !== this.#worksBefore;
  }

  forget(): void {
    this.#hasWritten = false;
    this.#doorbell = undefined;
    this.#fault = undefined;
  }

  #learn(): void {
    const doorbell = this.#doorbell;
    if (doorbell === undefined || !this.#wasIdle || this.#fault !== undefined) return;
    if (!this.#hasWorked) this.#startsWork.set(doorbell, false);
    else if (!this.#startsWork.has(doorbell)) this.#startsWork.set(doorbell, true);
  }

  #hasRequest(layout: DmaLayout, data: Uint8Array): boolean {
    let bytes = this.#requests.get(layout);
    if (bytes === undefined) this.#requests.set(layout, (bytes = bytesOfRequest(layout)));
    for (let start = 0; start < data.length; start += layout.strideBytes) {
      for (const [at, bits] of bytes) if ((data[start + at]! & bits) !== 0) return true;
    }
    return false;
  }
}

function bytesOfRequest({ words, requestsInterrupt }: DmaLayout): (readonly [number, number])[] {
  const [name, fieldName] = requestsInterrupt!.split('.');
  const word = words.find((each) => each.name === name)!;
  const { lsb, msb } = word.fields.find((each) => each.name === fieldName)!;
  const bits = ((1n << BigInt(msb - lsb + 1)) - 1n) << BigInt(lsb);
  return Array.from({ length: word.width / 8 }, (_, byte) => {
    return [word.offset + byte, Number((bits >> BigInt(byte * 8)) & 0xffn)] as const;
  }).filter(([, mask]) => mask !== 0);
}
