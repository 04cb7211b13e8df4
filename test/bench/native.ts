/** The floors in C (native/): built when they are needed, run as programs or loaded as an addon. */
import { once } from 'node:events';
import { join } from 'node:path';
import { execa } from 'execa';
import { parseSamples, type Samples } from './benchmark';

const folder = join(__dirname, 'native');
const built = (name: string): string => join(folder, 'build', name);

/** Builds what is not up to date. */
export async function buildNative(): Promise<void> {
  await execa('make', ['-s', '-C', folder]);
}

export interface MemcpyFloor {
  /** Copies the longer of two buffers piece by piece, wrapping around in the shorter one; returns nanoseconds. */
  copyPieces(destination: Uint8Array, source: Uint8Array, pieceBytes: number): number;
}

export function loadMemcpyFloor(): MemcpyFloor {
  const addon = { exports: {} };
  process.dlopen(addon, built('memcpy-floor.node'));
  return addon.exports as MemcpyFloor;
}

/** A process that serves on a socket until it is disposed of. */
export interface SocketServer extends AsyncDisposable {
  readonly pid: number;
  readonly socketPath: string;
}

export const startEchoServer = (socketPath: string): Promise<SocketServer> =>
  startServer([built('echo-server'), socketPath], socketPath);

/** The least of a vfio-user server, in C: it decodes each message, and holds no card. */
export const startMinimalServer = (socketPath: string): Promise<SocketServer> =>
  startServer([built('minimal-server'), socketPath], socketPath);

/** `ghostcard serve` with a card, by its name or file, in a process of its own. */
export function startCard(card: string, socketPath: string, options: readonly string[] = []): Promise<SocketServer> {
  const cli = join(__dirname, '..', '..', 'cli', 'ghostcard.js');
  const serve = ['serve', '--card', card, '--socket', socketPath, ...options];
  return startServer([process.execPath, cli, ...serve], socketPath);
}

export const startReferenceCard = (socketPath: string, options: readonly string[] = []): Promise<SocketServer> =>
  startCard('reference', socketPath, options);

const START_TIMEOUT_MS = 30_000;

/** Resolves when the server has printed its first line, and listens. */
async function startServer([file, ...args]: [string, ...string[]], socketPath: string): Promise<SocketServer> {
  const server = execa(file, args, { buffer: false, reject: false });
  const ended = server.then(({ exitCode, originalMessage }) => {
    throw new Error(`${file} ${args.join(' ')} ended with ${exitCode ?? originalMessage} before it listened`);
  });
  const listening = once(server.stdout, 'data', { signal: AbortSignal.timeout(START_TIMEOUT_MS) });
  try {
    await Promise.race([listening, ended]);
  } catch (error) {
    server.kill('SIGKILL');
    throw error;
  }
  ended.catch(() => {});
  server.stdout.resume();
  server.stderr.resume(); // its end is only seen when all is read
  return {
    pid: server.pid!,
    socketPath,
    async [Symbol.asyncDispose]() {
      server.kill('SIGTERM');
      await server;
    },
  };
}

export type SocketPattern = 'steady' | 'bursts' | 'lone' | 'posted';

/** Times accesses to a server; `cpu` is the only processor that the client may use. Default: all. */
export async function runClient(
  server: SocketServer,
  protocol: 'vfio-user' | 'echo',
  pattern: SocketPattern,
  samples: number,
  cpu?: number,
): Promise<Samples> {
  const client = [built('mmio-client'), server.socketPath, protocol, pattern, String(samples)];
  const [file, ...args] = cpu === undefined ? client : ['taskset', '-c', String(cpu), ...client];
  const { stdout } = await execa(file!, args);
  return parseSamples(stdout, 'mmio-client');
}

/** Confines all threads of a process to these processors. */
export async function setCpus(pid: number, cpus: readonly number[]): Promise<void> {
  await execa('taskset', ['-a', '-p', '-c', cpus.join(','), String(pid)]);
}
