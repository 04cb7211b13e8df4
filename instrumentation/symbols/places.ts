/**
 * Places in programs and in the kernel: from an address that a processor of the guest was at to the function, file and line.
 *
 * In a program, the address is looked up in the mappings of its process, which gives a file and an offset into it; in a
 * kernel module, in its sections. The file's symbols have the rest. What is not known is left out: a place always has its
 * process, if it is known, and its address.
 */
import { type Frame } from './addr2line';
import { isAccessor } from './accessors';
import { type KernelSymbols } from './kernel-symbols';
import { type Mapping, type ModuleSections } from './process-records';
import { type Processes } from './processes';
import { type LinkedAddress, Symbols } from './symbols';

/** An address of code in the guest, and who was there. */
export interface CodeAddress {
  /** Of the process or of a thread of it. */
  readonly pid: number;
  readonly pc: bigint;
  readonly isKernel: boolean;
  /** Where the function at `pc` returns to. It is used if that is a function that accesses registers for others. */
  readonly returnAddress?: bigint;
}

export interface Place extends Frame {
  /** Undefined if nothing is known of the process. */
  readonly process?: { readonly pid: number; readonly name: string };
  /** The module of a place in a kernel module; 'kernel' of one in the kernel itself. */
  readonly module?: string;
  /**
   * "/usr/bin/x+0x1234", with the address as addr2line takes it; "driver.ko .text+0x34", "kernel iowrite32+0x4". An
   * address in the guest's memory where the file is not known.
   */
  readonly address: string;
  /** The functions that the function is inlined into, innermost first. */
  readonly inlinedInto: readonly Frame[];
  /** Why function or line is not known, where there is something to do about it. */
  readonly note?: string;
}

/** A file on this machine, or why there is none. */
export type FoundFile = { readonly hostPath: string } | { readonly problem: string };

/** What is known of the guest. */
export interface GuestCode {
  readonly processes: Processes;
  /** Brings `processes` up to date. */
  update(): Promise<void>;
  /** The file that was mapped in the guest: unchanged, or not at all. */
  fileOf(mapping: Mapping): Promise<FoundFile>;
  /** The file that the module was loaded from, as `linkModule` makes it; undefined if it is not known. */
  fileOfModule(module: ModuleSections): Promise<FoundFile | undefined>;
  /** The kernel's own list, with the modules that are loaded now. */
  kernelSymbols(): Promise<KernelSymbols>;
}

/** An address, with what could be found out without its symbols. */
interface Located {
  readonly process?: Place['process'];
  readonly module?: string;
  readonly address: string;
  readonly note?: string;
  readonly linked?: LinkedAddress;
  /** Where there is no file. */
  readonly frames?: readonly Frame[];
}

export class Places {
  private readonly symbols = new Symbols();

  constructor(private readonly guest: GuestCode) {}

  /** The places of addresses, in their order. Many at once cost little more than one. */
  async resolve(addresses: readonly CodeAddress[]): Promise<Place[]> {
    if (addresses.length === 0) return [];
    await this.guest.update();
    const located = await Promise.all(
      addresses.map(async (each) => ({
        here: await this.locate(each, each.pc),
        // Where it returns to is behind the call.
        caller: each.returnAddress === undefined ? undefined : await this.locate(each, each.returnAddress - 1n),
      })),
    );
    const linked = located.flatMap(({ here, caller }) => [here.linked, caller?.linked]);
    await this.symbols.prepare(linked.filter((each) => each !== undefined));
    return located.map(({ here, caller }) => this.choose(here, caller));
  }

  /** The first function that is not there to access registers for others. */
  private choose(here: Located, caller: Located | undefined): Place {
    const own = this.framesOf(here);
    const callers = caller === undefined ? [] : this.framesOf(caller);
    const isForOthers = own.length > 0 && own.every(isAccessor);
    if (isForOthers && caller !== undefined && callers.length > 0) return this.place(caller, callers);
    return this.place(here, own);
  }

