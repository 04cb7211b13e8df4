import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { inPackage } from '../../emulator/folders';
import { guestPathsOf, hiddenPaths, HOME_SECRETS, SYSTEM_SECRETS } from './secrets';

let home: string;
const inHome = (name: string): string => join(home, name);
beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), 'ghostcard-home-'));
  mkdirSync(inHome('.ssh'));
  writeFileSync(inHome('.netrc'), 'password');
  writeFileSync(inHome('notes'), 'plain');
});
afterEach(() => rmSync(home, { recursive: true }));

/** Of this home folder. */
const hidden = (hiding = {}): string[] => hiddenPaths(hiding, [home]).filter((file) => file.startsWith(home));

describe('what the guest does not see', () => {
  it('is what there is of keys, passwords and tokens', () => {
    expect(hidden()).toEqual([inHome('.ssh'), inHome('.netrc')]);
    expect(hidden({ hide: [inHome('notes')] })).toEqual([inHome('.ssh'), inHome('.netrc'), inHome('notes')]);
  });

  it('is less when some is revealed, or all', () => {
    expect(hidden({ reveal: [inHome('.ssh')] })).toEqual([inHome('.netrc')]);
    expect(hidden({ reveal: [home] })).toEqual([]);
    expect(hiddenPaths({ reveal: ['/'] }, [home])).toEqual([]);
  });

  it('is refused where it would not be what was meant', () => {
    expect(() => hidden({ hide: [inHome('none')] })).toThrow(`${home}/none cannot be hidden: there is no such file`);
    expect(() => hidden({ reveal: [inHome('.ssh/config')] })).toThrow(
      `${home}/.ssh/config is hidden as a part of ${home}/.ssh: reveal that`,
    );
  });

  it('is hidden wherever it is seen: by links, in shared folders, below another root', () => {
    mkdirSync(inHome('kept'));
    rmSync(inHome('.ssh'), { recursive: true });
    symlinkSync(inHome('kept'), inHome('.ssh'));
    const files = [inHome('.ssh'), inHome('.netrc')];
    const both = [inHome('.ssh'), inHome('kept'), inHome('.netrc')];
    expect(guestPathsOf(files, '/', [])).toEqual(both);
    expect(guestPathsOf(files, '/', [{ hostPath: home, guestPath: '/mine' }])).toEqual(
      both.flatMap((file) => [file, file.replace(home, '/mine')]),
    );
    expect(guestPathsOf(files, home, [])).toEqual(['/.ssh', '/kept', '/.netrc']);
    expect(guestPathsOf(files, '/usr', [])).toEqual([]);
  });

  it('is listed in docs/security.md', () => {
    const text = readFileSync(inPackage('docs/security.md'), 'utf8');
    const listed = [...HOME_SECRETS.map((name) => `~/${name}`), ...SYSTEM_SECRETS];
    expect(listed.filter((name) => !text.includes(`\`${name}\``))).toEqual([]);
  });
});
