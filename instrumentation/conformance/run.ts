/**
 * Runs the cases, one after the other. After each, whatever it was, the server must serve the next well-formed client,
 * and must not hold more descriptors than before. A server that is started here is started again when a case has failed,
 * so that one failure does not lead to the next.
 *
 * Source: QEMU docs/interop/vfio-user.rst, section "Client Disconnection": a server may end when its client has gone.
 * How it does is learned from a well-formed client at the start.
 */
import { loadNative, type Native } from '../../emulator/native';
import { Command } from '../../emulator/vfio-user/wire';
import { AREAS } from './areas';
import { type Area, type Case, idOf } from './case';
import { capabilitiesOf, versionOf } from './messages';
import { ConformanceError, NotApplicable, Unmet } from './outcome';
import { type Ending, listenerOf, openIn, type Target } from './target';
import { Transcript } from './transcript';
import { Knowledge, PROPOSED, Trial } from './trial';

export interface CaseResult {
  readonly area: string;
  /** `area/name`. */
  readonly id: string;
  readonly section: string;
  readonly expects: string;
  readonly outcome: 'passed' | 'failed' | 'not-applicable' | 'not-run';
  /** Why it failed, is not applicable or was not run. */
  readonly came?: string;
  /** What went over the sockets, of a failed case. */
  readonly transcript?: readonly string[];
  readonly durationMs: number;
}

export interface RunOptions {
  readonly target: Target;
  /** Limit for each wait. */
  readonly timeoutMs: number;
  /** Areas, or cases as `area/name`. Default: all. */
  readonly only?: readonly string[];
  readonly onResult: (result: CaseResult) => void;
  readonly signal?: AbortSignal;
}

/** The areas with those of their cases that `only` names. @throws ConformanceError if it names none */
export function selected(only: readonly string[] = []): readonly Area[] {
  const unknown = only.filter((name) => !AREAS.some((area) => area.name === name || hasCase(area, name)));
  if (unknown.length > 0)
    throw new ConformanceError(`there is no area or case ${unknown.join(', ')}: --list prints all of them`);
  if (only.length === 0) return AREAS;
  return AREAS.map((area) => ({
    ...area,
    cases: area.cases.filter((each) => only.includes(area.name) || only.includes(idOf(area, each))),
  })).filter(({ cases }) => cases.length > 0);
}

const hasCase = (area: Area, id: string): boolean => area.cases.some((each) => idOf(area, each) === id);

export async function runConformance(options: RunOptions): Promise<readonly CaseResult[]> {
  const runner = new Runner(options);
  const results: CaseResult[] = [];
  await runner.begin();
  for (const area of selected(options.only)) {
    for (const each of area.cases) {
      options.signal?.throwIfAborted();
      const result = await runner.run(area, each);
      results.push(result);
      options.onResult(result);
    }
  }
  return results;
}

class Runner {
  readonly #native: Native = loadNative();
  readonly #knowledge = new Knowledge();
  /** How the server ends when its client has gone; undefined if it stays. */
  #ordinary: Ending['status'] | undefined;
  /** Why nothing more can be run. */
  #gone: string | undefined;
  /** The server's process, if it can be seen, and what it had open at the last count. */
  #pid: number | undefined;
  #open: number | undefined;

  constructor(private readonly options: RunOptions) {}

  /** Learns whether the server outlives a well-formed client. @throws ConformanceError, NativeError */
  async begin(): Promise<void> {
    const { target } = this.options;
    await target.start();
    {
      using trial = this.#trial(new Transcript());
      await (
        await trial.connect()
      )
        .ask(Command.VERSION, { payload: versionOf(capabilitiesOf(PROPOSED)) })
        .catch(() => {});
    }
    const ending = await target.ending(target.canRestart ? SINGLE_SHOT_MS : 0);
    if (ending === undefined) return;
    if (typeof ending.status === 'string')
      throw new ConformanceError(`the server was ended by ${ending.status} when a client connected and went`);
    this.#ordinary = ending.status;
  }

