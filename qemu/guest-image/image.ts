/**
 * The contents of the guest's initial root file system: busybox, kernel modules, the agent and the guest programs.
 * /init (files/init) does the rest. The host's files are mounted later, below HOST_ROOT (guest-tools/host-root).
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { gzipSync } from 'node:zlib';
import { inPackage } from '../../emulator/folders';
import { type CpioEntry, writeCpio } from './cpio';
import { moduleIndex } from './module-index';
import { type KernelModule, moduleName, modulesDep, modulesDepLines } from './modules';

/** Increase when the composition of the image changes in a way that its parts do not show. */
export const IMAGE_RECIPE = 3;

export const GUEST_PATHS = {
  agent: '/usr/lib/ghostcard/agent',
  programs: '/usr/bin',
  bind: '/usr/bin/ghostcard-bind',
  fragment: '/usr/bin/ghostcard-fragment',
  hostRoot: '/usr/bin/ghostcard-host-root',
  processes: '/usr/bin/ghostcard-processes',
} as const;

/**
 * Mount point of the host's root file system in the guest, once `GUEST_PATHS.hostRoot` has mounted it. Commands run
 * there by chroot.
 */
export const HOST_ROOT = '/host';

/** The end of PATH for commands in HOST_ROOT: the guest programs, and busybox for programs that the host lacks. */
export const HOST_ROOT_TOOLS: readonly string[] = ['usr/bin', 'bin', 'usr/sbin', 'sbin'].map(
  (folder) => `/run/ghostcard/${folder}`,
);

/** The folder below /lib/modules/RELEASE on which the host's folder of all modules is mounted (guest-tools/host-root). */
const ALL_MODULES = 'all';

/**
 * Modules that the image has, by their names for modprobe. No file is needed for one that is built into the kernel.
 */
export const GUEST_MODULES = [
  'virtio_pci',
  'virtio_console',
  'uio_pci_generic',
  'uio_pdrv_genirq',
  'uio_dmem_genirq',
  'vfio-pci',
  'vfio_iommu_type1',
  'vfio-platform',
  'ghostcard',
  '9p',
  '9pnet_virtio',
  'overlay',
] as const;

/** The modules that the image for this architecture has. */
export const guestModules = (arch: 'amd64' | 'arm64'): readonly string[] =>
  arch === 'arm64' ? [...GUEST_MODULES, 'virtio_iommu', 'virtio_mem'] : GUEST_MODULES;

const SCRIPTS = [
  { file: 'init', guestPath: '/init' },
  { file: 'ghostcard-bind', guestPath: GUEST_PATHS.bind },
  { file: 'ghostcard-card-behind', guestPath: '/usr/bin/ghostcard-card-behind' },
  { file: 'ghostcard-fragment', guestPath: GUEST_PATHS.fragment },
  { file: 'ghostcard-holders', guestPath: '/usr/bin/ghostcard-holders' },
  { file: 'ghostcard-rescan', guestPath: '/usr/bin/ghostcard-rescan' },
  { file: 'ghostcard-unplug', guestPath: '/usr/bin/ghostcard-unplug' },
  { file: 'where', guestPath: '/usr/lib/ghostcard/where' },
  { file: 'ghostcard-module', guestPath: '/usr/bin/ghostcard-module' },
] as const;

const FOLDERS = (
  '/bin /dev /etc /host /lib /lib/modules /proc /root /run /sbin /sys /tmp /usr /usr/bin /usr/lib /usr/lib/ghostcard ' +
  '/usr/local /usr/local/bin /usr/sbin /var'
).split(' ');

export interface ImageModule extends KernelModule {
  readonly data: Uint8Array;
}

