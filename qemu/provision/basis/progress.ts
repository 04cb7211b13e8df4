/**
 * Progress as data: which step runs, what it is doing, how much of it is done and for how long it has been at it.
 * How it is shown is somebody else's business (progress-terminal.ts).
 */
export const STEPS = [
  'cache',
  'qemu',
  'compiler',
  'kernel',
  'modules',
  'kernel-build',
  'busybox',
  'guest-tools',
  'initramfs',
  'browser',
  'gtkwave',
] as const;

/**
 * The parts of a guest, in the order in which they are made; `kernel-build` only when asked for, `browser` and `gtkwave`
 * by tests; `cache` waits for another run that makes them.
 */
export type Step = (typeof STEPS)[number];

export interface ProgressEvent {
  readonly step: Step;
  /** What is going on, as a phrase: "downloading 70 packages". */
  readonly what: string;
  readonly doneBytes?: number;
  readonly totalBytes?: number;
  /** Since this step began. */
  readonly elapsedMs: number;
  /** Present on a step's last event. */
  readonly finished?: true;
}

export type ProgressListener = (event: ProgressEvent) => void;

const HEARTBEAT_MS = 1000;

/** One step's reporter: knows the step's name and when it began. */
export class StepProgress {
  readonly #startedMs = performance.now();

  constructor(
    readonly step: Step,
    private readonly listener: ProgressListener | undefined,
  ) {}

  report(what: string, bytes: { doneBytes?: number; totalBytes?: number } = {}): void {
    this.listener?.({ step: this.step, what, ...bytes, elapsedMs: performance.now() - this.#startedMs });
  }

  /** Reports work that says nothing of its own progress: at its start, and every second until it is done. */
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
