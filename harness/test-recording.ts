/**
 * The recording of one test: everything that happens to its cards. It is in the folder of the run until it is known
 * whether it is kept.
 */
import { copyFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { exportHtml } from '../instrumentation/report/index.ts';
import { PAYLOADS, type Payloads, readTrace, type Trace, TraceRecorder } from '../instrumentation/trace/index.ts';
import { type Rig } from '../qemu/rig/index.ts';
import { refuseUnknownOptions, refuseUnlessOneOf } from './options.ts';

/** When artifacts of a test are kept. */
export type Keep = 'on-failure' | 'always' | 'never';

/** What is recorded of a test, and when it is kept. */
export interface TestTraceOptions {
  /** Default 'on-failure'. 'never': nothing is recorded. */
  readonly keep?: Keep;
  /** DMA payloads: in full (the default), as hashes, or none. */
  readonly payloads?: Payloads;
  /** Disable BAR mappings (mmap), so that every access of card memory is recorded. Default false. */
  readonly disableMmap?: boolean;
  /** Of a longer recording only the end is kept, at most this many MiB. Default 64. */
  readonly ringMiB?: number;
}

const OPTIONS: Readonly<Record<keyof Required<TestTraceOptions>, true>> = {
  keep: true,
  payloads: true,
  disableMmap: true,
  ringMiB: true,
};

const DEFAULT_RING_MIB = 64;
export const TRACE_FILE = 'run.trace';
export const REPORT_FILE = 'report.html';
/** Events in the report: more would make the page slow. */
const REPORT_EVENTS = 200_000;

export function checkTraceOptions(given: Keep | TestTraceOptions = {}): TestTraceOptions {
  const options = typeof given === 'string' ? { keep: given } : given;
  refuseUnknownOptions("The option 'trace' of guestTest", options, OPTIONS);
  const { keep, payloads, ringMiB = DEFAULT_RING_MIB } = options;
  refuseUnlessOneOf('trace', keep, ['on-failure', 'always', 'never']);
  refuseUnlessOneOf('trace.payloads', payloads, PAYLOADS);
  if (!(ringMiB > 0)) throw new RangeError(`guestTest: trace.ringMiB is ${ringMiB}; it must be above 0`);
  return options;
}

export class TestRecording {
  readonly #recorder: TraceRecorder;
  readonly #problems: string[] = [];

  constructor(
    private readonly rig: Rig,
    testName: string,
    private readonly options: TestTraceOptions,
  ) {
    const { payloads, disableMmap, ringMiB = DEFAULT_RING_MIB } = options;
    this.#recorder = new TraceRecorder(join(rig.runDir, TRACE_FILE), {
      ...(payloads && { payloads }),
      ...(disableMmap && { disableMmap }),
      ringBytes: ringMiB * 2 ** 20,
      onFailure: (message) => this.#problems.push(message),
    });
    this.#recorder.mark(`test: ${testName}`);
    rig.recordTo(this.#recorder);
  }

  /** Why the recording is incomplete, if it could not be written. */
  get problems(): readonly string[] {
    return this.#problems;
  }

  keepsAfter(hasFailed: boolean): boolean {
    const { keep = 'on-failure' } = this.options;
    return keep === 'always' || hasFailed;
  }

  /** Ends the recording. `failure`: why the test has failed. */
  end(failure: string | undefined): void {
    this.rig.recordTo(undefined);
    if (failure !== undefined) this.#recorder.mark(`the test has failed: ${failure.split('\n')[0]}`);
    this.#recorder.close();
  }

  /** Puts the recording and its report into a folder that exists. */
  async keepIn(folder: string): Promise<void> {
    const path = join(folder, TRACE_FILE);
    await copyFile(this.#recorder.path, path);
    await writeFile(join(folder, REPORT_FILE), exportHtml(endOf(readTrace(path))));
  }

  /** Removes the recording from the folder of the run. */
  remove(): Promise<void> {
    return rm(this.#recorder.path, { force: true });
  }
}

/** The last events of a trace, with the descriptions of all cards and places. */
function endOf({ header, events, ...rest }: Trace): Trace {
  const earlier = events.slice(0, -REPORT_EVENTS);
  const descriptions = earlier.filter(({ kind }) => kind === 'card' || kind === 'place');
  return {
    header: { ...header, lostEvents: header.lostEvents + earlier.length - descriptions.length },
    events: [...descriptions, ...events.slice(-REPORT_EVENTS)],
    ...rest,
  };
}
