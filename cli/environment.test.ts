import { describe, expect, it } from 'vitest';
import { checkEnvironment } from './environment';

const check = async (env: NodeJS.ProcessEnv): Promise<string[]> => {
  const warnings: string[] = [];
  await checkEnvironment(env, (text) => warnings.push(text));
  return warnings;
};

describe('the environment variables', () => {
  it('are accepted when valid, empty, or set in a guest', async () => {
    const env = {
      GHOSTCARD_WATCHDOG: '0',
      GHOSTCARD_MIRROR: 'file:///srv/debian',
      GHOSTCARD_QEMU: '',
      GHOSTCARD_PCI_ADDRESS_2: 'x',
    };
    expect(await check(env)).toEqual([]);
  });

  it.each([
    [{ GHOSTCARD_WATCHDOG: 'never' }, "GHOSTCARD_WATCHDOG is 'never'; it must be a number of seconds"],
    [{ GHOSTCARD_CACHE_LIMIT: '5' }, 'GHOSTCARD_CACHE_LIMIT is "5"\nWhat to do: set it to a number with a unit'],
    [
      { GHOSTCARD_CACHE: '/proc/nope/x' },
      "GHOSTCARD_CACHE is '/proc/nope/x', and there can be no such folder: ENOENT: no such file or directory, mkdir '/proc/nope'",
    ],
    [
      { GHOSTCARD_CACHE: '/dev/null' },
      "GHOSTCARD_CACHE is '/dev/null', and there can be no such folder: EEXIST: file already exists",
    ],
    [{ GHOSTCARD_MIRROR: 'debian' }, "GHOSTCARD_MIRROR is 'debian'; it must be the address of a Debian mirror"],
  ])('are refused when invalid: %j', async (env, message) => {
    await expect(check(env)).rejects.toThrow(message);
  });

  it('are reported when ghostcard does not know them', async () => {
    expect(await check({ GHOSTCARD_CASHE: '/x' })).toEqual([
      expect.stringContaining('ghostcard does not know the environment variable GHOSTCARD_CASHE'),
    ]);
  });
});
