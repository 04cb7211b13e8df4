/** From an address in the guest to the function, file and line of a driver. */
export { type Frame } from './addr2line';
export { ElfFile } from './elf';
export { KernelSymbols } from './kernel-symbols';
export { type CodeAddress, type FoundFile, type GuestCode, type Place, Places } from './places';
export { linkModule } from './link-module';
export { type MappedFile, type Mapping, type ModuleSections, ProcessRecordDecoder } from './process-records';
export { Processes } from './processes';
export { namePlace, wordProcess } from './words';
