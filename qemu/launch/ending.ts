/** How a guest ends: QEMU first, then its logs are kept, then its folder goes. */
import { keepArtifacts } from './artifacts';
import { type Machine } from './machine';
import { type LaunchOptions } from './options';
import { type RunFolder } from './run-folder';

/** The end of a guest, the same for one that was closed, that died, that was aborted and that never came up. */
export class Ending {
  private finished: Promise<void> | undefined;
  private readonly over = new AbortController();
  private abortHook = () => {};
  private readonly begun: Promise<void>[] = [];

  constructor(
    private readonly machine: Machine,
    private readonly runDir: string,
    private readonly ownFolder: RunFolder | undefined,
    private readonly options: LaunchOptions,
  ) {
    const { signal } = options;
    const abort = () => {
      machine.kill(signal?.reason);
      this.abortHook();
    };
    if (signal?.aborted) abort();
    else signal?.addEventListener('abort', abort, { once: true, signal: this.over.signal });
  }

  onAbort(hook: () => void): void {
    this.abortHook = hook;
    if (this.options.signal?.aborted) hook();
  }

  /** What must be over before this is: the bounded rest of something that was begun. It must not reject. */
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
      this.over.abort();
      await this.ownFolder?.close();
    }
  }
}
