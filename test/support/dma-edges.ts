/**
 * The arithmetic edges of host memory, as a table: what is mapped, every access at and across its borders and at the ends
 * of 64 bits, and what each must do by exact arithmetic. `expectExact` holds a port to it.
 */
import { expect } from 'vitest';
import { DmaError, type DmaErrorReason, type DmaPort } from '../../emulator/memory';

interface EdgeMapping {
  readonly iova: bigint;
  readonly sizeBytes: bigint;
  readonly writable: boolean;
  /** Where its bytes lie in the memory; between the mappings are bytes that are nobody's. */
  readonly offset: number;
}

const GUARD_BYTES = 4096;
const K = 4096n;
const at = (iova: bigint, pages: bigint, writable = true) => ({ iova, sizeBytes: pages * K, writable });

/** In no order of addresses, so that neighbours in the memory are none on the bus. */
export const MAPPINGS: readonly EdgeMapping[] = [
  at((1n << 53n) - K, 1n), // the last that can be mapped
  at(0n, 1n),
  at(1n << 32n, 2n), // touches the next
  at((1n << 32n) - 2n * K, 2n),
  at(K, 2n), // touches the one at 0, and a read-only one
  at(3n * K, 1n, false),
  at(5n * K, 1n), // after a hole of a page
  at((1n << 31n) - K, 2n), // across 2^31
].reduce<EdgeMapping[]>((done, mapping) => {
  const last = done.at(-1);
  const offset = last ? last.offset + Number(last.sizeBytes) + GUARD_BYTES : GUARD_BYTES;
  return [...done, { ...mapping, offset }];
}, []);

const LAST = MAPPINGS.at(-1)!;
export const MEMORY_BYTES = LAST.offset + Number(LAST.sizeBytes) + GUARD_BYTES;

const BORDERS = MAPPINGS.flatMap(({ iova, sizeBytes }) => [iova, iova + sizeBytes]);
/** As exact as a number is: above 2^53 a card's address is rounded, and nothing is mapped there. */
const EXTREMES = [1n << 53n, 1n << 63n, (1n << 64n) - K, (1n << 64n) - 1n, 1n << 64n];
const ADDRESSES = [
  ...BORDERS.flatMap((border) => [-4096n, -9n, -8n, -4n, -1n, 0n, 1n, 4n, 8n].map((by) => border + by)),
  ...EXTREMES,
].filter((address) => address >= 0n);
const SIZES = [0, 1, 4, 8, 4095, 4096, 4097, 8192, 3 * 4096, 65536];

type Access = 'read' | 'write' | 'write32' | 'write64';
export interface Edge {
  readonly access: Access;
  readonly iova: number;
  readonly sizeBytes: number;
}

export const EDGES: readonly Edge[] = [...new Set(ADDRESSES.map(Number))].flatMap((iova) => [
  ...SIZES.flatMap((sizeBytes) => (['read', 'write'] as const).map((access) => ({ access, iova, sizeBytes }))),
  ...(iova % 4 === 0 ? [{ access: 'write32' as const, iova, sizeBytes: 4 }] : []),
  ...(iova % 8 === 0 ? [{ access: 'write64' as const, iova, sizeBytes: 8 }] : []),
]);

/** Byte by byte: where each lies in the memory; or why the access is refused. The first byte counts also without any. */
function reached({ access, iova, sizeBytes }: Edge): number[] | DmaErrorReason {
  const offsets: number[] = [];
  for (let done = 0n; done < BigInt(Math.max(sizeBytes, 1));) {
    const address = BigInt(iova) + done;
    const holder = MAPPINGS.find((each) => address >= each.iova && address < each.iova + each.sizeBytes);
    if (holder === undefined) return 'unmapped';
    if (access !== 'read' && !holder.writable) return 'not-writable';
    for (let byte = address - holder.iova; byte < holder.sizeBytes && done < BigInt(sizeBytes || 1); byte++, done++)
      offsets.push(holder.offset + Number(byte));
  }
  return offsets.slice(0, sizeBytes);
}

const pattern = (index: number): number => ((index * 7 + (index >> 8) * 13) & 0x7f) + 1;

/**
 * Makes every access of the table. Each that all of is mapped moves exactly its bytes; any other is refused and moves
 * none. `memory` has the bytes of all mappings, and those in between.
 */
export async function expectExact(port: DmaPort, memory: Uint8Array): Promise<void> {
  const before = Uint8Array.from({ length: MEMORY_BYTES }, (_, index) => pattern(index));
  memory.set(before);
  const data = Uint8Array.from({ length: Math.max(...SIZES) }, (_, index) => 0x80 | (index & 0x7f));
  for (const edge of EDGES) {
    const { access, iova, sizeBytes } = edge;
    const said = `${access} of ${sizeBytes} bytes at 0x${BigInt(iova).toString(16)}`;
    const bytes = access === 'read' ? new Uint8Array(sizeBytes) : data.slice(0, sizeBytes);
    const outcome = await attempt(port, edge, bytes);
    const expected = reached(edge);
    if (typeof expected === 'string') {
      expect(outcome, said).toBe(expected);
      if (access === 'read')
        expect(
          bytes.some((byte) => byte !== 0),
          said,
        ).toBe(false);
    } else {
      expect(outcome, said).toBe('done');
      const seen = expected.map((offset) => memory[offset]);
      expect(Buffer.from(bytes).equals(Buffer.from(seen as number[])), said).toBe(true);
      if (access !== 'read') for (const offset of expected) memory[offset] = before[offset]!;
    }
    expect(Buffer.compare(memory, before), `${said}: bytes beside it`).toBe(0);
  }
}

async function attempt(port: DmaPort, { access, iova }: Edge, bytes: Uint8Array): Promise<string> {
  const view = new DataView(bytes.buffer);
  try {
    if (access === 'read') await port.read(iova, bytes).promise();
    else if (access === 'write') await port.write(iova, bytes).promise();
    else if (access === 'write32') await port.write32(iova, view.getUint32(0, true)).promise();
    else await port.write64(iova, view.getBigUint64(0, true)).promise();
    return 'done';
  } catch (error) {
    if (error instanceof DmaError) return error.reason;
    throw error;
  }
}

/** Memory behind messages: what it is asked for beyond the mappings is an error of the test. */
export function answering(memory: Uint8Array) {
  const part = (iova: bigint, sizeBytes: number): Uint8Array => {
    const holder = MAPPINGS.find((each) => iova >= each.iova && iova + BigInt(sizeBytes) <= each.iova + each.sizeBytes);
    if (holder === undefined) throw new Error(`a message about ${sizeBytes} bytes at 0x${iova.toString(16)}`);
    return memory.subarray(holder.offset + Number(iova - holder.iova)).subarray(0, sizeBytes);
  };
  return {
    read: (iova: bigint, sizeBytes: number) => part(iova, sizeBytes).slice(),
    write: (iova: bigint, bytes: Uint8Array) => (part(iova, bytes.length).set(bytes), 0),
  };
}
