/**
 * The effects of the driver's writes. From them follows which registers are doorbells: each write of one to the idle card
 * has started work. A write of one without effect is suspicious; an acknowledgement before the driver goes to sleep is not.
 */
import { type BarContents } from '../../emulator/pci';
import { type CardTrace } from '../trace';

export class Writes {
  /** Memory of the card: the address of a write there does not matter, and there may be millions. */
  readonly #memory: BarContents['memory'];
  /** Whether every write of this register to the idle card has started work. */
  readonly #startsWork = new Map<number, boolean>();
  #key = -1;
  #wasIdle = false;
  #works = 0;
  #worksBefore = 0;
  #raises = 0;
  #raisesBefore = 0;
  #timeNs = 0;
  #fault: string | undefined;

  constructor(private readonly trace: CardTrace) {
    this.#memory = trace.card.inspection.contents().memory;
  }

  /** The driver is about to write a register of a BAR. */
  write(region: number, offset: number): void {
    this.#learn();
    this.#key = region * 2 ** 40 + this.#placeOf(region, offset);
    const { clock } = this.trace.card.inspection;
    this.#wasIdle = clock.waiting === 0;
    this.#timeNs = clock.now();
    this.#worksBefore = this.#works;
    this.#raisesBefore = this.#raises;
    this.#fault = undefined;
  }

  /** The card has accessed host memory. */
  dma(): void {
    this.#works++;
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
    this.#raises = this.#raisesBefore = 0;
  }

  /** Why the last write will cause no interrupt, although the driver may wait for one. */
  get suspicion(): 'disturbed' | 'without-effect' | 'without-interrupt' | undefined {
    if (this.#key < 0) return undefined;
    if (this.#fault !== undefined && !this.#hasWorked) return 'disturbed';
    if (!this.#wasIdle) return undefined;
    if (!this.#hasWorked) return this.#startsWork.get(this.#key) === true ? 'without-effect' : undefined;
    return this.#raises === 0 ? 'without-interrupt' : undefined;
  }

  /** The fault that has fired on the last write, if that had no effect. */
  get lastFault(): string | undefined {
    return this.#fault;
  }

  get #hasWorked(): boolean {
    return this.#works !== this.#worksBefore;
  }

  forget(): void {
    this.#key = -1;
    this.#fault = undefined;
  }

  /** The offset of a register, or of the memory that it is in. */
  #placeOf(region: number, offset: number): number {
    for (const { bar, offset: start, sizeBytes } of this.#memory) {
      if (bar === region && offset >= start && offset < start + sizeBytes) return start;
    }
    return offset;
  }

  #learn(): void {
    if (this.#key < 0 || !this.#wasIdle || this.#fault !== undefined) return;
    const known = this.#startsWork.get(this.#key);
    if (!this.#hasWorked) {
      if (known !== false) this.#startsWork.set(this.#key, false);
    } else if (known === undefined) this.#startsWork.set(this.#key, true);
  }
}
