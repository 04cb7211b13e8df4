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

  test('lists all modules of the kernel, those that it has itself by its own file', () => {
    const allModules = [
      { name: 'uio', fileName: 'kernel/uio.ko', depends: [] },
      { name: 'uio_cif', fileName: 'kernel/uio_cif.ko', depends: ['uio'], aliases: ['net-cif'] },
    ];
    const lists = imageEntries({ ...parts, allModules, builtIn: ['kernel/lib/crc-16.ko'] });
    const text = (name: string): string => {
      const entry = lists.find((each) => each.path === `/lib/modules/6.1.0-test/${name}`);
      return entry?.kind === 'file' ? Buffer.from(entry.data).toString() : '';
    };
    expect(text('modules.dep')).toBe('uio.ko:\nall/kernel/uio_cif.ko: uio.ko\n');
    expect(text('modules.alias')).toBe('alias net_cif uio_cif\n');
    expect(text('modules.builtin')).toBe('kernel/lib/crc-16.ko\n');
    expect(text('modules.builtin.bin')).toContain('crc_16');
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
