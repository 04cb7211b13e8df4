/**
 * Accesses of a card to host memory: `toHaveReadHost` (host to card), `toHaveWrittenHost` (card to host), their waiting
 * forms `toReadHost` and `toWriteHost`, and `toHaveDmaError`.
 */
import { type DmaErrorReason } from '../../emulator/memory/index.ts';
import { type PciCard } from '../../emulator/pci/index.ts';
import {
  type CardTrace,
  channelsNamed,
  describeEvent,
  isDma,
  RegisterNames,
  traceOf,
} from '../../instrumentation/trace/index.ts';
import { recentEvents } from './history.ts';
import { checkCard, DEFAULT_WAIT_MS, reached, type WaitOptions } from './subject.ts';

/**
 * Without `iova`, a sum over all DMA, descriptors included. Otherwise a range of addresses. `channel`: of this part of the
 * card only, as it is called in `dmaAs`; `C2H*` is several.
 */
export type DmaExpectation = { readonly channel?: string } & (
  | { readonly atLeastBytes?: number }
  | { readonly iova: number | bigint; readonly sizeBytes: number }
  /** The range has been accessed, and holds these bytes now. */
  | { readonly iova: number | bigint; readonly bytes: Uint8Array }
);

/** What is judged, with the names of channels looked up; undefined: all. */
interface Judged {
  readonly trace: CardTrace;
  readonly access: Access;
  readonly expected: DmaExpectation;
  readonly channels: ReadonlySet<string> | undefined;
}

type Access = 'read' | 'write';
const VERBS = { read: { past: 'read', infinitive: 'read' }, write: { past: 'written', infinitive: 'write' } } as const;

export const toHaveReadHost = (card: PciCard, expected?: DmaExpectation) =>
  judgeNow('read', 'toHaveReadHost', card, expected);
export const toHaveWrittenHost = (card: PciCard, expected?: DmaExpectation) =>
  judgeNow('write', 'toHaveWrittenHost', card, expected);
export const toReadHost = (card: PciCard, expected?: DmaExpectation & WaitOptions) =>
  judgeWithin('read', 'toReadHost', card, expected);
export const toWriteHost = (card: PciCard, expected?: DmaExpectation & WaitOptions) =>
  judgeWithin('write', 'toWriteHost', card, expected);

export function toHaveDmaError(card: PciCard, reason?: DmaErrorReason) {
  const trace = traceOf(checkCard(card, 'toHaveDmaError'));
  const errors = [...trace.newestFirst()].filter(isDma).filter(({ error }) => error !== undefined);
  const matching = errors.filter(({ error }) => reason === undefined || error === reason);
  const what = reason === undefined ? 'a DMA error' : `a DMA error '${reason}'`;
  const names = RegisterNames.of(card);
  const list = errors.slice(0, 5).map((event) => describeEvent(event, names));
  const seen = list.length === 0 ? 'there was none' : `there was:\n${list.reverse().join('\n')}`;
  const pass = matching.length > 0;
  return { pass, message: () => `expected the card ${pass ? 'not ' : ''}to have had ${what}; ${seen}` };
}

function judgeNow(access: Access, matcher: string, card: PciCard, expected: DmaExpectation = {}) {
  const judged = judgedOf(access, matcher, card, expected);
  const pass = isMet(judged);
  return { pass, message: () => failure(judged, pass, `have ${VERBS[access].past} ${inWords(expected)}`) };
}

async function judgeWithin(
  access: Access,
  matcher: string,
  card: PciCard,
  expected: DmaExpectation & WaitOptions = {},
) {
  const judged = judgedOf(access, matcher, card, expected);
  const { timeoutMs = DEFAULT_WAIT_MS } = expected;
  const pass = await reached(judged.trace, () => isMet(judged), timeoutMs);
  const wanted = `${VERBS[access].infinitive} ${inWords(expected)} within ${timeoutMs} ms`;
  return { pass, message: () => failure(judged, pass, wanted) };
}