  private place({ process, module, address, note }: Located, frames: readonly Frame[]): Place {
    const first = frames.findIndex((each) => !isAccessor(each));
    const [frame = {}, ...inlinedInto] = frames.slice(Math.max(0, first));
    const problem = note ?? (frame.line === undefined ? this.symbols.problem : undefined);
    return {
      ...(process && { process }),
      ...(module !== undefined && { module }),
      ...frame,
      address,
      inlinedInto,
      ...(problem !== undefined && { note: problem }),
    };
  }

  private framesOf({ linked, frames = [] }: Located): readonly Frame[] {
    return linked === undefined ? frames : this.symbols.framesAt(linked);
  }

  private async locate({ pid, isKernel }: CodeAddress, pc: bigint): Promise<Located> {
    const found = this.guest.processes.at(pid, pc);
    const process = found && { process: { pid: found.pid, name: found.name } };
    if (isKernel) return { ...process, ...(await this.locateInKernel(pc)) };
    if (found?.mapping === undefined) return { ...process, address: hex(pc) };
    return { ...process, ...(await this.locateInFile(found.mapping, pc)) };
  }

  private async locateInFile(mapping: Mapping, pc: bigint): Promise<Located> {
    const { path } = mapping.file;
    const fileOffset = pc - mapping.start + mapping.fileOffset;
    const file = await this.guest.fileOf(mapping);
    if ('problem' in file) return { address: `${path} at byte ${hex(fileOffset)}`, note: file.problem };
    const elf = this.symbols.open(file.hostPath);
    const address = elf?.linkAddressOf(fileOffset);
    if (elf === undefined || address === undefined) return { address: `${path} at byte ${hex(fileOffset)}` };
    return { address: `${path}+${hex(address)}`, linked: { elf, address } };
  }

  private async locateInKernel(pc: bigint): Promise<Located> {
    // The memory of init functions is used again once they have run.
    for (const isInit of [false, true]) {
      for (const module of this.guest.processes.modules) {
        const found = await this.locateInModule(module, pc, (section) => section.startsWith('.init') === isInit);
        if (found !== undefined) return found;
      }
    }
    const symbol = (await this.guest.kernelSymbols()).at(pc);
    const section = this.sectionBefore(pc);
    if (section !== undefined && (symbol === undefined || pc - section.start < symbol.offset)) {
      // The symbol is that of other code: the module has been unloaded.
      return { module: section.module, address: `${section.module}.ko ${section.name}+${hex(pc - section.start)}` };
    }
    if (symbol === undefined) return { address: hex(pc) };
    const { name, offset, module = 'kernel' } = symbol;
    return { module, address: `${module} ${name}+${hex(offset)}`, frames: [{ function: name }] };
  }

  /** The section of a module that begins last before an address. */
  private sectionBefore(pc: bigint): { module: string; name: string; start: bigint } | undefined {
    return this.guest.processes.modules
      .flatMap(({ name: module, sections }) => [...sections].map(([name, start]) => ({ module, name, start })))
      .filter(({ start }) => start <= pc)
      .reduce<ReturnType<Places['sectionBefore']>>(
        (last, each) => (last && last.start >= each.start ? last : each),
        undefined,
      );
  }

  private async locateInModule(
    module: ModuleSections,
    pc: bigint,
    isWanted: (section: string) => boolean,
  ): Promise<Located | undefined> {
    const file = await this.guest.fileOfModule(module);
    if (file === undefined || 'problem' in file) return undefined;
    const elf = this.symbols.open(file.hostPath);
    for (const [section, start] of module.sections) {
      const sizeBytes = elf?.section(section)?.sizeBytes ?? 0n;
      if (elf === undefined || !isWanted(section) || pc < start || pc >= start + sizeBytes) continue;
      const label = `${module.name}.ko ${section}+${hex(pc - start)}`;
      return { module: module.name, address: label, linked: { elf, address: pc } };
    }
    return undefined;
  }
}

const hex = (value: bigint): string => `0x${value.toString(16)}`;
