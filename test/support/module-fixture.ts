/** For tests: the smallest file that looks like a kernel module, with a .modinfo section and nothing else. */
export function moduleFile(info: Readonly<Record<string, string>>): Buffer {
  const modinfo = Buffer.from(
    Object.entries(info)
      .map(([name, value]) => `${name}=${value}\0`)
      .join(''),
  );
  const names = Buffer.from('\0.modinfo\0.shstrtab\0');
  const sections = [
    { name: 0, data: Buffer.alloc(0) },
    { name: 1, data: modinfo },
    { name: 10, data: names },
  ];
  const header = Buffer.alloc(0x40);
  header.write('\x7fELF\x02\x01', 'latin1');
  const table: Buffer[] = [];
  let offset = header.length;
  for (const { name, data } of sections) {
    const entry = Buffer.alloc(0x40);
    entry.writeUInt32LE(name, 0x00);
    entry.writeBigUInt64LE(BigInt(offset), 0x18);
    entry.writeBigUInt64LE(BigInt(data.length), 0x20);
    table.push(entry);
    offset += data.length;
  }
  header.writeBigUInt64LE(BigInt(offset), 0x28);
  header.writeUInt16LE(0x40, 0x3a);
  header.writeUInt16LE(sections.length, 0x3c);
  header.writeUInt16LE(sections.length - 1, 0x3e);
  return Buffer.concat([header, ...sections.map(({ data }) => data), ...table]);
}
