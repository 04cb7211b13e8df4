/** The guest of one test: cards are plugged in, commands run. */
import { type PciCard } from '../emulator/pci/index.ts';
import { type RaceReport } from '../instrumentation/races/index.ts';
import { type TransferOptions } from '../qemu/channel/index.ts';
import { type Guest, type RunOptions } from '../qemu/launch/index.ts';
import { cardVariables, type ModelError, type Rig } from '../qemu/rig/index.ts';
import { callerOf, withCaller } from './caller.ts';
import { type Hosted } from './guest-source.ts';
import { type CardSource, factoryOf, nameOf, PluggedCard, type PlugOptions } from './plugged-card.ts';
import { type CommandResult, type TestCommand, TestCommands } from './test-commands.ts';

/** The guest of a test: cards are plugged in, commands run. */
export class TestGuest {
  readonly #cards: PluggedCard[] = [];
  readonly #commands: TestCommands;
  readonly #before: { readonly modelErrors: number; readonly notes: number; readonly races: number };
  readonly #notes: readonly string[];
  /** For what this class does not cover. */
  readonly rig: Rig;

  /** @internal Use the fixture `guest`. */
  constructor({ rig, notes }: Hosted) {
    this.rig = rig;
    this.#commands = new TestCommands(rig.guest);
    this.#notes = notes;
    this.#before = { modelErrors: rig.modelErrors.length, notes: notes.length, races: rig.races.length };
  }

  /** Plugs a new card into the running guest, and binds it to the driver. */
  plug<Card extends PciCard>(source: CardSource<Card>, options: PlugOptions = {}): Promise<PluggedCard<Card>> {
    return withCaller(this.plug, async () => {
      const make = factoryOf(source);
      const plugged = new PluggedCard(this.rig, this.#nameFor(options.name ?? nameOf(source)), make, options);
      this.#cards.push(plugged);
      await plugged.replug();
      return plugged;
    });
  }

  /** Cards that the test has plugged in, including those that have been unplugged since. */
  get cards(): readonly PluggedCard[] {
    return this.#cards;
  }

  /**
   * Runs a command in the guest to its end, on the host's files, in the folder of this process (`host: false`: on
   * the guest's own files).
   * It finds the cards in GHOSTCARD_PCI_ADDRESS and GHOSTCARD_DEVICE, with _2, _3 ... for those after the first.
   */
  async run(argv: readonly string[], options: RunOptions = {}): Promise<CommandResult> {
    return (await this.#start(argv, options, callerOf(this.run))).result;
  }

  /** As `run`, for a command that runs on while the test does something else; it is killed at the end of the test. */
  start(argv: readonly string[], options: RunOptions = {}): Promise<TestCommand> {
    return this.#start(argv, options, callerOf(this.start));
  }

  /** The DMA races of this test by now, with `guestTest({ checkDma })`. */
  async races(): Promise<readonly RaceReport[]> {
    await this.rig.settled();
    return this.rig.races.slice(this.#before.races);
  }

  /** The last commands, oldest first, each with how it ended. */
  commandsTail(count: number): string[] {
    return this.#commands.tail(count);
  }

  /** Writes a file in the guest. */
  push(guestPath: string, bytes: Uint8Array, mode?: number, options?: TransferOptions): Promise<void> {
    return withCaller(this.push, () => this.rig.guest.push(guestPath, bytes, mode, options));
  }

  /** Reads a file of the guest. */
  fetch(guestPath: string, options?: TransferOptions): Promise<Buffer> {
    return withCaller(this.fetch, () => this.rig.guest.fetch(guestPath, options));
  }

  /** Marks this moment in the recording, after everything that the guest has written to its cards by now. */
  mark(text: string): void {
    this.rig.mark(text);
  }

  /** The kernel that it runs. */
  get kernel(): Guest['kernel'] {
    return this.rig.guest.kernel;
  }

  /** The kernel modules that `loadModule` has loaded from files. */
  get loadedModules(): Guest['loadedModules'] {
    return this.rig.guest.loadedModules;
  }

  /** The last lines of the guest's console. */
  consoleTail(count?: number): string[] {
    return this.rig.guest.consoleTail(count);
  }

  /** What the models of the cards have thrown in this test. */
  get modelErrors(): readonly ModelError[] {
    return this.rig.modelErrors.slice(this.#before.modelErrors);
  }

  /** Messages about the cards in this test: refused requests, restarts, stalled drivers. */
  get notes(): readonly string[] {
    return this.#notes.slice(this.#before.notes);
  }

  /** For the next test in this guest: ends running commands, and unplugs the cards, the last one first. */
  async cleanUp(): Promise<void> {
    await this.#commands.end();
    for (const card of [...this.#cards].reverse()) if (card.isPlugged) await card.unplug();
  }

  #start(argv: readonly string[], options: RunOptions, caller: readonly string[]): Promise<TestCommand> {
    return this.#commands.start(argv, { ...options, env: { ...this.#variables(), ...options.env } }, caller);
  }

  #variables(): Record<string, string> {
    return cardVariables(this.#cards.filter(({ isReady }) => isReady));
  }

  /** A name that no other card of this test has, or has had. */
  #nameFor(wanted: string): string {
    const taken = new Set(this.#cards.map(({ name }) => name));
    for (let number = 1; ; number++) {
      const name = number === 1 ? wanted : `${wanted}-${number}`;
      if (!taken.has(name)) return name;
    }
  }
}
