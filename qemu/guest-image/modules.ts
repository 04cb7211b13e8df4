/**
 * Kernel modules: reads the information in a module file, finds the files that a list of modules needs, and writes the
 * modules.dep file that modprobe reads. depmod is not needed, since `modulesDep` writes these few lines.
 *
 * Source: the System V ABI (ELF section headers); Linux include/linux/moduleinfo (the .modinfo section is a list of
 * NUL-terminated name=value strings); modules.dep(5).
 */
export interface KernelModule {
  /** The kernel's name for it, with underscores. */
  readonly name: string;
  /** File name, or path below the folder of modules. In the image without compression suffix. */
  readonly fileName: string;
  /** Names of the modules whose symbols it uses. */
  readonly depends: readonly string[];
  /** Other names that modprobe finds it by: 'fs-ext4'. Without the patterns for devices, which need a udev. */
  readonly aliases?: readonly string[];
}

const SECTION_HEADER = { name: 0x00, offset: 0x18, size: 0x20 } as const;

/** The name=value strings of a module's .modinfo section. A name can occur several times. */
export function modinfo(elf: Buffer): [name: string, value: string][] {
  const section = elfSection(elf, '.modinfo');
  if (section === undefined) return [];
  return section
    .toString('latin1')
    .split('\0')
    .filter((line) => line.includes('='))
    .map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]);
}

/** A section's bytes in a 64-bit little-endian ELF file. */
function elfSection(elf: Buffer, wanted: string): Buffer | undefined {
  if (elf.length < 0x40 || elf.toString('latin1', 0, 6) !== '\x7fELF\x02\x01') return undefined;
  const table = Number(elf.readBigUInt64LE(0x28));
  const entrySize = elf.readUInt16LE(0x3a);
  const header = (index: number): Buffer => elf.subarray(table + index * entrySize, table + (index + 1) * entrySize);
  const contents = (of: Buffer): Buffer => {
    const offset = Number(of.readBigUInt64LE(SECTION_HEADER.offset));
    return elf.subarray(offset, offset + Number(of.readBigUInt64LE(SECTION_HEADER.size)));
  };
  const count = elf.readUInt16LE(0x3c);
  if (table + count * entrySize > elf.length) return undefined;
  const names = contents(header(elf.readUInt16LE(0x3e)));
  for (let index = 0; index < count; index += 1) {
    const start = header(index).readUInt32LE(SECTION_HEADER.name);
    if (names.toString('latin1', start, names.indexOf(0, start)) === wanted) return contents(header(index));
  }
  return undefined;
}

/** The kernel's name for the module in a file: without folder and suffix, with dashes replaced by underscores. */
export function moduleName(fileName: string): string {
  return fileName
    .slice(fileName.lastIndexOf('/') + 1)
    .replace(/\.ko(\.\w+)?$/, '')
    .replaceAll('-', '_');
}

export function describeModule(fileName: string, elf: Buffer): KernelModule {
  const info = modinfo(elf);
  const depends = info.find(([name]) => name === 'depends')?.[1] ?? '';
  const aliases = info.filter(([name, value]) => name === 'alias' && isName(value)).map(([, value]) => value);
  return {
    name: moduleName(fileName),
    fileName,
    depends: depends === '' ? [] : depends.split(',').map(moduleName),
    ...(aliases.length > 0 && { aliases }),
  };
}

const isName = (alias: string): boolean => !/[*?[]/.test(alias);

/** The modules that depmod's lists describe: the texts of modules.dep and modules.alias. */
export function parseModulesDep(dep: string, alias: string): KernelModule[] {
  const aliases = new Map<string, string[]>();
  for (const [, name, module] of alias.matchAll(/^alias (\S+) (\S+)$/gm)) {
    if (!isName(name!)) continue;
    const key = moduleName(module!);
    aliases.set(key, [...(aliases.get(key) ?? []), name!]);
  }
  return [...dep.matchAll(/^(\S+?):(.*)$/gm)].map(([, fileName, depends]) => {
    const name = moduleName(fileName!);
    const own = aliases.get(name);
    const needed = depends!.split(' ').filter(Boolean).map(moduleName);
    return { name, fileName: fileName!, depends: needed, ...(own && { aliases: own }) };
  });
}

/** The modules in `wanted` with all their dependencies, each after its dependencies. */
export function loadOrder(wanted: readonly string[], find: (name: string) => KernelModule | undefined): KernelModule[] {
  const order = new Map<string, KernelModule>();
  const visit = (name: string): void => {
    const module = order.has(name) ? undefined : find(name);
    if (module === undefined) return;
    module.depends.forEach(visit);
    order.set(name, module);
  };
  wanted.map(moduleName).forEach(visit);
  return [...order.values()];
}

/** The lines of modules.dep by module, for modules below one folder: each with all its dependencies, the nearest first. */
export function modulesDepLines(modules: readonly KernelModule[]): Map<string, string> {
  const byName = new Map(modules.map((module) => [module.name, module]));
  const line = ({ fileName, depends }: KernelModule): string => {
    const needed = loadOrder(depends, (name) => byName.get(name)).reverse();
    return [`${fileName}:`, ...needed.map((module) => module.fileName)].join(' ');
  };
  return new Map(modules.map((module) => [module.name, line(module)]));
}

/** The text of modules.dep. */
export function modulesDep(modules: readonly KernelModule[]): string {
  return [...modulesDepLines(modules).values()].map((line) => `${line}\n`).join('');
}
