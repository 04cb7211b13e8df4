/**
 * The access kinds of registers and fields: what a bus write and a bus read do to a bit. Everything that depends on the
 * kind is derived from this table: masks, C header, documentation, checks. A further kind is a further row.
 *
 * The names and effects are the predefined field access policies of IEEE 1800.2 (UVM), in lower case: PCI Express Base
 * Specification 6.0, section 7.4, SystemRDL 2.0 (`onwrite`, `onread`) and IP-XACT (IEEE 1685, `modifiedWriteValue`,
 * `readAction`) describe the same effects. IEEE 1800.2 has no name for `wo1c`, `wo1s`, `wo1t` and `w1crc`.
 */

/** What becomes of the state of a bit. */
export type Outcome = 'keep' | 'clear' | 'set' | 'toggle';

interface WriteEffect {
  /** When the bit is written as 1, and as 0. */
  readonly one: Outcome;
  readonly zero: Outcome;
  /** Only the first write after a reset has an effect. */
  readonly once?: true;
}

interface ReadEffect {
  /** Whether the read returns the state; else it returns 0. */
  readonly shows: boolean;
  readonly after: Outcome;
}

const WRITES = {
  'ignored': { one: 'keep', zero: 'keep' },
  'stored': { one: 'set', zero: 'clear' },
  'stored once, until a reset': { one: 'set', zero: 'clear', once: true },
  '1 clears the bit': { one: 'clear', zero: 'keep' },
  '1 sets the bit': { one: 'set', zero: 'keep' },
  '1 toggles the bit': { one: 'toggle', zero: 'keep' },
  '0 clears the bit': { one: 'keep', zero: 'clear' },
  '0 sets the bit': { one: 'keep', zero: 'set' },
  '0 toggles the bit': { one: 'keep', zero: 'toggle' },
  'clears the bit': { one: 'clear', zero: 'clear' },
  'sets the bit': { one: 'set', zero: 'set' },
} as const satisfies Record<string, WriteEffect>;

const READS = {
  'state': { shows: true, after: 'keep' },
  'state, then cleared': { shows: true, after: 'clear' },
  'state, then set': { shows: true, after: 'set' },
  '0': { shows: false, after: 'keep' },
} as const satisfies Record<string, ReadEffect>;

/** What a bus access does to a bit; the table is in docs/writing-a-card.md. */
export type Access =
  | ('ro' | 'rw' | 'wo' | 'w1' | 'wo1' | 'reserved')
  | ('w1c' | 'w1s' | 'w1t' | 'wo1c' | 'wo1s' | 'wo1t' | 'w0c' | 'w0s' | 'w0t' | 'wc' | 'ws' | 'woc' | 'wos')
  | ('rc' | 'rs' | 'wrc' | 'wrs' | 'wsrc' | 'wcrs' | 'w1crc' | 'w1src' | 'w1crs' | 'w0src' | 'w0crs');

/** Bus write, bus read. Effects of reading are in the byte lanes that are read, as those of writing. */
const KINDS = {
  ro: ['ignored', 'state'],
  rw: ['stored', 'state'],
  wo: ['stored', '0'],
  w1: ['stored once, until a reset', 'state'],
  wo1: ['stored once, until a reset', '0'],
  w1c: ['1 clears the bit', 'state'],
  w1s: ['1 sets the bit', 'state'],
  w1t: ['1 toggles the bit', 'state'],
  wo1c: ['1 clears the bit', '0'],
  wo1s: ['1 sets the bit', '0'],
  wo1t: ['1 toggles the bit', '0'],
  w0c: ['0 clears the bit', 'state'],
  w0s: ['0 sets the bit', 'state'],
  w0t: ['0 toggles the bit', 'state'],
  wc: ['clears the bit', 'state'],
  ws: ['sets the bit', 'state'],
  woc: ['clears the bit', '0'],
  wos: ['sets the bit', '0'],
  rc: ['ignored', 'state, then cleared'],
  rs: ['ignored', 'state, then set'],
  wrc: ['stored', 'state, then cleared'],
  wrs: ['stored', 'state, then set'],
  wsrc: ['sets the bit', 'state, then cleared'],
  wcrs: ['clears the bit', 'state, then set'],
  w1crc: ['1 clears the bit', 'state, then cleared'],
  w1src: ['1 sets the bit', 'state, then cleared'],
  w1crs: ['1 clears the bit', 'state, then set'],
  w0src: ['0 sets the bit', 'state, then cleared'],
  w0crs: ['0 clears the bit', 'state, then set'],
  reserved: ['ignored', '0'],
} as const satisfies Record<Access, readonly [keyof typeof WRITES, keyof typeof READS]>;

export interface AccessKind {
  readonly name: Access;
  readonly write: WriteEffect;
  readonly read: ReadEffect;
  /** What the effects are called in documents. */
  readonly writeText: string;
  readonly readText: string;
}

const kindOf = ([name, [writeText, readText]]: [string, (typeof KINDS)[Access]]): AccessKind => ({
  ...{ name: name as Access, write: WRITES[writeText], read: READS[readText], writeText, readText },
});

export const ACCESS_KINDS: ReadonlyMap<string, AccessKind> = new Map(
  Object.entries(KINDS).map((row) => [row[0], kindOf(row)]),
);

/** Whether a bus write can change the bit. */
export const isWritable = (access: Access): boolean => WRITES[KINDS[access][0]] !== WRITES.ignored;

/** The rows of the table of access kinds, as documentation. */
export function accessTable(): string {
  const rows = [...ACCESS_KINDS.values()].map(({ name, readText, writeText }) => [`\`${name}\``, readText, writeText]);
  return [['Access', 'Bus read', 'Bus write'], ['---', '---', '---'], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}
