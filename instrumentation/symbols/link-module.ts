/**
 * A kernel module as the kernel has loaded it: its sections at their addresses, and its debug information with them. The
 * file that it is loaded from is an object file, in which the linker has not filled in addresses; addr2line does that
 * only for its own architecture.
 *
 * Source: elf(5); ELF for the Arm 64-bit Architecture, "Static AArch64 relocations"; System V ABI for AMD64,
 * "Relocation Types".
 */
import { entries, HEADER_BYTES, SECTION_BYTES, SHT_SYMTAB, SYMBOL_BYTES } from './elf';

const ET_REL = 1;
const ET_EXEC = 2;
const SHT_RELA = 4;
const SHF_COMPRESSED = 0x800n;
const RELOCATION_BYTES = 24;
/** By machine and kind of relocation: the bytes of an absolute address. */
const ABSOLUTE: Readonly<Record<number, Readonly<Record<number, 4 | 8>>>> = {
  62: { 1: 8, 10: 4 }, // R_X86_64_64, R_X86_64_32
  183: { 257: 8, 258: 4 }, // R_AARCH64_ABS64, R_AARCH64_ABS32
};

/** `addresses` are those of sections, by name. Another file than a module is returned as it is. */
export function linkModule(file: Uint8Array, addresses: ReadonlyMap<string, bigint>): Buffer {
  const elf = Buffer.from(file);
  if (elf.length < HEADER_BYTES || elf.readUInt16LE(0x10) !== ET_REL) return elf;
  elf.writeUInt16LE(ET_EXEC, 0x10);
  const widths = ABSOLUTE[elf.readUInt16LE(0x12)] ?? {};
  const table = Number(elf.readBigUInt64LE(0x28));
  const sections = Array.from({ length: elf.readUInt16LE(0x3c) }, (_, index) =>
    elf.subarray(table + index * SECTION_BYTES, table + (index + 1) * SECTION_BYTES),
  );
  const contents = (section: Buffer): Buffer => {
    const at = Number(section.readBigUInt64LE(0x18));
    return elf.subarray(at, at + Number(section.readBigUInt64LE(0x20)));
  };
  const names = contents(sections[elf.readUInt16LE(0x3e)]!);
  const nameOf = (section: Buffer): string => {
    const at = section.readUInt32LE(0);
    return names.toString('latin1', at, names.indexOf(0, at));
  };
  const ofType = (type: number): Buffer[] => sections.filter((each) => each.readUInt32LE(4) === type);

  for (const section of sections) section.writeBigUInt64LE(addresses.get(nameOf(section)) ?? 0n, 0x10);
  for (const symbol of ofType(SHT_SYMTAB).flatMap((each) => entries(contents(each), SYMBOL_BYTES))) {
    const address = sections[symbol.readUInt16LE(6)]?.readBigUInt64LE(0x10) ?? 0n;
    symbol.writeBigUInt64LE(symbol.readBigUInt64LE(8) + address, 8);
  }
  for (const relocations of ofType(SHT_RELA)) {
    const target = sections[relocations.readUInt32LE(0x2c)]!;
    const isCompressed = (target.readBigUInt64LE(8) & SHF_COMPRESSED) !== 0n;
    if (!nameOf(target).startsWith('.debug_') || isCompressed) continue;
    const symbols = entries(contents(sections[relocations.readUInt32LE(0x28)]!), SYMBOL_BYTES);
    const bytes = contents(target);
    for (const relocation of entries(contents(relocations), RELOCATION_BYTES)) {
      const symbol = symbols[relocation.readUInt32LE(12)];
      const width = widths[relocation.readUInt32LE(8)];
      if (symbol === undefined || width === undefined) continue;
      const value = BigInt.asUintN(width * 8, symbol.readBigUInt64LE(8) + relocation.readBigInt64LE(16));
      const at = Number(relocation.readBigUInt64LE(0));
      if (width === 8) bytes.writeBigUInt64LE(value, at);
      else bytes.writeUInt32LE(Number(value), at);
    }
  }
  return elf;
}
