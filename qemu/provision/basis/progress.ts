/**
 * Progress as data: which step runs, what it is doing, how much of it is done, and for how long. Presentation is in
 * progress-terminal.ts.
 */

/**
 * The parts of a guest, in the order in which they are made. `kernel-build` and `observer` are only made on request, `browser` and
 * those after it only for tests. `cache` waits for another run that makes the same parts; `pack` writes or
 * reads a file that has all of them.
 */
export type Step =
  | 'cache'
  | 'pack'
  | 'qemu'
  | 'compiler'
  | 'kernel'
  | 'modules'
  | 'kernel-build'
  | 'observer'
  | 'busybox'
  | 'guest-tools'
  | 'initramfs'
  | 'browser'
  | 'gtkwave'
  | 'kernel-source'
  | 'dpdk'
  | 'clang';
export const STEPS = [
  'cache',
  'pack',
  'qemu',
  'compiler',
  'kernel',
  'modules',
  'kernel-build',
  'observer',
  'busybox',
  'guest-tools',
  'initramfs',
  'browser',
  'gtkwave',
  'kernel-source',
  'dpdk',
  'clang',
] as const satisfies readonly Step[];

/** What provisioning is doing. */
export interface ProgressEvent {
  readonly step: Step;
  /** The current work, as a phrase: "downloading 70 packages". */
  readonly what: string;
  readonly doneBytes?: number;
  readonly totalBytes?: number;
  /** Time since this step began. */
  readonly elapsedMs: number;
  /** Present in the last event of a step. */
  readonly finished?: true;
}

/** Receives what provisioning is doing. */
export type ProgressListener = (event: ProgressEvent) => void;

const HEARTBEAT_MS = 1000;

/** Reports the progress of one step. */
export class StepProgress {
  readonly #startedMs = performance.now();

  constructor(
    readonly step: Step,
    private readonly listener: ProgressListener | undefined,
  ) {}

  report(what: string, bytes: { doneBytes?: number; totalBytes?: number } = {}): void {
    this.listener?.({ step: this.step, what, ...bytes, elapsedMs: performance.now() - this.#startedMs });
  }

  /** Reports work that has no progress of its own: at its start, and every second until it is done. */
  async during<T>(what: string, work: () => Promise<T>): Promise<T> {
    this.report(what);
    const heartbeat = setInterval(() => this.report(what), HEARTBEAT_MS);
    try {
      return await work();
    } finally {
      clearInterval(heartbeat);
    }
  }

  finish(what: string): void {
    this.listener?.({ step: this.step, what, elapsedMs: performance.now() - this.#startedMs, finished: true });
  }
}
