import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { hostArch } from '../../qemu/provision';
import { UsageError } from '../common/errors';
import { TwoPorts } from '../../test/support/two-ports';
import { hasNoDma, planRun, type RunCommandOptions } from './run-plan';

let folder: string;
let script: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'gc-plan-'));
  script = join(folder, 'script');
  writeFileSync(script, 'text');
  chmodSync(script, 0o755);
});
afterAll(() => rmSync(folder, { recursive: true }));

const foreign = hostArch() === 'amd64' ? 'arm64' : 'amd64';

const plan = (options: Partial<RunCommandOptions> = {}, argv = ['true']) =>
  planRun(argv, { arch: 'amd64', memory: 512, cpus: 1, ...options });

describe('the plan of ghostcard run', () => {
  it('has, without options, the reference card without a driver, the files of this machine, and a warm start', async () => {
    const { cards, drivers, terminal, rig } = await plan();
    expect(cards.map(({ name }) => name)).toEqual(['reference']);
    expect({ drivers, terminal }).toEqual({ drivers: [], terminal: false });
    expect(rig).toMatchObject({ start: 'warm', hostRoot: '/', shares: [] });
  });

  it('has the variables of --env, with the value of the caller where only a name is given', async () => {
    process.env.GC_PLAN_TEST = 'from here';
    const { environment } = await plan({ env: ['A=1=2', 'GC_PLAN_TEST', 'EMPTY='] });
    expect(environment).toEqual({ A: '1=2', GC_PLAN_TEST: 'from here', EMPTY: '' });
  });

  it('pushes files into a folder, to a path, or into /tmp', async () => {
    const { pushes } = await plan({ push: [script, `${script}:/opt/`, `${script}:/opt/other`] });
    expect(pushes.map(({ guestPath }) => guestPath)).toEqual(['/tmp/script', '/opt/script', '/opt/other']);
    expect(pushes[0]).toMatchObject({ bytes: Buffer.from('text'), mode: 0o755 });
  });

  it('shares folders at their own path, or at another', async () => {
    const { rig } = await plan({ rw: [folder, `${folder}:/out`] });
    expect(rig.shares).toEqual([{ hostPath: folder }, { hostPath: folder, guestPath: '/out' }]);
  });

  it('has a driver for all functions of a card, or one for each', async () => {
    Object.assign(globalThis, { TwoPortsOfTheTest: TwoPorts });
    const card = [join(folder, 'two-ports.js')];
    writeFileSync(card[0]!, 'module.exports = globalThis.TwoPortsOfTheTest;');
    expect((await plan({ card, driver: ['vfio-pci'] })).drivers).toEqual([['vfio-pci']]);
    expect((await plan({ card, driver: ['none,vfio-pci'] })).drivers).toEqual([['none', 'vfio-pci']]);
    await expect(plan({ card, driver: ['none,none,none'] })).rejects.toThrow(
      'none,none,none: 3 drivers for the card two-ports, which has 2 function(s): name one for all, or one for each',
    );
    await expect(plan({ driver: ['none,none'] })).rejects.toThrow('2 drivers for the card reference, which has 1');
  });

  it('puts the cards behind an IOMMU with --iommu, and knows the drivers whose DMA it refuses', async () => {
    expect((await plan()).rig.iommu).toBe(false);
    expect((await plan({ iommu: true })).rig.iommu).toBe(true);
    const { rig } = await plan({ iommu: true });
    expect(['uio_pci_generic', 'vfio-pci', 'none'].map((driver) => hasNoDma(driver, rig))).toEqual([
      true,
      false,
      false,
    ]);
    const passing = await plan({ iommu: true, append: 'quiet iommu=pt' });
    expect(hasNoDma('uio_pci_generic', passing.rig)).toBe(false);
    expect(hasNoDma('uio_pci_generic', (await plan()).rig)).toBe(false);
  });

  it('reserves 32 huge pages, or as many as there is room for', async () => {
    expect((await plan()).rig.hugepages).toBe(32);
    expect((await plan({ memory: 128 })).rig.hugepages).toBe(16);
    expect((await plan({ hugepages: 100 })).rig.hugepages).toBe(100);
  });

  it('has no time limits with --debug', async () => {
    const { rig, bindTimeoutMs } = await plan({ debug: true, append: 'quiet' });
    expect(rig.kernelAppend).toMatch(/^quiet nosoftlockup .*hung_task_timeout_secs=0/);
    expect(rig.bootTimeoutMs).toBe(bindTimeoutMs);
    expect(bindTimeoutMs).toBeGreaterThan(3_600_000);
  });

  it.each<[string, Partial<RunCommandOptions>, string]>([
    [
      'a file with a relative guest path',
      { push: ['f:relative'] },
      "--push f:relative: 'relative' must be an absolute path",
    ],
    ['a file that does not exist', { push: ['/none/f'] }, '--push /none/f: there is no file /none/f'],
    [
      'more huge pages than memory',
      { hugepages: 220 },
      '--hugepages 220 takes 440 MiB, and the guest needs 96 MiB more',
    ],
    ['a share that does not exist', { rw: ['/none'] }, '--rw /none: there is no folder /none'],
    [
      'a share with a relative guest path',
      { rw: ['/tmp:x'] },
      "--rw /tmp:x: 'x' must be an absolute path in the guest",
    ],
    ['a root that is a file', { root: '/etc/passwd' }, '--root /etc/passwd: there is no folder /etc/passwd'],
    [
      'a module that does not exist',
      { module: ['/none/m.ko,a=1'] },
      '--module /none/m.ko,a=1: there is no file /none/m.ko',
    ],
    [
      'KVM for another processor',
      { kvm: true, arch: foreign },
      `--kvm runs guests of this machine's architecture, ${hostArch()}, and --arch ${foreign} is another`,
    ],
    ['more drivers than cards', { driver: ['none', 'none'] }, '--driver was given 2 times for 1 card(s)'],
    ['a driver that is a file', { driver: ['./my.ko'] }, '--driver ./my.ko: not the name of a kernel driver'],
    ['fewer slots than cards', { slots: 1, card: ['reference', 'reference'] }, '--slots 1 is not enough for 2 cards'],
    ['a variable that is not set', { env: ['GC_PLAN_UNSET'] }, '--env GC_PLAN_UNSET: there is no such variable here'],
    ['a variable without a name', { env: ['=x'] }, '--env =x: write NAME=VALUE'],
    [
      'a folder for logs that cannot be made',
      { artifacts: '/proc/x' },
      '--artifacts /proc/x: nothing can be written there',
    ],
    ['a shell without a terminal', { shell: true }, '--shell needs a terminal'],
    [
      'suppressions without the check',
      { suppress: 'file' },
      '--suppress is a file for --check dma, which is not given',
    ],
    ['a file of suppressions that is not there', { check: 'dma', suppress: '/none' }, '--suppress: ENOENT'],
    ['the check of DMA on KVM', { check: 'dma', kvm: true }, '--check dma does not work with --kvm'],
    ['observed processors on KVM', { observe: true, kvm: true }, '--observe does not work with --kvm'],
  ])('refuses %s', async (_, options, message) => {
    const refused = plan(options);
    await expect(refused).rejects.toThrow(UsageError);
    await expect(refused).rejects.toThrow(message);
  });

  it('refuses an empty command', async () => {
    await expect(plan({}, [])).rejects.toThrow('there is no command to run');
  });

  it('refuses a port for gdb that is taken', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await expect(plan({ gdb: port })).rejects.toThrow(`--gdb ${port}: listen EADDRINUSE`);
    server.close();
  });
});
