import { describe, expect, it } from 'vitest';
import { MAX_SLOTS, qemuArguments, slotPciAddress, type QemuArgumentOptions } from './arguments';

const options: QemuArgumentOptions = {
  arch: 'amd64',
  firmwareArgs: ['-L', '/qemu/firmware'],
  kernelPath: '/boot/vmlinuz',
  initramfsPath: '/boot/initramfs',
  accel: 'tcg',
  cpus: 1,
  memoryMiB: 512,
  hugepages: 32,
  iommu: false,
  sockets: { qmp: '/run/qmp.sock', agent: '/run/agent.sock' },
  consoleLogPath: '/run/console.log',
  cards: [],
  slots: 0,
  rootFolder: '/',
  shareFolders: [],
  incoming: false,
  extraArgs: [],
};

/** Values of every argument `name`; those in JSON syntax as objects. */
function valuesOf(name: string, changes: Partial<QemuArgumentOptions> = {}): unknown[] {
  const args = qemuArguments({ ...options, ...changes });
  return args.flatMap((argument, index) => {
    if (argument !== name) return [];
    const value = args[index + 1] ?? '';
    return [value.startsWith('{') ? (JSON.parse(value) as unknown) : value];
  });
}

describe('QEMU arguments', () => {
  it('ask for a bare q35 without anything that QEMU adds by itself, and no second boot', () => {
    expect(qemuArguments(options)).toEqual(expect.arrayContaining(['-nodefaults', '-no-user-config', '-no-reboot']));
    expect(valuesOf('-display')).toEqual(['none']);
    expect(valuesOf('-machine')).toEqual(['q35,vmport=off,smm=off,memory-backend=ram']);
    expect(valuesOf('-smp')).toEqual(['cpus=1']);
  });

  it('ask for a virt machine with an interrupt controller that takes MSI, for arm64', () => {
    expect(valuesOf('-machine', { arch: 'arm64' })).toEqual(['virt,gic-version=3,memory-backend=ram']);
    expect(valuesOf('-cpu', { arch: 'arm64' })).toEqual(['cortex-a72']);
    expect(valuesOf('-machine', { arch: 'arm64', accel: 'kvm' })).toEqual(['virt,gic-version=host,memory-backend=ram']);
  });

  it('make room for cards that are plugged in later: by the firmware, or where there is none by the kernel', () => {
    const [port] = valuesOf('-device', { slots: 1 }).filter((each) => (each as { id: string }).id === 'slot0');
    expect(port).toMatchObject({ 'mem-reserve': 32 * 2 ** 20, 'pref64-reserve': 8 * 2 ** 30 });
    expect(valuesOf('-append', { arch: 'arm64' })).toEqual([
      expect.stringMatching(/^console=ttyAMA0 pci=hpmmiosize=32M,hpmmioprefsize=8G /),
    ]);
  });

  it('use the emulator unless KVM is asked for', () => {
    expect(valuesOf('-accel')).toEqual(['tcg,thread=multi']);
    expect(valuesOf('-accel', { accel: 'kvm' })).toEqual(['kvm']);
    expect(valuesOf('-cpu', { accel: 'kvm' })).toEqual(['host']);
  });

  it('put the guest in memory that the card can map', () => {
    expect(valuesOf('-m', { memoryMiB: 256 })).toEqual(['256M']);
    expect(valuesOf('-object', { memoryMiB: 256 })).toEqual([
      { 'qom-type': 'memory-backend-memfd', 'id': 'ram', 'share': true, 'size': 268_435_456 },
    ]);
  });

  it('boot the kernel directly, with its console on the serial line, and end at a panic, an oops or a hung task', () => {
    expect(valuesOf('-kernel')).toEqual(['/boot/vmlinuz']);
    expect(valuesOf('-initrd')).toEqual(['/boot/initramfs']);
    expect(valuesOf('-append')).toEqual([
      'console=ttyS0 printk.time=1 panic=-1 oops=panic hung_task_panic=1 hugepagesz=2M hugepages=32',
    ]);
  });

  it('reserve no hugepages when none are wanted, and end the kernel command line with what the user adds', () => {
    expect(valuesOf('-append', { hugepages: 0, kernelAppend: 'quiet' })).toEqual([
      'console=ttyS0 printk.time=1 panic=-1 oops=panic hung_task_panic=1 quiet',
    ]);
  });

  it('put an IOMMU before all that is behind it, and have the kernel use it, when one is wanted', () => {
    const cards = [{ socketPath: '/run/card.sock' }];
    const drivers = (iommu: boolean) =>
      valuesOf('-device', { iommu, cards, slots: 1 }).map((device) => (device as { driver: string }).driver);
    expect(drivers(true)).toEqual(['intel-iommu', ...drivers(false)]);
    expect(valuesOf('-device', { iommu: true })[0]).toEqual({ 'driver': 'intel-iommu', 'caching-mode': true });
    expect(valuesOf('-append', { iommu: true, hugepages: 0, kernelAppend: 'quiet' })).toEqual([
      'console=ttyS0 printk.time=1 panic=-1 oops=panic hung_task_panic=1 intel_iommu=on quiet',
    ]);
    expect(valuesOf('-accel', { iommu: true, accel: 'kvm' })).toEqual(['kvm,kernel-irqchip=split']);
    expect(valuesOf('-device', { iommu: true, arch: 'arm64' })[0]).toMatchObject({ driver: 'virtio-iommu-pci' });
  });

  it('connect control and agent to sockets, and write the console to a file', () => {
    expect(valuesOf('-chardev')).toEqual([
      'socket,id=qmp,path=/run/qmp.sock',
      'file,id=console,path=/run/console.log',
      'socket,id=agent,path=/run/agent.sock',
    ]);
    expect(valuesOf('-qmp')).toEqual(['chardev:qmp']);
    expect(valuesOf('-serial')).toEqual(['chardev:console']);
    expect(valuesOf('-device')).toContainEqual(
      expect.objectContaining({ driver: 'virtserialport', chardev: 'agent', name: 'org.ghostcard.agent' }),
    );
  });

  it('write a comma in a path twice', () => {
    const sockets = { ...options.sockets, qmp: '/a,b/qmp.sock' };
    expect(valuesOf('-chardev', { sockets })[0]).toBe('socket,id=qmp,path=/a,,b/qmp.sock');
  });

  it('give each card a root port of its own, and leave the spare ones empty', () => {
    const devices = valuesOf('-device', {
      cards: [{ socketPath: '/run/a.sock' }, { socketPath: '/run/b.sock', answerTimeoutMs: 60_000 }],
      slots: 3,
    }) as { driver: string }[];
    expect(devices.filter(({ driver }) => driver === 'pcie-root-port')).toMatchObject([
      { id: 'slot0', bus: 'pcie.0', addr: '0x8', chassis: 1, slot: 1 },
      { id: 'slot1', bus: 'pcie.0', addr: '0x9', chassis: 2, slot: 2 },
      { id: 'slot2', bus: 'pcie.0', addr: '0xa', chassis: 3, slot: 3 },
    ]);
    expect(devices.filter(({ driver }) => driver === 'vfio-user-pci')).toEqual([
      { driver: 'vfio-user-pci', id: 'card0', bus: 'slot0', socket: { type: 'unix', path: '/run/a.sock' } },
      {
        'driver': 'vfio-user-pci',
        'id': 'card1',
        'bus': 'slot1',
        'socket': { type: 'unix', path: '/run/b.sock' },
        'x-msg-timeout': 60_000,
      },
    ]);
  });

  it('know where the guest sees a root port', () => {
    expect([slotPciAddress(0), slotPciAddress(8), slotPciAddress(MAX_SLOTS - 1)]).toEqual([
      '0000:00:08.0',
      '0000:00:10.0',
      '0000:00:1e.0',
    ]);
  });

  it('refuse more cards than the machine has slots', () => {
    expect(() => qemuArguments({ ...options, slots: MAX_SLOTS + 1 })).toThrow(
      '0 card(s) and 24 slots were asked for; a machine has at most 23 slots',
    );
    expect(() => qemuArguments({ ...options, cards: [{ socketPath: '/a' }] })).toThrow('1 card(s) and 0 slots');
  });

  it("share the host's root read-only, and folders to write to", () => {
    expect(valuesOf('-fsdev', { rootFolder: '/a,b', shareFolders: ['/out'] })).toEqual([
      'local,id=hostroot,path=/a,,b,security_model=none,readonly=on,multidevs=remap',
      'local,id=hostroot-kept,path=/a,,b,security_model=none,readonly=on,multidevs=remap',
      'local,id=share0,path=/out,security_model=none,readonly=off,multidevs=remap',
    ]);
    const devices = valuesOf('-device', { shareFolders: ['/out'] });
    expect(devices).toContainEqual({
      driver: 'virtio-9p-pci',
      fsdev: 'share0',
      mount_tag: 'share0',
      bus: 'pcie.0',
      addr: '0x5',
    });
    expect(() => qemuArguments({ ...options, shareFolders: ['/1', '/2', '/3', '/4', '/5'] })).toThrow(
      '5 folders were to be shared for writing; 4 is the limit. Share one above them.',
    );
  });

  it('wait for a snapshot, and listen for a debugger, only when told to', () => {
    expect(valuesOf('-incoming')).toEqual([]);
    expect(valuesOf('-incoming', { incoming: true })).toEqual(['defer']);
    expect(valuesOf('-gdb', { gdb: 'tcp:127.0.0.1:1234' })).toEqual(['tcp:127.0.0.1:1234']);
  });

  it('begin with where the firmware is and end with what the user adds', () => {
    const args = qemuArguments({ ...options, extraArgs: ['-device', 'edu'] });
    expect(args.slice(0, 2)).toEqual(['-L', '/qemu/firmware']);
    expect(args.slice(-2)).toEqual(['-device', 'edu']);
  });
});
