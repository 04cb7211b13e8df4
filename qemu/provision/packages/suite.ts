/**
 * The Debian suites that packages are taken from. The guest's kernel comes from the host's own suite, because its
 * modules are built with the host's compiler, and the kernel's build helpers are linked against that suite's libc. QEMU
 * comes from the only suite that has a vfio-user client (QEMU 10.1 or later), together with its libraries.
 *
 * Source: os-release(5); the package lists of the suites named here.
 */
import { ProvisionError } from '../basis/errors';

export interface HostSuite {
  readonly codename: string;
  /** The compiler that the suite's kernel was built with. */
  readonly compiler: string;
}

export const QEMU_SUITE = { base: 'trixie', backports: 'trixie-backports' } as const;

const HOST_SUITES: readonly HostSuite[] = [
  { codename: 'bookworm', compiler: 'gcc-12' },
  { codename: 'trixie', compiler: 'gcc-14' },
];

const PROVIDE_YOUR_OWN =
  'run on one of these suites, or provide your own parts: --qemu FILE (10.1 or later, with vfio-user-pci), ' +
  '--kernel FILE, --modules FOLDER (/lib/modules/RELEASE, built with CONFIG_VFIO_NOIOMMU) and --busybox FILE (static); ' +
  'the variables GHOSTCARD_QEMU, GHOSTCARD_KERNEL, GHOSTCARD_MODULES and GHOSTCARD_BUSYBOX do the same';

/** The assignments in an os-release file. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Z0-9_]+)=(.*)$/.exec(line.trim());
    if (match?.[1] !== undefined) values.set(match[1], (match[2] ?? '').replace(/^(["'])(.*)\1$/, '$2'));
  }
  return values;
}

/** The suite of the host, from the text of its os-release file. @throws ProvisionError for an unsupported one */
export function hostSuite(osRelease: string): HostSuite {
  const values = parseOsRelease(osRelease);
  const codename = values.get('ID') === 'debian' ? values.get('VERSION_CODENAME') : undefined;
  const suite = HOST_SUITES.find((candidate) => candidate.codename === codename);
  if (suite !== undefined) return suite;
  throw new ProvisionError({
    attempted: "determining the host's Debian suite",
    seen:
      `this is ${values.get('PRETTY_NAME') ?? 'a system without a name in /etc/os-release'}; ` +
      `Debian ${HOST_SUITES.map(({ codename }) => codename).join(' and ')} are supported`,
    cure: PROVIDE_YOUR_OWN,
  });
}
