/**
 * What comes of the driver's writes. From it follows which registers set the card to work whenever they are written while
 * it is idle (doorbells), and that this time nothing came of it. An acknowledgement that a driver writes before it goes to
 * sleep is none of them.
 */
import { type BarContents } from '../../emulator/pci';
import { type CardTrace } from '../trace';

export class Writes {
  /** Memory of the card: of what is written there, the address does not matter, and there may be millions. */
  readonly #memory: BarContents['memory'];
  /** Whether something came of every write of this register to the idle card. */
  readonly #setsToWork = new Map<number, boolean>();
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

  /** A fault has fired: on the last write, if that is what is going on. */
  fault(name: string, nowNs: number): void {
    if (this.#timeNs === nowNs && !this.#hasWorked) this.#fault ??= name;
  }

  /** The driver has set up its interrupts anew. */
  interruptsChanged(): void {
    this.#raises = this.#raisesBefore = 0;
  }

  /** Why no interrupt is to be expected of the last write, although the driver may well wait for one. */
  get suspicion(): 'disturbed' | 'without-effect' | 'without-interrupt' | undefined {
    if (this.#key < 0) return undefined;
    if (this.#fault !== undefined && !this.#hasWorked) return 'disturbed';
    if (!this.#wasIdle) return undefined;
    if (!this.#hasWorked) return this.#setsToWork.get(this.#key) === true ? 'without-effect' : undefined;
    return this.#raises === 0 ? 'without-interrupt' : undefined;
  }

  /** What has interfered with the last write, if nothing came of it. */
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
    const known = this.#setsToWork.get(this.#key);
    if (!this.#hasWorked) {
      if (known !== false) this.#setsToWork.set(this.#key, false);
    } else if (known === undefined) this.#setsToWork.set(this.#key, true);
  }
}
