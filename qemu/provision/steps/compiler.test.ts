import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { hostArch } from '../basis/arch';
import { crossCompilerKey, findCompiler } from './compiler';
import { Context } from './context';

const foreign = hostArch() === 'amd64' ? 'arm64' : 'amd64';
const prefix = { amd64: 'x86_64-linux-gnu-', arm64: 'aarch64-linux-gnu-' }[foreign];

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-compiler-'));
  vi.stubEnv('PATH', `${folder}:${process.env.PATH}`);
});
afterEach(() => {
  vi.unstubAllEnvs();
  rmSync(folder, { recursive: true });
});

const context = () => new Context({ guestArch: foreign, cacheDir: path.join(folder, 'cache') });

/** A compiler that only prints its version, and the path of its static C library. */
function crossCompiler({ libc }: { libc: string }): void {
  const script = `#!/bin/sh\ncase $1 in --version) echo "gcc (made up) 1.2.3" ;; *) echo "${libc}" ;; esac\n`;
  for (const name of ['gcc', 'ld']) {
    writeFileSync(path.join(folder, prefix + name), script);
    chmodSync(path.join(folder, prefix + name), 0o755);
  }
}

test("the host's compiler is used for a guest of the host's architecture", async () => {
  const own = await findCompiler(new Context({ guestArch: hostArch(), cacheDir: folder }));
  expect(own).toMatchObject({ prefix: '', origin: 'on this machine' });
});

test('an unknown architecture is refused, and the error lists the supported ones', () => {
  expect(() => new Context({ guestArch: 'riscv64' as 'arm64' })).toThrow(
    'it is "riscv64"\nWhat to do: use one of amd64, arm64',
  );
});

describe('for a guest of another architecture', () => {
  test('a cross compiler on PATH is used, and its version is part of the key', async () => {
    crossCompiler({ libc: '/usr/lib/libc.a' });
    expect(await findCompiler(context())).toEqual({
      command: `${prefix}gcc`,
      prefix,
      origin: `on this machine: ${path.join(folder, `${prefix}gcc`)}`,
    });
    expect(await crossCompilerKey(context())).toBe('gcc (made up) 1.2.3');
  });

  test('a cross compiler without a static C library is not used', async () => {
    crossCompiler({ libc: 'libc.a' });
    expect(await findCompiler(context())).toBeUndefined();
    expect(await crossCompilerKey(context())).toMatchObject({
      packages: [expect.stringMatching(/^gcc-\d+-/), `libc6-dev-${foreign}-cross`],
    });
  });
});
