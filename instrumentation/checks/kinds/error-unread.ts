/**
 * An error that the card reports and that the driver has not read when it goes, or resets the card. It has used the card
 * since, or it may have gone before it could read. A driver may have learned of the error from host memory: where the
 * channel writes its status there around the error, nothing is reported. Where the processors are observed, it is known
 * whether anybody has loaded it there.
 */
import { type ResetKind } from '../../../emulator/registers';
import { type Doorbell, type ErrorRegister, errorRegistersOf, fieldsOf, wordTime } from '../../trace';
import { type Check } from '../check';
import { type Registers } from '../registers';

/** Resets by which a driver brings a card back. */
const BY_DRIVER: readonly ResetKind[] = ['device', 'flr'];

interface Watched extends ErrorRegister {
  readonly mask: bigint;
  /** The same, for a register of up to 32 bits. */
  readonly bits: number;
  /** The DMA channel whose registers it is one of; '' if it is of none. */
  readonly channel: string;
  /** The errors that it has when the card has last signalled something, or that have been read. */
  known: bigint;
  unread:
    { readonly errors: bigint; readonly value: bigint; readonly timeNs: number; readonly accesses: number } | undefined;
}

export const errorUnread: Check = {
  doc: 'The card has reported an error in a register, and the driver goes, or resets the card, without having read it.',
  source: "the card's data sheet: what its register map declares with the role `error`",
  make({ card, registers, traffic, memory, report }) {
    const all = lazily(() => errorRegistersOf(card, registers.names).map((each) => watch(each, registers)));
    /** By the word at which they are read. */
    const places = lazily(() => byWord(all()));
    /** An error has not been read, at least for a while. */
    let isAny = false;
    /** Channels whose last access to anything but data has written it: their status may be in memory. */
    const tellers = new Set<string>();

    const tells = ({ channel }: Watched): boolean =>
      channel === '' ? tellers.size > 0 : tellers.has(channel) || tellers.has('');
    const read = (region: number, offset: number, sizeBytes: number): void => {
      for (let at = offset - (offset & 3); at < offset + sizeBytes; at += 4) {
        for (const each of places().get(wordAt(region, at)) ?? NONE) {
          const errors = BigInt(each.stored.value) & each.mask;
          if ((each.known | errors) !== 0n) memory.errors?.readInRegister(each.channel);
          each.known = errors;
          each.unread = undefined;
        }
      }
    };
    const memoryEnded = (what: string): void => {
      for (const { channel, role, iova, word, timeNs } of memory.errors?.unread() ?? []) {
        const who = channel || 'the card';
        report(
          channel || 'memory',
          () =>
            `${who} has told an error in memory at ${wordTime(timeNs).trim()}: ${word} at 0x${iova.toString(16)} ` +
            `(${role}). The driver has accessed the card since, but nobody has read it there, nor in a register, and now ` +
            `${what}. Look at the status of what is complete, and at why something is not when a wait times out`,
        );
      }
      memory.errors?.forget();
    };
    const ended = (what: string): void => {
      memoryEnded(what);
      isAny = false;
      for (const each of all()) {
        const { at, channel, errors, stored, unread } = each;
        each.unread = undefined;
        if (unread === undefined || unread.accesses === traffic.accesses) continue;
        const left = unread.errors & BigInt(stored.value);
        if (left === 0n) continue;
        report(
          at.name,
          () => {
            const names = errors.flatMap(({ name, mask }) => ((mask & left) === 0n ? [] : [name]));
            const value = `0x${unread.value.toString(16)}${fieldsOf(at.layout, unread.value)}`;
            return (
              `${channel || 'the card'} has reported an error at ${wordTime(unread.timeNs).trim()}, ${names.join(', ')}: ` +
              `${at.name} was ${value}. The driver has accessed the card since, but has not read ${at.name}, and now ` +
              `${what}. Read it when the card interrupts and when a wait times out, and before the card is reset`
            );
          },
          { register: at.name },
        );
      }
    };

    return {
      read: ({ region, offset, data }) => read(region, offset, data.length),
      oddAccess({ kind, region, offset, data }) {
        if (kind === 'read') read(region, offset, data.length);
      },
      dma({ kind, channel, role, error }) {
        if (role === 'data') return;
        if (kind === 'dma-read' || error !== undefined) return void tellers.delete(channel);
        tellers.add(channel);
        if (isAny) for (const each of all()) if (tells(each)) each.unread = undefined;
      },
      signalled(timeNs, accesses) {
        for (const each of all()) {
          const { value: stored } = each.stored;
          if (typeof stored === 'number' && (stored & each.bits) === 0) {
            each.known = 0n;
            continue;
          }
          const value = BigInt(stored);
          const errors = value & each.mask;
          const fresh = errors & ~each.known & ~each.at.layout.reset;
          each.known = errors;
          if (fresh === 0n || tells(each)) continue;
          each.unread ??= { errors: fresh, value, timeNs, accesses };
          isAny = true;
        }
      },
      reset({ reset }) {
        if (BY_DRIVER.includes(reset)) ended('the card is reset');
        for (const each of all()) each.unread = undefined;
        tellers.clear();
      },
      isUnsettled: () =>
        (isAny && all().some(({ unread }) => unread !== undefined)) || (memory.errors?.unread().length ?? 0) > 0,
      driverLeft: ended,
    };
  },
};

function watch(register: ErrorRegister, { names }: Registers): Watched {
  const mask = register.errors.reduce((bits, error) => bits | error.mask, 0n);
  const channel = channelOf(register, names.channels.doorbells);
  return { ...register, mask, bits: Number(BigInt.asUintN(32, mask)), channel, known: 0n, unread: undefined };
}

/** The channel that has a doorbell in the same block. */
function channelOf({ at }: ErrorRegister, doorbells: readonly Doorbell[]): string {
  const block = at.layout.path.slice(0, at.layout.path.lastIndexOf('.') + 1);
  if (block === '') return '';
  return doorbells.find(({ region, path }) => region === at.region && path.startsWith(block))?.channel ?? '';
}

const NONE: readonly Watched[] = [];

const wordAt = (region: number, offset: number): number => region * 2 ** 40 + offset;

function byWord(all: readonly Watched[]): ReadonlyMap<number, readonly Watched[]> {
  const places = new Map<number, Watched[]>();
  for (const each of all) {
    for (const { region, offset, layout } of each.places) {
      for (let at = offset - (offset & 3); at < offset + layout.width / 8; at += 4) {
        const key = wordAt(region, at);
        places.set(key, [...(places.get(key) ?? []), each]);
      }
    }
  }
  return places;
}

function lazily<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}
