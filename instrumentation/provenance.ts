/** Whose bytes memory holds, in names: the driver's function, file and line, or the DMA and the doorbell that it came from. */
import { type DmaRole } from '../emulator/memory';
import { type Writer, type WrittenRun } from './observer';
import { nameCode, wordRole } from './origins';
import { type CodeAddress, type Place, type Places } from './symbols';
import { wordBytes } from './trace';

/** Bytes that have the same writer, and were read last by the same code. */
export interface Provenance {
  /** Of the first byte. */
  readonly iova: number;
  readonly sizeBytes: number;
  /** Undefined: nobody that is known. */
  readonly writer: WritingCode | WritingDma | undefined;
  /** The code that has read them last, after a card had accessed their page; absent where that is not known. */
  readonly reader?: WritingCode;
  /** `8 bytes at 0x1000: written by driver.c:133 put (driver, process 143)` */
  readonly text: string;
}

/** Code of a program, of a kernel module or of the kernel. */
export interface WritingCode {
  readonly by: 'code';
  /** `driver.c:212 ring_doorbell`, or `dma.c:13 fill, called by driver.c:212 send`; an address where nothing is known. */
  readonly code: string;
  /** Of the innermost function, as far as they are known. */
  readonly function?: string;
  readonly file?: string;
  readonly line?: number;
  readonly process?: { readonly pid: number; readonly name: string };
}

/** The DMA of a card that has written memory. */
export interface WritingDma {
  readonly by: 'dma';
  /** The name of the card. */
  readonly card: string;
  /** '' for a card that does not say. */
  readonly channel: string;
  readonly role: DmaRole;
  /** The access; absent, as what follows, when that was too long ago. */
  readonly iova?: number;
  readonly sizeBytes?: number;
  /** What the channel had read last as descriptors. */
  readonly descriptor?: { readonly iova: number; readonly sizeBytes: number };
  /** The register write that had started the channel, and who did it. */
  readonly doorbell?: { readonly register: string; readonly value: string; readonly by?: WritingCode };
}

export async function nameWriters(runs: readonly WrittenRun[], places: Places | undefined): Promise<Provenance[]> {
  const wanted = new Map<string, CodeAddress>();
  for (const { writer, loader } of runs)
    for (const address of [...codeBehind(writer), ...codeBehind(loader)]) wanted.set(keyOf(address), address);
  const addresses = [...wanted.values()];
  const found =
    (await places?.resolve(addresses)) ??
    addresses.map(({ pc }) => ({ address: `0x${pc.toString(16)}`, inlinedInto: [] }));
  const known = new Map(addresses.map((address, index) => [keyOf(address), found[index]!]));
  const named = runs.map(({ address: iova, sizeBytes, writer, loader }) => ({
    ...{ iova, sizeBytes, writer: nameWriter(writer, known) },
    ...(loader && { reader: nameCodeOf(codeBehind(loader), known) }),
  }));
  return merged(named).map((run) => ({
    ...run,
    text: `${wordBytes(run.sizeBytes)} at ${hex(run.iova)}: ${wordRun(run)}`,
  }));
}

type Known = ReadonlyMap<string, Place>;
type Run = Omit<Provenance, 'text'>;

/** Where it is and where that was called; of DMA, where its doorbell was rung. */
function codeBehind(writer: Writer | undefined): CodeAddress[] {
  if (writer === undefined) return [];
  if (writer.by === 'dma') return writer.access?.doorbell?.by ? [writer.access.doorbell.by] : [];
  const { pid, pc, isKernel, caller } = writer;
  return [pc, ...(caller === undefined ? [] : [caller - 1n])].map((each) => ({ pid, pc: each, isKernel }));
}

const keyOf = ({ pid, pc, returnAddress }: CodeAddress): string => `${pid} ${pc} ${returnAddress}`;

function nameWriter(writer: Writer | undefined, known: Known): Provenance['writer'] {
  if (writer === undefined) return undefined;
  const code = codeBehind(writer);
  if (writer.by === 'code') return nameCodeOf(code, known);
  const { card, channel, role, access } = writer;
  const { iova, sizeBytes, descriptor, doorbell } = access ?? {};
  return {
    ...{ by: 'dma', card, channel, role },
    ...(iova !== undefined && { iova, sizeBytes: sizeBytes! }),
    ...(descriptor && { descriptor }),
    ...(doorbell && {
      doorbell: {
        ...{ register: doorbell.register(), value: doorbell.value },
        ...(code.length > 0 && { by: nameCodeOf(code, known) }),
      },
    }),
  };
}

function nameCodeOf(code: readonly CodeAddress[], known: Known): WritingCode {
  const places = code.map((address) => known.get(keyOf(address))!);
  const { function: name, file, line, process } = places[0]!;
  return {
    ...{ by: 'code', code: nameCode(places) },
    ...(name !== undefined && { function: name }),
    ...(file !== undefined && { file }),
    ...(line !== undefined && { line }),
    ...(process && { process }),
  };
}

/** Several instructions of a line are one writer. */
function merged(runs: readonly Run[]): Run[] {
  const merged: { run: Run; words: string }[] = [];
  for (const run of runs) {
    const words = wordRun({ ...run, sizeBytes: 0 });
    const last = merged.at(-1);
    if (last?.words === words) last.run = { ...last.run, sizeBytes: last.run.sizeBytes + run.sizeBytes };
    else merged.push({ run, words });
  }
  return merged.map(({ run }) => run);
}

function wordRun({ iova, sizeBytes, writer, reader }: Run): string {
  const read = reader === undefined ? '' : `; read by ${wordCode(reader)}`;
  if (writer === undefined) return `written by nobody that is known${read}`;
  return `written by ${writer.by === 'code' ? wordCode(writer) : wordDma(writer, iova === writer.iova && sizeBytes === writer.sizeBytes)}${read}`;
}

function wordCode({ code, process }: WritingCode): string {
  if (process === undefined) return code;
  return `${code} (${[process.name, `process ${process.pid}`].filter(Boolean).join(', ')})`;
}

/** `isAll`: the bytes in question are all that the access has written. */
function wordDma(
  { card, channel, role, iova, sizeBytes = 0, descriptor, doorbell }: WritingDma,
  isAll: boolean,
): string {
  const range = (at: number, size: number): string => `${wordBytes(size)} at ${hex(at)}`;
  const by = doorbell?.by;
  return [
    `DMA of ${card}${channel === '' ? '' : `, ${channel}`}${wordRole(role)}`,
    ...(iova === undefined || isAll ? [] : [range(iova, sizeBytes)]),
    ...(descriptor ? [`descriptor ${range(descriptor.iova, descriptor.sizeBytes)}`] : []),
    ...(doorbell ? [`started by ${doorbell.register} ${doorbell.value}${by ? ` at ${wordCode(by)}` : ''}`] : []),
  ].join(', ');
}

const hex = (value: number): string => `0x${value.toString(16)}`;
