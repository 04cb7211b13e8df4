import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { CardCodeError, report, reportUncaught, UsageError } from './errors';

let said: string[];
beforeEach(() => {
  said = [];
  vi.spyOn(console, 'error').mockImplementation((text: string) => void said.push(text));
});
afterEach(() => vi.restoreAllMocks());

const told = (): string => said.join('\n');

describe('what an error becomes', () => {
  it('is the message of an error of ours, without a stack', () => {
    expect(report(new Error('the guest has gone'))).toBe(125);
    expect(told()).toBe('ghostcard: the guest has gone');
  });

  it('is another exit code when the command line is wrong', () => {
    expect(report(new UsageError('--card x: no such card'))).toBe(2);
  });

  it('has the stack of an error in a program, ours or a card', () => {
    report(new TypeError('x is not a function'));
    report(new CardCodeError('--card a.ts: the card could not be made:', new Error('planted')));
    expect(told()).toMatch(/^ghostcard: TypeError: x is not a function\n {4}at /);
    expect(told()).toMatch(/ghostcard: --card a\.ts: the card could not be made:\nError: planted\n {4}at /);
  });

  it('has the stack when it is uncaught: a timer has thrown', () => {
    expect(reportUncaught(new Error('planted'))).toBe(125);
    expect(told()).toMatch(/^ghostcard: uncaught error: Error: planted\n {4}at /);
  });

  it('has both, and the code of the first, when tearing down has failed as well', () => {
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
