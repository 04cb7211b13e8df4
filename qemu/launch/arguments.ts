/**
 * QEMU's arguments, as a pure function of what is to be launched: the one place to read which machine a guest gets.
 *
 * Sources: QEMU's man page (docs/system/invocation), docs/pcie.txt (root ports), docs/system/devices/vfio-user.rst.
 */
import { type GuestArch } from '../provision';
import { type MachineFacts, MACHINES, MEMORY_WINDOW_MIB, PREFETCHABLE_WINDOW_GIB } from './architectures';

export interface QemuArgumentOptions {
  readonly arch: GuestArch;
  /** Where QEMU finds its firmware (`-L FOLDER` …); empty for a QEMU that knows by itself. */
  readonly firmwareArgs: readonly string[];
  readonly kernelPath: string;
  readonly initramfsPath: string;
  readonly accel: 'tcg' | 'kvm';
  readonly cpus: number;
  readonly memoryMiB: number;
  /** 2 MiB pages that the kernel sets aside at boot, for DMA buffers that are contiguous and never move. */
  readonly hugepages: number;
  /** Added to the kernel's command line. */
  readonly kernelAppend?: string;
  /** UNIX sockets on which the runner listens before QEMU starts; QEMU connects to each. */
  readonly sockets: { readonly qmp: string; readonly agent: string };
  /** File that gets everything the guest writes to its console. */
  readonly consoleLogPath: string;
  /** Cards that are there when the machine is switched on. Card n sits behind root port n. */
  readonly cards: readonly CardConnection[];
  /** Root ports, each with room for one card; those without a card take one while the guest runs. */
  readonly slots: number;
  /** Puts a virtual IOMMU in front of every card. */
  readonly iommu: boolean;
  /** Folders of the host that the guest can mount: the root first, then what it may write to. */
  readonly rootFolder: string;
  readonly shareFolders: readonly string[];
  /** The machine waits to be loaded from a snapshot instead of booting. */
  readonly incoming: boolean;
  /** Where QEMU's gdb stub listens, such as 'tcp:127.0.0.1:1234'. */
  readonly gdb?: string;
  readonly extraArgs: readonly string[];
}

/** How QEMU reaches a card. */
export interface CardConnection {
  /** Where its vfio-user server listens. */
  readonly socketPath: string;
  /** How long QEMU waits for the answer to a message, in milliseconds. Left out: QEMU's own limit. */
  readonly answerTimeoutMs?: number;
}

/** The virtio-serial port on which the agent in the guest answers. */
export const AGENT_PORT = 'org.ghostcard.agent';

/**
 * The tags under which the guest finds the host's folders: the root twice, for two ways of keeping what has been read
 * (files/ghostcard-host-root), then what may be written to.
 */
const ROOT_TAGS = ['hostroot', 'hostroot-kept'];
export const shareTag = (index: number) => `share${index}`;

const FOLDER_DEVICES = [0x03, 0x04, 0x05, 0x06, 0x07, 0x01];
export const MAX_SHARES = FOLDER_DEVICES.length - ROOT_TAGS.length;

/** Root ports sit side by side on the root bus, from this device number up to the last before the chipset's own. */
const FIRST_SLOT_DEVICE = 0x08;
const LAST_SLOT_DEVICE = 0x1e;
export const MAX_SLOTS = LAST_SLOT_DEVICE - FIRST_SLOT_DEVICE + 1;

/** QEMU's names for slot n and for the card in it, as QMP commands want them. */
export const slotId = (slot: number) => `slot${slot}`;
export const cardId = (slot: number) => `card${slot}`;

/** Where the guest finds root port `slot`: the card behind it is the one function below this address in sysfs. */
export function slotPciAddress(slot: number): string {
  return `0000:00:${(FIRST_SLOT_DEVICE + slot).toString(16).padStart(2, '0')}.0`;
}

export function qemuArguments(options: QemuArgumentOptions): string[] {
  const machine = MACHINES[options.arch];
  checkCounts(options);
  return [
    ...options.firmwareArgs,
    ...['-nodefaults', '-no-user-config', '-no-reboot'],
    ...['-display', 'none'],
    ...['-machine', `${machine.machine[options.accel]},memory-backend=ram`],
    ...['-accel', accelerator(options)],
    ...['-cpu', options.accel === 'kvm' ? 'host' : machine.cpu],
    ...['-smp', `cpus=${options.cpus}`],
    ...['-m', `${options.memoryMiB}M`],
    // Shared: the card's process maps the same pages, and its DMA is a copy in memory.
    ...[
      '-object',
      json({ 'qom-type': 'memory-backend-memfd', 'id': 'ram', 'share': true, 'size': options.memoryMiB * 2 ** 20 }),
    ],
    ...['-kernel', options.kernelPath],
    ...['-initrd', options.initramfsPath],
    ...['-append', kernelCommandLine(machine, options)],
    ...socketChardev('qmp', options.sockets.qmp),
    ...['-qmp', 'chardev:qmp'],
    ...['-chardev', `file,id=console,path=${value(options.consoleLogPath)}`],
    ...['-serial', 'chardev:console'],
    ...socketChardev('agent', options.sockets.agent),
    // Before everything that is to be behind it. QEMU's own devices are not: virtio says so by itself.
    ...(options.iommu ? device(machine.iommu.device) : []),
    ...device({ driver: 'virtio-serial-pci', id: 'serial', bus: 'pcie.0', addr: '0x2', max_ports: 4 }),
    ...device({ driver: 'virtserialport', bus: 'serial.0', nr: 1, chardev: 'agent', name: AGENT_PORT }),
    ...hostFolders(options),
    ...Array.from({ length: options.slots }, (_, slot) => device(rootPort(slot))).flat(),
    ...options.cards.flatMap((card, slot) => device(cardDevice(slot, card))),
    ...(options.incoming ? ['-incoming', 'defer'] : []),
    ...(options.gdb === undefined ? [] : ['-gdb', options.gdb]),
    ...options.extraArgs,
  ];
}

