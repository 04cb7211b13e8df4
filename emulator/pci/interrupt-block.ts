/**
 * Interrupt aggregators: many sources, registers that latch, enable and show them, and the interrupts that result.
 *
 * What IP cores have in common (AXI INTC, PG099; the IRQ block of XDMA, PG195; LiteX EventManager; ICR and IMS of Intel's
 * network controllers) is here; what differs is which registers there are and of which access kinds they are, and that is
 * declared in the register map. Registers that set or clear bits of another (SIE, IMC, `…_W1S`) are aliases there and need
 * no mention here. How sources are triggered is named as in SystemRDL 2.0, section 9.9 ("Interrupt properties").
 */
import { type AnyMapSpec, type FieldName, type RegisterPath, type RegisterView, type ValuePath } from '../registers';
import { CardDefinitionError } from './identity';
import { type InterruptController } from './interrupt-controller';

/**
 * When a source's status bit is set: by an edge of its input (`posedge`, `negedge`, `bothedge`), while the input is 1
 * (`level`: acknowledging it earlier sets it again), or as long as it is 1 and no longer (`nonsticky`).
 */
export type InterruptTrigger = 'posedge' | 'negedge' | 'bothedge' | 'level' | 'nonsticky';

/** The registers of a block, by what they are for. Bit n of each is source n. */
export interface InterruptWiring<S = AnyMapSpec> {
  /** Sources that have been triggered; its fields name them. */
  readonly status: RegisterPath<S>;
  /** Sources that may interrupt. Default: all. */
  readonly enable?: RegisterPath<S>;
  /** Sources that may not. Default: none. */
  readonly mask?: RegisterPath<S>;
  /** No source interrupts while this register or field is 0. */
  readonly master?: ValuePath<S>;
  /** No input is taken while this register or field is 0; forced sources are. */
  readonly hardwareEnable?: ValuePath<S>;
  /** Shows the sources that interrupt: in `status` and not held back. */
  readonly pending?: RegisterPath<S>;
  /** Shows the inputs. */
  readonly input?: RegisterPath<S>;
  /** Writing 1 triggers a source, for tests of the driver. */
  readonly force?: RegisterPath<S>;
  /** Counts interrupts of sources, and wraps. */
  readonly count?: RegisterPath<S>;
  /** Of all sources, or of each. Default 'posedge'. */
  readonly trigger?: InterruptTrigger | ((source: number) => InterruptTrigger);
  /**
   * The MSI or MSI-X vector: one for all, or of each source: a number, or the register or field that has the number.
   * Default: source n has vector n.
   */
  readonly vectors?: number | ((source: number) => number | ValuePath<S>);
  /**
   * When a message is sent: when a source becomes pending (default), also each time that a pending one is triggered
   * again ('raise'), or when the first source of a vector becomes pending ('vector').
   */
  readonly messages?: 'pending' | 'raise' | 'vector';
}

/** The interrupt blocks of a card. They share the INTx line, which is asserted while any source of any is pending. */
export class InterruptBlocks {
  readonly #blocks: InterruptBlock[] = [];

  constructor(private readonly controller: InterruptController) {}

