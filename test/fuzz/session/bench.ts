/**
 * The reference card, served as `ghostcard serve` serves it, and clients at its socket: one that does what it is told,
 * and a good one.
 */
import { closeSync, ftruncateSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ReferenceCard } from '../../../emulator/cards/reference';
import { loadNative } from '../../../emulator/native';
import { type ServerEvent } from '../../../emulator/vfio-user';
import { describeEvent } from '../../../emulator/vfio-user/events';
import { ServedCard } from '../../../instrumentation/served-card';
import { type DescriptorName, MEMORY_BYTES, SHRINKING_BYTES } from './step';

export const native = loadNative();
/** How the memory of clients is called in /proc/self/maps. */
const MEMORY_NAME = 'memory of a fuzzed client';

export class Bench implements AsyncDisposable {
  /** Since the last `takeEvents`. */
  #events: ServerEvent[] = [];
  /** The memory of clients, as they see it. */
  readonly memory: Uint8Array;
  readonly #mapped: ArrayBuffer;

  private constructor(
    private readonly folder: string,
    readonly descriptors: Readonly<Record<DescriptorName, number>>,
  ) {
    this.#mapped = native.map(descriptors.memory, 0, MEMORY_BYTES, true);
    this.memory = new Uint8Array(this.#mapped);
  }

  served!: ServedCard<ReferenceCard>;

  static async start(): Promise<Bench> {
    const folder = mkdtempSync(join(tmpdir(), 'ghostcard-fuzz-'));
    const file = join(folder, 'file');
    const shrinking = openSync(file, 'w+');
    ftruncateSync(shrinking, SHRINKING_BYTES);
    const [socket, otherEnd] = native.socketpair();
    native.close(otherEnd);
    const bench = new Bench(folder, {
      'memory': native.memfdCreate(MEMORY_NAME, MEMORY_BYTES),
      'eventfd': native.eventfd(),
      'sparse memory': native.memfdCreate(MEMORY_NAME, 2 ** 40),
      'read-only file': openSync(file, 'r'),
      'file that shrinks': shrinking,
      'timerfd': native.timerfd(),
      'socket': socket,
      'device': openSync('/dev/null', 'r+'),
      'folder': openSync(folder, 'r'),
    });
    bench.served = await ServedCard.start((environment) => new ReferenceCard({ ...environment, mapMemory: true }), {
      socketPath: join(folder, 'card'),
      onEvent: (event) => bench.#events.push(event),
      onNotice: () => {},
    });
    return bench;
  }

  get socketPath(): string {
    return this.served.socketPath;
  }

  takeEvents(): ServerEvent[] {
    return this.#events.splice(0);
  }

  /** What the server has said of itself that no client may cause. */
  troubleIn(events: readonly ServerEvent[]): string | undefined {
    const trouble = events.find(({ kind }) => kind === 'device-error' || kind === 'server-error');
    if (trouble) return describeEvent(trouble);
    const silent = events.find((event) => event.kind === 'refused' && (event.message === '' || event.errno <= 0));
    return silent && `a refusal without a reason: ${describeEvent(silent)}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.served.close();
    native.unmap(this.#mapped);
    for (const fd of Object.values(this.descriptors)) closeSync(fd);
    rmSync(this.folder, { recursive: true });
  }
}

/** What this process holds that a client could make it keep. */
export interface Holdings {
  readonly descriptors: number;
  /** Of memory of clients. */
  readonly mappings: number;
}

export function holdings(): Holdings {
  const maps = readFileSync('/proc/self/maps', 'latin1');
  const isClients = (line: string): boolean => line.includes(MEMORY_NAME) || line.includes('/ghostcard-fuzz-');
  return {
    descriptors: readdirSync('/proc/self/fd').length,
    mappings: maps.split('\n').filter(isClients).length,
  };
}