function accelerator({ arch, accel, iommu }: QemuArgumentOptions): string {
  const { kvmOption } = MACHINES[arch].iommu;
  if (accel === 'kvm') return iommu && kvmOption !== undefined ? `kvm,${kvmOption}` : 'kvm';
  return 'tcg,thread=multi';
}

function checkCounts({ cards, slots, shareFolders }: QemuArgumentOptions): void {
  if (slots > MAX_SLOTS || cards.length > slots) {
    throw new RangeError(
      `${cards.length} card(s) and ${slots} slots were asked for; a machine has at most ${MAX_SLOTS} slots, and each ` +
        `card takes one. Use fewer cards, or more slots.`,
    );
  }
  if (shareFolders.length > MAX_SHARES) {
    throw new RangeError(
      `${shareFolders.length} folders were to be shared for writing; ${MAX_SHARES} is the limit. Share one above them.`,
    );
  }
}

/** The device that connects to a card's vfio-user server; also what `device_add` takes over QMP. */
export function cardDevice(slot: number, { socketPath, answerTimeoutMs }: CardConnection) {
  return {
    driver: 'vfio-user-pci',
    id: cardId(slot),
    bus: slotId(slot),
    socket: { type: 'unix', path: socketPath },
    ...(answerTimeoutMs !== undefined && { 'x-msg-timeout': answerTimeoutMs }),
  };
}

/** Folders of the host, each on a 9p device. Files belong in the guest to whom they belong on the host. */
function hostFolders({ rootFolder, shareFolders }: QemuArgumentOptions): string[] {
  const roots = ROOT_TAGS.map((tag) => ({ tag, path: rootFolder, readonly: 'on' }));
  const shares = shareFolders.map((path, index) => ({ tag: shareTag(index), path, readonly: 'off' }));
  return [...roots, ...shares].flatMap(({ tag, path, readonly }, index) => [
    '-fsdev',
    `local,id=${tag},path=${value(path)},security_model=none,readonly=${readonly},multidevs=remap`,
    ...device({
      driver: 'virtio-9p-pci',
      fsdev: tag,
      mount_tag: tag,
      bus: 'pcie.0',
      addr: `0x${FOLDER_DEVICES[index]!.toString(16)}`,
    }),
  ]);
}

function rootPort(slot: number) {
  return {
    'driver': 'pcie-root-port',
    'id': slotId(slot),
    'bus': 'pcie.0',
    'addr': `0x${(FIRST_SLOT_DEVICE + slot).toString(16)}`,
    'chassis': slot + 1,
    'slot': slot + 1,
    // For firmware, which lays out addresses at boot. No card here has I/O ports.
    'io-reserve': 0,
    'mem-reserve': MEMORY_WINDOW_MIB * 2 ** 20,
    'pref64-reserve': PREFETCHABLE_WINDOW_GIB * 2 ** 30,
  };
}

/** `panic=-1` reboots at once, which `-no-reboot` turns into the end of QEMU: a guest that has died does not linger. */
function kernelCommandLine({ kernelArguments, iommu }: MachineFacts, options: QemuArgumentOptions): string {
  const { hugepages, kernelAppend } = options;
  return [
    ...kernelArguments,
    'printk.time=1',
    'panic=-1',
    'oops=panic',
    'hung_task_panic=1',
    ...(hugepages > 0 ? ['hugepagesz=2M', `hugepages=${hugepages}`] : []),
    ...(options.iommu ? iommu.kernelArguments : []),
    ...(kernelAppend ? [kernelAppend] : []),
  ].join(' ');
}

function socketChardev(id: string, path: string): string[] {
  return ['-chardev', `socket,id=${id},path=${value(path)}`];
}

function device(properties: Readonly<Record<string, unknown>>): string[] {
  return ['-device', json(properties)];
}

const json = (properties: unknown) => JSON.stringify(properties);

/** A comma inside a value of QEMU's key=value syntax is written twice. */
const value = (text: string) => text.replaceAll(',', ',,');