  add<S, P extends RegisterPath<S>>(
    registers: RegisterView<S>,
    wiring: InterruptWiring<S> & { readonly status: P },
  ): InterruptBlock<FieldName<S, P>> {
    const drive = () => this.controller.setIntx(this.#blocks.some(({ pending }) => pending !== 0));
    const block = new InterruptBlock(registers as RegisterView<AnyMapSpec>, wiring, this.controller, drive);
    this.#blocks.push(block);
    return block as InterruptBlock<FieldName<S, P>>;
  }

  reset(): void {
    for (const block of this.#blocks) block.reset();
  }
}

/** `F`: the names of the sources. */
export class InterruptBlock<F extends string = string> {
  /** A bit for every source that there is. */
  readonly #implemented: number;
  readonly #sources: ReadonlyMap<string, number>;
  readonly #level: number;
  readonly #nonsticky: number;
  #input = 0;
  #pending = 0;

  /** @internal */
  constructor(
    private readonly registers: RegisterView<AnyMapSpec>,
    private readonly wiring: InterruptWiring,
    private readonly controller: Pick<InterruptController, 'signal'>,
    private readonly driveLine: () => void,
  ) {
    const { status, enable, mask, master, hardwareEnable, pending, input, force, count } = wiring;
    for (const path of [status, enable, mask, pending, input, force, count]) this.#checkWidth(path);
    const { fields, width } = registers.layoutOf(status);
    const bitsOf = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, bit) => from + bit);
    const sources = fields.length > 0 ? fields.flatMap(({ lsb, msb }) => bitsOf(lsb, msb)) : bitsOf(0, width - 1);
    const among = (isOne: (source: number) => boolean) =>
      sources.filter(isOne).reduce((bits, source) => bits | (1 << source), 0);
    this.#implemented = among(() => true);
    this.#level = among((source) => this.#triggerOf(source) === 'level');
    this.#nonsticky = among((source) => this.#triggerOf(source) === 'nonsticky');
    this.#sources = new Map(fields.map(({ name, lsb }) => [name, lsb]));
    for (const source of sources) this.#vectorOf(source); // throws if it names no register

    registers.onChange(status, ({ value, previous }) => {
      const acknowledged = Number(previous) & ~Number(value) & ~this.#nonsticky;
      this.#pending &= ~acknowledged; // pending again if the input is still 1
      this.#update();
    });
    const gates = [enable, mask, master, hardwareEnable].filter((path) => path !== undefined);
    for (const path of new Set(gates.map((gate) => this.#registerOf(gate))))
      registers.onChange(path, () => this.#update());
    if (force !== undefined) registers.onWrite(force, ({ data }) => this.#latch(Number(data)));
  }

  /** The sources that interrupt now, a bit each. */
  get pending(): number {
    return this.#pending >>> 0;
  }

  /** Triggers a source (its bit, or the name of its field), as a pulse at its input does. */
  raise(source: F | number): void {
    const bit = this.#bitOf(source);
    if ((bit & this.#nonsticky) !== 0) {
      throw new RangeError(`raise(${source}): the status of this source follows its input: use set(${source}, …)`);
    }
    if (this.#isOn(this.wiring.hardwareEnable)) this.#latch(bit);
  }

  /** Drives the input of a source. */
  set(source: F | number, level: boolean): void {
    const bit = this.#bitOf(source);
    if (level === ((this.#input & bit) !== 0)) return;
    this.#input = level ? this.#input | bit : this.#input & ~bit;
    const trigger = this.#triggerOf(31 - Math.clz32(bit));
    const isEdge = trigger === 'bothedge' || trigger === (level ? 'posedge' : 'negedge');
    if (isEdge && this.#isOn(this.wiring.hardwareEnable)) this.#latch(bit);
    else this.#update();
  }

  /** After the registers have been reset: inputs are 0, and nothing is pending. A reset of the card does this itself. */
  reset(): void {
    this.#input = 0;
    this.#pending = 0;
    this.#update();
  }

  #latch(bits: number): void {
    const latched = bits & this.#implemented;
    this.#store(this.wiring.status, this.#load(this.wiring.status, 0) | latched);
    this.#update(latched);
  }

  /** Makes status follow the inputs, and interrupts follow status. `raised`: the sources just triggered. */
  #update(raised = 0): void {
    const { status, enable, mask, master, hardwareEnable, pending, input, messages = 'pending' } = this.wiring;
    const inputs = this.#isOn(hardwareEnable) ? this.#input : 0;
    const before = this.#load(status, 0);
    const state = (before & ~this.#nonsticky) | (inputs & (this.#level | this.#nonsticky));
    if (state !== before) this.#store(status, state);
    if (input !== undefined) this.#store(input, this.#input);

    const open = this.#isOn(master) ? this.#load(enable, -1) & ~this.#load(mask, 0) : 0;
    const earlier = this.#pending;
    this.#pending = state & open & this.#implemented;
    if (pending !== undefined) this.#store(pending, this.#pending);
    const risen = this.#pending & ~earlier;
    this.#send(messages === 'raise' ? risen | (raised & this.#pending) : risen, messages === 'vector' ? earlier : 0);
    this.driveLine();
  }

  /** @param silent no messages are sent for the vectors of these sources */
  #send(sources: number, silent: number): void {
    if (sources === 0) return;
    const done = new Set(bitsIn(silent).map((source) => this.#vectorOf(source)));
    for (const source of bitsIn(sources)) {
      const { count, messages } = this.wiring;
      if (count !== undefined) this.#store(count, this.#load(count, 0) + 1);
      const vector = this.#vectorOf(source);
      if (done.has(vector)) continue;
      if (messages === 'vector') done.add(vector);
      this.controller.signal(vector);
    }
  }

  #vectorOf(source: number): number {
    const { vectors = (n: number) => n } = this.wiring;
    const vector = typeof vectors === 'function' ? vectors(source) : vectors;
    return typeof vector === 'number' ? vector : Number(this.registers.get(vector));
  }

  #triggerOf(source: number): InterruptTrigger {
    const { trigger = 'posedge' } = this.wiring;
    return typeof trigger === 'function' ? trigger(source) : trigger;
  }

  #bitOf(source: F | number): number {
    const number = typeof source === 'number' ? source : this.#sources.get(source);
    if (number !== undefined && number >= 0 && number < 32 && ((this.#implemented >>> number) & 1) === 1) {
      return 1 << number;
    }
    const known = [...this.#sources.keys()].join(', ') || `0 to ${31 - Math.clz32(this.#implemented)}`;
    throw new RangeError(`There is no source ${String(source)} in ${String(this.wiring.status)}, which has ${known}.`);
  }

  #isOn(path: string | undefined): boolean {
    return path === undefined || Number(this.registers.get(path)) !== 0;
  }

  #load(path: string | undefined, otherwise: number): number {
    return path === undefined ? otherwise : Number(this.registers.get(path)) | 0;
  }

  #store(path: string, bits: number): void {
    const { width } = this.registers.layoutOf(path);
    this.registers.set(path, width === 32 ? bits >>> 0 : bits & ((1 << width) - 1));
  }

  /** The register of a path that may name one of its fields. */
  #registerOf(path: string): string {
    const { name } = this.registers.layoutOf(path);
    return path === name || path.endsWith(`.${name}`) ? path : path.slice(0, path.lastIndexOf('.'));
  }

  #checkWidth(path: string | undefined): void {
    if (path === undefined || this.registers.layoutOf(path).width < 64) return;
    throw new CardDefinitionError(
      `${path} has 64 bits: an interrupt block has up to 32 sources; use a block for each 32`,
    );
  }
}

const bitsIn = (bits: number): number[] =>
  Array.from({ length: 32 }, (_, bit) => bit).filter((bit) => (bits >>> bit) & 1);
