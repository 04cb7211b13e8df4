/** A running QEMU: its process, the two sockets that it connects to (QMP and agent), and the reason why it ended. */
import { closeSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa, type Result } from 'execa';
import { type QmpClient } from '../qmp';
import { CONSOLE_LOG, QEMU_STDERR_LOG, writeCommandLine } from './artifacts';
import { BoundedLog } from './bounded-log';
import { GuestConsole } from './console';
import { GuestClosedError, GuestPanicError, QemuExitedError, type Evidence } from './errors';
import { guardedCommand } from './guard';
import { OneClient } from './one-client';
import { within } from './within';

/**
 * After the first line of a panic the kernel writes its trace and reboots, which ends QEMU. This limits the wait for
 * that.
 */
const PANIC_SETTLE_MS = 1000;
const QUIT_TIMEOUT_MS = 5000;
const KILL_TIMEOUT_MS = 5000;
/** When a process ends, its connections close before the exit is reported. */
const ECHO_MS = 2000;
const SHOWN_CONSOLE_LINES = 25;

export interface MachineOptions {
  /** Existing folder for the sockets and logs. */
  readonly runDir: string;
  /** Returns QEMU's complete command line for the given paths. */
  readonly command: (paths: MachinePaths) => readonly string[];
  readonly onConsole?: (line: string) => void;
  /** Named in errors. */
  readonly artifactsDir?: string;
}

export interface MachinePaths {
  readonly sockets: { readonly qmp: string; readonly agent: string };
  readonly consoleLogPath: string;
  /** An empty folder. */
  readonly emptyFolder: string;
}

interface MachineSockets {
  readonly qmp: OneClient;
  readonly agent: OneClient;
}

export class Machine {
  /** What the machine is doing, to complete "QEMU exited while …". */
  activity = 'QEMU was starting';
  /** Set once the QMP connection is established. Used to quit QEMU cleanly. */
  qmp: QmpClient | undefined;
  /** Why the guest shut down, from QMP's SHUTDOWN event. */
  shutdownReason: string | undefined;
  readonly console: GuestConsole;

  private readonly death = new AbortController();
  private readonly process: ReturnType<typeof spawnQemu>;
  private readonly exited: Promise<void>;
  private stopping: Promise<void> | undefined;

  private constructor(
    private readonly options: MachineOptions,
    private readonly sockets: MachineSockets,
    guarded: readonly [string, string[]],
  ) {
    this.console = new GuestConsole(this.path(CONSOLE_LOG), {
      ...(options.onConsole && { onLine: options.onConsole }),
      onFatal: () => void this.reportPanic(),
    });
    const log = new BoundedLog(this.path(QEMU_STDERR_LOG));
    this.process = spawnQemu(guarded, log);
    this.exited = this.process.then((result) => {
      log.close();
      return this.reportExit(result);
    });
  }

  static async start(options: MachineOptions): Promise<Machine> {
    const path = (name: string) => join(options.runDir, name);
    const paths: MachinePaths = {
      sockets: { qmp: path('qmp.sock'), agent: path('agent.sock') },
      consoleLogPath: path(CONSOLE_LOG),
      emptyFolder: path('empty'),
    };
    await mkdir(paths.emptyFolder, { recursive: true });
    const command = options.command(paths);
    const guarded = guardedCommand(command);
    await writeCommandLine(options.runDir, command);
    const qmp = await OneClient.listen(paths.sockets.qmp);
    const agent = await OneClient.listen(paths.sockets.agent).catch((error: unknown) => {
      qmp.close();
      throw error;
    });
    return new Machine(options, { qmp, agent }, guarded);
  }

  /** Aborted when the machine ends, with the error that says why. */
  get died(): AbortSignal {
    return this.death.signal;
  }

  /** The process id of QEMU, or undefined if it could not be started. */
  get pid(): number | undefined {
    return this.process.pid;
  }

  /** The folder of its sockets and logs. */
  get runDir(): string {
    return this.options.runDir;
  }

  /** The file that the guest's console is written to. */
  get consoleLog(): string {
    return this.path(CONSOLE_LOG);
  }

  get qmpConnection() {
    return this.sockets.qmp.connection;
  }

