/**
 * Layout of the file that an observer shares with this process: the plugin in QEMU writes it, `instrumentation/observer`
 * reads it. The plugin's header, qemu/observer/layout.h, is generated from here. All numbers are little-endian, since both
 * sides run on the same machine.
 */

/** "GOBS" in the first four bytes. */
export const MAGIC = 0x5342_4f47;
export const PAGE_BYTES = 4096;
/** Three bits of a mark of the shadow. */
export const MAX_VCPUS = 8;
/** Accesses that a processor can be ahead of the reader. A power of two. */
export const RING_RECORDS = 1 << 14;
/** Places of code. Numbers from here on are of channels of cards. */
export const MAX_PLACES = 0x3f_0000;
/** Races that are kept. A power of two. */
export const RACES = 1 << 10;
/** Places whose callers are known. A power of two. */
export const CALLERS = 1 << 12;
/** Errors of cards that are looked after at a time. */
export const ERRORS = 64;
/** Releases that are kept: calls that have given memory back. A power of two. */
export const RELEASES = 1 << 12;
/** They are numbered from 1 to here, and then again. */
export const RELEASE_NUMBERS = 0x3f_ffff;
/** Devices that have been accessed, by the names of QEMU's memory regions. */
export const MAX_DEVICES = 64;
export const DEVICE_NAME_BYTES = 192;
export const COMM_BYTES = 16;

/** What the names of cards begin with: those of vfio-user's regions (QEMU hw/vfio-user/pci.c). */
export const CARD_PREFIX = 'vfio-user:';

/** Flags of an access. */
export const IS_WRITE = 1;
export const IS_KERNEL = 2;
export const LACKS_BARRIER = 4;
export const IS_RELEASE = 8;

type MemberType = 'u8' | 'u16' | 'u32' | 'u64' | { readonly bytes: number };

export interface Member {
  readonly type: MemberType;
  readonly doc: string;
}

export type Members = Readonly<Record<string, Member>>;

const member = (type: MemberType, doc: string): Member => ({ type, doc });

