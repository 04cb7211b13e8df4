/**
 * The kernels in a package list. Debian's packages of a kernel carry its release and flavour in their names, and modules
 * can be built for it if its headers and its source are there in the same version.
 *
 * Source: Debian Linux Kernel Handbook, chapter 4 (names of packages and releases); apt-cache(8).
 */
import { KERNEL_FLAVOURS, GUEST_ARCHES, type GuestArch, guestFacts, type KernelFlavour } from '../basis/arch';

export interface KernelOffer {
  /** The first two numbers of its release: '6.12'. */
  readonly series: string;
  /** `uname -r` without the flavour: '6.12.95+deb12'. */
  readonly version: string;
  readonly flavour: KernelFlavour;
  readonly arch: GuestArch;
  /** Of its packages: '6.12.95-1~bpo12+1'. */
  readonly packageVersion: string;
  /** To be fetched for a guest, approximately: package lists and libraries are not included. */
  readonly downloadBytes: number;
}

/** The name of the search for all packages that `parseKernelOffers` looks at, for `apt-cache search --names-only`. */
export const KERNEL_PACKAGES = '^linux-(image|binary|modules|headers|source)-[0-9]';

interface Package {
  readonly name: string;
  readonly version: string;
  readonly arch: string;
  readonly sizeBytes: number;
}

/** Parses the output of `apt-cache show`: the newest kernel of each series, flavour and architecture. */
export function parseKernelOffers(shown: string): KernelOffer[] {
  const packages = parsePackages(shown);
  const has = (name: string, version: string): boolean =>
    packages.some((each) => each.name === name && each.version === version);
  const newest = new Map<string, KernelOffer>();
  for (const headers of packages) {
    const [, version = '', ending] = /^linux-headers-(\d[^-]*(?:-\d+)?)-(.+)$/.exec(headers.name) ?? [];
    const flavour = KERNEL_FLAVOURS.find((each) =>
      GUEST_ARCHES.some((arch) => arch === headers.arch && guestFacts(arch).kernelPackages[each] === ending),
    );
    const series = /^\d+\.\d+/.exec(version)?.[0];
    if (flavour === undefined || series === undefined) continue;
    if (!has(`linux-source-${series}`, headers.version)) continue;
    if (!has(`linux-image-${version}-${ending}`, headers.version)) continue;
    const isNeeded = ({ name, version: of }: Package): boolean =>
      of === headers.version && (name.endsWith(`-${version}-${ending}`) || name === `linux-source-${series}`);
    const offer: KernelOffer = {
      ...{ series, version, flavour, arch: headers.arch as GuestArch, packageVersion: headers.version },
      downloadBytes: sumOfSizes(packages.filter(isNeeded)),
    };
    const key = `${series} ${flavour} ${offer.arch}`;
    const known = newest.get(key);
    if (known === undefined || compareVersions(known.version, version) < 0) newest.set(key, offer);
  }
  return [...newest.values()].sort((a, b) => compareVersions(a.version, b.version));
}

function parsePackages(shown: string): Package[] {
  const known = new Map<string, Package>();
  for (const stanza of shown.split(/\n\s*\n/)) {
    const field = (name: string): string => new RegExp(`^${name}: (.*)$`, 'm').exec(stanza)?.[1] ?? '';
    const found = {
      ...{ name: field('Package'), version: field('Version'), arch: field('Architecture') },
      sizeBytes: Number(field('Size')),
    };
    // A package for all architectures is in the list of each.
    if (found.name !== '') known.set(`${found.name} ${found.version} ${found.arch}`, found);
  }
  return [...known.values()];
}

const sumOfSizes = (packages: readonly Package[]): number =>
  packages.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);

/** Compares releases by their numbers. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((text) => (text.match(/\d+/g) ?? []).map(Number));
  for (const [index, number] of left!.entries()) {
    if (number !== right![index]) return number - (right![index] ?? -1);
  }
  return left!.length - right!.length;
}

/** The packages of a kernel, as `apt-get install` takes them. */
export function packagesOf({ series, version, flavour, arch, packageVersion }: KernelOffer): string[] {
  const ending = guestFacts(arch).kernelPackages[flavour];
  return [
    `linux-image-${version}-${ending}:${arch}=${packageVersion}`,
    `linux-headers-${version}-${ending}:${arch}=${packageVersion}`,
    `linux-source-${series}=${packageVersion}`,
  ];
}
