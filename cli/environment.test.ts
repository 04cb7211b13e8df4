import { describe, expect, it } from 'vitest';
import { checkEnvironment } from './environment';

const check = (env: NodeJS.ProcessEnv): string[] => {
  const warnings: string[] = [];
  checkEnvironment(env, (text) => warnings.push(text));
  return warnings;
};

describe('the environment variables', () => {
  it('are accepted when they are right, empty, or of the guest', () => {
    const env = {
      GHOSTCARD_WATCHDOG: '0',
      GHOSTCARD_MIRROR: 'file:///srv/debian',
      GHOSTCARD_QEMU: '',
      GHOSTCARD_PCI_ADDRESS_2: 'x',
    };
    expect(check(env)).toEqual([]);
  });

  it.each([
    [{ GHOSTCARD_WATCHDOG: 'never' }, "GHOSTCARD_WATCHDOG is 'never'; it must be a number of seconds"],
    [{ GHOSTCARD_CACHE_LIMIT: '5' }, 'GHOSTCARD_CACHE_LIMIT is "5"\nWhat to do: set it to a number with a unit'],
    [{ GHOSTCARD_MIRROR: 'debian' }, "GHOSTCARD_MIRROR is 'debian'; it must be the address of a Debian mirror"],
  ])('are refused when they make no sense: %j', (env, message) => {
    expect(() => check(env)).toThrow(message);
  });

  it('are told of when nobody knows them', () => {
    expect(check({ GHOSTCARD_CASHE: '/x' })).toEqual([expect.stringContaining('GHOSTCARD_CASHE means nothing')]);
  });
});
