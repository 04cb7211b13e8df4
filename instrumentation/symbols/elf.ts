/**
 * Reads what naming an address needs of an ELF file: where its parts are linked to, its build id, and its functions. Only
 * the parts that are needed are read, since programs may be large.
 *
 * Source: elf(5).
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';

/** A part of the file that is loaded: PT_LOAD. */
interface Segment {
  readonly fileOffset: bigint;
  readonly fileSize: bigint;
  readonly address: bigint;
}

export interface Section {
  readonly name: string;
  readonly type: number;
  readonly address: bigint;
  readonly fileOffset: bigint;
  readonly sizeBytes: bigint;
  readonly link: number;
}

interface FunctionSymbol {
  readonly name: string;
  readonly address: bigint;
  readonly sizeBytes: bigint;
}

const ELF64_LITTLE_ENDIAN = Buffer.from('\x7fELF\x02\x01', 'latin1');
export const HEADER_BYTES = 64;
export const SECTION_BYTES = 64;
const SEGMENT_BYTES = 56;
export const SYMBOL_BYTES = 24;
const PT_LOAD = 1;
export const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const SHT_DYNSYM = 11;
const STT_FUNC = 2;
const STT_GNU_IFUNC = 10;
const BUILD_ID_SECTION = '.note.gnu.build-id';
/** In the note: the lengths of name and contents, its type, and the name "GNU\0". */
const NOTE_HEADER_BYTES = 16;

export class ElfFile {
  private functions: readonly FunctionSymbol[] | undefined;

  private constructor(
    readonly path: string,
    private readonly segments: readonly Segment[],
    readonly sections: readonly Section[],
    /** In hexadecimal; undefined if the linker was not asked for one. */
    readonly buildId: string | undefined,
  ) {}

  /** Undefined if the file is none that a 64-bit little-endian machine runs. @throws Error if it cannot be read */
  static open(path: string): ElfFile | undefined {
    return reading(path, (read) => {
      const header = read(0n, HEADER_BYTES);
      if (header.length < HEADER_BYTES || !header.subarray(0, 6).equals(ELF64_LITTLE_ENDIAN)) return undefined;
      const table = (offset: number, entryBytes: number, count: number): Buffer[] =>
        entries(read(header.readBigUInt64LE(offset), entryBytes * count), entryBytes);
      const segments = table(0x20, SEGMENT_BYTES, header.readUInt16LE(0x38))
        .filter((entry) => entry.readUInt32LE(0) === PT_LOAD)
        .map((entry) => ({
          fileOffset: entry.readBigUInt64LE(0x08),
          address: entry.readBigUInt64LE(0x10),
          fileSize: entry.readBigUInt64LE(0x20),
        }));
      const unnamed = table(0x28, SECTION_BYTES, header.readUInt16LE(0x3c)).map((entry) => ({
        nameOffset: entry.readUInt32LE(0),
        type: entry.readUInt32LE(0x04),
        address: entry.readBigUInt64LE(0x10),
        fileOffset: entry.readBigUInt64LE(0x18),
        sizeBytes: entry.readBigUInt64LE(0x20),
        link: entry.readUInt32LE(0x28),
      }));
      const nameTable = unnamed[header.readUInt16LE(0x3e)];
      const names = nameTable ? contents(read, nameTable) : Buffer.alloc(0);
      const sections = unnamed.map(({ nameOffset, ...section }) => ({ ...section, name: textAt(names, nameOffset) }));
      const note = sections.find(({ name }) => name === BUILD_ID_SECTION);
      const buildId = note && contents(read, note).subarray(NOTE_HEADER_BYTES).toString('hex');
      return new ElfFile(path, segments, sections, buildId);
    });
  }

  section(name: string): Section | undefined {
    return this.sections.find((each) => each.name === name);
  }

  /** The address that the linker has given to a byte of the file; undefined if the byte is not loaded. */
  linkAddressOf(fileOffset: bigint): bigint | undefined {
    const segment = this.segments.find(
      (each) => each.fileOffset <= fileOffset && fileOffset < each.fileOffset + each.fileSize,
    );
    return segment && fileOffset - segment.fileOffset + segment.address;
  }

  /** The name of the function at an address. Undefined where the file's symbols have none, as in a stripped program. */
  functionAt(address: bigint): string | undefined {
    this.functions ??= this.readFunctions();
    return this.functions.find((each) => each.address <= address && address < each.address + each.sizeBytes)?.name;
  }

  private readFunctions(): FunctionSymbol[] {
    return reading(this.path, (read) =>
      this.sections
        .filter(({ type }) => type === SHT_SYMTAB || type === SHT_DYNSYM)
        .flatMap((table) => {
          const nameTable = this.sections[table.link];
          const names = nameTable ? contents(read, nameTable) : Buffer.alloc(0);
          const found: FunctionSymbol[] = [];
          for (const symbol of entries(contents(read, table), SYMBOL_BYTES)) {
            const type = symbol[4]! & 0xf;
            const section = symbol.readUInt16LE(6);
            if ((type !== STT_FUNC && type !== STT_GNU_IFUNC) || section === 0) continue;
            found.push({
              name: textAt(names, symbol.readUInt32LE(0)),
              address: symbol.readBigUInt64LE(8),
              sizeBytes: symbol.readBigUInt64LE(16),
            });
          }
          return found;
        }),
    );
  }
}

/** The entries of a table, all of one size. */
export const entries = (table: Buffer, sizeBytes: number): Buffer[] =>
  Array.from({ length: Math.floor(table.length / sizeBytes) }, (_, index) =>
    table.subarray(index * sizeBytes, (index + 1) * sizeBytes),
  );

type Read = (offset: bigint, sizeBytes: number) => Buffer;

function reading<T>(path: string, work: (read: Read) => T): T {
  const file = openSync(path, 'r');
  try {
    const fileBytes = fstatSync(file).size;
    return work((offset, sizeBytes) => {
      const bytes = Buffer.alloc(Math.max(0, Math.min(sizeBytes, fileBytes - Number(offset))));
      return bytes.subarray(0, readSync(file, bytes, { position: offset }));
    });
  } finally {
    closeSync(file);
  }
}

/** Debug files have the headers of all sections, but not their contents. */
const contents = (read: Read, { type, fileOffset, sizeBytes }: Omit<Section, 'name'>): Buffer =>
  type === SHT_NOBITS ? Buffer.alloc(0) : read(fileOffset, Number(sizeBytes));

const textAt = (table: Buffer, offset: number): string => {
  const end = table.indexOf(0, offset);
  return table.toString('latin1', offset, end === -1 ? table.length : end);
};
