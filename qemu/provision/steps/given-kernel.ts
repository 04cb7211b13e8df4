/**
 * Checks a kernel or modules that the user provides, so that a mistake is reported here and not by a guest that hangs.
 *
 * Source: Linux Documentation/arch/x86/boot.rst (header fields of a bzImage), Documentation/arm64/booting.rst (those of
 * an Image), drivers/firmware/efi/libstub/zboot-header.S (of a compressed one).
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { gunzipSync } from 'node:zlib';
import { GUEST_MODULES, modinfo } from '../../guest-image';
import { type GuestArch } from '../basis/arch';
import { ProvisionError } from '../basis/errors';
import { type Context } from './context';
import { findModules } from './kernel-modules';
import { collectModules } from './module-files';

/** The magic of the setup header, and the pointer to the version string (from offset 0x200), in a bzImage. */
const BZIMAGE = { magic: 0x202, versionPointer: 0x20e, base: 0x200 } as const;

/** The magic of an arm64 Image, "ARM\\x64"; the start of the kernel's banner; the magic of gzip files. */
const ARM64_MAGIC = { offset: 0x38, value: 0x644d5241 } as const;
const BANNER = 'Linux version ';
const GZIP_MAGIC = 0x1f8b;

/**
 * The release of a kernel image (the first word of its version string). Undefined if it is not a kernel for the guest.
 */
export function releaseOf(image: Buffer, arch: GuestArch): string | undefined {
  switch (arch) {
    case 'amd64': {
      if (image.length < 0x300 || image.toString('latin1', BZIMAGE.magic, BZIMAGE.magic + 4) !== 'HdrS')
        return undefined;
      const start = BZIMAGE.base + image.readUInt16LE(BZIMAGE.versionPointer);
      return /^[^\s\0]+/.exec(image.toString('latin1', start, start + 128))?.[0];
    }
    case 'arm64': {
      const plain = uncompressed(image);
      if (plain.length < 0x40 || plain.readUInt32LE(ARM64_MAGIC.offset) !== ARM64_MAGIC.value) return undefined;
      const start = plain.indexOf(BANNER);
      const version = start < 0 ? '' : plain.toString('latin1', start + BANNER.length, start + BANNER.length + 128);
      return /^\S+/.exec(version)?.[0];
    }
  }
}

/**
 * Extracts an arm64 kernel from the formats of its packages: gzip, or an EFI program that contains it compressed with
 * gzip.
 */
function uncompressed(image: Buffer): Buffer {
  const isZboot =
    image.length > 0x40 && image.toString('latin1', 0, 2) === 'MZ' && image.toString('latin1', 4, 8) === 'zimg';
  const payload = isZboot
    ? image.subarray(image.readUInt32LE(8), image.readUInt32LE(8) + image.readUInt32LE(12))
    : image;
  if (payload.length < 2 || payload.readUInt16BE(0) !== GZIP_MAGIC) return payload;
  try {
    return gunzipSync(payload);
  } catch {
    return payload; // damaged: not a kernel
  }
}

/** The kernel of the user, of the architecture and the release that were asked for. @throws ProvisionError */
export function checkedKernel(
  file: string,
  { guestArch: arch, askedRelease }: Pick<Context, 'guestArch' | 'askedRelease'>,
): { imagePath: string; release: string } {
  const imagePath = path.resolve(file);
  const attempted = `checking the kernel given as ${file}`;
  const cure = `give --kernel (or GHOSTCARD_KERNEL) a kernel image for ${arch} (such as the /boot/vmlinuz-RELEASE of such a machine), or leave it out`;
  if (!existsSync(imagePath) || !statSync(imagePath).isFile()) {
    throw new ProvisionError({ attempted, seen: 'there is no such file', cure });
  }
  const release = releaseOf(readFileSync(imagePath), arch);
  if (release === undefined)
    throw new ProvisionError({ attempted, seen: `it is not a kernel image for ${arch}`, cure });
  if (askedRelease !== undefined && !release.startsWith(`${askedRelease}.`)) {
    const seen = `it is Linux ${release}, and --kernel-release (or GHOSTCARD_KERNEL_RELEASE) is ${askedRelease}`;
    throw new ProvisionError({
      attempted,
      seen,
      cure: "leave out one of them: --kernel-release chooses one of Debian's",
    });
  }
  return { imagePath, release };
}

/** The value of --modules for a kernel that has everything built in. */
const NO_MODULES = 'none';

/** A folder of modules, and the files in it. */
interface GivenModules {
  readonly folder: string;
  readonly files: readonly string[];
}

/** The modules for a kernel of the user: those of --modules, else the machine's own of the same release. */
export function modulesForGiven(folder: string | undefined, release: string): GivenModules | undefined {
  return folder === NO_MODULES ? undefined : checkedModules(folder ?? path.join('/lib/modules', release), release);
}

/**
 * The modules of a kernel release in a folder that the user names. What the kernel must have is virtio-console, or there
 * is no agent; a driver that it lacks is reported when it is asked for (ghostcard-bind). @throws ProvisionError
 */
export function checkedModules(folder: string, release: string): GivenModules {
  const attempted = `looking for the modules of kernel ${release} in ${folder}`;
  const cure =
    `give --modules (or GHOSTCARD_MODULES) the folder /lib/modules/${release} that belongs to the kernel, built with ` +
    'CONFIG_VIRTIO_PCI and CONFIG_VIRTIO_CONSOLE, and with the drivers that you use; ' +
    `or "${NO_MODULES}", if the kernel has these built in`;
  const root = path.resolve(folder);
  const places = [path.join(root, 'lib/modules', release), path.join(root, release), root];
  const place = places.find((each) => existsSync(each) && statSync(each).isDirectory());
  const files = place === undefined ? [] : modulesIn(place, attempted, cure);
  if (place === undefined || files.length === 0)
    throw new ProvisionError({ attempted, seen: 'there are no module files (*.ko) there', cure });
  for (const { fileName, data } of collectModules(GUEST_MODULES, files)) {
    const info = modinfo(Buffer.from(data));
    const magic = info.find(([name]) => name === 'vermagic')?.[1].split(' ')[0];
    if (magic !== undefined && magic !== release) {
      throw new ProvisionError({ attempted, seen: `${fileName} is for kernel ${magic}, not for ${release}`, cure });
    }
  }
  return { folder: place, files };
}

function modulesIn(folder: string, attempted: string, cure: string): string[] {
  try {
    return findModules(folder);
  } catch (error) {
    throw new ProvisionError({ attempted, seen: (error as Error).message, cure }, { cause: error });
  }
}

/** Identifies the state of files without reading them. */
export function fingerprint(files: readonly string[]): string[] {
  return files.map((file) => {
    const { size, mtimeMs } = statSync(file);
    return `${file} ${size} ${mtimeMs}`;
  });
}