/** The host writes what is not the plugin's before QEMU starts, and what it knows of the kernel later. */
export const HEADER = {
  magic: member('u32', '"GOBS".'),
  ready: member('u32', 'By the plugin: 1 when it has been loaded.'),
  vcpus: member('u32', 'Virtual processors.'),
  devices: member('u32', 'By the plugin: how many devices there are.'),
  ram0: member('u64', 'Guest RAM: physical address of the first range,'),
  ram0Bytes: member('u64', 'and its size.'),
  ram1: member('u64', 'The second range: above the hole under 4 GiB.'),
  ram1Bytes: member('u64', 'Its size.'),
  ringsOffset: member('u64', 'Where the rings are in the file, one for each virtual processor.'),
  placesOffset: member('u64', 'Where the places of code are: an address (u64) each.'),
  devicesOffset: member('u64', 'Where the names of devices are, each NUL-terminated.'),
  shadowOffset: member('u64', "Where the shadow is: the mark of physical address 0's eight bytes. 0: there is none."),
  ownersOffset: member(
    'u64',
    'Where the owners of pages are: a process (u32) each, the last to write there from user space, or to read what a card wrote.',
  ),
  touchedOffset: member('u64', 'Where the flags of pages are: a byte each (TOUCHED).'),
  stepsOffset: member(
    'u64',
    'Where the steps of pages are: the number (u32) of the last one that has accessed each. 0: none.',
  ),
  cardShadowOffset: member('u64', "Where the cards' shadow is: what cards have done to eight bytes (CARD_MARK)."),
  loadsOffset: member(
    'u64',
    'Where the shadow of loads is: who loaded eight bytes last, in pages that a card has accessed (MARK).',
  ),
  othersOffset: member(
    'u64',
    'Where the shadow of others is: of eight bytes whose mark is not of all of them, who wrote others of them last (MARK).',
  ),
  racesOffset: member('u64', 'Where the races are that the plugin has found.'),
  callersOffset: member(
    'u64',
    'Where the callers of places are. That of place n is at n modulo CALLERS, if it is there.',
  ),
  errorsOffset: member('u64', 'Where the errors are that cards have written to memory.'),
  linearMap: member('u64', "By the host: a kernel's linear address minus the physical address. 0: not known yet."),
  currentTask: member('u64', "amd64: address of the per-processor variable 'current_task'."),
  taskPid: member('u32', 'Offset of `pid` in task_struct.'),
  taskTgid: member('u32', 'Offset of `tgid`.'),
  taskComm: member('u32', 'Offset of `comm`.'),
  places: member('u32', 'By the plugin: how many places there are.'),
  irqEntry: member('u64', "Address of the kernel's handle_irq_event. 0: not known."),
  ownCode: member('u64', 'Code of the kernel module ghostcard; that of others is near it. 0: not known.'),
  ownCodeEnd: member('u64', 'Its end.'),
  releaseEntry: member('u64', 'Address of its function that is called for memory that is given back. 0: not known.'),
  releasedOffset: member(
    'u64',
    'Where the shadow of releases is: who gave eight bytes back last, where a card has accessed the page (MARK, with the number of the release as the place).',
  ),
  releasesOffset: member('u64', 'Where the releases are. Number n is at n modulo RELEASES, if it is there.'),
  // Steps of cards: the number of their latest access of memory, in the order of what happened (CARD_MARK).
  answered: member('u32', 'By the host: the last step before the latest answer to a read of a BAR.'),
  interrupted: member('u32', 'The last step before the latest interrupt.'),
  configured: member('u32', 'The last step before the latest access of configuration space.'),
  settled: member('u32', 'The last step that everything in the guest comes after.'),
  round: member('u32', 'A place is reported once in each.'),
  races: member('u32', 'By the plugin: how many races there are. Race n is at n modulo RACES.'),
  releases: member('u32', 'By the plugin: how many releases there have been.'),
  zvaBytes: member('u32', 'By the host: how many bytes DC ZVA clears (arm64). 0: not known.'),
} as const satisfies Members;

/** A ring: this, in a page of its own, then the records. */
export const RING = {
  written: member('u64', 'By the plugin: how many accesses have been recorded. Record n is at n modulo RING_RECORDS.'),
} as const satisfies Members;

/** An access of a BAR. */
export const RECORD = {
  timeNs: member('u64', 'When it had been done: CLOCK_MONOTONIC.'),
  address: member('u64', 'Physical.'),
  value: member('u64', 'What was read or written.'),
  valueHigh: member('u64', 'Bits 127 to 64 of an access of 16 bytes.'),
  pc: member('u64', 'Address of the instruction.'),
  returnAddress: member('u64', 'Where the function returns to, if it has stored nothing on the stack.'),
  pid: member('u32', 'Process (`tgid`). 0: not known, or no process.'),
  tid: member('u32', 'Thread (`pid`).'),
  device: member('u16', 'Which device.'),
  sizeBytes: member('u8', '1 to 16.'),
  flags: member('u8', '1: a write, 2: in the kernel.'),
  barrier: member('u32', 'A write: the epoch of its processor and context that its last barrier has begun.'),
  before: member(
    { bytes: 4 * 2 * MAX_VCPUS },
    'A write: the epoch (u32) of each processor and context until then, where they are in a mark (MARK).',
  ),
  comm: member({ bytes: COMM_BYTES }, 'Name of the thread.'),
} as const satisfies Members;

/** An access of memory that does not come after what a card has done there. */
export const RACE = {
  address: member('u64', 'Physical.'),
  mark: member('u64', 'What the card has done (CARD_MARK).'),
  pc: member('u64', 'Address of the instruction; when memory is given back, the number of the release.'),
  caller: member('u64', 'Where the function that did it returns to; 0: not known.'),
  seen: member('u32', 'The last step that comes before.'),
  pid: member('u32', 'Process.'),
  tid: member('u32', 'Thread.'),
  vcpu: member('u8', 'Which processor.'),
  sizeBytes: member('u8', '1 to 16.'),
  flags: member(
    'u8',
    '1: a write, 2: in the kernel, 4: an interrupt or status has been seen, and a barrier is missing, 8: memory is given back.',
  ),
  reserved: member('u8', '0.'),
  comm: member({ bytes: COMM_BYTES }, 'Name of the thread.'),
} as const satisfies Members;

