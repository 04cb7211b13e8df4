/** `--trace` and the options beside it, the recorder that they make, and the summary at its end. */
import { statSync } from 'node:fs';
import { resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { coverageOf } from '../../instrumentation/analysis';
import { PAYLOADS, type Payloads, readTrace, TraceRecorder } from '../../instrumentation/trace';
import { UsageError } from './errors';
import { once, wholeNumber } from './options';
import { formatBytes } from './output';
import { refuseOtherFiles, writingTo } from './output-file';

export interface TraceOptions {
  readonly trace?: string;
  readonly tracePayloads?: Payloads;
  readonly traceRing?: number;
  readonly traceDisableMmap?: true;
}

const MIB = 1 << 20;
/** A trace of this size is read in about a second. */
const LARGE_BYTES = 32 * MIB;
/** Names shown in a line. */
const SHOWN = 6;

export function addTraceOptions(command: Command): Command {
  return command
    .option('--trace <file>', 'record all events of the cards in this file, for ghostcard trace', once)
    .addOption(
      new Option(
        '--trace-payloads <how>',
        'DMA payloads in the trace: whole, as hashes or not at all (default: full)',
      ).choices(PAYLOADS),
    )
    .option(
      '--trace-ring <MiB>',
      'keep only the end of the trace, at most this many MiB; payloads of over a quarter of that as hashes',
      wholeNumber(1, 1 << 20),
    )
    .option('--trace-disable-mmap', 'disable BAR mappings (mmap), so that the trace has every access of card memory');
}

/** Records from its start until it is disposed of, which must be after the cards are closed. */
export class Recording implements Disposable {
  private constructor(
    readonly recorder: TraceRecorder,
    private readonly say: (line: string) => void,
  ) {}

  /** Undefined without `--trace`. Throws a UsageError when nothing can be recorded there. */
  static start(options: TraceOptions, say: (line: string) => void): Recording | undefined {
    const { trace: path, tracePayloads: payloads, traceRing, traceDisableMmap } = options;
    if (path === undefined) {
      const stray = [
        payloads && '--trace-payloads',
        traceRing && '--trace-ring',
        traceDisableMmap && '--trace-disable-mmap',
      ];
      const first = stray.find(Boolean);
      if (first) throw new UsageError(`${first} says how to record a trace: say where, with --trace FILE`);
      return undefined;
    }
    return writingTo('--trace', path, () => {
      refuseOtherFiles(path);
      const recorder = new TraceRecorder(resolve(path), {
        ...(payloads && { payloads }),
        ...(traceRing && { ringBytes: traceRing * MIB }),
        ...(traceDisableMmap && { disableMmap: true }),
      });
      return new Recording(recorder, say);
    });
  }

  [Symbol.dispose](): void {
    this.recorder.close();
    for (const line of [summaryOf(this.recorder), ...coverageLines(this.recorder.path)]) this.say(line);
  }
}

/** Where the trace is, how much it is, and what it does not have. */
function summaryOf({ path, events, cards }: TraceRecorder): string {
  const unseen = cards.flatMap(({ name, windows }) =>
    windows
      .filter(({ isSeen }) => !isSeen)
      .map(({ region, sizeBytes, offset }) => `${name} ${addressOf(region, offset)}, ${formatBytes(sizeBytes)}`),
  );
  const summary = `the trace is in ${path}: ${events} events`;
  if (unseen.length === 0) return summary;
  return (
    `${summary}. Not in it: accesses of memory that the guest had mapped (${[...new Set(unseen)].join('; ')}); ` +
    'record again with --trace-disable-mmap to see them'
  );
}

/** Register coverage, card by card; not of a large trace, which would take too long. */
function coverageLines(path: string): string[] {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (!stats?.isFile() || stats.size > LARGE_BYTES) return [];
  return coverageOf(readTrace(path)).cards.map(({ name, registers, touched, unmodelled }) => {
    const never = registers.filter(({ reads, writes }) => reads + writes === 0).map((register) => register.name);
    const strays = unmodelled.map(({ region, offset }) => addressOf(region, offset));
    return [
      `${name}: ${touched} of ${registers.length} registers were used`,
      ...(never.length > 0 ? [`never: ${firstOf(never)}`] : []),
      ...(strays.length > 0 ? [`accessed, but not modelled: ${firstOf(strays)}`] : []),
    ].join('; ');
  });
}

const addressOf = (region: number, offset: number): string => `BAR${region} + 0x${offset.toString(16)}`;

const firstOf = (names: readonly string[]): string =>
  names.length <= SHOWN ? names.join(', ') : `${names.slice(0, SHOWN).join(', ')} and ${names.length - SHOWN} more`;