export interface ImageParts {
  readonly busybox: Uint8Array;
  /** Kernel release (`uname -r`), the name of the modules' folder. */
  readonly release: string;
  readonly modules: readonly ImageModule[];
  /** All modules of the kernel; file names are relative to the folder that is mounted later. */
  readonly allModules?: readonly KernelModule[];
  /** The lines of the kernel's modules.builtin. */
  readonly builtIn?: readonly string[];
  /** If absent, the guest can only be used with ghostcard.init=shell. */
  readonly agent?: Uint8Array;
  /** Programs for /usr/bin, by name. */
  readonly programs: ReadonlyMap<string, Uint8Array>;
}

/** The shell scripts for the image, from the folder `files`. */
export function imageScripts(): { guestPath: string; data: Buffer }[] {
  return SCRIPTS.map(({ file, guestPath }) => ({
    guestPath,
    data: readFileSync(path.join(inPackage('qemu/guest-image/files'), file)),
  }));
}

export function imageEntries(parts: ImageParts): CpioEntry[] {
  const program = (guestPath: string, data: Uint8Array): CpioEntry => ({
    kind: 'file',
    path: guestPath,
    data,
    executable: true,
  });
  const modules = `/lib/modules/${parts.release}`;
  return [
    ...[...FOLDERS, modules, `${modules}/${ALL_MODULES}`].map((folder): CpioEntry => ({
      kind: 'folder',
      path: folder,
    })),
    // The kernel opens the console before /init has mounted anything.
    { kind: 'character device', path: '/dev/console', major: 5, minor: 1 },
    program('/bin/busybox', parts.busybox),
    { kind: 'link', path: '/bin/sh', target: 'busybox' },
    // The path that the kernel uses to load a module.
    { kind: 'link', path: '/sbin/modprobe', target: '../bin/busybox' },
    { kind: 'file', path: '/etc/passwd', data: Buffer.from('root:x:0:0:root:/root:/bin/sh\n') },
    { kind: 'file', path: '/etc/group', data: Buffer.from('root:x:0:\ntty:x:5:\n') },
    ...imageScripts().map(({ guestPath, data }) => program(guestPath, data)),
    ...parts.modules.map(({ fileName, data }): CpioEntry => ({ kind: 'file', path: `${modules}/${fileName}`, data })),
    ...moduleLists(parts).map(([name, data]): CpioEntry => ({
      kind: 'file',
      path: `${modules}/${name}`,
      data,
    })),
    ...(parts.agent === undefined ? [] : [program(GUEST_PATHS.agent, parts.agent)]),
    ...[...parts.programs].map(([name, data]) => program(`${GUEST_PATHS.programs}/${name}`, data)),
  ];
}

/**
 * The output of depmod, for busybox (text) and for the host's kmod, which warns about every missing index. A module that
 * the image has is preferred to one of the same name on the host.
 */
function moduleLists({ modules, allModules = [], builtIn = [] }: ImageParts): [name: string, data: Buffer][] {
  const own = new Set(modules.map(({ name }) => name));
  const others = allModules.filter(({ name }) => !own.has(name));
  const all = [...modules, ...others.map((each) => ({ ...each, fileName: `${ALL_MODULES}/${each.fileName}` }))];
  const aliases = all.flatMap(({ name, aliases = [] }) =>
    aliases.map((alias) => [alias.replaceAll('-', '_'), name] as const),
  );
  const aliasText = aliases.map(([alias, name]) => `alias ${alias} ${name}\n`).join('');
  return [
    ['modules.dep', Buffer.from(modulesDep(all))],
    ['modules.dep.bin', moduleIndex(modulesDepLines(all))],
    ['modules.alias', Buffer.from(aliasText)],
    ['modules.alias.bin', moduleIndex(new Map(aliases))],
    ['modules.builtin', Buffer.from(builtIn.map((line) => `${line}\n`).join(''))],
    ['modules.builtin.bin', moduleIndex(new Map(builtIn.map((line) => [moduleName(line), ''])))],
    ['modules.symbols.bin', moduleIndex(new Map())],
  ];
}

/** The image as the kernel expects it: a compressed archive. The output is deterministic. */
export function buildImage(parts: ImageParts): Buffer {
  return gzipSync(writeCpio(imageEntries(parts)), { level: 6 });
}
