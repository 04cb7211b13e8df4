/** `toHaveRegister`, and `toReachRegister`, which waits. */
import { type PciCard } from '../../emulator/pci/index.ts';
import { fieldsOf, traceOf } from '../../instrumentation/trace/index.ts';
import { type CardValue, findValue } from './card-value.ts';
import { formatHex, lastWrite, recentEvents, valueInWords } from './history.ts';
import { checkCard, DEFAULT_WAIT_MS, reached, type WaitOptions } from './subject.ts';

interface Result {
  readonly pass: boolean;
  readonly message: () => string;
}

export function toHaveRegister(card: PciCard, path: string, expected: number | bigint): Result {
  const value = findValue(checkCard(card, 'toHaveRegister'), path);
  const actual = value.get();
  const pass = actual === BigInt(expected);
  const wanted = valueInWords(value, BigInt(expected));
  return {
    pass,
    message: () =>
      pass
        ? `expected ${path} not to be ${wanted}; ${surroundings(card, value, actual)}`
        : `expected ${path} to be ${wanted}, it is ${valueInWords(value, actual)}; ${surroundings(card, value, actual)}`,
  };
}

export async function toReachRegister(
  card: PciCard,
  path: string,
  expected: number | bigint,
  { timeoutMs = DEFAULT_WAIT_MS }: WaitOptions = {},
): Promise<Result> {
  const value = findValue(checkCard(card, 'toReachRegister'), path);
  const pass = await reached(traceOf(card), () => value.get() === BigInt(expected), timeoutMs);
  const actual = value.get();
  const wanted = valueInWords(value, BigInt(expected));
  return {
    pass,
    message: () =>
      pass
        ? `expected ${path} not to become ${wanted} within ${timeoutMs} ms; ${surroundings(card, value, actual)}`
        : `expected ${path} to become ${wanted} within ${timeoutMs} ms, it is ${valueInWords(value, actual)}; ` +
          surroundings(card, value, actual),
  };
}

function surroundings(card: PciCard, value: CardValue, actual: bigint): string {
  const trace = traceOf(card);
  const { field, register } = value;
  const all = field ? value.getRegister() : actual;
  const whole = register.fields.length > 0 ? `\n${register.path} is ${formatHex(all)}${fieldsOf(register, all)}` : '';
  return `${lastWrite(trace, value)}${whole}${recentEvents(trace)}`;
}
