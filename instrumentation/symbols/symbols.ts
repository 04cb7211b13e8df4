/** The functions at addresses of ELF files: asked of addr2line in batches, and remembered. */
import { statSync } from 'node:fs';
import { addr2line, type Frame, NoAddr2lineError } from './addr2line';
import { ElfFile } from './elf';

/** An address as the linker has given it, or, of an object file, an offset into a section. */
export interface LinkedAddress {
  readonly elf: ElfFile;
  readonly section?: string;
  readonly address: bigint;
}

export class Symbols {
  private readonly files = new Map<string, { state: string; elf: ElfFile | undefined }>();
  private readonly known = new WeakMap<ElfFile, Map<string, readonly Frame[]>>();
  /** Said once: why there are names of functions only. */
  private withoutAddr2line: string | undefined;

  /** Opens a file, again if it has changed. Undefined if it is no ELF file of a 64-bit machine. */
  open(path: string): ElfFile | undefined {
    const { size, mtimeMs } = statSync(path);
    const state = `${size} ${mtimeMs}`;
    const last = this.files.get(path);
    if (last?.state === state) return last.elf;
    const elf = ElfFile.open(path);
    this.files.set(path, { state, elf });
    return elf;
  }

  /** Why addr2line could not be used, if it could not. */
  get problem(): string | undefined {
    return this.withoutAddr2line;
  }

  /** Looks up many at once, with one process for each file. */
  async prepare(addresses: readonly LinkedAddress[]): Promise<void> {
    const batches = new Map<string, LinkedAddress[]>();
    for (const each of addresses) {
      if (this.knownOf(each.elf).has(keyOf(each))) continue;
      const key = `${each.elf.path}\0${each.section ?? ''}`;
      batches.set(key, [...(batches.get(key) ?? []), each]);
    }
    await Promise.all([...batches.values()].map((batch) => this.lookUp(batch)));
  }

  /** What was prepared, innermost first; empty if nothing is known of the address. */
  framesAt(address: LinkedAddress): readonly Frame[] {
    return this.knownOf(address.elf).get(keyOf(address)) ?? [];
  }

  private async lookUp(batch: readonly LinkedAddress[]): Promise<void> {
    const { elf, section } = batch[0]!;
    const found = await addr2line(
      elf.path,
      batch.map(({ address }) => address),
      section,
    ).catch((error: Error) => {
      if (!(error instanceof NoAddr2lineError)) throw error;
      this.withoutAddr2line = error.message;
      return [];
    });
    batch.forEach((each, index) => this.knownOf(elf).set(keyOf(each), checked(each, found[index])));
  }

  private knownOf(elf: ElfFile): Map<string, readonly Frame[]> {
    const known = this.known.get(elf) ?? new Map<string, readonly Frame[]>();
    this.known.set(elf, known);
    return known;
  }
}

const keyOf = ({ section = '', address }: LinkedAddress): string => `${section} ${address}`;

/** Without debug information, addr2line names the nearest symbol before the address, however far away it is. */
function checked({ elf, section, address }: LinkedAddress, frames: readonly Frame[] = []): readonly Frame[] {
  if (frames.some(({ line }) => line !== undefined)) return frames;
  const name = elf.functionAt(address, section);
  return name === undefined ? [] : [{ function: frames[0]?.function ?? name }];
}
