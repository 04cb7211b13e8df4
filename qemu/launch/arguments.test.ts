import { prefetchableWindowGiB } from './architectures';
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
  highMiB: 0,
  hugepages: 32,
  iommu: false,
  sockets: { qmp: '/run/qmp.sock', agent: '/run/agent.sock' },
  consoleLogPath: '/run/console.log',
  cards: [],
  slots: 0,
  rootFolder: '/',
  modulesFolder: '/run/empty',
  shareFolders: [],
  incoming: false,
  extraArgs: [],
};

/** Values of every argument `name`. Those in JSON syntax are parsed. */
function valuesOf(name: string, changes: Partial<QemuArgumentOptions> = {}): unknown[] {
  const args = qemuArguments({ ...options, ...changes });
  return args.flatMap((argument, index) => {
    if (argument !== name) return [];
    const value = args[index + 1] ?? '';
    return [value.startsWith('{') ? (JSON.parse(value) as unknown) : value];
  });
}

describe('QEMU arguments', () => {
  it('ask for a bare q35 without the default devices, and without a reboot', () => {
    expect(qemuArguments(options)).toEqual(expect.arrayContaining(['-nodefaults', '-no-user-config', '-no-reboot']));
    expect(valuesOf('-display')).toEqual(['none']);
    expect(valuesOf('-machine')).toEqual(['q35,vmport=off,smm=off,memory-backend=ram']);
    expect(valuesOf('-smp')).toEqual(['cpus=1']);
  });

  it('let root ports drive their slots themselves, not ACPI, so that the port reports an active link', () => {
    expect(valuesOf('-global')).toEqual(['ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off']);
    expect(valuesOf('-global', { arch: 'arm64' })).toEqual([]);
  });

  it('ask for a virt machine whose interrupt controller supports MSI, for arm64', () => {
    expect(valuesOf('-machine', { arch: 'arm64' })).toEqual(['virt,gic-version=3,memory-backend=ram']);
    expect(valuesOf('-cpu', { arch: 'arm64' })).toEqual(['cortex-a72']);
    expect(valuesOf('-machine', { arch: 'arm64', accel: 'kvm' })).toEqual(['virt,gic-version=host,memory-backend=ram']);
  });

  it('put memory above 4 GiB: of the machine itself, or of a device where the machine has none there', () => {
    const high = { highMiB: 256 };
    expect(valuesOf('-machine', high)).toEqual(['q35,vmport=off,smm=off,memory-backend=ram,max-ram-below-4g=256M']);
    expect(valuesOf('-m', high)).toEqual(['512M']);
    expect(valuesOf('-append', high)).toEqual([expect.stringContaining('hugepages=32')]);
    expect(valuesOf('-m', { ...high, arch: 'arm64' })).toEqual(['256M,maxmem=4608M']);
    expect(valuesOf('-device', { ...high, arch: 'arm64' })).toContainEqual(
      expect.objectContaining({ 'driver': 'virtio-mem-pci', 'memaddr': 2 ** 32, 'requested-size': 2 ** 28 }),
    );
    const [append] = valuesOf('-append', { ...high, arch: 'arm64' });
    expect(append).toContain(' ghostcard.high=256 ghostcard.hugepages=32');
    expect(append).not.toContain(' hugepages=');
  });

  it('share the address space above 4 GiB among all slots, so that 23 of them fit into 40 bits', () => {
    expect([1, 8, 23].map(prefetchableWindowGiB)).toEqual([32, 32, 16]);
  });

  it('reserve address space for hot-plugged cards, through the firmware or, without one, the kernel', () => {
    const [port] = valuesOf('-device', { slots: 1 }).filter((each) => (each as { id: string }).id === 'slot0');
    expect(port).toMatchObject({ 'mem-reserve': 32 * 2 ** 20, 'pref64-reserve': 32 * 2 ** 30 });
    expect(valuesOf('-append', { arch: 'arm64' })).toEqual([
      expect.stringContaining(' pci=hpmmiosize=32M,hpmmioprefsize=32G '),
    ]);
  });

  it('use the emulator unless KVM is asked for', () => {
    expect(valuesOf('-accel')).toEqual(['tcg,thread=multi']);
    expect(valuesOf('-accel', { accel: 'kvm' })).toEqual(['kvm']);
    expect(valuesOf('-cpu', { accel: 'kvm' })).toEqual(['host']);
    for (const accel of ['kvm', 'tcg'] as const) {
      expect(valuesOf('-cpu', { accel, cpu: 'max,la57=off' })).toEqual(['max,la57=off']);
    }
  });

  it('put guest memory into a file that the card can map', () => {
    expect(valuesOf('-m', { memoryMiB: 256 })).toEqual(['256M']);
    expect(valuesOf('-object', { memoryMiB: 256 })).toEqual([
      { 'qom-type': 'memory-backend-memfd', 'id': 'ram', 'share': true, 'size': 268_435_456 },
    ]);
  });

  it('boot the kernel directly, with a serial console, and end on a panic, an oops or a hung task', () => {
    expect(valuesOf('-kernel')).toEqual(['/boot/vmlinuz']);
    expect(valuesOf('-initrd')).toEqual(['/boot/initramfs']);
    expect(valuesOf('-append')).toEqual([
      'console=ttyS0 no_timer_check mitigations=off printk.time=1 panic=-1 oops=panic hung_task_panic=1 hugepagesz=2M hugepages=32',
    ]);
  });

  it('reserve no hugepages if none are asked for, and append to the kernel command line', () => {
    expect(valuesOf('-append', { hugepages: 0, kernelAppend: 'quiet' })).toEqual([
      'console=ttyS0 no_timer_check mitigations=off printk.time=1 panic=-1 oops=panic hung_task_panic=1 quiet',
    ]);
  });

  it('put the IOMMU before the devices behind it and enable it in the kernel, if one is asked for', () => {
    const cards = [{ socketPath: '/run/card.sock' }];
    const drivers = (iommu: boolean) =>
      valuesOf('-device', { iommu, cards, slots: 1 }).map((device) => (device as { driver: string }).driver);
    expect(drivers(true)).toEqual(['intel-iommu', ...drivers(false)]);
    expect(valuesOf('-device', { iommu: true })[0]).toEqual({ 'driver': 'intel-iommu', 'caching-mode': true });
    expect(valuesOf('-append', { iommu: true, hugepages: 0, kernelAppend: 'quiet' })).toEqual([
      'console=ttyS0 no_timer_check mitigations=off printk.time=1 panic=-1 oops=panic hung_task_panic=1 intel_iommu=on quiet',
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

  it('give each card its own root port, and leave spare ports empty', () => {
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

  it('put the functions of a card behind one root port, function 0 last', () => {
    const card = { socketPath: '/run/0', moreFunctions: [{ socketPath: '/run/1' }, { socketPath: '/run/2' }] };
    const devices = valuesOf('-device', { cards: [card], slots: 1 }) as { driver: string }[];
    const common = { driver: 'vfio-user-pci', bus: 'slot0', multifunction: true };
    expect(devices.filter(({ driver }) => driver === 'vfio-user-pci')).toEqual([
      { ...common, id: 'card0.2', addr: '0x0.0x2', socket: { type: 'unix', path: '/run/2' } },
      { ...common, id: 'card0.1', addr: '0x0.0x1', socket: { type: 'unix', path: '/run/1' } },
      { ...common, id: 'card0', addr: '0x0.0x0', socket: { type: 'unix', path: '/run/0' } },
    ]);
  });

  it('predict the PCI address of a root port', () => {
    expect([slotPciAddress(0), slotPciAddress(8), slotPciAddress(MAX_SLOTS - 1)]).toEqual([
      '0000:00:08.0',
      '0000:00:10.0',
      '0000:00:1e.0',
    ]);
  });

  it('refuse more cards than the machine has slots', () => {
    expect(() => qemuArguments({ ...options, slots: MAX_SLOTS + 1 })).toThrow(
      'Cannot launch a machine with 0 card(s) and 24 slots: it has at most 23 slots',
    );
    expect(() => qemuArguments({ ...options, cards: [{ socketPath: '/a' }] })).toThrow(
      'Cannot launch a machine with 1 card(s) and 0 slots',
    );
  });

  it("share the host's root read-only, and folders to write to", () => {
    expect(valuesOf('-fsdev', { rootFolder: '/a,b', shareFolders: ['/out'] })).toEqual([
      'local,id=hostroot,path=/a,,b,security_model=none,readonly=on,multidevs=remap',
      'local,id=hostroot-kept,path=/a,,b,security_model=none,readonly=on,multidevs=remap',
      'local,id=share0,path=/out,security_model=none,readonly=off,multidevs=remap',
      'local,id=modules,path=/run/empty,security_model=none,readonly=on,multidevs=remap',
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
      'Cannot share 5 writable folders: the limit is 4. Share a common parent folder.',
    );
  });

  it('wait for a snapshot, or listen for a debugger, only if asked to', () => {
    expect(valuesOf('-incoming')).toEqual([]);
    expect(valuesOf('-incoming', { incoming: true })).toEqual(['defer']);
    expect(valuesOf('-gdb', { gdb: 'tcp:127.0.0.1:1234' })).toEqual(['tcp:127.0.0.1:1234']);
  });

  it('begin with the firmware folder and end with additional arguments', () => {
    const args = qemuArguments({ ...options, extraArgs: ['-device', 'edu'] });
    expect(args.slice(0, 2)).toEqual(['-L', '/qemu/firmware']);
    expect(args.slice(-2)).toEqual(['-device', 'edu']);
  });
});
