/**
 * QEMU's command line as a pure function of the launch options. This is the file that defines the guest's machine.
 *
 * Sources: QEMU's man page (docs/system/invocation), docs/pcie.txt (root ports), docs/system/devices/vfio-user.rst.
 */
import { type GuestArch } from '../provision';
import { type MachineFacts, MACHINES, MEMORY_WINDOW_MIB, prefetchableWindowGiB } from './architectures';
import { MEMORY_BLOCK_MIB } from './memory-layout';

export interface QemuArgumentOptions {
  readonly arch: GuestArch;
  /** Where QEMU finds its firmware (`-L FOLDER` …). Empty for a QEMU that finds it by itself. */
  readonly firmwareArgs: readonly string[];
  readonly kernelPath: string;
  readonly initramfsPath: string;
  readonly accel: 'tcg' | 'kvm';
  readonly cpus: number;
  /** CPU model, as `-cpu` takes it: 'Haswell-v4', 'max,la57=off'. Default: see `cpuModel`. */
  readonly cpu?: string;
  readonly memoryMiB: number;
  /** How much of it lies above 4 GiB (see `MemoryLayout`); 0 leaves it to the machine. */
  readonly highMiB: number;
  /** Number of 2 MiB pages that the kernel reserves at boot, for DMA buffers that are contiguous and never move. */
  readonly hugepages: number;
  /** Appended to the kernel's command line. */
  readonly kernelAppend?: string;
  /** UNIX sockets on which the runner listens before QEMU starts. QEMU connects to each. */
  readonly sockets: { readonly qmp: string; readonly agent: string };
  /** File for the output of the guest's console. */
  readonly consoleLogPath: string;
  /** Cards that are present at power-on. Card n is behind root port n. */
  readonly cards: readonly SlotConnections[];
  /** Number of root ports, each for one card. Those without a card are free for hot plug. */
  readonly slots: number;
  /** Puts a virtual IOMMU in front of every card. */
  readonly iommu: boolean;
  /** Folders of the host that the guest can mount: the read-only root, and the writable shares. */
  readonly rootFolder: string;
  readonly shareFolders: readonly string[];
  /** The folder of all modules of the guest's kernel, which the guest can mount, or an empty one. */
  readonly modulesFolder: string;
  /** The machine waits for a snapshot to be restored, instead of booting. */
  readonly incoming: boolean;
  /** Address for QEMU's gdb stub to listen at, such as 'tcp:127.0.0.1:1234'. */
  readonly gdb?: string;
  readonly observer?: ObserverPlugin;
  readonly extraArgs: readonly string[];
}

/** The plugin that observes the guest's processors (qemu/observer), and the file that it writes to. */
export interface ObserverPlugin {
  readonly plugin: string;
  readonly file: string;
}

/** How QEMU reaches a card. */
export interface CardConnection {
  /** Path of the socket of its vfio-user server. */
  readonly socketPath: string;
  /** QEMU's timeout for a reply of the card, in milliseconds. Default: QEMU's own. */
  readonly answerTimeoutMs?: number;
}

/** How QEMU reaches what is in a slot: function 0 of a card, and its further functions. */
export interface SlotConnections extends CardConnection {
  readonly moreFunctions?: readonly CardConnection[];
}

/** Name of the agent's virtio-serial port. */
export const AGENT_PORT = 'org.ghostcard.agent';

/**
 * The mount tags of the host's folders: the root twice, for two caching modes (files/ghostcard-host-root), then the
 * writable shares.
 */
const ROOT_TAGS = ['hostroot', 'hostroot-kept'];
const MODULES_TAG = 'modules';
export const shareTag = (index: number) => `share${index}`;

const FOLDER_DEVICES = [0x03, 0x04, 0x05, 0x06, 0x07, 0x01];
export const MAX_SHARES = FOLDER_DEVICES.length - ROOT_TAGS.length;

/** Root ports have consecutive device numbers on the root bus, up to the last one before the chipset's devices. */
const FIRST_SLOT_DEVICE = 0x08;
const LAST_SLOT_DEVICE = 0x1e;
export const MAX_SLOTS = LAST_SLOT_DEVICE - FIRST_SLOT_DEVICE + 1;

/** QEMU's ids for slot n and for the card in it (its function 0), as used in QMP commands. */
export const slotId = (slot: number) => `slot${slot}`;
export const cardId = (slot: number) => `card${slot}`;
/** Of a function of the card. */
export const cardDeviceId = (slot: number, functionNumber: number) =>
  functionNumber === 0 ? cardId(slot) : `${cardId(slot)}.${functionNumber}`;

