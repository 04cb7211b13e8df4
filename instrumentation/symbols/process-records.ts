/**
 * What guest-tools/processes reports: the kernel's records of processes, names and mappings, and its own about files and
 * modules. Layout and decoding; processes.ts has what they mean.
 *
 * Source: perf_event_open(2), "Layout of MMAP ring buffer"; guest-tools/processes/processes.c.
 */

/** How the file of a mapping is found: below the guest's root, below that of the host's files, or not any more. */
export type FileOwner = 'guest' | 'host' | 'gone';

/** The file of a mapping, as it was in the guest soon after it had been mapped. */
export interface MappedFile {
  /** As the process sees it. */
  readonly path: string;
  readonly owner: FileOwner;
  readonly sizeBytes: bigint;
  readonly modifiedNs: bigint;
}

/** Code of a file in the memory of a process. */
export interface Mapping {
  readonly start: bigint;
  readonly sizeBytes: bigint;
  readonly fileOffset: bigint;
  readonly file: MappedFile;
}

/** A kernel module that is, or was, loaded. */
export interface ModuleSections {
  readonly name: string;
  readonly buildId: string | undefined;
  /** The addresses of its sections with code. */
  readonly sections: ReadonlyMap<string, bigint>;
}

interface OfProcess {
  readonly pid: number;
  /** Of the thread. */
  readonly tid: number;
  /** On the guest's monotonic clock. */
  readonly timeNs: bigint;
}

export type ProcessRecord =
  | (OfProcess & { readonly kind: 'mapped'; readonly mapping: Mapping })
  | (OfProcess & { readonly kind: 'named'; readonly name: string; readonly isExec: boolean })
  | (OfProcess & { readonly kind: 'forked'; readonly parent: number })
  | (OfProcess & { readonly kind: 'ended' })
  | { readonly kind: 'lost'; readonly count: bigint }
  | { readonly kind: 'module'; readonly module: ModuleSections }
  | { readonly kind: 'reported'; readonly untilNs: bigint; readonly answers: number };

/** PERF_RECORD_*, and RECORD_* of processes.c. */
const TYPE = { lost: 2, comm: 3, exit: 4, fork: 7, mmap2: 10, end: 64, file: 65, module: 66 } as const;
const HEADER_BYTES = 8;
/** After every record of the kernel's: the time, as sample_id_all and PERF_SAMPLE_TIME ask for it. */
const TIME_BYTES = 8;
const MISC_COMM_EXEC = 1 << 13;
const OWNERS: readonly FileOwner[] = ['gone', 'guest', 'host'];

/** Decodes the stream, which arrives in pieces of any size. */
export class ProcessRecordDecoder {
  private rest: Buffer = Buffer.alloc(0);
  /** The file of the next mapping. */
  private file: Omit<MappedFile, 'path'> | undefined;

  /** @throws Error if this is no such stream */
  *decode(chunk: Uint8Array): Iterable<ProcessRecord> {
    let bytes = Buffer.concat([this.rest, chunk]);
    while (bytes.length >= HEADER_BYTES) {
      const size = bytes.readUInt16LE(6);
      if (size < HEADER_BYTES) throw new Error(`the guest reported a record of ${size} bytes about its processes`);
      if (bytes.length < size) break;
      const record = this.record(bytes.readUInt32LE(0), bytes.readUInt16LE(4), bytes.subarray(HEADER_BYTES, size));
      if (record !== undefined) yield record;
      bytes = bytes.subarray(size);
    }
    this.rest = bytes;
  }

  private record(type: number, misc: number, body: Buffer): ProcessRecord | undefined {
    switch (type) {
      case TYPE.lost:
        return { kind: 'lost', count: body.readBigUInt64LE(8) };
      case TYPE.comm:
        return { kind: 'named', ...ofProcess(body, 0), name: text(body, 8), isExec: (misc & MISC_COMM_EXEC) !== 0 };
      case TYPE.fork:
        return { kind: 'forked', ...ofProcess(body, 0, 8), parent: body.readUInt32LE(4) };
      case TYPE.exit:
        return { kind: 'ended', ...ofProcess(body, 0, 8) };
      case TYPE.mmap2:
        return this.mapped(body);
      case TYPE.end:
        return { kind: 'reported', untilNs: body.readBigUInt64LE(0), answers: Number(body.readBigUInt64LE(8)) };
      case TYPE.file:
        this.file = {
          owner: OWNERS[Number(body.readBigUInt64LE(0))] ?? 'gone',
          sizeBytes: body.readBigUInt64LE(8),
          modifiedNs: body.readBigInt64LE(16),
        };
        return undefined;
      case TYPE.module:
        return { kind: 'module', module: moduleOf(body.toString('latin1')) };
      default: // kinds that are of no use here
        return undefined;
    }
  }

  private mapped(body: Buffer): ProcessRecord | undefined {
    const { file } = this;
    this.file = undefined;
    if (file === undefined) return undefined;
    const mapping = {
      start: body.readBigUInt64LE(8),
      sizeBytes: body.readBigUInt64LE(16),
      fileOffset: body.readBigUInt64LE(24),
      file: { ...file, path: text(body, 64) },
    };
    return { kind: 'mapped', ...ofProcess(body, 0), mapping };
  }
}

const ofProcess = (body: Buffer, pidAt: number, tidAt = 4): OfProcess => ({
  pid: body.readUInt32LE(pidAt),
  tid: body.readUInt32LE(tidAt),
  timeNs: body.readBigUInt64LE(body.length - TIME_BYTES),
});

function text(body: Buffer, at: number): string {
  const end = body.indexOf(0, at);
  return body.toString('utf8', at, end === -1 ? body.length - TIME_BYTES : end);
}

function moduleOf(report: string): ModuleSections {
  const [name = '', buildId, ...sections] = report.split('\n');
  const addresses = sections.map((line) => line.split(' ') as [string, string]);
  return {
    name,
    buildId: buildId === '-' ? undefined : buildId,
    sections: new Map(addresses.map(([section, address]) => [section, BigInt(address)])),
  };
}
