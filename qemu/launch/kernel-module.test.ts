import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { type ExecResult } from '../channel';
import { moduleFile } from '../../test/support/module-fixture';
import { loadModule, parseModuleArgument, unloadModule } from './kernel-module';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'ghostcard-module-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const PARAMETERS = { parmtype: 'speed:int' };
const FITS = { vermagic: '6.1.0 SMP mod_unload', name: 'my_driver' };

function written(info: Record<string, string>): string {
  const file = path.join(folder, 'my-driver.ko');
  writeFileSync(file, moduleFile(info));
  return file;
}

const result = (exitCode: number, stdout = '', stderr = ''): ExecResult => ({
  exitCode,
  stdout: Buffer.from(stdout),
  stderr: Buffer.from(stderr),
  timedOut: false,
  durationMs: 1,
});

/** A guest with kernel 6.1.0 in which the script returns `answer`. */
const guestThat = (answer: ExecResult, machine = 'x86_64') => ({
  run: vi.fn((argv: readonly string[]) =>
    Promise.resolve(argv[0] === 'uname' ? result(0, `6.1.0 ${machine}\n`) : answer),
  ),
});

describe('a module for the guest', () => {
  test('is loaded with its parameters, after its dependencies', async () => {
    const guest = guestThat(result(0, '[    1.5] my_driver: hello\n'));
    const file = written({ ...FITS, ...PARAMETERS, depends: 'uio,vfio' });
    const loaded = await loadModule(guest, file, { parameters: { speed: 'a b' } });
    expect(loaded).toEqual({ name: 'my_driver', kernelLog: ['[    1.5] my_driver: hello'] });
    expect(guest.run.mock.calls[1]![0].slice(1)).toEqual(['load', 'my_driver', 'uio vfio', 'speed="a b"']);
  });

  test('built for another kernel is refused, and the error has the command that builds it for this one', async () => {
    const file = written({ vermagic: '6.12.1 SMP' });
    await expect(loadModule(guestThat(result(0)), file)).rejects.toThrow(
      `was built for kernel 6.12.1, but the guest runs 6.1.0.\nWhat to do: rebuild it with make -C "$(npx ghostcard kernel-build)" M=${folder} modules`,
    );
  });

  test('built for another architecture is refused, and the error has the command that builds it for the right one', async () => {
    const file = written({ vermagic: '6.12.1 SMP' });
    await expect(loadModule(guestThat(result(0), 'aarch64'), file)).rejects.toThrow(
      'make -C "$(npx ghostcard kernel-build --arch arm64)" M=',
    );
  });

  test('without module information is refused', async () => {
    const file = path.join(folder, 'notes.ko');
    writeFileSync(file, 'text');
    await expect(loadModule(guestThat(result(0)), file)).rejects.toThrow('is not a loadable kernel module');
  });

  test('is refused with a parameter that it does not have', async () => {
    const file = written({ ...FITS, ...PARAMETERS });
    await expect(loadModule(guestThat(result(0)), file, { parameters: { sped: 3 } })).rejects.toThrow(
      "has no parameter 'sped'. Its parameters: speed.",
    );
  });

  test('refused by the kernel causes an error with the errno and the kernel log, without repetition', async () => {
    const log = '[    1.5] my_driver: no such thing\n[    1.6] my_driver: no such thing\n';
    const guest = guestThat(result(22, log, "insmod: can't insert '/run/my_driver.ko': Invalid argument\n"));
    await expect(loadModule(guest, written(FITS))).rejects.toThrow(
      "EINVAL, insmod: can't insert '/run/my_driver.ko': Invalid argument\nKernel log:\n  [    1.5] my_driver: no such thing",
    );
  });

  test('whose dependencies cannot be loaded causes an error that names them', async () => {
    const guest = guestThat(result(200, '', 'modprobe: module other not found\n'));
    await expect(loadModule(guest, written({ ...FITS, depends: 'other' }))).rejects.toThrow(
      'needs other, which the guest cannot load: modprobe: module other not found',
    );
  });

  test('that cannot be unloaded causes an error with the kernel log', async () => {
    const guest = guestThat(result(1, '', "rmmod: can't unload module 'my_driver': No such file or directory\n"));
    await expect(unloadModule(guest, 'my_driver')).rejects.toThrow(
      "Cannot unload the module my_driver in the guest: rmmod: can't unload module 'my_driver': No such file or directory\nKernel log: (nothing)",
    );
  });
});

describe('a module argument', () => {
  test.each([
    ['my.ko', 'my.ko', {}],
    ['a,b/my.ko', 'a,b/my.ko', {}],
    ['my.ko,speed=3,label=x', 'my.ko', { speed: '3', label: 'x' }],
    ['my.ko,ids=1,2,3,speed=3', 'my.ko', { ids: '1,2,3', speed: '3' }],
    ['my.ko,label=a=b', 'my.ko', { label: 'a=b' }],
  ])('%s is split into file and parameters', (text, file, parameters) => {
    expect(parseModuleArgument(text)).toEqual({ file, parameters });
  });

  test('with an invalid parameter is refused', () => {
    expect(() => parseModuleArgument('my.ko,fast')).toThrow('"fast" in "my.ko,fast" is not a module parameter');
  });
});