/**
 * PCI address of root port `slot` in the guest. The functions of the card behind it are below this address in sysfs.
 */
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
    ...['-machine', `${machine.machine[options.accel]},memory-backend=ram${splitOption(options)}`],
    ...(machine.globals ?? []).flatMap((global) => ['-global', global]),
    ...['-accel', accelerator(options)],
    ...['-cpu', cpuModel(options)],
    ...['-smp', `cpus=${options.cpus}`],
    ...memory(options),
    ...['-kernel', options.kernelPath],
    ...['-initrd', options.initramfsPath],
    ...['-append', kernelCommandLine(machine, options)],
    ...socketChardev('qmp', options.sockets.qmp),
    ...['-qmp', 'chardev:qmp'],
    ...['-chardev', `file,id=console,path=${value(options.consoleLogPath)}`],
    ...['-serial', 'chardev:console'],
    ...socketChardev('agent', options.sockets.agent),
    // Before the devices behind it. QEMU's own devices bypass it, because virtio devices say so.
    ...(options.iommu ? device(machine.iommu.device) : []),
    ...device({
      driver: 'virtio-serial-pci',
      id: 'serial',
      bus: 'pcie.0',
      addr: '0x2',
      multifunction: true,
      max_ports: 4,
    }),
    ...device({ driver: 'virtserialport', bus: 'serial.0', nr: 1, chardev: 'agent', name: AGENT_PORT }),
    ...hostFolders(options),
    ...pluggedMemory(options),
    ...Array.from({ length: options.slots }, (_, slot) => device(rootPort(slot, options.slots))).flat(),
    ...options.cards.flatMap((card, slot) => cardDevices(slot, card).flatMap(device)),
    ...(options.incoming ? ['-incoming', 'defer'] : []),
    ...(options.gdb === undefined ? [] : ['-gdb', options.gdb]),
    ...observerArguments(options.observer),
    ...options.extraArgs,
  ];
}

const isPlugged = ({ arch, highMiB }: QemuArgumentOptions): boolean =>
  highMiB > 0 && MACHINES[arch].highMemory === 'plugged';

function splitOption(options: QemuArgumentOptions): string {
  const { highMiB, memoryMiB } = options;
  return highMiB > 0 && !isPlugged(options) ? `,max-ram-below-4g=${memoryMiB - highMiB}M` : '';
}

/** Shared, so that the card's process can map the same pages and its DMA is a memory copy. */
const memoryObject = (id: string, sizeMiB: number): string[] => [
  '-object',
  json({ 'qom-type': 'memory-backend-memfd', id, 'share': true, 'size': sizeMiB * 2 ** 20 }),
];

/** Beyond `maxmem` the machine has no addresses for memory that is plugged in. */
function memory(options: QemuArgumentOptions): string[] {
  const { memoryMiB, highMiB } = options;
  if (!isPlugged(options)) return ['-m', `${memoryMiB}M`, ...memoryObject('ram', memoryMiB)];
  const presentMiB = memoryMiB - highMiB;
  return ['-m', `${presentMiB}M,maxmem=${FOUR_GIB_MIB + memoryMiB}M`, ...memoryObject('ram', presentMiB)];
}

const FOUR_GIB_MIB = 4096;

/** The device that brings the memory above 4 GiB. */
function pluggedMemory(options: QemuArgumentOptions): string[] {
  if (!isPlugged(options)) return [];
  const { highMiB } = options;
  const bytes = highMiB * 2 ** 20;
  return [
    ...memoryObject('high', highMiB),
    ...device({
      'driver': 'virtio-mem-pci',
      'bus': 'pcie.0',
      'addr': '0x2.0x2',
      'memdev': 'high',
      'memaddr': FOUR_GIB_MIB * 2 ** 20,
      // Each block is a mapping of its own for each card.
      'block-size': MEMORY_BLOCK_MIB * 2 ** 20,
      'requested-size': bytes,
    }),
  ];
}

/** The model that is used: with KVM the host's, unless another is asked for. */
export function cpuModel({ arch, accel, cpu }: Pick<QemuArgumentOptions, 'arch' | 'accel' | 'cpu'>): string {
  return cpu ?? (accel === 'kvm' ? 'host' : MACHINES[arch].cpu);
}

function accelerator({ arch, accel, iommu }: QemuArgumentOptions): string {
  const { kvmOption } = MACHINES[arch].iommu;
  if (accel === 'kvm') return iommu && kvmOption !== undefined ? `kvm,${kvmOption}` : 'kvm';
  return 'tcg,thread=multi';
}

function checkCounts({ cards, slots, shareFolders }: QemuArgumentOptions): void {
  if (slots > MAX_SLOTS || cards.length > slots) {
    throw new RangeError(
      `Cannot launch a machine with ${cards.length} card(s) and ${slots} slots: it has at most ${MAX_SLOTS} slots, and ` +
        `each card takes one. Use fewer cards, or more slots.`,
    );
  }
  if (shareFolders.length > MAX_SHARES) {
    throw new RangeError(
      `Cannot share ${shareFolders.length} writable folders: the limit is ${MAX_SHARES}. Share a common parent folder.`,
    );
  }
}