function judgedOf(access: Access, matcher: string, card: PciCard, expected: DmaExpectation): Judged {
  const trace = traceOf(checkCard(card, matcher));
  const { channel } = expected;
  return { trace, access, expected, channels: channel === undefined ? undefined : channelsNamed(card, channel) };
}

function isMet(judged: Judged): boolean {
  const { trace, access, expected, channels } = judged;
  if (!('iova' in expected)) {
    const { accesses, bytes } = trace.dma(access, channels);
    return expected.atLeastBytes === undefined ? accesses > 0 : bytes >= expected.atLeastBytes;
  }
  const range = rangeOf(expected);
  if (!isCovered(judged, range.start, range.end)) return false;
  return !('bytes' in expected) || differsAt(trace, expected.bytes, range.start) === undefined;
}

const rangeOf = (expected: Extract<DmaExpectation, { iova: number | bigint }>) => {
  const start = Number(expected.iova);
  return { start, end: start + ('bytes' in expected ? expected.bytes.length : expected.sizeBytes) };
};

/** Whether the accesses that are still in the trace have covered every byte of the range. */
function isCovered({ trace, access, channels }: Judged, start: number, end: number): boolean {
  const parts = [...trace.newestFirst()]
    .filter(isDma)
    .filter(({ kind, error, channel }) => {
      return kind === `dma-${access}` && error === undefined && channels?.has(channel) !== false;
    })
    .map(({ iova, sizeBytes }) => ({ from: iova, to: iova + sizeBytes }))
    .sort((a, b) => a.from - b.from);
  let covered = start;
  for (const { from, to } of parts) if (from <= covered && to > covered) covered = to;
  return covered >= end;
}

/** Index of the first byte of host memory that differs; -1 when the memory cannot be read from here. */
function differsAt(trace: CardTrace, expected: Uint8Array, iova: number): number | undefined {
  const actual = trace.hostMemory(iova, expected.length);
  if (actual === undefined) return -1;
  const index = expected.findIndex((byte, i) => byte !== actual[i]);
  return index < 0 ? undefined : index;
}

function inWords(expected: DmaExpectation): string {
  const by = expected.channel === undefined ? '' : ` by ${expected.channel}`;
  if ('iova' in expected) {
    const { start, end } = rangeOf(expected);
    return `the ${end - start} bytes of host memory at 0x${start.toString(16)}${by}`;
  }
  return `${expected.atLeastBytes === undefined ? '' : `at least ${expected.atLeastBytes} bytes of `}host memory${by}`;
}

function failure(judged: Judged, pass: boolean, wanted: string): string {
  const { trace, access, channels } = judged;
  const { accesses, bytes, errors } = trace.dma(access, channels);
  const who = channels === undefined ? 'it has' : `${[...channels].join(', ')} ${channels.size === 1 ? 'has' : 'have'}`;
  const done =
    accesses === 0
      ? `${who} ${VERBS[access].past} nothing`
      : `${who} ${VERBS[access].past} ${bytes} bytes in ${accesses === 1 ? 'one access' : `${accesses} accesses`}`;
  const failed = errors === 0 ? '' : `, and ${errors} ${errors === 1 ? 'access' : 'accesses'} failed`;
  return `expected the card ${pass ? 'not ' : ''}to ${wanted}; ${done}${failed}${difference(judged, pass)}${recentEvents(trace)}`;
}

/** Where the bytes differ, when all of them have been accessed. */
function difference(judged: Judged, pass: boolean): string {
  const { trace, expected } = judged;
  if (pass || !('bytes' in expected)) return '';
  const { start, end } = rangeOf(expected);
  if (!isCovered(judged, start, end)) return '; not all of these addresses have been accessed';
  const index = differsAt(trace, expected.bytes, start);
  if (index === undefined) return '';
  if (index < 0) return '; the memory there is not mapped, or cannot be read from this process';
  const actual = trace.hostMemory(start + index, 1)?.[0] ?? 0;
  const [is, should] = [actual, expected.bytes[index]!].map((byte) => `0x${byte.toString(16).padStart(2, '0')}`);
  return `; byte ${index} (at 0x${(start + index).toString(16)}) is ${is} instead of ${should}`;
}
