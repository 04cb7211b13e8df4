/**
 * QEMU's arguments, as a pure function of what is to be launched: the one place to read which machine a guest gets.
 *
 * Sources: QEMU's man page (docs/system/invocation), docs/pcie.txt (root ports), docs/system/devices/vfio-user.rst.
 */
import { type GuestArch } from '../provision';

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
  /** Socket of the vfio-user server of each card. Card n sits behind root port n. */
  readonly cardSockets: readonly string[];
  /** Root ports beyond those of the cards, into which cards can be plugged while the guest runs. */
  readonly spareSlots: number;
  readonly extraArgs: readonly string[];
}

/** What differs between guest architectures. */
const MACHINES: Record<GuestArch, { machine: string; cpu: string; console: string }> = {
  // qemu64 under TCG: -cpu max brings five-level page tables, which TCG walks step by step.
  amd64: { machine: 'q35,vmport=off,smm=off', cpu: 'qemu64', console: 'ttyS0' },
};

/** The virtio-serial port on which the agent in the guest answers. */
export const AGENT_PORT = 'org.ghostcard.agent';

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
  const slots = options.cardSockets.length + options.spareSlots;
  if (slots > MAX_SLOTS) {
    throw new RangeError(`${slots} slots for cards were asked for; this machine has ${MAX_SLOTS}. Use fewer cards.`);
  }
  return [
    ...options.firmwareArgs,
    ...['-nodefaults', '-no-user-config', '-no-reboot'],
    ...['-display', 'none'],
    ...['-machine', `${machine.machine},memory-backend=ram`],
    ...['-accel', options.accel === 'kvm' ? 'kvm' : 'tcg,thread=multi'],
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
    ...['-append', kernelCommandLine(machine.console, options)],
    ...socketChardev('qmp', options.sockets.qmp),
    ...['-qmp', 'chardev:qmp'],
    ...['-chardev', `file,id=console,path=${value(options.consoleLogPath)}`],
    ...['-serial', 'chardev:console'],
    ...socketChardev('agent', options.sockets.agent),
    ...device({ driver: 'virtio-serial-pci', id: 'serial', bus: 'pcie.0', addr: '0x2', max_ports: 4 }),
    ...device({ driver: 'virtserialport', bus: 'serial.0', nr: 1, chardev: 'agent', name: AGENT_PORT }),
    ...Array.from({ length: slots }, (_, slot) => device(rootPort(slot))).flat(),
    ...options.cardSockets.flatMap((path, slot) => device(cardDevice(slot, path))),
    ...options.extraArgs,
  ];
}

/** The device that connects to a card's vfio-user server; also what `device_add` takes over QMP. */
export function cardDevice(slot: number, socketPath: string) {
  return {
    driver: 'vfio-user-pci',
    id: cardId(slot),
    bus: slotId(slot),
    socket: { type: 'unix', path: socketPath },
  };
}

function rootPort(slot: number) {
  return {
    'driver': 'pcie-root-port',
    'id': slotId(slot),
    'bus': 'pcie.0',
    'addr': `0x${(FIRST_SLOT_DEVICE + slot).toString(16)}`,
    'chassis': slot + 1,
    'slot': slot + 1,
    // Room for a card that is plugged in later: firmware lays out addresses at boot. No card here has I/O ports.
    'io-reserve': 0,
    'mem-reserve': 4 * 2 ** 20,
    'pref64-reserve': 64 * 2 ** 20,
  };
}

/** `panic=-1` reboots at once, which `-no-reboot` turns into the end of QEMU: a guest that has died does not linger. */
function kernelCommandLine(console: string, { hugepages, kernelAppend }: QemuArgumentOptions): string {
  return [
    `console=${console}`,
    'printk.time=1',
    'panic=-1',
    'oops=panic',
    'hung_task_panic=1',
    ...(hugepages > 0 ? ['hugepagesz=2M', `hugepages=${hugepages}`] : []),
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
