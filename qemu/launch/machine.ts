/**
 * A running QEMU: its process, the two sockets it connects to us (control, agent), and the one answer to
 * the question why it is no longer running.
 */
import { closeSync, openSync } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa, type Result } from 'execa';
import { type QmpClient } from '../qmp';
import { CONSOLE_LOG, QEMU_STDERR_LOG, writeCommandLine } from './artifacts';
import { GuestConsole } from './console';
import { GuestClosedError, GuestPanicError, QemuExitedError, type Evidence } from './errors';
import { guardedCommand } from './guard';
import { OneClient } from './one-client';
import { within } from './within';

/** After the first fatal line the kernel still writes its trace and reboots, which ends QEMU; this bounds the wait. */
const PANIC_SETTLE_MS = 1000;
const QUIT_TIMEOUT_MS = 5000;
const KILL_TIMEOUT_MS = 5000;
/** A process that ends closes its connections first. */
const ECHO_MS = 2000;
const SHOWN_CONSOLE_LINES = 25;

export interface MachineOptions {
  /** Existing folder for the sockets and logs. */
  readonly runDir: string;
  /** QEMU's whole command line, given where its sockets and its console log are. */
  readonly command: (paths: MachinePaths) => readonly string[];
  readonly onConsole?: (line: string) => void;
  /** Named in errors. */
  readonly artifactsDir?: string;
}

export interface MachinePaths {
  readonly sockets: { readonly qmp: string; readonly agent: string };
  readonly consoleLogPath: string;
  /** A folder with nothing in it. */
  readonly emptyFolder: string;
}

interface MachineSockets {
  readonly qmp: OneClient;
  readonly agent: OneClient;
}

export class Machine {
  /** What the machine is doing, to complete "QEMU exited while …". */
  activity = 'QEMU was starting';
  /** Set by whoever has made the connection; used to quit in good order. */
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
    this.process = spawnQemu(guarded, this.path(QEMU_STDERR_LOG));
    this.exited = this.process.then((result) => this.reportExit(result));
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

  /** Aborted when the machine comes to its end, with the error that says why. */
  get died(): AbortSignal {
    return this.death.signal;
  }

  /** The process id of QEMU; undefined if it could not be started at all. */
  get pid(): number | undefined {
    return this.process.pid;
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

  /** Ends the machine at once, for this reason. The first reason is the one that counts. */
  kill(reason: unknown): void {
    this.death.abort(reason);
    this.process.kill('SIGKILL');
  }

  /** Ends the machine: asks QEMU to quit, kills it if it does not. Resolves when the process is gone. */
  stop(): Promise<void> {
    this.stopping ??= this.quit().finally(() => {
      for (const socket of Object.values(this.sockets)) (socket as OneClient).close();
    });
    return this.stopping;
  }

  /** What QEMU and the guest said last. */
  async evidence(): Promise<Evidence> {
    this.console.read();
    return {
      qemuStderr: await readFile(this.path(QEMU_STDERR_LOG), 'utf8').catch(() => ''),
      consoleTail: this.console.tail(SHOWN_CONSOLE_LINES),
      artifactsDir: this.options.artifactsDir,
    };
  }

  /**
   * The error to give instead of `error`, which may only be the echo of the machine's end: connections break a moment
   * before it is known why.
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
      // QEMU may hang up before it answers.
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
      this.kill(new Error(`QEMU could not be started: ${originalMessage}`));
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

/** The reason of an AbortSignal can be anything. */
function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}

/** In a session of its own: Ctrl-C in the terminal is for the runner, which then ends QEMU in good order. */
function spawnQemu([file, args]: readonly [string, string[]], stderrPath: string) {
  // execa's types take no number that is not literal.
  const stderr = openSync(stderrPath, 'w', 0o600) as 2;
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