/**
 * The devices that connect to the vfio-user servers of a card's functions, in the order in which they are to be added, on
 * the command line or by `device_add` over QMP. Function 0 is the last: the guest looks for functions when it appears
 * (QEMU hw/pci/pcie.c, pcie_cap_slot_plug_cb).
 */
export function cardDevices(slot: number, card: SlotConnections): CardDevice[] {
  const { moreFunctions = [] } = card;
  if (moreFunctions.length === 0) return [cardDevice(slot, card)];
  return [card, ...moreFunctions]
    .map((connection, index) => ({
      ...cardDevice(slot, connection),
      id: cardDeviceId(slot, index),
      addr: `0x0.0x${index}`,
      multifunction: true,
    }))
    .reverse();
}

type CardDevice = ReturnType<typeof cardDevice> & { readonly addr?: string; readonly multifunction?: boolean };

function cardDevice(slot: number, { socketPath, answerTimeoutMs }: CardConnection) {
  return {
    driver: 'vfio-user-pci',
    id: cardId(slot),
    bus: slotId(slot),
    socket: { type: 'unix', path: socketPath },
    ...(answerTimeoutMs !== undefined && { 'x-msg-timeout': answerTimeoutMs }),
  };
}

/** Folders of the host, each on its own 9p device. Files have the same owners in the guest as on the host. */
function hostFolders({ rootFolder, shareFolders, modulesFolder }: QemuArgumentOptions): string[] {
  const roots = ROOT_TAGS.map((tag) => ({ tag, path: rootFolder, readonly: 'on' }));
  const shares = shareFolders.map((path, index) => ({ tag: shareTag(index), path, readonly: 'off' }));
  const folders = [...roots, ...shares].map((folder, index) => ({
    ...folder,
    addr: `0x${FOLDER_DEVICES[index]!.toString(16)}`,
  }));
  const modules = { tag: MODULES_TAG, path: modulesFolder, readonly: 'on', addr: '0x2.0x1' };
  return [...folders, modules].flatMap(({ tag, path, readonly, addr }) => [
    '-fsdev',
    `local,id=${tag},path=${value(path)},security_model=none,readonly=${readonly},multidevs=remap`,
    ...device({
      driver: 'virtio-9p-pci',
      fsdev: tag,
      mount_tag: tag,
      bus: 'pcie.0',
      addr,
    }),
  ]);
}

function rootPort(slot: number, slots: number) {
  return {
    'driver': 'pcie-root-port',
    'id': slotId(slot),
    'bus': 'pcie.0',
    'addr': `0x${(FIRST_SLOT_DEVICE + slot).toString(16)}`,
    'chassis': slot + 1,
    'slot': slot + 1,
    'power_controller_present': false,
    // For firmware, which assigns addresses at boot. I/O ports are assigned when a card has any: there are few.
    'mem-reserve': MEMORY_WINDOW_MIB * 2 ** 20,
    'pref64-reserve': prefetchableWindowGiB(slots) * 2 ** 30,
  };
}

/**
 * `panic=-1` reboots immediately, and `-no-reboot` turns that into an exit of QEMU, so a guest that has panicked does
 * not linger.
 */
function kernelCommandLine(
  { kernelArguments, kernelReserves, iommu }: MachineFacts,
  options: QemuArgumentOptions,
): string {
  const { slots, hugepages, highMiB, kernelAppend } = options;
  const reserved = `pci=hpmmiosize=${MEMORY_WINDOW_MIB}M,hpmmioprefsize=${prefetchableWindowGiB(slots)}G`;
  return [
    ...kernelArguments,
    ...(kernelReserves ? [reserved] : []),
    'printk.time=1',
    'panic=-1',
    'oops=panic',
    'hung_task_panic=1',
    ...(isPlugged(options)
      ? ['memhp_default_state=online_kernel', `ghostcard.high=${highMiB}`, `ghostcard.hugepages=${hugepages}`]
      : hugepages > 0
        ? ['hugepagesz=2M', `hugepages=${hugepages}`]
        : []),
    ...(options.iommu ? iommu.kernelArguments : []),
    ...(kernelAppend ? [kernelAppend] : []),
  ].join(' ');
}

function observerArguments(observer: ObserverPlugin | undefined): string[] {
  if (observer === undefined) return [];
  return ['-plugin', `${value(observer.plugin)},shared=${value(observer.file)}`];
}

function socketChardev(id: string, path: string): string[] {
  return ['-chardev', `socket,id=${id},path=${value(path)}`];
}

function device(properties: Readonly<Record<string, unknown>>): string[] {
  return ['-device', json(properties)];
}

const json = (properties: unknown) => JSON.stringify(properties);

/** In QEMU's key=value syntax, a comma inside a value is doubled. */
const value = (text: string) => text.replaceAll(',', ',,');
