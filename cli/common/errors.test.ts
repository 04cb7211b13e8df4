import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CardCodeError, report, reportUncaught, UsageError } from './errors';

let said: string[];
beforeEach(() => {
  said = [];
  vi.spyOn(console, 'error').mockImplementation((text: string) => void said.push(text));
});
afterEach(() => vi.restoreAllMocks());

const told = (): string => said.join('\n');

describe('an error that ends a command', () => {
  it('is printed as its message, without a stack, when ghostcard throws it', () => {
    expect(report(new Error('the guest has gone'))).toBe(125);
    expect(told()).toBe('ghostcard: the guest has gone');
  });

  it('has exit code 2 when the command line is wrong', () => {
    expect(report(new UsageError('--card x: no such card'))).toBe(2);
  });

  it('is printed with its stack when a program is incorrect, ghostcard or a card', () => {
    report(new TypeError('x is not a function'));
    report(new CardCodeError('--card a.ts: the card could not be made:', new Error('planted')));
    expect(told()).toMatch(/^ghostcard: TypeError: x is not a function\n {4}at /);
    expect(told()).toMatch(/ghostcard: --card a\.ts: the card could not be made:\nError: planted\n {4}at /);
  });

  it('is printed with its stack when it is uncaught, as of a timer', () => {
    expect(reportUncaught(new Error('planted'))).toBe(125);
    expect(told()).toMatch(/^ghostcard: uncaught error: Error: planted\n {4}at /);
  });

  it('is printed with the error of tearing down, and keeps its own exit code', () => {
    const cleanUp = new Error('the folder stays');
    const both = Object.assign(new Error('An error was suppressed during disposal.'), {
      name: 'SuppressedError',
      error: cleanUp,
      suppressed: new UsageError('wrong from the start'),
    });
    expect(report(both)).toBe(2);
    expect(told()).toBe('ghostcard: wrong from the start\nghostcard: tearing down failed as well: the folder stays');
  });
});
