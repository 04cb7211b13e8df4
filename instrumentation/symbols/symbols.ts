/** The functions at addresses of ELF files: asked of addr2line in batches, and remembered. */
import { statSync } from 'node:fs';
import { addr2line, type Frame, NoAddr2lineError } from './addr2line';
import { ElfFile } from './elf';

/** An address as the linker has given it. */
export interface LinkedAddress {
  readonly elf: ElfFile;
  readonly address: bigint;
}

export class Symbols {
  private readonly files = new Map<string, { state: string; elf: ElfFile | undefined }>();
  private readonly known = new WeakMap<ElfFile, Map<bigint, readonly Frame[]>>();
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
    const batches = new Map<ElfFile, Set<bigint>>();
    for (const { elf, address } of addresses) {
      if (this.knownOf(elf).has(address)) continue;
      batches.set(elf, (batches.get(elf) ?? new Set()).add(address));
    }
    await Promise.all([...batches].map(([elf, batch]) => this.lookUp(elf, [...batch])));
  }

  /** What was prepared, innermost first; empty if nothing is known of the address. */
  framesAt({ elf, address }: LinkedAddress): readonly Frame[] {
    return this.knownOf(elf).get(address) ?? [];
  }

  private async lookUp(elf: ElfFile, addresses: readonly bigint[]): Promise<void> {
    const found = await addr2line(elf.path, addresses).catch((error: Error) => {
      if (!(error instanceof NoAddr2lineError)) throw error;
      this.withoutAddr2line = error.message;
      return [];
    });
    const known = this.knownOf(elf);
    addresses.forEach((address, index) => known.set(address, checked(elf, address, found[index])));
  }

  private knownOf(elf: ElfFile): Map<bigint, readonly Frame[]> {
    const known = this.known.get(elf) ?? new Map<bigint, readonly Frame[]>();
    this.known.set(elf, known);
    return known;
  }
}

/** Without debug information, addr2line names the nearest symbol before the address, however far away it is. */
function checked(elf: ElfFile, address: bigint, frames: readonly Frame[] = []): readonly Frame[] {
  if (frames.some(({ line }) => line !== undefined)) return frames;
  const name = elf.functionAt(address);
  return name === undefined ? [] : [{ function: frames[0]?.function ?? name }];
}
