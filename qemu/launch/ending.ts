/** The end of a guest: stops QEMU, keeps the logs, and removes the run folder. */
import { keepArtifacts } from './artifacts';
import { type Machine } from './machine';
import { type LaunchOptions } from './options';
import { type RunFolder } from './run-folder';

/** Ends a guest in the same way whether it was closed, died, was aborted or never came up. */
export class Ending {
  private finished: Promise<void> | undefined;
  private abortHook = () => {};
  private readonly begun: Promise<void>[] = [];

  constructor(
    private readonly machine: Machine,
    private readonly runDir: string,
    private readonly ownFolder: RunFolder | undefined,
    private readonly options: LaunchOptions,
  ) {
    const { signal } = options;
    if (signal?.aborted) this.abort();
    else signal?.addEventListener('abort', this.abort);
  }

  private readonly abort = (): void => {
    this.machine.kill(this.options.signal?.reason);
    this.abortHook();
  };

  onAbort(hook: () => void): void {
    this.abortHook = hook;
    if (this.options.signal?.aborted) hook();
  }

  /** Delays the end until `work`, which must be bounded and must not reject, is done. */
  await(work: Promise<void>): void {
    this.begun.push(work);
  }

  finish({ keepArtifacts = true } = {}): Promise<void> {
    this.finished ??= this.stopKeepAndRemove(keepArtifacts);
    return this.finished;
  }

  private async stopKeepAndRemove(keepsArtifacts: boolean): Promise<void> {
    const { artifactsDir, artifacts = 'always' } = this.options;
    const hasFailed = this.machine.died.aborted;
    try {
      await this.machine.stop();
      await Promise.all(this.begun);
      if (keepsArtifacts && artifactsDir !== undefined && (hasFailed || artifacts === 'always')) {
        await keepArtifacts(this.runDir, artifactsDir);
      }
    } finally {
      this.options.signal?.removeEventListener('abort', this.abort);
      await this.ownFolder?.close();
    }
  }
}
