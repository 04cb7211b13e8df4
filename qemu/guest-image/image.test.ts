import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { describe, expect, test } from 'vitest';
import { GUEST_PATHS, imageEntries, imageScripts, type ImageParts } from './image';

const parts: ImageParts = {
  busybox: Buffer.from('busybox'),
  release: '6.1.0-test',
  modules: [{ name: 'uio', fileName: 'uio.ko', depends: [], data: Buffer.from('uio') }],
  agent: Buffer.from('agent'),
  programs: new Map(['identify', 'ghostcard-host-root'].map((name) => [name, Buffer.from(name)])),
};

describe('the image', () => {
  const entries = imageEntries(parts);
  const paths = entries.map((entry) => entry.path);

  test('contains init, the shell, the agent, the programs, and the modules below their kernel release', () => {
    for (const wanted of [
      '/init',
      '/bin/sh',
      GUEST_PATHS.agent,
      GUEST_PATHS.bind,
      GUEST_PATHS.hostRoot,
      '/usr/bin/identify',
    ]) {
      expect(paths).toContain(wanted);
    }
    expect(paths).toContain('/lib/modules/6.1.0-test/uio.ko');
    for (const list of ['dep', 'dep.bin', 'symbols.bin', 'alias.bin', 'builtin.bin']) {
      expect(paths).toContain(`/lib/modules/6.1.0-test/modules.${list}`);
    }
  });

  test('has every folder before its contents, because the kernel unpacks it in order', () => {
    for (const [index, each] of paths.entries()) {
      const parent = path.posix.dirname(each);
      if (parent !== '/') expect(paths.slice(0, index)).toContain(parent);
    }
  });

  test('has only programs and scripts as executable files', () => {
    const executable = entries.filter((entry) => entry.kind === 'file' && entry.executable).map((entry) => entry.path);
    expect(executable).toContain('/init');
    expect(executable).toContain('/usr/bin/identify');
    expect(executable).not.toContain('/lib/modules/6.1.0-test/uio.ko');
  });
});

test.each(imageScripts())('the script $guestPath is valid shell', ({ data }) => {
  expect(() => execFileSync('sh', ['-n'], { input: data, stdio: ['pipe', 'pipe', 'pipe'] })).not.toThrow();
});