  async run(area: Area, each: Case): Promise<CaseResult> {
    const about = { area: area.name, id: idOf(area, each), section: each.section, expects: each.expects };
    const startedMs = performance.now();
    const end = (outcome: CaseResult['outcome'], came?: string, transcript?: Transcript): CaseResult => ({
      ...{ ...about, outcome, durationMs: performance.now() - startedMs },
      ...(came !== undefined && { came }),
      ...(transcript && { transcript: transcript.lines }),
    });
    if (this.#gone !== undefined) return end('not-run', this.#gone);
    const first = await this.#attempt(each);
    if (first.kind === 'not-applicable') return end('not-applicable', first.came);
    if (first.kind === 'passed' && first.leaked === 0) return end('passed');
    if (first.kind === 'failed') {
      await this.#recover(first.isGone);
      return end('failed', first.came, first.transcript);
    }
    // What a server opens once is no leak: only what it opens each time.
    const second = await this.#attempt(each);
    if (second.kind === 'passed' && second.leaked === 0) return end('passed');
    await this.#recover(second.isGone);
    if (second.kind === 'not-applicable') return end('not-applicable', second.came);
    if (second.kind === 'failed') return end('failed', second.came, second.transcript);
    const came = `afterwards the server has ${first.leaked} descriptors more, and ${second.leaked} more when it is repeated`;
    return end('failed', came, second.transcript);
  }

  async #attempt(each: Case): Promise<Attempt> {
    const { target } = this.options;
    const transcript = new Transcript();
    const fail = (error: unknown, isGone = false): Attempt => {
      if (error instanceof NotApplicable) return { kind: 'not-applicable', came: error.message, isGone };
      if (error instanceof Unmet) return { kind: 'failed', came: error.message, transcript, isGone };
      if (isSystemError(error))
        return { kind: 'failed', came: `the server cannot be reached: ${error.message}`, transcript, isGone: true };
      throw error;
    };
    await target.start();
    let before: number | undefined;
    try {
      before = await this.#census();
      using trial = this.#trial(transcript);
      await each.run(trial);
    } catch (error) {
      const leftMs = this.#ordinary === undefined ? 0 : SINGLE_SHOT_MS;
      const ending = await target.ending(error instanceof NotApplicable ? leftMs : ENDING_MS);
      if (ending !== undefined && ending.status !== this.#ordinary) return fail(new Unmet(wordEnding(ending)));
      return fail(error);
    }
    try {
      transcript.add('the next well-formed client:');
      return { kind: 'passed', leaked: await this.#usable(transcript, before), transcript, isGone: false };
    } catch (error) {
      if (error instanceof Unmet) return fail(new Unmet(`afterwards, with a new client: ${error.message}`), true);
      return fail(error, true);
    }
  }

  /** The server must serve a well-formed client, or have ended as it always does. Returns how many descriptors leaked. */
  async #usable(transcript: Transcript, before: number | undefined): Promise<number> {
    const { target } = this.options;
    if (this.#ordinary !== undefined) {
      await this.#untilEnded();
      return 0;
    }
    try {
      using trial = this.#trial(transcript);
      const client = await trial.session();
      await client.goesOn();
      return before === undefined ? 0 : await this.#growth(before);
    } catch (error) {
      const ending = await target.ending(ENDING_MS);
      if (ending !== undefined) throw new Unmet(wordEnding(ending));
      throw error;
    }
  }

  /** A server that ends with its client must do so as it did before. */
  async #untilEnded(): Promise<void> {
    const { target, timeoutMs } = this.options;
    const ending = await target.ending(timeoutMs);
    if (ending === undefined) throw new Unmet(`the server still runs ${timeoutMs} ms after its client has gone`);
    if (ending.status !== this.#ordinary) throw new Unmet(wordEnding(ending));
  }

  /** Open descriptors while one well-formed client is connected; undefined if they cannot be seen. */
  async #census(): Promise<number | undefined> {
    if (this.#ordinary !== undefined) return undefined;
    if (this.#open !== undefined) return this.#open;
    this.#pid = listenerOf(this.options.target.socketPath);
    using trial = this.#trial(new Transcript());
    await (await trial.session()).goesOn();
    return (this.#open = this.#count());
  }

  #count(): number | undefined {
    return this.#pid === undefined ? undefined : openIn(this.#pid)?.length;
  }

  /** How many more are open, once the server has had time to close them. */
  async #growth(before: number): Promise<number> {
    const deadline = performance.now() + CLOSING_MS;
    let open = this.#count();
    while (open !== undefined && open > before && performance.now() < deadline) {
      await new Promise((resolve) => setTimeout(resolve, 5));
      open = this.#count();
    }
    this.#open = open;
    return Math.max(0, (open ?? before) - before);
  }

  /** After a failure: a fresh server, if that is possible. */
  async #recover(isGone: boolean): Promise<void> {
    const { target } = this.options;
    this.#pid = undefined;
    this.#open = undefined;
    if (target.canRestart) await target.stop();
    else if (isGone) this.#gone = 'the server no longer serves well-formed clients';
  }

  #trial(transcript: Transcript): Trial {
    const { target, timeoutMs } = this.options;
    const restart = async (): Promise<void> => {
      await this.#untilEnded();
      await target.start();
    };
    return new Trial(this.#native, target.socketPath, transcript, this.#knowledge, {
      timeoutMs,
      openInServer: () => this.#count(),
      ...(this.#ordinary !== undefined && { restart }),
    });
  }
}

/** How long a server that ends with its client may take for it. */
const SINGLE_SHOT_MS = 500;
/** How long to wait for the news that a server that does not answer has ended. */
const ENDING_MS = 200;
/** How long a server may take to close descriptors when it serves the next client already. */
const CLOSING_MS = 1000;

type Attempt = { readonly isGone: boolean } & (
  | { readonly kind: 'passed'; readonly leaked: number; readonly transcript: Transcript }
  | { readonly kind: 'failed'; readonly came: string; readonly transcript: Transcript }
  | { readonly kind: 'not-applicable'; readonly came: string }
);

const wordEnding = ({ status, output }: Ending): string =>
  `the server ended (${typeof status === 'number' ? `exit code ${status}` : status})${output && `; it printed: ${output}`}`;

const isSystemError = (error: unknown): error is Error => error instanceof Error && 'syscall' in error;