/** An error that a card has written to memory: whether anybody loads it. */
export const ERROR = {
  address: member('u64', 'By the host: physical. 0: there is none.'),
  sizeBytes: member('u32', 'Its size.'),
  seen: member('u32', 'By the plugin: 1 when it has been loaded.'),
} as const satisfies Members;

/** Flags of a page. */
export const TOUCHED = {
  /** A card has accessed it. */
  byCard: 1,
  /** There may be errors in it that are looked after. */
  hasErrors: 2,
} as const;

/** Who has called the code at a place that accesses a page that a card has accessed, the last time. */
export const CALLER = {
  caller: member('u64', 'Where the function returns to; 0: not known.'),
  place: member('u32', 'The place.'),
  epoch: member('u32', 'The upper half of the marks of its context: it is looked up once in an epoch.'),
} as const satisfies Members;

/** A call that has given memory back: of a program, or of a kernel module. */
export const RELEASE = {
  pc: member('u64', 'Where the call was made; 0: not known.'),
  caller0: member('u64', 'Where the function that made it returns to; 0: not known.'),
  caller1: member('u64', 'Where its caller returns to,'),
  caller2: member('u64', 'and the next one.'),
  number: member('u32', 'Of this release.'),
  pid: member('u32', 'Process.'),
  tid: member('u32', 'Thread.'),
  flags: member('u32', '2: in the kernel.'),
  comm: member({ bytes: COMM_BYTES }, 'Name of the thread.'),
} as const satisfies Members;

/**
 * A mark of the shadow: who wrote eight bytes of RAM last. 0: nobody has, since the guest was started. Epochs are of a
 * processor in a context, user space or the kernel: every store to a BAR begins another one of all, and on arm64 a barrier
 * of its own. This process marks what a card has written, with the last places, which no code has.
 */
export const MARK = {
  // The lower 32 bits.
  placeBits: 22,
  /** Which of the bytes, the lowest first. */
  bytesAt: 22,
  // The upper 32 bits.
  kernelAt: 0,
  vcpuAt: 1,
  epochAt: 4,
} as const;
export const MARKED_BYTES = 8;
/** Epochs are compared modulo 2^28, and are taken for later ones up to here. */
export const LATER_EPOCHS = 1 << 20;

/** A mark of the cards' shadow: the lower 32 bits, and above them the number of the step. 0: nothing. */
export const CARD_MARK = {
  /** Which of the bytes, the lowest first. */
  bytesAt: 0,
  isWritten: 1 << 8,
  /** Has been written as status: it may be polled and overwritten. */
  isStatus: 1 << 9,
} as const;

const sizeOf = (type: MemberType): number =>
  typeof type === 'object' ? type.bytes : { u8: 1, u16: 2, u32: 4, u64: 8 }[type];

/** Where each member is, in bytes. @throws when one is not aligned, since C would move it */
export function offsetsOf<M extends Members>(members: M): { readonly [Name in keyof M]: number } {
  let at = 0;
  const offsets: Record<string, number> = {};
  for (const [name, { type }] of Object.entries(members)) {
    const alignment = typeof type === 'object' ? 1 : sizeOf(type);
    if (at % alignment !== 0)
      throw new Error(`the member ${name} is at ${at}, which is not a multiple of ${alignment}`);
    offsets[name] = at;
    at += sizeOf(type);
  }
  return offsets as { readonly [Name in keyof M]: number };
}

export const bytesOf = (members: Members): number =>
  Object.values(members).reduce((sum, { type }) => sum + sizeOf(type), 0);

export const RING_BYTES = PAGE_BYTES + RING_RECORDS * bytesOf(RECORD);
