/**
 * The Debian suites that packages are taken from. The guest's kernel comes from the host's own suite unless another is
 * asked for, because its modules are built with the host's compiler, and the kernel's build helpers are linked against
 * that suite's libc. QEMU comes from the only suite that has a vfio-user client (QEMU 10.1 or later), together with its
 * libraries.
 *
 * Source: os-release(5); the package lists of the suites named here.
 */
import { ProvisionError } from '../basis/errors';
import { WITHOUT_DEBIAN } from '../basis/other-hosts';

export interface Suite {
  readonly codename: string;
  /** The compiler that the kernels of the suite and of its backports were built with. */
  readonly compiler: string;
  /** The release of its kernel, which stays the same; its backports have newer ones. */
  readonly kernel: string;
}

export const QEMU_SUITE = { base: 'trixie', backports: 'trixie-backports' } as const;

/** Suites that a host can have, and that kernels can come from. */
export const SUITES: readonly Suite[] = [
  { codename: 'bookworm', compiler: 'gcc-12', kernel: '6.1' },
  { codename: 'trixie', compiler: 'gcc-14', kernel: '6.12' },
];

/** Where the newer kernels of a suite are. */
export const backportsOf = ({ codename }: Suite): string => `${codename}-backports`;

/** The assignments in an os-release file. */
export function parseOsRelease(text: string): ReadonlyMap<string, string> {
  const values = new Map<string, string>();
  for (const line of text.split('\n')) {
    const match = /^([A-Z0-9_]+)=(.*)$/.exec(line.trim());
    if (match?.[1] !== undefined) values.set(match[1], (match[2] ?? '').replace(/^(["'])(.*)\1$/, '$2'));
  }
  return values;
}

/** The suite of a machine, from the text of its os-release file; undefined if it has none of those above. */
export function suiteOf(osRelease: string): Suite | undefined {
  const values = parseOsRelease(osRelease);
  const codename = values.get('ID') === 'debian' ? values.get('VERSION_CODENAME') : undefined;
  return SUITES.find((candidate) => candidate.codename === codename);
}

/** What a machine calls itself. */
export const systemName = (osRelease: string): string =>
  parseOsRelease(osRelease).get('PRETTY_NAME') ?? 'a system without a name in /etc/os-release';

/** As `suiteOf`. @throws ProvisionError for an unsupported one */
export function hostSuite(osRelease: string): Suite {
  const suite = suiteOf(osRelease);
  if (suite !== undefined) return suite;
  throw new ProvisionError({
    attempted: "determining the host's Debian suite",
    seen:
      `this is ${systemName(osRelease)}, and packages are taken from ` +
      `Debian ${SUITES.map(({ codename }) => codename).join(' and ')}`,
    cure: WITHOUT_DEBIAN,
  });
}