  get agentConnection() {
    return this.sockets.agent.connection;
  }

  onDeath(listener: (reason: Error) => void): void {
    const tell = () => listener(asError(this.died.reason));
    if (this.died.aborted) tell();
    else this.died.addEventListener('abort', tell, { once: true });
  }

  /** Kills the machine at once for this reason. Only the first reason counts. */
  kill(reason: unknown): void {
    this.death.abort(reason);
    this.process.kill('SIGKILL');
  }

  /** Stops the machine: asks QEMU to quit, and kills it if it does not. Resolves when the process has exited. */
  stop(): Promise<void> {
    this.stopping ??= this.quit().finally(() => {
      for (const socket of Object.values(this.sockets)) (socket as OneClient).close();
    });
    return this.stopping;
  }

  /** The last output of QEMU and the guest. */
  async evidence(): Promise<Evidence> {
    this.console.read();
    return {
      qemuStderr: await readFile(this.path(QEMU_STDERR_LOG), 'utf8').catch(() => ''),
      consoleTail: this.console.tail(SHOWN_CONSOLE_LINES),
      artifactsDir: this.options.artifactsDir,
    };
  }

  /**
   * The error to report instead of `error`, which may only be a consequence of the machine's end: connections break a
   * moment before the reason is known.
   */
  async causeOf(error: unknown): Promise<unknown> {
    if (this.hasLostConnection())
      await within(this.exited, { what: 'QEMU to end', timeoutMs: ECHO_MS }).catch(() => {});
    return this.died.aborted ? this.died.reason : error;
  }

  private hasLostConnection(): boolean {
    return [this.sockets.qmp, this.sockets.agent].some((socket) => socket.isLost);
  }

  private async quit(): Promise<void> {
    if (!this.died.aborted && this.qmp) {
      // QEMU may close the connection before it replies.
      const quitting = this.qmp.execute('quit', undefined, { timeoutMs: QUIT_TIMEOUT_MS }).catch(() => {});
      const gone = quitting.then(() => this.exited);
      await within(gone, { what: 'QEMU to quit', timeoutMs: QUIT_TIMEOUT_MS }).catch(() => {});
    }
    this.kill(new GuestClosedError());
    await within(this.exited, { what: `QEMU (process ${this.pid}) to end on SIGKILL`, timeoutMs: KILL_TIMEOUT_MS });
  }

  private async reportExit({ exitCode, signal, originalMessage }: SpawnResult): Promise<void> {
    this.console.finish();
    if (this.stopping) this.kill(new GuestClosedError());
    if (this.died.aborted) return;
    const evidence = await this.evidence();
    if (this.console.panic) {
      this.kill(new GuestPanicError(this.console.panic, this.activity, evidence));
    } else if (this.pid === undefined) {
      this.kill(new Error(`Cannot start QEMU: ${originalMessage}`));
    } else {
      this.kill(new QemuExitedError(exitCode, signal, this.activity, this.shutdownReason, evidence));
    }
  }

  /** Leaves the report to `reportExit` if the panic ends QEMU, as it should. */
  private async reportPanic(): Promise<void> {
    await within(this.exited, { what: 'the rest of the trace', timeoutMs: PANIC_SETTLE_MS }).catch(() => {});
    const evidence = await this.evidence();
    if (this.console.panic) this.kill(new GuestPanicError(this.console.panic, this.activity, evidence));
  }

  private path(name: string): string {
    return join(this.options.runDir, name);
  }
}

type SpawnResult = Pick<Result, 'exitCode' | 'signal' | 'originalMessage'>;

/** The reason of an AbortSignal can be any value. */
function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** In its own session: Ctrl-C in the terminal only reaches the runner, which then shuts QEMU down cleanly. */
function spawnQemu([file, args]: readonly [string, string[]], log: BoundedLog) {
  // execa's types only accept literal numbers.
  const stderr = log.open() as 2;
  try {
    return execa(file, args, {
      stdio: ['ignore', stderr, stderr],
      buffer: false,
      reject: false,
      detached: true,
      cleanup: false,
    });
  } finally {
    closeSync(stderr);
  }
}
