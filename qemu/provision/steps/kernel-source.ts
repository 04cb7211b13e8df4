/**
 * Where the packages of a guest's kernel come from: the host's suite, or, for another release, the first of the suites
 * and their backports that has it, beginning with the host's own.
 */
import { ProvisionError } from '../basis/errors';
import { type StepProgress } from '../basis/progress';
import { type GuestArch, type KernelFlavour } from '../basis/arch';
import { type AptRoot } from '../packages/apt-root';
import { KERNEL_PACKAGES, type KernelOffer, packagesOf, parseKernelOffers } from '../packages/kernel-list';
import { backportsOf, type Suite, SUITES } from '../packages/suite';
import { cachedKernels } from './cached-kernels';
import { type Context } from './context';
import { ownPackages } from './kernel-entry';

export interface KernelSource {
  readonly apt: AptRoot;
  readonly suite: Suite;
  /** The suite, or its backports, for people. */
  readonly origin: string;
  /** As apt takes them: image, headers, source. */
  readonly packages: readonly string[];
}

/** A kernel that can be fetched. */
export interface OfferedKernel extends KernelOffer {
  readonly suite: Suite;
}

/** All suites, the host's own first. */
export function suitesFor(context: Context): Suite[] {
  const own = context.suite();
  return [own, ...SUITES.filter(({ codename }) => codename !== own.codename)];
}

/** What a suite and its backports offer. Fetches their package lists. */
export async function offersOf(context: Context, suite: Suite, progress: StepProgress): Promise<OfferedKernel[]> {
  const shown = await context.kernelsApt(suite).describe(KERNEL_PACKAGES, progress);
  return parseKernelOffers(shown).map((offer) => ({ ...offer, suite }));
}

export const originOf = ({ suite, packageVersion }: OfferedKernel): string =>
  packageVersion.includes('~bpo') ? backportsOf(suite) : suite.codename;

/** Where the kernel that was asked for comes from. @throws ProvisionError that names those that there are */
export async function kernelSource(context: Context, progress: StepProgress): Promise<KernelSource> {
  const { otherRelease } = context;
  const own = context.suite();
  if (otherRelease === undefined) {
    return { apt: context.hostSuiteApt(), suite: own, origin: own.codename, packages: ownPackages(context) };
  }
  const offered = await offers(context, otherRelease, progress);
  const wanted = offered.find((offer) => isWanted(offer, otherRelease, context));
  if (wanted === undefined) throw unknownRelease(context, otherRelease, offered);
  const { suite } = wanted;
  return { apt: context.kernelsApt(suite), suite, origin: originOf(wanted), packages: packagesOf(wanted) };
}

const isWanted = (
  { series, flavour, arch }: { series: string; flavour: KernelFlavour; arch: GuestArch },
  release: string,
  { kernelFlavour, guestArch }: Context,
): boolean => series === release && flavour === kernelFlavour && arch === guestArch;

/** The offers of the suites, up to the first that has the release. */
async function offers(context: Context, release: string, progress: StepProgress): Promise<OfferedKernel[]> {
  const all: OfferedKernel[] = [];
  try {
    for (const suite of suitesFor(context)) {
      const some = await offersOf(context, suite, progress);
      all.push(...some);
      if (some.some((offer) => isWanted(offer, release, context))) break;
    }
  } catch (error) {
    if (!(error instanceof ProvisionError)) throw error;
    const cached = namesOf(cachedKernels(context).filter(({ arch }) => arch === context.guestArch));
    const cure = `${error.cure}; kernels that are in the cache need no network: ${cached || 'there are none'}`;
    throw new ProvisionError({ attempted: error.attempted, seen: error.seen, cure }, { cause: error });
  }
  return all;
}

function unknownRelease(context: Context, release: string, offered: readonly OfferedKernel[]): ProvisionError {
  const { guestArch, kernelFlavour } = context;
  const suites = suitesFor(context).flatMap((suite) => [suite.codename, backportsOf(suite)]);
  return new ProvisionError({
    attempted: `looking for a ${kernelFlavour} kernel ${release} for ${guestArch} guests`,
    seen: `${suites.join(', ')} have none with which modules can be built`,
    cure: `use one that they have: --kernel-release ${namesOf(offered.filter(({ arch }) => arch === guestArch))}`,
  });
}

/** "6.1, 6.12 or 7.3" */
function namesOf(kernels: readonly { readonly series: string }[]): string {
  const names = [...new Set(kernels.map(({ series }) => series))];
  return names.length < 2 ? names.join('') : `${names.slice(0, -1).join(', ')} or ${names.at(-1)}`;
}
