/**
 * Compression of packs, by the end of their names: .tar.zst, .tar.gz or .tar.
 *
 * Source: RFC 8878 (Zstandard), RFC 1952 (gzip).
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Duplex, PassThrough, Transform, type TransformCallback } from 'node:stream';
import * as zlib from 'node:zlib';
import { Decompress } from 'fzstd';
import { ProvisionError } from '../basis/errors';
import { findTool } from '../basis/tools';

export const PACK_NAMES = '.tar.zst, .tar.gz or .tar';

/** What makes a stream that compresses. @throws ProvisionError if the name does not say how, or nothing here can */
export function compressionOf(file: string): () => Duplex {
  if (file.endsWith('.tar')) return () => new PassThrough();
  if (file.endsWith('.tar.gz')) return () => zlib.createGzip();
  const attempted = `writing the pack ${file}`;
  if (!file.endsWith('.tar.zst')) {
    throw new ProvisionError({
      attempted,
      seen: `its name does not end in ${PACK_NAMES}`,
      cure: 'give it such a name',
    });
  }
  // Node has Zstandard since 22.15.
  const { createZstdCompress } = zlib as { createZstdCompress?: () => Duplex };
  if (createZstdCompress !== undefined) return createZstdCompress;
  const program = findTool('zstd');
  if (program !== undefined) return () => throughProgram(program, ['--quiet', '--stdout']);
  throw new ProvisionError({
    attempted,
    seen: `Node ${process.version} has no Zstandard, and there is no program zstd on PATH`,
    cure: 'apt-get install zstd, or use Node 22.15 or newer, or give it a name that ends in .tar.gz',
  });
}

/** By the first bytes of the file: a stream that decompresses it. */
export function decompressor(start: Buffer): Duplex {
  if (start.subarray(0, 4).equals(Buffer.of(0x28, 0xb5, 0x2f, 0xfd))) return new ZstdDecompress();
  return start.subarray(0, 2).equals(Buffer.of(0x1f, 0x8b)) ? zlib.createGunzip() : new PassThrough();
}

/** Also for versions of Node without Zstandard, on machines without its program. */
class ZstdDecompress extends Transform {
  readonly #decompress = new Decompress((chunk) => void this.push(chunk));

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    this.#push(done, chunk);
  }

  override _flush(done: TransformCallback): void {
    this.#push(done, new Uint8Array(0), true);
  }

  #push(done: TransformCallback, chunk: Uint8Array, isLast = false): void {
    try {
      this.#decompress.push(chunk, isLast);
      done();
    } catch (error) {
      done(error as Error);
    }
  }
}

function throughProgram(program: string, args: readonly string[]): Duplex {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close');
  return Duplex.from({
    writable: child.stdin,
    readable: (async function* () {
      yield* child.stdout;
      const [exitCode] = (await ended) as [number | null];
      if (exitCode !== 0) throw new Error(`${program} ended with exit code ${exitCode ?? 'none'}`);
    })(),
  });
}
