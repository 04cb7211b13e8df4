/** The kernels of guests, their modules by name, and the processors that they run on. */
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { explainSignal, loadModule } from '../../qemu/launch';
import { GUEST_ARCHES, provision } from '../../qemu/provision';
import { type Rig } from '../../qemu/rig';
import { startRig } from '../support/rig';

/** The packages of a kernel are fetched, and some of its modules built. */
const PROVISION_TIMEOUT_MS = 900_000;

const shell = async (rig: Rig, script: string, host = false): Promise<string> => {
  const { stdout, stderr } = await rig.guest.run(['sh', '-c', script], { host });
  return `${stdout.toString()}${stderr.toString()}`.trim();
};

describe.each(GUEST_ARCHES)('a guest of %s', (arch) => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({ arch, hostRoot: '/' });
  });
  afterAll(() => rig?.close());

  it("loads a module of the kernel's own by name, with parameters, after what it depends on", async () => {
    const { name } = await loadModule(rig.guest, 'dummy', { parameters: { numdummies: 3 } });
    expect(name).toBe('dummy');
    expect(await shell(rig, 'ip link | grep -c dummy')).toBe('3');
    await loadModule(rig.guest, 'btrfs');
    expect(await shell(rig, 'grep -c -E "^(btrfs|raid6_pq|xor) " /proc/modules')).toBe('3');
  });

  it("has all of the kernel's modules for modprobe, of commands on the host's files and on its own", async () => {
    expect(await shell(rig, 'modprobe loop && echo loaded')).toBe('loaded');
    expect(await shell(rig, 'modprobe nbd && echo loaded', true)).toBe('loaded');
    // By the name that the kernel asks for when such an interface is made.
    expect(await shell(rig, 'modprobe rtnl-link-ifb && grep -c "^ifb " /proc/modules', true)).toBe('1');
  });

  it('refuses a module that the kernel does not have, or a parameter, and says so', async () => {
    await expect(loadModule(rig.guest, 'dumy')).rejects.toThrow(
      /^The guest's kernel has no module dumy\. Names like it: dummy, .* --kernel generic\. For a module of your own/,
    );
    const wrong = loadModule(rig.guest, 'bonding', { parameters: { nonsense: 1 } });
    await expect(wrong).rejects.toThrow("The module bonding has no parameter 'nonsense'.");
  });
});

describe('the processor of a guest', () => {
  it('is an x86-64-v3, and an instruction that it does not have ends a program with an explanation', async () => {
    await using rig = await startRig();
    const flags = await shell(rig, 'grep -m 1 ^flags /proc/cpuinfo');
    for (const flag of ['ssse3', 'sse4_2', 'popcnt', 'avx', 'avx2', 'bmi1', 'bmi2', 'f16c', 'fma', 'abm', 'movbe']) {
      expect(` ${flags} `).toContain(` ${flag} `);
    }
    const result = await rig.guest.run(['sh', '-c', 'kill -ILL $$']);
    expect(result.signal).toBe('SIGILL');
    expect(explainSignal(result, rig.guest)).toMatch(/does not have \(its model: EPYC-v4,-fxsr-opt,.*--cpu max/);
  });

  it('is another model if that is asked for, and its snapshot is one of its own', async () => {
    await using rig = await startRig({ cpu: 'Nehalem-v1' });
    expect(await shell(rig, 'grep -m 1 ^flags /proc/cpuinfo')).not.toContain('avx');
  });

  it.each(GUEST_ARCHES)('of %s that QEMU does not have is refused, with names that it has', async (arch) => {
    const model = { amd64: 'Hasswell', arm64: 'cortex-a73' }[arch];
    await expect(startRig({ arch, cpu: model })).rejects.toThrow(
      new RegExp(`QEMU has no CPU model '${model}' for ${arch} guests\\. Names like it: (Haswell|cortex-a\\d+)`),
    );
  });
});

it("a kernel of the user has all modules of its folder, and is not asked for VFIO's no-IOMMU mode", async () => {
  const { imagePath: kernel, modulesFolder: modules } = inject('provisioned').amd64.kernel;
  const provisioned = await provision({ kernel, modules: modules! });
  await using rig = await startRig({ provisioned });
  expect((await rig.bind('card', 'uio_pci_generic')).node).toBe('/dev/uio0');
  expect(await shell(rig, 'modprobe dummy && echo loaded')).toBe('loaded');
});

it(
  "Debian's generic kernel has drivers that the cloud kernel lacks, and drives the card",
  async () => {
    const provisioned = await provision({ kernel: 'generic' });
    const rig = await startRig({ provisioned });
    onTestFinished(() => rig.close());
    expect(await loadModule(rig.guest, 'ioatdma')).toMatchObject({ name: 'ioatdma' });
    expect(await shell(rig, 'grep -c -E "^(ioatdma|dca) " /proc/modules')).toBe('2');
    expect((await rig.bind('card', 'vfio-pci')).node).toBe('/dev/vfio/noiommu-0');
    expect(await shell(rig, `gc-loopback --device ${await rig.guest.pciAddressOf('card')}`)).toMatch(/passed|ok/i);
  },
  PROVISION_TIMEOUT_MS,
);
